// tools/fairing/report.cpp - see report.hpp.
#include "report.hpp"

#include <unistd.h>

#include <cerrno>
#include <fairing/core/files.hpp>
#include <filesystem>
#include <system_error>

namespace command {

using fairing::Json;

namespace {

[[nodiscard]] std::string origin_name(fairing::Origin origin) {
    switch (origin) {
        case fairing::Origin::base:
            return "base";
        case fairing::Origin::cached:
            return "cached";
        case fairing::Origin::built:
            break;
    }
    return "built";
}

[[nodiscard]] std::string transfer_name(fairing::Transfer transfer) {
    switch (transfer) {
        case fairing::Transfer::present:
            return "present";
        case fairing::Transfer::mounted:
            return "mounted";
        case fairing::Transfer::uploaded:
            return "uploaded";
        case fairing::Transfer::none:
            break;
    }
    return "none";
}

}  // namespace

std::string state_name(fairing::State state) {
    switch (state) {
        case fairing::State::none:
            return "none";
        case fairing::State::pending:
            return "pending";
        case fairing::State::running:
            return "running";
        case fairing::State::ready:
            return "ready";
        case fairing::State::succeeded:
            return "succeeded";
        case fairing::State::failed:
            return "failed";
        case fairing::State::removed:
            break;
    }
    return "removed";
}

Json workload_json(const fairing::ObjectName& object, const fairing::Outcome& outcome) {
    const bool has_ended =
        outcome.state == fairing::State::succeeded || outcome.state == fairing::State::failed;
    return {{"api_version", object.api_version},
            {"kind", object.kind},
            {"namespace", object.namespace_},
            {"name", object.name},
            {"state", state_name(outcome.state)},
            {"exit_code", has_ended ? Json(outcome.exit_code) : Json()},
            {"reason", outcome.reason}};
}

void Report::prepared(const fairing::Context& context, double seconds) {
    context_files_ = context.files.size();
    context_bytes_ = 0;
    for (const fairing::ContextFile& file : context.files) {
        context_bytes_ += file.size;
    }
    prepare_seconds_ = seconds;
}

void Report::built(const fairing::Image& image) { image_ = image; }

Json Report::json() const {
    Json layers = Json::array();
    for (const fairing::Layer& layer : image_.layers) {
        layers.push_back({{"digest", layer.digest},
                          {"diff_id", layer.diff_id},
                          {"media_type", layer.media_type},
                          {"size", layer.size},
                          {"uncompressed_size", layer.uncompressed_size},
                          {"origin", origin_name(layer.origin)},
                          {"transfer", transfer_name(layer.transfer)},
                          {"seconds", layer.seconds}});
    }
    const fairing::BuildFigures& figures = image_.figures;
    return {
        {"image", image_.reference},
        {"digest", image_.digest},
        {"tag", image_.tag},
        {"context",
         {{"files", context_files_}, {"bytes", context_bytes_}, {"digest", image_.context_digest}}},
        {"layers", std::move(layers)},
        {"seconds",
         {{"prepare", prepare_seconds_},
          {"build", figures.build_seconds},
          {"push", figures.push_seconds},
          {"deploy", deploy_seconds_},
          {"first_log", first_log_seconds_ ? Json(*first_log_seconds_) : Json()},
          {"total", elapsed()}}},
        {"bytes",
         {{"read", figures.bytes_read},
          {"compressed", figures.bytes_compressed},
          {"uploaded", figures.bytes_uploaded}}},
        {"requests", figures.requests},
        {"workload", workload_json(object_, outcome_.value_or(fairing::Outcome{}))}};
}

void Report::check(const std::string& file) {
    if (file.empty()) {
        return;
    }
    std::filesystem::path folder = std::filesystem::path{file}.parent_path();
    if (folder.empty()) {
        folder = ".";
    }
    std::error_code ignored;
    if (::access(folder.c_str(), W_OK | X_OK) != 0 ||
        std::filesystem::is_directory(file, ignored)) {
        throw fairing::Error{fairing::ErrorCode::usage,
                             {.attempted = "write the report",
                              .subject = file,
                              .answer = std::filesystem::is_directory(file, ignored)
                                            ? "it is a folder"
                                            : std::generic_category().message(errno),
                              .advice = "name a file in a folder that exists and can be written"}};
    }
}

void Report::write(const std::string& file) const {
    if (!file.empty()) {
        fairing::write_file(file, json().dump(2) + '\n');
    }
}

fairing::Context TimedPreprocessor::prepare(const fairing::Session& session) const {
    const auto start = Report::Clock::now();
    fairing::Context context = stage.prepare(session);
    context.command.insert(context.command.end(), arguments.begin(), arguments.end());
    report->prepared(context, std::chrono::duration<double>(Report::Clock::now() - start).count());
    return context;
}

fairing::Image TimedBuilder::build(const fairing::Context& context,
                                   const fairing::Session& session) const {
    fairing::Image image = stage.build(context, session);
    report->built(image);
    return image;
}

fairing::Workload TimedDeployer::deploy(const fairing::Image& image,
                                        const fairing::Session& session) const {
    const auto start = Report::Clock::now();
    fairing::Workload workload = stage.deploy(image, session);
    const fairing::ObjectName object = workload.object();
    report->deployed(object, std::chrono::duration<double>(Report::Clock::now() - start).count());
    return workload;
}

}  // namespace command
