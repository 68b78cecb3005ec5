// tools/fairing/cluster_options.cpp - see cluster_options.hpp.
#include "cluster_options.hpp"

#include <chrono>
#include <concepts>
#include <fairing/deployers/find_vertex_endpoint.hpp>
#include <fairing/deployers/find_workload.hpp>
#include <fairing/deployers/pipeline.hpp>
#include <fairing/deployers/vertex.hpp>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "console.hpp"
#include "options.hpp"

namespace command {

namespace {

/// How Google Cloud is reached; what its resource names say themselves is no option.
bool reaches_google(std::string_view key) {
    return key == "endpoint" || key == "logging_endpoint" || key == "credentials_file" ||
           key == "poll_milliseconds";
}

bool is_of_google(const std::string& name) { return name.starts_with("projects/"); }

}  // namespace

ClusterOptions::ClusterOptions(CLI::App& parser) {
    const auto add = [&](const auto& field) {
        const std::string key{field.name};
        parser.add_option_function<std::string>(
            option_name(field.name, field.option),
            [this, key](const std::string& value) { given_[key] = value; },
            std::string{field.help});
    };
    std::apply([&add](const auto&... each) { (add(each), ...); },
               fairing::fields<fairing::FindOptions>);
    parser.add_option("--config", config_file_,
                      "defaults for all options (default: ./fairing.json, if there is one)");
    parser.add_flag("--quiet", quiet_, "say nothing but errors");
    parser.add_flag("--verbose", verbose_, "say more: requests, retries, choices");
}

std::shared_ptr<ClusterOptions> ClusterOptions::with_name(CLI::App& parser) {
    auto options = std::make_shared<ClusterOptions>(parser);
    parser
        .add_option(
            "NAME", options->name_,
            "name or run id, as fairing list shows it; of a job or an endpoint of Vertex AI "
            "projects/…/customJobs/ID, projects/…/endpoints/ID; of a run of Kubeflow Pipelines "
            "pipelines/NAME")
        ->required();
    const auto add = [&](const auto& field) {
        using Member = std::remove_cvref_t<decltype(fairing::GoogleOptions{}.*field.member)>;
        using Value = std::conditional_t<std::same_as<Member, int>, int, std::string>;
        const std::string key{field.name};
        if (reaches_google(key)) {
            parser.add_option_function<Value>(
                option_name(field.name, field.option),
                [options = options.get(), key](const Value& value) {
                    options->google_[key] = value;
                },
                std::string{field.help});
        }
    };
    std::apply([&add](const auto&... each) { (add(each), ...); },
               fairing::fields<fairing::GoogleOptions>);
    return options;
}

void ClusterOptions::choose_pod(CLI::App& parser) {
    parser.add_option("--pod", pod_,
                      "only this one of several: its number, its label (worker-0) or its name");
}

void ClusterOptions::choose_timeout(CLI::App& parser) {
    parser.add_option("--timeout", predict_timeout_, "seconds that the answer may take")
        ->check(CLI::Range(1, 86400))
        ->capture_default_str();
}

fairing::FindOptions ClusterOptions::find() const {
    const fairing::Json deployer =
        read_config(config_file_).value("deployer", fairing::Json::object());
    fairing::Json options = given_;
    for (const std::string& key : fairing::field_names<fairing::FindOptions>()) {
        if (deployer.contains(key) && !options.contains(key)) {
            options[key] = deployer[key];
        }
    }
    auto found = fairing::stage_from<fairing::FindOptions>(options, "the cluster");
    found.pod = pod_;
    found.predict_timeout = predict_timeout_;
    return found;
}

fairing::GoogleOptions ClusterOptions::google() const {
    const fairing::Json deployer =
        read_config(config_file_).value("deployer", fairing::Json::object());
    fairing::Json options = google_;
    for (const auto& [key, value] : deployer.items()) {
        if (reaches_google(key) && !options.contains(key)) {
            options[key] = value;
        }
    }
    return fairing::stage_from<fairing::GoogleOptions>(options, "Google Cloud");
}

/// How fairing.json, and the options, reach Kubeflow Pipelines.
fairing::PipelineDeployer ClusterOptions::pipelines() const {
    const fairing::Json deployer =
        read_config(config_file_).value("deployer", fairing::Json::object());
    fairing::Json options = given_;
    for (const std::string& key : fairing::field_names<fairing::PipelineDeployer>()) {
        if (deployer.contains(key) && !options.contains(key)) {
            options[key] = deployer[key];
        }
    }
    return fairing::stage_from<fairing::PipelineDeployer>(options, "Kubeflow Pipelines");
}

bool ClusterOptions::is_of_pipelines() const {
    return fairing::text_or(read_config(config_file_).value("deployer", fairing::Json::object()),
                            "name") == "pipeline";
}

std::vector<fairing::RunSummary> ClusterOptions::list(const fairing::Session& session) const {
    return is_of_pipelines() ? fairing::list_pipeline_runs(pipelines(), session)
                             : fairing::list_workloads(find(), session);
}

fairing::Workload ClusterOptions::workload(const fairing::Session& session) const {
    constexpr std::string_view prefix = "pipelines/";
    if (name_.starts_with(prefix) || is_of_pipelines()) {
        return fairing::find_pipeline_run(
            name_.starts_with(prefix) ? name_.substr(prefix.size()) : name_, pipelines(), session);
    }
    if (!is_of_google(name_)) {
        return fairing::find_workload(name_, find(), session);
    }
    return name_.find("/endpoints/") == std::string::npos
               ? fairing::find_vertex_job(name_, google(), session)
               : fairing::find_vertex_endpoint(name_, google(), session,
                                               std::chrono::seconds{predict_timeout_});
}

fairing::Workload ClusterOptions::shift_traffic(int percent,
                                                const fairing::Session& session) const {
    return is_of_google(name_) ? fairing::shift_vertex_traffic(name_, percent, google(), session)
                               : fairing::shift_traffic(name_, percent, find(), session);
}

fairing::Session ClusterOptions::session(std::stop_token stop) const {
    return console(std::move(stop),
                   quiet_     ? Verbosity::quiet
                   : verbose_ ? Verbosity::verbose
                              : Verbosity::normal,
                   nullptr);
}

}  // namespace command
