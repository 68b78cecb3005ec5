// fairing/deployers/pipelines/options.hpp - where Kubeflow Pipelines is, and who asks it.
#pragma once

#include <filesystem>
#include <string>
#include <tuple>

#include "../../stage/fields.hpp"

namespace fairing {

struct PipelineOptions {
    /// Of the API server; empty: $KF_PIPELINES_ENDPOINT, else the service ml-pipeline, through the
    /// API server of the cluster.
    std::string endpoint = {};
    /// Of a bearer token for an endpoint; empty: $KF_PIPELINES_TOKEN, then the file
    /// $KF_PIPELINES_SA_TOKEN_PATH, then the one that Kubeflow mounts into pods, when it is there.
    std::filesystem::path token_file = {};
    std::string pipelines_namespace = "kubeflow";  ///< of the service ml-pipeline
    int poll_milliseconds = 1000;  ///< the first pause between two looks; the last is 20 times that
};

template <>
inline constexpr auto fields<PipelineOptions> = std::tuple{
    field("endpoint", &PipelineOptions::endpoint,
          "URL of Kubeflow Pipelines (default: KF_PIPELINES_ENDPOINT, else through the cluster)",
          "pipelines-endpoint"),
    field("token_file", &PipelineOptions::token_file,
          "file with a bearer token for the endpoint (default: KF_PIPELINES_TOKEN)"),
    field("pipelines_namespace", &PipelineOptions::pipelines_namespace,
          "namespace that Kubeflow Pipelines runs in (default: kubeflow)"),
    field("poll_milliseconds", &PipelineOptions::poll_milliseconds,
          "first pause between two looks at the state (default: 1000; it grows to 20 times that)"),
};

}  // namespace fairing
