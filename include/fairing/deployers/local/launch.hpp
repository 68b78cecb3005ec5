// fairing/deployers/local/launch.hpp - chooses how an image runs on this machine, unpacks it, and
// starts it.
#pragma once

#include <array>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/files.hpp"
#include "../../engine/address.hpp"
#include "../../engine/engine.hpp"
#include "../../oci/append.hpp"
#include "../../oci/docker_archive.hpp"
#include "../../oci/image.hpp"
#include "../../oci/reference.hpp"
#include "../../oci/unpack.hpp"
#include "../../packaging/elf_file.hpp"
#include "../../stage/engine_access.hpp"
#include "../../stage/image.hpp"
#include "../../stage/session.hpp"
#include "../../stage/workload.hpp"
#include "container_run.hpp"
#include "engine_run.hpp"
#include "local_workload.hpp"
#include "process_run.hpp"
#include "runtime_spec.hpp"

namespace fairing {

enum class Isolation { automatic, container, process };

namespace local {

struct Options {
    Isolation isolation = Isolation::automatic;
    std::string runtime = {};
    std::string engine = {};
    std::chrono::milliseconds grace = std::chrono::seconds{3};
};

/// "fairing-job-" and 12 random hex digits.
[[nodiscard]] inline std::string random_name() {
    std::random_device device;
    std::string name = "fairing-job-";
    for (int i = 0; i < 12; ++i) {
        name += "0123456789abcdef"[device() % 16U];
    }
    return name;
}

namespace detail {

/// Variables of an image's configuration.
[[nodiscard]] inline std::map<std::string, std::string> environment_of(const oci::Image& image) {
    std::map<std::string, std::string> result;
    const Json list = image.setting("Env");
    for (const Json& entry : list.is_array() ? list : Json::array()) {
        if (entry.is_string()) {
            const std::string text = entry.get<std::string>();
            if (const std::size_t equals = text.find('='); equals != std::string::npos) {
                result.insert_or_assign(text.substr(0, equals), text.substr(equals + 1));
            }
        }
    }
    return result;
}

/// The layers that are ours, by the label of the configuration: those of a base that was ours, too.
[[nodiscard]] inline std::vector<oci::Descriptor> own_layers(const oci::Image& stored) {
    const std::vector<oci::Descriptor> all = stored.layers();
    const auto count = static_cast<std::ptrdiff_t>(oci::own_layers(stored));
    return {all.end() - count, all.end()};
}

[[nodiscard]] inline Workload handle(const char* kind, std::string name, std::unique_ptr<Run> run,
                                     const Session& session) {
    return Workload{std::make_shared<LocalWorkload>(
        ObjectName{.api_version = "fairing/v1", .kind = kind, .name = std::move(name)},
        std::move(run), session.stop)};
}

/// Makes a directory `name` in `parent` and unpacks onto it.
inline void unpack_into(const TemporaryDirectory& parent, const char* name, oci::Store& store,
                        const std::vector<oci::Descriptor>& layers, oci::Ownership ownership,
                        const Control& control) {
    const std::filesystem::path directory = parent.path() / name;
    if (::mkdir(directory.c_str(), 0755) != 0) {
        throw system_error(errno, "create", directory.string(), ErrorCode::internal);
    }
    oci::unpack(store, layers, directory, {.ownership = ownership}, control);
}

}  // namespace detail

/// An image that lies in an engine already.
[[nodiscard]] inline Workload launch_in_engine(const Options& options, const Image& image,
                                               const Session& session) {
    const engine::Engine engine = connect_engine(
        session, engine::require(options.engine.empty() ? image.engine : options.engine,
                                 engine::Kind::any, "run " + image.reference));
    std::string name = random_name();
    const Json settings = container_settings(image.reference, image, name);
    return detail::handle("Container", name,
                          std::make_unique<EngineRun>(engine, name, settings, std::string{},
                                                      options.grace, session.stop),
                          session);
}

/// Starts `image`, whose manifest and layers `store` holds. See LocalDeployer::deploy.
class Launcher {
public:
    Launcher(const Options& options, const Image& image, oci::Store& store,
             const Session& session)
        : options_(options),
          image_(image),
          store_(store),
          session_(session),
          control_(session.control()),
          stored_(load()) {}

