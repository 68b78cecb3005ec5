// fairing/runs/plan.hpp - from a deployer's objects to a running workload, a
// rendering or a rehearsal: the same for every kind; what differs is the objects.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../kube/client.hpp"
#include "../pods/kubernetes_options.hpp"
#include "../pods/pod_template.hpp"
#include "../pods/run_identity.hpp"
#include "../stage/image.hpp"
#include "../stage/session.hpp"
#include "../stage/workload.hpp"
#include "cluster_workload.hpp"
#include "connection.hpp"
#include "subject.hpp"
#include "submission.hpp"

namespace fairing::kubernetes {

/// Where objects will live: the namespace, empty while it is not known, and the client, null
/// offline.
struct Place {
    std::string namespace_ = {};
    const kube::Client* client = nullptr;
    std::string beside = {};  ///< begin of the names of what a canary needs; empty: the main one's
};

/// One run of a deployer whose options have been checked.
struct Plan {
    KubernetesOptions options = {};  ///< with_profile()
    /// The objects of the run, the main one last. What was asked for and can not be expressed is
    /// said as a warning.
    std::function<std::vector<Json>(const std::string& run_id, const Place& place)> objects = {};
    Subject (*subject)(const Json& main) = nullptr;  ///< how the main one is followed
    Cleanup cleanup = Cleanup::when_done;            ///< when the options do not say
};

namespace detail {

/// An image that was built and not pushed is rendered as what would be pushed.
[[nodiscard]] inline std::string rendered_run_id(const Plan& plan, const Image& image) {
    if (image.location != Location::nowhere) {
        check_pullable(image);
    }
    return plan.options.run_id.empty() ? derive_run_id(image) : plan.options.run_id;
}

[[nodiscard]] inline std::vector<Json> all_redacted(std::vector<Json> objects) {
    for (Json& object : objects) {
        object = redacted(std::move(object));
    }
    return objects;
}

}  // namespace detail

/// The run of a deployer, which is checked first; `objects` takes it, both references and what
/// Plan::objects takes. Lives as long as `image` and `session`.
template <class Deployer, class Objects>
[[nodiscard]] Plan plan_of(Deployer deployer, const Image& image, const Session& session,
                           Objects* objects, Subject (*subject)(const Json&) = nullptr,
                           Cleanup cleanup = Cleanup::when_done) {
    deployer.check();
    deployer.kubernetes = with_profile(std::move(deployer.kubernetes));
    const KubernetesOptions options = deployer.kubernetes;
    return {.options = options,
            .objects =
                [deployer = std::move(deployer), &image, &session, objects](
                    const std::string& run_id, const Place& place) {
                    return objects(deployer, image, session, run_id, place);
                },
            .subject = subject,
            .cleanup = cleanup};
}

/// Stores the objects; all of them, or none. A kind that the cluster does not know is an error
/// before anything is created.
[[nodiscard]] inline Workload start(const Plan& plan, const Image& image, const Session& session) {
    check_pullable(image);
    const std::string run_id = plan.options.run_id.empty() ? draw_run_id() : plan.options.run_id;
    const kube::Client client = connect(plan.options, session);
    const std::vector<Json> objects =
        plan.objects(run_id, {.namespace_ = client.cluster().namespace_, .client = &client});
    const kube::ObjectKey key = kube::key_of(objects.back());
    static_cast<void>(client.discover(key.api_version, key.kind));
    Submitted submitted = submit(client, objects, run_id);
    return Workload{std::make_shared<ClusterWorkload>(
        client, plan.subject(submitted.main), std::move(submitted.beside),
        WorkloadHabits{.cleanup = plan.options.cleanup.value_or(plan.cleanup),
                       .stream_log = plan.options.stream_log,
                       .start_timeout = std::chrono::seconds{plan.options.start_timeout}})};
}

/// What start() would create, without I/O; secrets without their content.
[[nodiscard]] inline std::vector<Json> render(const Plan& plan, const Image& image) {
    return detail::all_redacted(plan.objects(detail::rendered_run_id(plan, image),
                                             {.namespace_ = plan.options.namespace_}));
}

/// What the server would store (a dry run there).
[[nodiscard]] inline std::vector<Json> rehearse(const Plan& plan, const Image& image,
                                                const Session& session) {
    const std::string run_id = detail::rendered_run_id(plan, image);
    const kube::Client client = connect(plan.options, session);
    const std::vector<Json> objects =
        plan.objects(run_id, {.namespace_ = client.cluster().namespace_, .client = &client});
    return detail::all_redacted(dry_run(client, objects));
}

/// For check(): as long as the run id that is drawn when there is none.
[[nodiscard]] inline std::string checked_run_id(const KubernetesOptions& options) {
    return options.run_id.empty() ? "012345678901" : options.run_id;
}

/// Throws Error{usage} when `value` is less than `least`.
inline void check_least(const std::string& what, int value, int least) {
    if (value < least) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use " + what,
                     .subject = std::to_string(value),
                     .answer = "it is less than " + std::to_string(least)}};
    }
}

/// What every kind wants of the options; the objects' own check is the deployer's.
inline void check_options(const KubernetesOptions& options) {
    check_least("start_timeout", options.start_timeout, 0);
    if (!options.namespace_.empty()) {
        kube::check_dns_label("namespace", options.namespace_);
    }
    static_cast<void>(all_mutators(options));
}

}  // namespace fairing::kubernetes
