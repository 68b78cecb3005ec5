// fairing/deployers/serving/endpoint_plan.hpp - what the deployers of endpoints share: their
// checks, what they can not do, and the start.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../kube/names.hpp"
#include "../../runs/connection.hpp"
#include "../../runs/plan.hpp"
#include "../../runs/submission.hpp"
#include "../../stage/workload.hpp"
#include "endpoint_kind.hpp"
#include "endpoint_workload.hpp"

namespace fairing::kubernetes {

/// Throws Error{usage} unless `value` is between the two.
inline void check_range(const char* what, int value, int least, int most) {
    check_least(what, value, least);
    if (value > most) {
        throw Error{ErrorCode::usage,
                    {.attempted = std::string{"use "} + what,
                     .subject = std::to_string(value),
                     .answer = "it is more than " + std::to_string(most)}};
    }
}

/// Throws Error{usage} for a path that no probe takes.
inline void check_probe_path(const char* what, const std::string& path) {
    if (!path.empty() && path.front() != '/') {
        throw Error{ErrorCode::usage,
                    {.attempted = std::string{"use "} + what,
                     .subject = kube::detail::quoted(path),
                     .answer = "a path begins with '/'"}};
    }
}

/// Stores the objects of a plan, and gives the handle of the last.
[[nodiscard]] inline Endpoint start_endpoint(const Plan& plan, const EndpointKind& kind,
                                             EndpointHabits habits, const Session& session) {
    const std::string run_id = plan.options.run_id.empty() ? draw_run_id() : plan.options.run_id;
    const kube::Client client = connect(plan.options, session);
    static_cast<void>(client.discover(kind.api_version, kind.kind));
    Submitted submitted =
        submit(client,
               plan.objects(run_id, {.namespace_ = client.cluster().namespace_, .client = &client}),
               run_id);
    return Endpoint{std::make_shared<EndpointWorkload>(
        client, kind, submitted.main, std::move(submitted.beside), std::move(habits))};
}

/// What a handle does, by the options that all deployers have.
[[nodiscard]] inline EndpointHabits endpoint_habits(const KubernetesOptions& options,
                                                    const Session& session) {
    return {.cleanup = options.cleanup.value_or(Cleanup::never),
            .stream_log = options.stream_log,
            .start_timeout = std::chrono::seconds{options.start_timeout},
            .transport = session.transport};
}

/// Says what was asked for and can not be expressed.
inline void say_notes(const std::vector<std::string>& notes, const Session& session) {
    for (const std::string& note : notes) {
        session.control().say(Level::warning, note);
    }
}

/// What an endpoint can not do of the options that all deployers have.
[[nodiscard]] inline std::vector<std::string> endpoint_notes(const KubernetesOptions& options) {
    if (options.cleanup != Cleanup::always) {
        return {};
    }
    return {
        "an endpoint has no end of its own: with --cleanup always it is removed when it fails, "
        "as with when-done"};
}

}  // namespace fairing::kubernetes
