// fairing/deployers/pipelines/spec.hpp - pods of one container as the one task of a pipeline
// (kubeflow.org/docs/components/pipelines, the intermediate representation, schema 2.1.0).
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "../../core/json.hpp"
#include "../../core/version.hpp"
#include "../../kube/document.hpp"

namespace fairing::pipelines {

/// How the task is run.
struct TaskRules {
    std::string pipeline = {};  ///< its name
    std::string root = {};      ///< where artifacts go: "s3://…"
    int retries = 0;
    bool reuses_results = false;
};

/// The resources of a container, taken out of its document.
[[nodiscard]] inline Json task_resources(Json& container) {
    Json result = Json::object();
    for (const auto& [list, suffix] : {std::pair{"limits", "Limit"}, {"requests", "Request"}}) {
        Json& amounts = container["resources"][list];
        for (const auto& [name, key] :
             {std::pair{"cpu", "resourceCpu"}, {"memory", "resourceMemory"}}) {
            if (amounts.contains(name)) {
                result[key + std::string{suffix}] = amounts[name];
                amounts.erase(name);
            }
        }
        for (const char* gpu : {"nvidia.com/gpu", "amd.com/gpu"}) {
            if (amounts.contains(gpu) && std::string_view{list} == "limits") {
                result["accelerator"] = {{"resourceType", gpu}, {"resourceCount", amounts[gpu]}};
                amounts.erase(gpu);
            }
        }
        if (amounts.empty()) {
            container["resources"].erase(list);
        }
    }
    if (container["resources"].empty()) {
        container.erase("resources");
    }
    return result;
}

/// The container of the task, taken out of the pods' template; what can not be expressed stays
/// there.
[[nodiscard]] inline Json task_container(Json& template_) {
    Json& container = template_["spec"]["containers"][0];
    Json task = Json::object();
    for (const char* key : {"image", "command", "args"}) {
        if (container.contains(key) && !container[key].empty()) {
            task[key] = container[key];
        }
        container.erase(key);
    }
    if (!task.contains("command")) {
        throw Error{ErrorCode::usage,
                    {.attempted = "make a pipeline of",
                     .subject = "the image " + kube::text(task, {"image"}),
                     .answer = "a task of Kubeflow Pipelines wants a command"}};
    }
    Json others = Json::array();
    for (const Json& each : container["env"]) {
        (each.contains("value") ? task["env"] : others).push_back(each);
    }
    container["env"] = std::move(others);
    if (container["env"].empty()) {
        container.erase("env");
    }
    if (Json resources = task_resources(container); !resources.empty()) {
        task["resources"] = std::move(resources);
    }
    return task;
}

/// The PipelineSpec of one task.
[[nodiscard]] inline Json pipeline_spec(Json container, const TaskRules& rules) {
    Json task{{"taskInfo", {{"name", "program"}}},
              {"componentRef", {{"name", "comp-program"}}},
              {"cachingOptions", Json::object()}};
    if (rules.reuses_results) {
        task["cachingOptions"]["enableCache"] = true;
    }
    if (rules.retries > 0) {
        task["retryPolicy"]["maxRetryCount"] = rules.retries;
    }
    Json spec{{"pipelineInfo", {{"name", rules.pipeline}}},
              {"schemaVersion", "2.1.0"},
              {"sdkVersion", std::string{"fairing-"} + version},
              {"components", {{"comp-program", {{"executorLabel", "exec-program"}}}}},
              {"deploymentSpec",
               {{"executors", {{"exec-program", {{"container", std::move(container)}}}}}}},
              {"root", {{"dag", {{"tasks", {{"program", std::move(task)}}}}}}}};
    if (!rules.root.empty()) {
        spec["defaultPipelineRoot"] = rules.root;
    }
    return spec;
}

}  // namespace fairing::pipelines
