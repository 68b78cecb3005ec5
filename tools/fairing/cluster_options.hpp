// tools/fairing/cluster_options.hpp - what list, logs, status, wait, predict and delete share:
// which cluster and namespace, and how much is said.
#pragma once

#include <CLI/CLI.hpp>
#include <fairing/core/json.hpp>
#include <fairing/stage/session.hpp>
#include <fairing/stage/workload.hpp>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

namespace fairing {
struct FindOptions;  // its header costs what the whole client of a cluster does
struct GoogleOptions;
struct PipelineDeployer;
}

namespace command {

class ClusterOptions {
public:
    explicit ClusterOptions(CLI::App& parser);

    /// The same, with the NAME of a run.
    [[nodiscard]] static std::shared_ptr<ClusterOptions> with_name(CLI::App& parser);

    /// Adds --pod.
    void choose_pod(CLI::App& parser);
    /// Adds --timeout.
    void choose_timeout(CLI::App& parser);

    /// Defaults are those of the deployer in fairing.json.
    [[nodiscard]] fairing::FindOptions find() const;
    [[nodiscard]] fairing::GoogleOptions google() const;
    [[nodiscard]] fairing::PipelineDeployer pipelines() const;
    [[nodiscard]] fairing::Session session(std::stop_token stop) const;
    /// What we started; in Kubeflow Pipelines when fairing.json names that deployer.
    [[nodiscard]] std::vector<fairing::RunSummary> list(const fairing::Session& session) const;
    /// The run of that name or run id, there or in the cluster; or the job or endpoint of Vertex AI
    /// of that resource name.
    [[nodiscard]] fairing::Workload workload(const fairing::Session& session) const;
    [[nodiscard]] fairing::Workload shift_traffic(int percent,
                                                  const fairing::Session& session) const;

private:
    [[nodiscard]] bool is_of_pipelines() const;

    fairing::Json given_ = fairing::Json::object(), google_ = fairing::Json::object();
    std::string name_ = {}, pod_ = {}, config_file_ = {};
    int predict_timeout_ = 60;
    bool quiet_ = false, verbose_ = false;
};

}  // namespace command
