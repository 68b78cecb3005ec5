// fairing/builders/context_sources/registry.hpp - contexts in the registry of the image that is
// built: no other store is needed.
//
// context ─ layers, as for an image ─ pushed beside the target ─ init container ─ folder of the pod
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "../../core/control.hpp"
#include "../../core/error.hpp"
#include "../../oci/reference.hpp"
#include "../../packaging/context.hpp"
#include "../../registry/client.hpp"
#include "../../runs/stop_after.hpp"
#include "../../runs/submission.hpp"
#include "../../stage/image.hpp"
#include "../../stage/registry_access.hpp"
#include "../../stage/session.hpp"
#include "../append.hpp"
#include "build_files.hpp"
#include "context_source.hpp"

namespace fairing::detail {

/// Where a context is in its image, and in the pod that builds.
inline constexpr const char* context_root = "/fairing-context";
inline constexpr const char* context_volume = "fairing-context";
inline constexpr const char* context_mount = "/workspace";

struct PushedContext {
    UploadedContext context;
    std::string context_digest = {};  ///< of the context itself
    BuildFigures figures = {};
};

/// Removes what the tag points at, where the registry lets us.
inline void remove_pushed_context(const oci::Reference& reference,
                                  const registry::ClientOptions& options, Control control) {
    const kubernetes::StopAfter limit{kubernetes::cleanup_limit};
    control.stop = limit.token();
    try {
        registry::Client client{reference, options, control};
        std::string digest = client.find_digest(reference.tag);
        if (digest.empty()) {
            const auto manifest = client.find_manifest(reference.tag);
            digest = manifest ? manifest->descriptor().digest : "";
        }
        if (!digest.empty()) {
            client.remove_manifest(digest);
        }
    } catch (const Error& error) {
        control.say(Level::debug, "the context of the build stays in the registry as " +
                                      reference.text() + ": " + error.what());
    }
}

/// An init container of the context's image copies it to a folder that it shares with the builder.
[[nodiscard]] inline PodSpecMutator copy_context_from(std::string image,
                                                      std::vector<std::string> command) {
    return [image = std::move(image), command = std::move(command)](PodSpec& pod,
                                                                    PodContext& /*context*/) {
        const Json mount{{"name", context_volume}, {"mountPath", context_mount}};
        pod.json()["initContainers"].push_back({{"name", "context"},
                                                {"image", image},
                                                {"command", command},
                                                {"workingDir", context_root},
                                                {"securityContext", {{"runAsUser", 0}}},
                                                {"volumeMounts", Json::array({mount})}});
        pod.set_volume({{"name", context_volume}, {"emptyDir", Json::object()}});
        pod.set_mount(mount);
    };
}

/// Pushes the context, with the Dockerfile in it, as an image of its own beside the target that
/// `target` names: its layers are cached and found again like any others. `target.base_image` needs
/// a cp. `id` makes the image one that no other build shares, since it is removed with the build.
[[nodiscard]] inline PushedContext push_context(AppendBuilder target, const Context& context,
                                                const std::string& dockerfile,
                                                const std::string& id, const Session& session) {
    BuildFiles files{context, dockerfile, context_root};
    target.tag = "fairing-context-" + id;
    target.push = true;
    const std::vector<std::string> command = {"cp", "-a", ".", context_mount};
    const Context image_context{.files = files.files(),
                                .command = command,
                                .environment = {{"FAIRING_BUILD_ID", id}},
                                .working_directory = context_root};
    const oci::Reference reference = check_and_name(target);
    const registry::ClientOptions options = registry_options(
        session, {.insecure = target.insecure, .ca_file = target.ca_file}, reference.host);
    // Owned before it is there: the reply to a push may get lost, or be too late.
    const auto remove = [reference, options, control = session.control()] {
        remove_pushed_context(reference, options, control);
    };
    UploadedContext guard{{.remove = remove}, session.control()};
    AppendRun run{target, image_context, session.ordered()};
    const Image image = run.build();
    for (const OwnLayer& own : run.own_layers()) {
        files.add(own.group.files, own.contents);
    }
    guard.keep();
    return {.context = {{.url = std::string{"dir://"} + context_mount,
                         .prepare = copy_context_from(image.reference, command),
                         .remove = remove},
                        session.control()},
            .context_digest = files.finish(),
            .figures = image.figures};
}

}  // namespace fairing::detail