    [[nodiscard]] Workload launch() {
        if (image_.command.empty()) {
            throw Error{
                ErrorCode::usage,
                {.attempted = "run", .subject = image_.reference, .answer = "it has no command"}};
        }
        if (options_.isolation == Isolation::process) {
            return as_process();
        }
        const std::optional<Runtime> runtime = find_runtime(options_.runtime);
        const bool automatic = options_.isolation == Isolation::automatic;
        const auto socket = runtime ? std::nullopt : find_engine(automatic);
        if (!runtime && !socket) {
            if (!automatic) {
                throw no_container();
            }
            control_.say(Level::debug, "no container runtime here: running as a plain process");
            return as_process();
        }
        std::optional<TemporaryDirectory> bundle;
        if (runtime || automatic) {
            const auto ownership =
                ::geteuid() == 0 ? oci::Ownership::recorded : oci::Ownership::ours;
            bundle.emplace();
            detail::unpack_into(*bundle, "rootfs", store_, stored_.layers(), ownership, control_);
        }
        // Only the unpacked image can say whether it holds the program: links and whiteouts have
        // their say.
        if (automatic && !find_in_image(bundle->path() / "rootfs", image_.command.front(),
                                        image_.working_directory, environment().at("PATH"))) {
            control_.say(Level::info, "the image does not hold " + image_.command.front() +
                                          ": running it with this machine's, as a plain process");
            bundle.reset();
            return as_process();
        }
        if (automatic && lacks_linker(bundle->path() / "rootfs")) {
            control_.say(Level::info, "the image has no dynamic linker for " +
                                          image_.command.front() +
                                          ": running it with this machine's, as a plain process");
            bundle.reset();
            return as_process();
        }
        check_platform();
        if (runtime) {
            return in_container(*runtime, *std::move(bundle));
        }
        bundle.reset();
        return in_engine(*socket);
    }

private:
    /// Whether the program is one of ours, linked against libraries that the image does not have:
    /// on scratch.
    [[nodiscard]] bool lacks_linker(const std::filesystem::path& root) const {
        const std::string& program = image_.command.front();
        if (!program.starts_with(image_.working_directory)) {
            return false;
        }
        try {
            const std::string linker =
                packaging::read_elf_file(root.string() + program).interpreter;
            return !linker.empty() && !find_in_image(root, linker, image_.working_directory, "");
        } catch (const Error&) {
            return false;  // no program of a compiler
        }
    }

    [[nodiscard]] oci::Image load() const {
        const std::string wanted =
            image_.digest.empty() ? oci::parse_reference(image_.reference).wanted() : image_.digest;
        return oci::load_image(store_, wanted, oci::host_platform(), image_.reference).image;
    }

    [[nodiscard]] std::map<std::string, std::string> environment() const {
        return job_environment(image_, detail::environment_of(stored_));
    }

    void check_platform() const {
        const oci::Platform theirs = stored_.platform();
        if (!oci::host_platform().accepts(theirs)) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "run",
                         .subject = image_.reference,
                         .answer = "it is for " + theirs.text() + ", and this machine is " +
                                   oci::host_platform().text()}};
        }
    }

    [[nodiscard]] std::optional<engine::Address> find_engine(bool automatic) const {
        try {
            auto found = engine::find(options_.engine);
            // In automatic mode a DOCKER_HOST elsewhere is no engine of this machine.
            const bool usable = found && engine::is_there(*found) &&
                                !(automatic && found->socket.empty());
            return usable ? found : std::nullopt;
        } catch (const Error&) {
            if (!automatic) {
                throw;
            }
            return std::nullopt;
        }
    }

    [[nodiscard]] Error no_container() const {
        const auto named = engine::find(options_.engine);
        const bool mixed = find_program("crun") && has_mixed_cgroups();
        return Error{
            ErrorCode::unavailable,
            {.attempted = "run in a container:",
             .subject = image_.reference,
             .answer =
                 (mixed
                      ? "crun does not work with this machine's mixed cgroups, and there is no runc"
                      : "there is no crun or runc") +
                 std::string{", and no engine listens at "} +
                 (named ? named->name : engine::places_looked_at()),
             .advice = "install runc, or use --isolation process"}};
    }

    [[nodiscard]] Workload as_process() {
        TemporaryDirectory directory;
        detail::unpack_into(directory, "root", store_, detail::own_layers(stored_),
                            oci::Ownership::ours, control_);
        control_.check("run " + image_.reference);
        return detail::handle(
            "Process", random_name(),
            std::make_unique<ProcessRun>(image_, std::move(directory), options_.grace), session_);
    }

    [[nodiscard]] Workload in_container(const Runtime& runtime, TemporaryDirectory bundle) {
        control_.check("run " + image_.reference);
        std::string name = random_name();
        const std::optional<UserMapping> mapping =
            ::geteuid() == 0
                ? std::nullopt
                : std::optional{UserMapping{.user = ::geteuid(), .group = ::getegid()}};
        auto run = std::make_unique<ContainerRun>(runtime, name, std::move(bundle),
                                                  runtime_spec(image_, environment(), mapping),
                                                  options_.grace);
        return detail::handle("Container", std::move(name), std::move(run), session_);
    }

    [[nodiscard]] Workload in_engine(const engine::Address& address) {
        const engine::Engine engine = connect_engine(session_, address);
        const std::string id = oci::image_id(stored_);
        std::string brought;
        if (!engine.has_image(id, session_.stop)) {
            engine.load(oci::docker_archive(store_, stored_), session_.stop);
            brought = id;
        }
        std::string name = random_name();
        const Json settings = container_settings(id, image_, name);
        return detail::handle(
            "Container", name,
            std::make_unique<EngineRun>(engine, name, settings, std::move(brought), options_.grace,
                                        session_.stop),
            session_);
    }

    const Options& options_;
    const Image& image_;
    oci::Store& store_;
    const Session& session_;
    Control control_;
    oci::Image stored_;
};

[[nodiscard]] inline Workload launch(const Options& options, const Image& image, oci::Store& store,
                                     const Session& session) {
    return Launcher{options, image, store, session}.launch();
}

}  // namespace local

}  // namespace fairing
