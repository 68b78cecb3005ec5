// fairing/builders/cluster/builder_job.hpp - the Job that builds an image in a cluster: what is
// stored for it, and its way to an end that leaves nothing behind.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../../core/control.hpp"
#include "../../core/error.hpp"
#include "../../kube/client.hpp"
#include "../../pods/kubernetes_options.hpp"
#include "../../pods/pod_template.hpp"
#include "../../pods/run_identity.hpp"
#include "../../runs/cluster_workload.hpp"
#include "../../runs/plan.hpp"
#include "../../runs/subject.hpp"
#include "../../runs/submission.hpp"
#include "../context_sources/context_source.hpp"
#include "kaniko_job.hpp"

namespace fairing::detail {

inline constexpr const char* builder_prefix = "fairing-builder-";

[[nodiscard]] inline RunIdentity builder_identity(const KubernetesOptions& options,
                                                  const std::string& id) {
    return run_identity(options, id, builder_prefix, "builder");
}

/// The Job and what it needs beside it, the Job last. `secret` adds the credentials.
[[nodiscard]] inline std::vector<Json> builder_objects(
    const KubernetesOptions& options, const std::string& id, const KanikoCall& call,
    const UploadedContext& uploaded,
    const std::function<void(PodSpec&, std::vector<Json>&, const std::string& name)>& secret,
    const kubernetes::Place& place, const Session& session) {
    const RunIdentity identity = builder_identity(options, id);
    const std::string role;
    std::vector<Json> objects;
    PodContext context{place.namespace_, role, place.client, session, objects, identity.name};
    PodSpec pod = kaniko_pod(call);
    secret(pod, objects, identity.name + "-registries");
    uploaded.prepare(pod, context);
    Json template_ = mutated_template(std::move(pod), options, identity, context);
    Json spec{{"backoffLimit", 0}, {"template", std::move(template_)}};
    if (options.cleanup == Cleanup::always) {
        spec["ttlSecondsAfterFinished"] = 300;
    }
    Json metadata = run_metadata(options, identity, place.namespace_);
    objects = adopted(std::move(objects), options, identity, place.namespace_);
    objects.push_back({{"apiVersion", "batch/v1"},
                       {"kind", "Job"},
                       {"metadata", std::move(metadata)},
                       {"spec", std::move(spec)}});
    return objects;
}

/// The Job of one build, removed with what stands beside it unless it is kept.
class BuilderJob {
public:
    BuilderJob(const kube::Client& client, const kubernetes::Submitted& submitted,
               const KubernetesOptions& options)
        : client_(client),
          subject_(kubernetes::job_subject(submitted.main)),
          workload_(client, subject_, submitted.beside,
                    {.stream_log = options.stream_log,
                     .start_timeout = std::chrono::seconds{options.start_timeout}}),
          leftovers_(client.with(client.control().with_tame_log()), subject_, submitted.beside, {}),
          keeps_when_ended_(options.cleanup == Cleanup::never) {}
    BuilderJob(BuilderJob&&) = delete;
    BuilderJob& operator=(BuilderJob&&) = delete;
    ~BuilderJob() {
        if (kept_) {
            return;
        }
        try {
            leftovers_.remove({});
        } catch (const std::exception& error) {
            client_.control().with_tame_log().say(Level::warning, error.what());
        }
    }

    /// Follows it to its end. Gives the digest that it left, or "". Throws Error{input} or
    /// Error{unavailable} for a build that fails.
    [[nodiscard]] std::string follow() {
        const Control& control = client_.control();
        const Outcome outcome = workload_.follow(
            [&control](const OutputLine& line) { control.say(Level::info, line.text); },
            control.stop);
        kept_ = keeps_when_ended_;
        if (outcome.state == State::succeeded) {
            return digest_in(kubernetes::pods_of(client_, subject_));
        }
        std::string answer = outcome.reason;
        for (const std::string& line : outcome.tail) {
            answer += (&line == &outcome.tail.front() ? "; its last words: " : "\n") + line;
        }
        throw Error{outcome.exit_code != 0 ? ErrorCode::input : ErrorCode::unavailable,
                    {.attempted = "build an image in the cluster with",
                     .subject = subject_.key.text(),
                     .answer = std::move(answer)}};
    }

private:
    const kube::Client& client_;
    kubernetes::Subject subject_;
    kubernetes::ClusterWorkload workload_;   ///< which is followed
    kubernetes::ClusterWorkload leftovers_;  ///< the same, removed whatever the log throws
    bool keeps_when_ended_ = false, kept_ = false;
};

}  // namespace fairing::detail
