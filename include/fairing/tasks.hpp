// fairing/tasks.hpp - Fairing's high-level tasks: what is done, in one value, with the stages
// chosen.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "backends.hpp"
#include "deployers/serving.hpp"
#include "packaging/text.hpp"
#include "pipeline.hpp"
#include "preprocessors/entry.hpp"
#include "preprocessors/full_notebook.hpp"
#include "preprocessors/function.hpp"
#include "preprocessors/input.hpp"
#include "preprocessors/python.hpp"
#include "preprocessors/python_function.hpp"
#include "run_main.hpp"
#include "stage/any.hpp"
#include "stage/fields.hpp"

namespace fairing {

/// What a task runs: a file or "file.py:function", as guess_entry() tells them apart, or one of the
/// job functions that this program has given to run_main().
class EntryPoint {
public:
    EntryPoint() = default;
    EntryPoint(const char* name) : name_(name) {}
    EntryPoint(std::string name) : name_(std::move(name)) {}
    EntryPoint(JobFunction function) : function_(function) {}

    /// A notebook runs as a whole. Throws Error: as guess_entry() and job_function_name() do.
    [[nodiscard]] Entry entry() const {
        if (function_ != nullptr) {
            return {.preprocessor = "function",
                    .options = {{"function", job_function_name(function_)}}};
        }
        Entry guessed = guess_entry(name_);
        return guessed.preprocessor == "notebook" ? entry_for(name_, "full_notebook")
                                                  : std::move(guessed);
    }

private:
    std::string name_ = {};
    JobFunction function_ = nullptr;
};

/// A training: its program with its files, as a Job on a backend.
struct TrainJob {
    EntryPoint entry_point = {};
    std::string base_image = {};  ///< empty: python:<minor version of the host's python3>-slim
    std::string registry = {};    ///< empty: the backend's default
    std::vector<Input> input_files = {};
    std::map<std::string, std::string> output_map = {};
    KubernetesOptions kubernetes = {};
    Backend backend = {};

    [[nodiscard]] AnyPreprocessor preprocessor() const {
        const Entry entry = entry_point.entry();
        if (entry.preprocessor == "python") {
            return stage<PythonPreprocessor>(entry);
        }
        if (entry.preprocessor == "full_notebook") {
            return stage<FullNotebookPreprocessor>(entry);
        }
        if (entry.preprocessor == "python_function") {
            return stage<PythonFunctionPreprocessor>(entry);
        }
        return stage<FunctionPreprocessor>(entry);
    }

    /// The pipeline. Throws Error for an entry point that is none.
    [[nodiscard]] Fairing<AnyPreprocessor, AnyBuilder, AnyDeployer> fairing() const {
        return {preprocessor(),
                AnyBuilder{BackendBuilder{.backend = backend,
                                          .base_image = base_image,
                                          .registry = registry,
                                          .kubernetes = kubernetes}},
                AnyDeployer{backend.training_deployer(kubernetes)}};
    }
    /// Fairing::start(): the handle, when the Job is stored.
    [[nodiscard]] Workload start(const Session& session = {}) const {
        return fairing().start(session);
    }
    /// Fairing::run(): to the end, with the log. Throws WorkloadError for a training that fails.
    Workload submit(const Session& session = {}) const { return fairing().run(session); }

private:
    // An aggregate has no private data; these functions are not for users.
    template <class Stage>
    [[nodiscard]] Stage stage(const Entry& entry) const {
        Stage result = stage_from<Stage>(entry.options, "the entry point");
        result.input_files.insert(result.input_files.end(), input_files.begin(), input_files.end());
        result.output_map = output_map;
        return result;
    }
};

/// A Python class behind Seldon's server, with its files and its model, as an endpoint. The base
/// image brings Python, seldon-core and what the class imports.
struct PredictionEndpoint {
    std::string model_class = {};  ///< "HousingServe", of HousingServe.py among the files
    std::string base_image = {};
    std::string registry = {};  ///< empty: the backend's default
    std::vector<Input> input_files = {};
    KubernetesOptions kubernetes = {};
    ServiceType service_type = ServiceType::cluster_ip;
    Backend backend = {};

    /// Packages, pushes, deploys, and waits until it is ready. Throws WorkloadError that says why
    /// it is not.
    [[nodiscard]] Endpoint create(const Session& session = {}) const {
        const std::string file = module_file();
        return Fairing{
            PythonPreprocessor{
                .executable = file, .input_files = input_files, .output_map = at_prefix(file)},
            BackendBuilder{.backend = backend,
                           .base_image = base_image,
                           .registry = registry,
                           .image_name = "fairing-endpoint",
                           .kubernetes = kubernetes},
            backend.serving_deployer(model_class, kubernetes, service_type)}
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
    /// Seldon's server imports the module from the working directory.
    [[nodiscard]] static std::map<std::string, std::string> at_prefix(const std::string& file) {
        return file.empty() ? std::map<std::string, std::string>{}
                            : std::map<std::string, std::string>{
                                  {file, std::string{packaging::last_component(file)}}};
    }
};

}  // namespace fairing
