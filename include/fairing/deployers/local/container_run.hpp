// fairing/deployers/local/container_run.hpp - the image as a container, by an OCI runtime without a
// daemon (crun, runc).
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../core/control.hpp"
#include "../../core/files.hpp"
#include "../../core/process.hpp"
#include "../../core/rooted_tree.hpp"
#include "../../stage/image.hpp"
#include "local_workload.hpp"
#include "process_run.hpp"
#include "runtime_spec.hpp"

namespace fairing::local {

/// A runtime and how it is called.
struct Runtime {
    std::filesystem::path program = {};

    [[nodiscard]] bool is_crun() const { return program.filename().string().find("crun") == 0; }
};

/// Whether crun would refuse this machine, whatever the container: cgroup version 1 with
/// controllers left to version 2.
[[nodiscard]] inline bool has_mixed_cgroups() {
    try {
        const std::string controllers = read_file("/sys/fs/cgroup/unified/cgroup.controllers");
        return controllers.find_first_not_of(" \n") != std::string::npos;
    } catch (const Error&) {
        return false;
    }
}

/// The named one, or the first of crun and runc that is on the PATH and works here. Throws
/// Error{not_found} for a named one that is missing.
[[nodiscard]] inline std::optional<Runtime> find_runtime(const std::string& name) {
    if (!name.empty()) {
        auto program = find_program(name);
        if (!program) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "find container runtime",
                         .subject = name,
                         .answer = "no such program",
                         .advice = "install crun or runc, or leave the choice to us"}};
        }
        return Runtime{.program = *std::move(program)};
    }
    for (const char* candidate : {"crun", "runc"}) {
        Runtime runtime;
        if (auto program = find_program(candidate)) {
            runtime.program = *std::move(program);
            if (!runtime.is_crun() || !has_mixed_cgroups()) {
                return runtime;
            }
        }
    }
    return std::nullopt;
}

/// Where the program of a command is in an unpacked image, as execvp(3) inside would find it;
/// nullopt: nowhere.
[[nodiscard]] inline std::optional<std::string> find_in_image(const std::filesystem::path& root,
                                                              const std::string& program,
                                                              const std::string& working_directory,
                                                              const std::string& search_path) {
    RootedTree tree{root};
    const auto executable = [&tree](const std::string& path) -> std::optional<std::string> {
        try {
            const auto place = tree.resolve(path);
            struct stat status {};
            const bool found = place && RootedTree::look(*place, status) &&
                               S_ISREG(status.st_mode) && (status.st_mode & 0111) != 0;
            return found ? std::optional{'/' + place->path} : std::nullopt;
        } catch (const Error&) {
            return std::nullopt;
        }
    };
    if (program.find('/') != std::string::npos) {
        return executable(program.starts_with('/') ? program : working_directory + '/' + program);
    }
    for (std::size_t start = 0; !program.empty() && start <= search_path.size();) {
        const std::size_t end = std::min(search_path.find(':', start), search_path.size());
        if (end > start) {
            if (auto found = executable(search_path.substr(start, end - start) + '/' + program)) {
                return found;
            }
        }
        start = end + 1;
    }
    return std::nullopt;
}

/// A container and its bundle. The runtime's own state lies in the bundle too, and nothing outlives
/// this object.
class ContainerRun final : public Run {
public:
    /// `bundle` holds the image below "rootfs"; `spec` is its config.json. Throws Error when the
    /// runtime itself can not be run; what it says against the container is in the end's reason.
    ContainerRun(Runtime runtime, std::string name, TemporaryDirectory bundle, const Json& spec,
                 std::chrono::milliseconds grace)
        : runtime_(std::move(runtime)),
          name_(std::move(name)),
          bundle_(std::move(bundle)),
          grace_(grace) {
        write_bundle(spec);
        process_.emplace(Command{.arguments = arguments({"run", "--pid-file", path("pid"),
                                                         "--bundle", path("."), name_}),
                                 .if_we_die = {arguments({"delete", "--force", name_}),
                                               {"rm", "-rf", "--", bundle_.path().string()}}});
    }
    ~ContainerRun() override {
        process_.reset();
        try {
            static_cast<void>(fairing::run({.arguments = arguments({"delete", "--force", name_})},
                                           {.time_limit = std::chrono::seconds{10}}));
        } catch (const std::exception&) {
            // its processes are gone already; what is left is the runtime's note of them, in the
            // bundle
        }
    }

    RunEnd follow(const LineSink& sink, const std::stop_token& stop) override {
        const ProcessEnd end = follow_process(*process_, sink, stop, grace_);
        RunEnd result{.exit_code = end.exit_code, .reason = end.reason()};
        std::error_code ignored;
        if (!stop.stop_requested() && !std::filesystem::exists(path("pid"), ignored)) {
            result.exit_code = fairing::exit_code(ErrorCode::unavailable);  // the program has none
            result.reason = runtime_.program.filename().string() +
                            " could not start the container: " + complaint(end) +
                            "; --isolation process runs it without one";
        } else if (end.signal == 0 && end.exit_code > 128 && end.exit_code <= 128 + 64) {
            result.reason += ", as if killed by " + signal_text(end.exit_code - 128);
        }
        return result;
    }

private:
    [[nodiscard]] std::string path(const char* name) const {
        return (bundle_.path() / name).string();
    }

    [[nodiscard]] std::vector<std::string> arguments(std::vector<std::string> subcommand) const {
        std::vector<std::string> all{runtime_.program.string(), "--root", path("state"), "--log",
                                     path("log")};
        if (runtime_.is_crun()) {
            all.emplace_back("--cgroup-manager=disabled");
        }
        all.insert(all.end(), subcommand.begin(), subcommand.end());
        return all;
    }

    /// Leaves out what this machine does not have, and makes the directory that the program starts
    /// in.
    void write_bundle(Json spec) const {
        Json mounts = Json::array();
        for (const Json& mount : spec.at("mounts")) {
            if (mount.at("type") != "bind" ||
                std::filesystem::exists(mount.at("source").get<std::string>())) {
                mounts.push_back(mount);
            }
        }
        spec["mounts"] = std::move(mounts);
        RootedTree tree{bundle_.path() / "rootfs"};
        static_cast<void>(tree.place(spec.at("process").at("cwd").get<std::string>() + "/.keep",
                                     RootedTree::Missing::create));
        write_file(bundle_.path() / "config.json", spec.dump(2) + '\n', 0600);
    }

    /// The last thing that the runtime has to say.
    [[nodiscard]] std::string complaint(const ProcessEnd& end) const {
        try {
            std::string text = read_file(path("log"), std::size_t{1} << 20);
            while (text.ends_with('\n')) {
                text.pop_back();
            }
            text.erase(0, text.rfind('\n') + 1);
            if (!text.empty()) {
                return text;
            }
        } catch (const Error&) {
            // it wrote none
        }
        return end.reason();
    }

    Runtime runtime_;
    std::string name_;
    TemporaryDirectory bundle_;
    std::chrono::milliseconds grace_;
    std::optional<Process> process_ = {};
};

}  // namespace fairing::local
