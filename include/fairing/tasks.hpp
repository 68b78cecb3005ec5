// fairing/tasks.hpp - Fairing's high-level tasks: what is done, in one value, with the stages
// chosen.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "builders/append.hpp"
#include "deployers/serving.hpp"
#include "pipeline.hpp"
#include "preprocessors/input.hpp"
#include "preprocessors/python.hpp"

namespace fairing {

/// A Python class behind Seldon's server, with its files and its model, as an endpoint. The base
/// image brings Python, seldon-core and what the class imports.
struct PredictionEndpoint {
    std::string model_class = {};  ///< "HousingServe", of HousingServe.py among the files
    std::string base_image = {};
    std::string registry = {};
    std::vector<Input> input_files = {};
    KubernetesOptions kubernetes = {};
    ServiceType service_type = ServiceType::cluster_ip;

    /// Packages, pushes, deploys, and waits until it is ready. Throws WorkloadError that says why
    /// it is not.
    [[nodiscard]] Endpoint create(const Session& session = {}) const {
        return Fairing{
            PythonPreprocessor{.executable = module_file(), .input_files = input_files},
            AppendBuilder{
                .base_image = base_image, .registry = registry, .image_name = "fairing-endpoint"},
            ServingDeployer{.kubernetes = kubernetes,
                            .serving_class = model_class,
                            .service_type = service_type}}
            .run(session);
    }

private:
    /// The file of the class; empty when it is not among the inputs by its name.
    [[nodiscard]] std::string module_file() const {
        const std::string module = model_class.substr(0, model_class.find('.')) + ".py";
        for (const Input& input : input_files) {
            if (input.path().filename() == module) {
                return input.path().string();
            }
        }
        return {};
    }
};

}  // namespace fairing
