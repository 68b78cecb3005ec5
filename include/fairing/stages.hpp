// fairing/stages.hpp - every stage that is chosen by a name, once: the keys of fairing.json, the
// options of the command and its help are all made from this list and the stages' field tables.
#pragma once

#include <tuple>

#include "builders/append.hpp"
#include "builders/cluster.hpp"
#include "builders/engine.hpp"
#include "deployers/ai_platform.hpp"
#include "deployers/experiment.hpp"
#include "deployers/inference_service.hpp"
#include "deployers/job.hpp"
#include "deployers/local.hpp"
#include "deployers/pipeline.hpp"
#include "deployers/serving.hpp"
#include "deployers/training_jobs.hpp"
#include "deployers/trainjob.hpp"
#include "deployers/vertex.hpp"
#include "deployers/vertex_serving.hpp"
#include "preprocessors/full_notebook.hpp"
#include "preprocessors/function.hpp"
#include "preprocessors/notebook.hpp"
#include "preprocessors/python.hpp"
#include "preprocessors/python_function.hpp"
#include "stage/concepts.hpp"

namespace fairing {

/// A stage and its name. What it is follows from the concept that it models.
template <class T>
struct NamedStage {
    using Stage = T;
    const char* name;

    /// "preprocessor", "builder" or "deployer".
    [[nodiscard]] static constexpr const char* role() {
        return Preprocessor<T> ? "preprocessor" : Builder<T> ? "builder" : "deployer";
    }
};

inline constexpr auto named_stages = std::tuple{
    NamedStage<PythonPreprocessor>{"python"},
    NamedStage<NotebookPreprocessor>{"notebook"},
    NamedStage<FullNotebookPreprocessor>{"full_notebook"},
    NamedStage<FunctionPreprocessor>{"function"},
    NamedStage<PythonFunctionPreprocessor>{"python_function"},
    NamedStage<AppendBuilder>{"append"},
    NamedStage<ClusterBuilder>{"cluster"},
    NamedStage<DockerBuilder>{"docker"},
    NamedStage<PodmanBuilder>{"podman"},
    NamedStage<LocalDeployer>{"local"},
    NamedStage<JobDeployer>{"job"},
    NamedStage<TrainingJobDeployer>{"tfjob"},
    NamedStage<TrainingJobDeployer>{"pytorchjob"},
    NamedStage<TrainingJobDeployer>{"xgboostjob"},
    NamedStage<TrainingJobDeployer>{"paddlejob"},
    NamedStage<TrainingJobDeployer>{"jaxjob"},
    NamedStage<TrainingJobDeployer>{"mpijob"},
    NamedStage<TrainJobDeployer>{"trainjob"},
    NamedStage<ExperimentDeployer>{"experiment"},
    NamedStage<PipelineDeployer>{"pipeline"},
    NamedStage<ServingDeployer>{"serving"},
    NamedStage<InferenceServiceDeployer>{"kfserving"},
    NamedStage<VertexDeployer>{"vertex"},
    NamedStage<VertexServingDeployer>{"vertex-serving"},
    NamedStage<AiPlatformDeployer>{"gcp"},
    NamedStage<AiPlatformServingDeployer>{"gcpserving"},
};

/// Calls `visit` with each of them.
template <class Visit>
void for_each_stage(const Visit& visit) {
    std::apply([&visit](const auto&... each) { (visit(each), ...); }, named_stages);
}

}  // namespace fairing
