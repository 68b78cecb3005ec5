// tools/fairing/cluster_options.cpp - see cluster_options.hpp.
#include "cluster_options.hpp"

#include <chrono>
#include <fairing/deployers/find_workload.hpp>
#include <fairing/deployers/vertex_serving.hpp>
#include <string>
#include <string_view>
#include <tuple>
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
            "projects/…/customJobs/ID, projects/…/endpoints/ID")
        ->required();
    const auto add = [&](const auto& field) {
        const std::string key{field.name};
        if (reaches_google(key)) {
            parser.add_option_function<std::string>(
                option_name(field.name, field.option),
                [options = options.get(), key](const std::string& value) {
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

fairing::Workload ClusterOptions::workload(const fairing::Session& session) const {
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
