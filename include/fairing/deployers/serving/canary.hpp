// fairing/deployers/serving/canary.hpp - a newer model beside the one of an InferenceService that
// is there, and the share of the requests that it gets: edits of what the cluster stores.
#pragma once

#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../core/control.hpp"
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

/// Changes what is stored, unless it is so already; again when somebody else was faster.
inline Json edit(const kube::Client& client, const kube::ObjectKey& key,
                 const std::function<Json(Json)>& change) {
    constexpr int most_attempts = 5;
    for (int attempt = 1;; ++attempt) {
        Json now = client.get(key);
        check_divides(now);
        Json next = change(now);
        if (next == now) {
            return now;
        }
        try {
            return client.replace(next);
        } catch (const kube::StatusError& error) {
            if (error.status() != 409 || attempt == most_attempts) {
                throw;
            }
        }
    }
}

/// The canary's edit of an InferenceService: the object without and with it, as they were stored.
struct CanaryEdit {
    kube::ObjectKey key = {};
    Json before = {}, after = {};
};

namespace detail {

/// `now` without the change that was made of `before` into `after`; what others changed beside it
/// stays. Null is what is not there. Throws Error{conflict} for a change of what the edit changed.
[[nodiscard]] inline Json without_edit(const Json& now, const Json& before, const Json& after,
                                       const std::string& where) {
    if (now == before || before == after) {
        return now;
    }
    if (now == after) {
        return before;
    }
    if (!now.is_object() || !before.is_object() || !after.is_object()) {
        throw Error{ErrorCode::conflict,
                    {.attempted = "take back the canary of",
                     .subject = where,
                     .answer = "that has been changed by somebody else since",
                     .advice = "edit it by hand (kubectl edit inferenceservice)"}};
    }
    Json result = now;
    for (const Json* each : {&before, &after}) {
        for (const auto& [key, value] : each->items()) {
            const auto in = [name = key.c_str()](const Json& object) -> const Json& {
                return kube::member(object, {name});
            };
            Json part = without_edit(in(now), in(before), in(after), where + '.' + key);
            if (part.is_null()) {
                result.erase(key);
            } else {
                result[key] = std::move(part);
            }
        }
    }
    return result;
}

/// `canary` with the share of the requests that it has been given since, in `now`.
[[nodiscard]] inline Json with_share_of(const Json& now, Json canary) {
    const Json& newest = kube::member(canary, {"spec", "canary"});
    const bool is_promoted = newest.is_object() &&
                             kube::member(now, {"spec", "canary"}).is_null() &&
                             newest == kube::member(now, {"spec", "default"});
    const std::int64_t share = is_promoted ? 100 : wanted_traffic(now);
    return share == wanted_traffic(canary)
               ? std::move(canary)
               : with_traffic(std::move(canary), static_cast<int>(share));
}

/// Whether the server has `wanted` in `there`, or what it makes of it: it adds defaults, leaves out
/// what is empty, and writes quantities in its own way.
[[nodiscard]] inline bool holds(const Json& there, const Json& wanted) {
    const Json found = there.flatten(), asked = wanted.flatten();
    for (const auto& [path, value] : asked.items()) {
        const bool may_differ =
            value.is_null() || value == "" || path.find("/resources/") != std::string::npos;
        if (!may_differ && kube::member(found, {path.c_str()}) != value) {
            return false;
        }
    }
    return true;
}

}  // namespace detail

/// Takes back what the edit changed, whatever share of the requests the canary has now, and nothing
/// else. Throws Error{conflict} when somebody else has changed that, too.
inline void take_back(const kube::Client& client, const CanaryEdit& made) {
    static_cast<void>(edit(client, made.key, [&made](Json now) {
        const Json after = detail::with_share_of(now, made.after);
        now["spec"] = detail::without_edit(now["spec"], made.before.at("spec"), after.at("spec"),
                                           made.key.text() + " in spec");
        return now;
    }));
}

/// Makes the edit that puts the canary there. What failed and is there all the same is taken back;
/// where that fails too, what was `created` for the canary stays with it.
[[nodiscard]] inline CanaryEdit put_canary(const kube::Client& client, const kube::ObjectKey& key,
                                           const Json& wanted, CreatedObjects& created) {
    CanaryEdit made{.key = key};
    // Whether `now` has the canary by a request of ours whose reply was lost: what the edit
    // replaced is known from before that request then, and the rest of `before` is as it is now.
    const auto look = [&made, &wanted](const Json& now) {
        const Json earlier = std::exchange(made.before, now);
        const bool is_there =
            !earlier.is_null() && detail::holds(kube::member(now, {"spec"}), wanted.at("spec"));
        if (is_there) {
            for (const auto& [name, value] : wanted.at("spec").items()) {
                made.before["spec"][name] = kube::member(earlier, {"spec", name.c_str()});
            }
        }
        return is_there;
    };
    try {
        made.after = edit(client, key, [&](const Json& now) {
            static_cast<void>(look(now));
            return with_canary(now, wanted);
        });
        return made;
    } catch (const std::exception&) {
        if (made.before.is_null()) {
            throw;  // nothing was sent
        }
        const Control tame = client.control().with_tame_log();
        try {
            const StopAfter limit{cleanup_limit};
            const kube::Client free = client.with(tame).with_stop(limit.token());
            made.after = free.find(key).value_or(Json{});
            if (look(made.after)) {
                take_back(free, made);
            }
        } catch (const std::exception& error) {
            created.keep();
            tame.say(Level::warning, key.text() + " may keep the canary: " + error.what());
        }
        throw;
    }
}

/// Throws Error{conflict} unless the object beside the model is as the canary wants it.
inline void check_shared(const Json& there, const Json& wanted, const kube::ObjectKey& service) {
    if (wanted.contains("data") && wanted["data"] != kube::member(there, {"data"})) {
        throw Error{ErrorCode::conflict,
                    {.attempted = "make a canary of",
                     .subject = service.text(),
                     .answer = kube::key_of(there).text() +
                               " of the model that is there holds something else",
                     .advice = "give the canary's another name"}};
    }
}

/// Puts a canary beside the model of the InferenceService that is there; what stands beside it is
/// created as for a new one, under names of its own, and removed when the canary does not come to
/// be. remove() of the handle takes back both.
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
    std::vector<Json> objects = plan.objects(run_id, {.namespace_ = client.cluster().namespace_,
                                                      .client = &client,
                                                      .beside = key.name + '-' + draw_run_id()});
    const Json wanted = std::move(objects.back());
    objects.pop_back();
    CreatedObjects created{client, run_id};
    std::vector<kube::ObjectKey> beside;
    for (const Json& object : objects) {
        const kube::ObjectKey its_key = kube::key_of(object, key.namespace_);
        const std::optional<Json> before = client.find(its_key);
        if (before && kube::label_of(*before, kube::run_label) == run_id) {
            check_shared(*before, object, key);
            continue;  // the model that is there needs it too
        }
        static_cast<void>(detail::create_guarded(client, object, created));
        beside.push_back(its_key);
        detail::set_owner(client, its_key, *there);
    }
    const CanaryEdit made = put_canary(client, key, wanted, created);
    created.keep();
    habits.undo = [made, beside, run_id](const kube::Client& with) {
        take_back(with, made);
        for (const kube::ObjectKey& each : beside) {
            remove_own(with, each, run_id);
        }
    };
    return Endpoint{
        std::make_shared<EndpointWorkload>(client, kind, made.after, beside, std::move(habits))};
}

}  // namespace fairing::kubernetes
