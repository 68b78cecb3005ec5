// fairing/deployers/local/process_run.hpp - our layers in a private directory, run by this
// machine's own programs.
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "../../core/files.hpp"
#include "../../core/process.hpp"
#include "../../core/rooted_tree.hpp"
#include "../../stage/image.hpp"
#include "local_workload.hpp"

namespace fairing::local {

/// Follows a process and ends it on a stop: SIGTERM, `grace`, SIGKILL.
[[nodiscard]] inline ProcessEnd follow_process(Process& process, const Run::LineSink& sink,
                                               const std::stop_token& stop,
                                               std::chrono::milliseconds grace) {
    const auto on_line = [&sink](Stream, std::string line) { sink(std::move(line)); };
    try {
        return process.follow(on_line, stop);
    } catch (const Cancelled&) {
        process.terminate(grace);
        return process.follow(on_line);
    }
}

/// Says what a path of the image is on this machine: below `root`, when it lies under the path
/// prefix or is a file of our layers; itself otherwise.
class PathMap {
public:
    /// `prefix` is absolute; "/" stands for no prefix: every path begins with it, the interpreter's
    /// too.
    PathMap(std::filesystem::path root, std::string prefix)
        : root_(std::move(root)), tree_(root_), prefix_(std::move(prefix)) {
        while (prefix_.size() > 1 && prefix_.ends_with('/')) {
            prefix_.pop_back();
        }
    }

    [[nodiscard]] std::string operator()(const std::string& text) {
        const bool under_prefix =
            prefix_ != "/" && (text == prefix_ || text.starts_with(prefix_ + '/'));
        return text.starts_with('/') && (under_prefix || is_our_file(text)) ? root_.string() + text
                                                                            : text;
    }

    /// The same for every element of a list that is separated by colons: "/app/lib:/usr/lib".
    [[nodiscard]] std::string list(const std::string& text) {
        std::string result;
        for (std::size_t start = 0; start <= text.size();) {
            const std::size_t end = std::min(text.find(':', start), text.size());
            result += (start == 0 ? "" : ":") + (*this)(text.substr(start, end - start));
            start = end + 1;
        }
        return result;
    }

private:
    [[nodiscard]] bool is_our_file(const std::string& text) {
        try {
            const auto place = tree_.resolve(text);
            struct stat status {};
            return place && RootedTree::look(*place, status) && S_ISREG(status.st_mode);
        } catch (const Error&) {
            return false;  // not even a path
        }
    }

    std::filesystem::path root_;
    RootedTree tree_;
    std::string prefix_;
};

/// The command that runs `image` on this machine, its layers being unpacked in `root`. The
/// environment is this process's, then the image's, then what every job has.
[[nodiscard]] inline Command host_command(const Image& image, const std::filesystem::path& root) {
    PathMap map{root, image.working_directory};
    Command command{.directory = map(image.working_directory)};
    for (const std::string& argument : image.command) {
        command.arguments.push_back(map(argument));
    }
    for (const auto& [name, value] : image.environment) {
        command.environment.emplace(name, map.list(value));
    }
    command.environment.insert_or_assign("FAIRING_RUNTIME", std::string{"1"});
    command.environment.try_emplace("PYTHONUNBUFFERED",
                                    "1");  // so that lines come as they are printed
    return command;
}

/// A plain process; its directory lives as long as this does.
class ProcessRun final : public Run {
public:
    /// `directory` holds our layers below "root".
    ProcessRun(const Image& image, TemporaryDirectory directory, std::chrono::milliseconds grace)
        : directory_(std::move(directory)), grace_(grace), process_(prepare(image, directory_)) {}

    RunEnd follow(const LineSink& sink, const std::stop_token& stop) override {
        const ProcessEnd end = follow_process(process_, sink, stop, grace_);
        return {.exit_code = end.exit_code, .reason = end.reason()};
    }

private:
    static Command prepare(const Image& image, const TemporaryDirectory& directory) {
        const std::filesystem::path root = directory.path() / "root";
        Command command = host_command(image, root);
        if (image.working_directory.empty() || image.working_directory == "/") {
            command.directory = root;
        }
        command.if_we_die = {{"rm", "-rf", "--", directory.path().string()}};
        std::error_code failed;
        std::filesystem::create_directories(command.directory, failed);
        if (failed) {
            throw system_error(failed.value(), "create", command.directory.string());
        }
        return command;
    }

    TemporaryDirectory directory_;
    std::chrono::milliseconds grace_;
    Process process_;
};

}  // namespace fairing::local
