// fairing/deployers/local.hpp - runs the image on this machine: in a container when the image holds
// its own program, else as a plain process over our layers.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../registry/open.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "../stage/registry_access.hpp"
#include "local/launch.hpp"

namespace fairing {

/// Runs the image here. `automatic` takes a container when the image holds the command's program
/// and there is a runtime (crun, runc) or an engine (Docker, Podman) for it; a plain process
/// otherwise. The process runs this machine's own interpreter over our layers alone, in a private
/// directory: paths in the command, the working directory and the environment that begin with the
/// path prefix are those of that directory. The container has the network of this machine. What the
/// program leaves in its directory lives as long as the handle.
struct LocalDeployer {
    Isolation isolation = Isolation::automatic;
    std::string runtime =
        {};  ///< crun, runc, or a path; empty: the first of the two that works here
    std::string engine =
        {};  ///< what engine::find() takes; empty: where the image is, or DOCKER_HOST and the usual
    int grace_seconds = 3;  ///< between SIGTERM and SIGKILL
    bool insecure = false;  ///< plain http; registries of this machine may always be spoken to so
    std::string ca_file = {};  ///< PEM file of the certificate authorities to trust

    /// Started when this returns. A stop of the session ends it, as does the end of the last
    /// handle. Throws Error: not_found for a program or image that is not there, unavailable when a
    /// container is asked for and nothing here runs one, unsupported for a platform or a layer that
    /// is not for this machine.
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        if (grace_seconds < 0) {
            throw Error{ErrorCode::usage,
                        {.attempted = "use grace_seconds",
                         .subject = std::to_string(grace_seconds),
                         .answer = "it is negative"}};
        }
        const local::Options options{.isolation = isolation,
                                     .runtime = runtime,
                                     .engine = engine,
                                     .grace = std::chrono::seconds{grace_seconds}};
        const RegistryAccess access{.insecure = insecure, .ca_file = ca_file};
        if (image.location == Location::engine) {
            return local::launch_in_engine(options, image, session);
        }
        if (image.location == Location::nowhere) {
            throw Error{ErrorCode::usage,
                        {.attempted = "run",
                         .subject = image.reference,
                         .answer = "it was built, but is stored nowhere",
                         .advice = "build it with --registry oci:DIR"}};
        }
        const std::unique_ptr<oci::Store> store =
            open_store(oci::parse_reference(image.reference), session, access);
        return local::launch(options, image, *store, session);
    }

    /// The runtime spec of the container, as root runs it. A plain process has no object, and is
    /// shown as the same.
    [[nodiscard]] std::vector<Json> manifests(const Image& image,
                                              const Session& /*session*/) const {
        return {local::runtime_spec(image, local::job_environment(image))};
    }
};

template <>
inline constexpr auto value_names<Isolation> =
    std::array<std::pair<std::string_view, Isolation>, 3>{{{"auto", Isolation::automatic},
                                                           {"container", Isolation::container},
                                                           {"process", Isolation::process}}};

template <>
inline constexpr auto fields<LocalDeployer> = std::tuple{
    field("isolation", &LocalDeployer::isolation,
          "container, process, or auto: a container when the image holds the command's program"),
    field("runtime", &LocalDeployer::runtime, "container runtime: crun, runc or a path"),
    field("engine", &LocalDeployer::engine,
          "socket of Docker or Podman, tcp://HOST:PORT, or context:NAME"),
    field("grace_seconds", &LocalDeployer::grace_seconds,
          "seconds between SIGTERM and SIGKILL (default: 3)"),
    field("insecure", &LocalDeployer::insecure,
          "speak plain http to the registry (those of this machine always may)"),
    field("ca_file", &LocalDeployer::ca_file, "PEM file of the certificate authorities to trust"),
};

static_assert(Deployer<LocalDeployer> && Renderer<LocalDeployer>);

}  // namespace fairing
