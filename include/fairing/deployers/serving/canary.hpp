// fairing/deployers/serving/canary.hpp - a newer model beside the one of an InferenceService that
// is there, and the share of the requests that it gets: edits of what the cluster stores.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "../../kube/client.hpp"
#include "../../kube/document.hpp"
#include "../../runs/connection.hpp"
#include "../../runs/plan.hpp"
#include "../../runs/stop_after.hpp"
#include "../../runs/submission.hpp"
#include "endpoint_kind.hpp"
#include "endpoint_plan.hpp"
#include "endpoint_workload.hpp"
#include "inference_kind.hpp"

namespace fairing::kubernetes {

/// `service` with the newer model of `wanted`, and the share of requests that it gets: both as
/// they were rendered.
[[nodiscard]] inline Json with_canary(Json service, const Json& wanted) {
    for (const auto& [key, value] : wanted.at("spec").items()) {
        service["spec"][key] = value;
    }
    return service;
}

/// `service` with another share of the requests for its newest model: 100 makes it the only one,
/// 0 goes back to the one before. Throws Error{usage} when there is nothing to divide.
[[nodiscard]] inline Json with_traffic(Json service, int percent) {
    check_range("percent", percent, 0, 100);
    Json& spec = service["spec"];
    if (text_or(service, "apiVersion") == inference_service_kind.api_version) {
        if (percent == 100) {
            spec["predictor"].erase("canaryTrafficPercent");
        } else {
            spec["predictor"]["canaryTrafficPercent"] = percent;
        }
        return service;
    }
    if (!spec.contains("canary") || !spec["canary"].is_object()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "divide the requests to",
                     .subject = "InferenceService " + kube::name_of(service),
                     .answer = "it has no canary"}};
    }
    if (percent == 100) {
        spec["default"] = spec["canary"];
    }
    if (percent == 0 || percent == 100) {
        spec.erase("canary");
        spec.erase("canaryTrafficPercent");
    } else {
        spec["canaryTrafficPercent"] = percent;
    }
    return service;
}

/// Throws Error{unsupported} for an InferenceService that runs where requests are not divided.
inline void check_divides(const Json& service) {
    const std::string mode = kube::text(service, {"status", "deploymentMode"});
    if (mode == "Standard" || mode == "RawDeployment") {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "divide the requests to",
                     .subject = kube::key_of(service).text(),
                     .answer = "KServe runs it in the mode " + mode +
                               ", and only Knative divides requests"}};
    }
}

/// Changes what is stored; again when somebody else was faster.
inline Json edit(const kube::Client& client, const kube::ObjectKey& key,
                 const std::function<Json(Json)>& change) {
    constexpr int most_attempts = 5;
    for (int attempt = 1;; ++attempt) {
        Json now = client.get(key);
        check_divides(now);
        try {
            return client.replace(change(std::move(now)));
        } catch (const kube::StatusError& error) {
            if (error.status() != 409 || attempt == most_attempts) {
                throw;
            }
        }
    }
}

/// Makes the edit that puts the canary there. What nobody saw the end of, for a stop or a server in
/// trouble, is taken back; where that fails too, what was `created` for the canary stays with it.
[[nodiscard]] inline Json put_canary(const kube::Client& client, const kube::ObjectKey& key,
                                     const Json& wanted,
                                     const std::function<void(const kube::Client&)>& take_back,
                                     CreatedObjects& created) {
    bool is_sent = false;
    try {
        return edit(client, key, [&](Json now) {
            is_sent = true;
            return with_canary(std::move(now), wanted);
        });
    } catch (const Error& failure) {
        const auto* const refusal = dynamic_cast<const kube::StatusError*>(&failure);
        if (!is_sent || (refusal != nullptr && refusal->status() < 500)) {
            throw;  // it was not stored
        }
        try {
            const StopAfter limit{cleanup_limit};
            take_back(client.with_stop(limit.token()));
        } catch (const Error& error) {
            created.keep();
            client.control().say(Level::warning,
                                 key.text() + " may keep the canary: " + error.what());
        }
        throw;
    }
}

/// Puts a canary beside the model of the InferenceService that is there; what stands beside it is
/// created as for a new one, and removed when the canary does not come to be. remove() of the
/// handle takes back both.
[[nodiscard]] inline Endpoint start_canary(const Plan& plan, const EndpointKind& kind,
                                           EndpointHabits habits, const Session& session) {
    const kube::Client client = connect(plan.options, session);
    const kube::ObjectKey key{.api_version = kind.api_version,
                              .kind = kind.kind,
                              .namespace_ = client.cluster().namespace_,
                              .name = plan.options.name};
    const std::optional<Json> there = client.find(key);
    const std::string run_id = there ? kube::label_of(*there, kube::run_label) : "";
    if (run_id.empty()) {
        throw Error{ErrorCode::not_found,
                    {.attempted = "make a canary of",
                     .subject = key.text(),
                     .answer = there ? "it is not ours" : "it is not there",
                     .advice = "deploy it first, without --canary-traffic-percent"}};
    }
    check_divides(*there);  // before anything is created
    std::vector<Json> objects =
        plan.objects(run_id, {.namespace_ = client.cluster().namespace_, .client = &client});
    const Json wanted = std::move(objects.back());
    objects.pop_back();
    CreatedObjects created{client, run_id};
    std::vector<kube::ObjectKey> beside;
    for (const Json& object : objects) {
        const kube::ObjectKey its_key = kube::key_of(object, key.namespace_);
        const std::optional<Json> before = client.find(its_key);
        if (before && kube::label_of(*before, kube::run_label) == run_id) {
            continue;  // the model that is there needs it too
        }
        static_cast<void>(detail::create_guarded(client, object, created));
        beside.push_back(its_key);
        detail::set_owner(client, its_key, *there);
    }
    const auto take_back = [key, spec = there->at("spec")](const kube::Client& with) {
        edit(with, key, [&spec](Json now) {
            now["spec"] = spec;
            return now;
        });
    };
    const Json stored = put_canary(client, key, wanted, take_back, created);
    created.keep();
    habits.undo = [take_back, beside, run_id](const kube::Client& with) {
        take_back(with);
        for (const kube::ObjectKey& each : beside) {
            remove_own(with, each, run_id);
        }
    };
    return Endpoint{
        std::make_shared<EndpointWorkload>(client, kind, stored, beside, std::move(habits))};
}

}  // namespace fairing::kubernetes
