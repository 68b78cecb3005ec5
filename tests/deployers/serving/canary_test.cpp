#include "fairing/deployers/serving/canary.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../../support/memory_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

Json beside(const char* kind) {
    return {{"apiVersion", "v1"},
            {"kind", kind},
            {"metadata",
             {{"name", "houses-key"}, {"namespace", "team"}, {"labels", {{"fairing-id", "r"}}}}}};
}

/// A cluster where the model "houses" of run "r" is, and a canary of it with what it needs.
struct Site : support::MemorySite {
    const Json one{{"predictor", {{"model", {{"storageUri", "one"}}}}}};
    const Json two{
        {"predictor",
         {{"model", {{"storageUri", "two"}, {"resources", {{"limits", {{"memory", "1.86Gi"}}}}}}},
          {"canaryTrafficPercent", 10}}}};
    std::string password = "b25l";
    std::set<std::string> names = {};  ///< with which what stands beside a canary may begin

    Site() {
        Json service = beside("InferenceService");
        service["apiVersion"] = "serving.kserve.io/v1beta1";
        service["metadata"]["name"] = "houses";
        service["spec"] = one;
        api.put(service);
    }
    [[nodiscard]] Endpoint start() {
        kubernetes::Plan plan{.options = options()};
        plan.options.name = "houses";
        plan.objects = [this](const std::string& run_id, const kubernetes::Place& in) {
            CHECK(run_id == "r");
            CHECK(in.namespace_ == "team");
            CHECK(in.beside.starts_with("houses-"));
            names.insert(in.beside);
            Json secret = beside("Secret");
            secret["data"]["password"] = password;
            return std::vector<Json>{secret, beside("ConfigMap"), Json{{"spec", two}}};
        };
        return kubernetes::start_canary(plan, kubernetes::inference_service_kind, {}, session());
    }
    [[nodiscard]] Json spec() { return (*api.get("InferenceService", "houses"))["spec"]; }
    /// As somebody else, or `fairing traffic`, edits it.
    void change(const std::function<Json(Json)>& how) {
        api.put(how(*api.get("InferenceService", "houses")));
    }
    [[nodiscard]] bool has(const char* kind) { return api.get(kind, "houses-key").has_value(); }
};

/// Of whatever makes or changes something.
const std::vector<std::string> steps{
    "POST /api/v1/namespaces/team/secrets", "PATCH /api/v1/namespaces/team/secrets/houses-key",
    "POST /api/v1/namespaces/team/configmaps",
    "PATCH /api/v1/namespaces/team/configmaps/houses-key",
    "PUT /apis/serving.kserve.io/v1beta1/namespaces/team/inferenceservices/houses"};

}  // namespace

TEST_CASE("what stands beside a canary comes with it, is the service's, and goes with it") {
    Site site;
    const Endpoint canary = site.start();
    CHECK(site.spec() == site.two);
    for (const char* kind : {"Secret", "ConfigMap"}) {
        CHECK((*site.api.get(kind, "houses-key"))["metadata"]["ownerReferences"][0]["kind"] ==
              "InferenceService");
    }
    canary.remove();
    CHECK(site.spec() == site.one);
    CHECK_FALSE(site.has("Secret"));
    CHECK_FALSE(site.has("ConfigMap"));
    CHECK_NOTHROW(canary.remove());
}

TEST_CASE("a canary that is refused leaves nothing") {
    for (const std::string& step : steps) {
        CAPTURE(step);
        Site site;
        site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
            return request.starts_with(step)
                       ? std::optional{net::Response{.status = 403, .body = "not you"}}
                       : std::nullopt;
        });
        CHECK(contains(error_of([&] { (void)site.start(); }), "403 Forbidden: not you"));
        CHECK(site.spec() == site.one);
        CHECK(site.api.size() == 1);
    }
}

TEST_CASE("a canary that is stopped while it is made leaves nothing") {
    for (const std::string& step : steps) {
        CAPTURE(step);
        Site site;
        site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
            if (request.starts_with(step) && !site.stopping.stop_requested()) {
                Json service = *site.api.get("InferenceService", "houses");
                service["spec"] = site.two;
                site.api.put(contains(step, "inference") ? service
                             : contains(step, "secrets") ? beside("Secret")
                                                         : beside("ConfigMap"));
                site.stopping.request_stop();
                throw Cancelled{ErrorCode::cancelled, {.attempted = "reach"}};
            }
            return std::nullopt;
        });
        CHECK_THROWS_AS((void)site.start(), Cancelled);
        CHECK(site.spec() == site.one);
        CHECK(site.api.size() == 1);
    }
}

TEST_CASE(
    "a canary that is stored for good, in spite of what the server says, keeps what it needs") {
    Site site;
    site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
        if (!request.starts_with("PUT")) {
            return std::nullopt;
        }
        Json service = *site.api.get("InferenceService", "houses");
        service["spec"] = site.two;
        site.api.put(std::move(service));
        return net::Response{.status = 500, .body = "etcdserver: request timed out"};
    });
    CHECK(contains(error_of([&] { (void)site.start(); }), "request timed out"));
    CHECK(site.spec() == site.two);
    CHECK(site.has("Secret"));
}

TEST_CASE("a canary that is stored while the reply gets lost is taken back as any other") {
    struct Server {
        bool adds_defaults, refuses_the_next;
    };
    for (const Server& server : {Server{false, false}, Server{true, false}, Server{true, true}}) {
        CAPTURE(server.adds_defaults);
        CAPTURE(server.refuses_the_next);
        Site site;
        Json kept = site.one, stored = site.two;
        kept["explainer"] = stored["explainer"] = "new";  // by somebody else, at once
        if (server.adds_defaults) {
            stored["predictor"]["timeout"] = 60;
            stored["predictor"]["model"]["resources"]["limits"]["memory"] = "1997159792640m";
        }
        int puts = 0;
        site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
            puts += request.starts_with("PUT") ? 1 : 0;
            if (request.starts_with("PUT") && puts == 1) {
                site.change([&](Json service) {
                    service["spec"] = stored;
                    return service;
                });
                throw Error{ErrorCode::unavailable, {.attempted = "reach"}};
            }
            return request.starts_with("PUT") && puts == 3 && server.refuses_the_next
                       ? std::optional{net::Response{.status = 403, .body = "not you"}}
                       : std::nullopt;
        });
        const std::string said = error_of([&] { site.start().remove(); });
        CHECK(contains(said, "403 Forbidden: not you") == server.refuses_the_next);
        CHECK(site.spec() == kept);
        CHECK(site.api.size() == 1);
    }
}

TEST_CASE("what somebody else changed instead of a canary that failed stays") {
    Site site;
    Json theirs = site.one;
    theirs["predictor"]["maxReplicas"] = 7;
    site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
        if (!request.starts_with("PUT") || site.stopping.stop_requested()) {
            return std::nullopt;
        }
        site.change([&](Json service) {
            service["spec"] = theirs;
            return service;
        });
        site.stopping.request_stop();
        throw Cancelled{ErrorCode::cancelled, {.attempted = "reach"}};
    });
    CHECK_THROWS_AS((void)site.start(), Cancelled);
    CHECK(site.spec() == theirs);
    CHECK(site.api.size() == 1);
}

TEST_CASE("whatever fails while a canary is taken back, it keeps what it needs") {
    Site site;
    site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
        if (site.stopping.stop_requested()) {
            throw std::runtime_error{"no error of ours"};
        }
        if (request.starts_with("PUT")) {
            site.stopping.request_stop();
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach"}};
        }
        return std::nullopt;
    });
    CHECK_THROWS_AS((void)site.start(), Cancelled);
    CHECK(contains(site.said.back(),
                   "InferenceService team/houses may keep the canary: no error of ours"));
    CHECK(site.has("Secret"));
}

TEST_CASE("a spec holds what the server made of it") {
    using kubernetes::detail::holds;
    const Json spec{{"canary", {{"env", {{{"name", "A"}}}}, {"timeout", 60}}}};
    CHECK(holds(spec, {{"canary", {{"env", {{{"name", "A"}, {"value", ""}}}}}}}));
    CHECK(holds(spec, {{"canary", {{"volumes", Json::array()}, {"timeout", 60}}}}));
    CHECK_FALSE(holds(spec, {{"canary", {{"timeout", 61}}}}));
    CHECK_FALSE(holds(spec, {{"canary", {{"replicas", 0}}}}));
    CHECK_FALSE(holds(Json{}, spec));
}

TEST_CASE("what the model that is there needs too stays") {
    Site site;
    Json secret = beside("Secret");
    secret["data"]["password"] = site.password;
    site.api.put(secret);
    const Endpoint canary = site.start();
    canary.remove();
    CHECK(site.has("Secret"));
    CHECK_FALSE(site.has("ConfigMap"));
    site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
        return request.starts_with("PUT") ? std::optional{net::Response{.status = 403}}
                                          : std::nullopt;
    });
    CHECK_THROWS_AS((void)site.start(), kube::StatusError);
    CHECK(site.has("Secret"));
    CHECK_FALSE(site.has("ConfigMap"));
}

TEST_CASE("a second canary has names of its own, and never what an earlier one left there") {
    Site site;
    const Endpoint first = site.start();
    site.password = "dHdv";
    CHECK(contains(error_of([&] { (void)site.start(); }),
                   "cannot make a canary of InferenceService team/houses: Secret team/houses-key "
                   "of the model that is there holds something else"));
    CHECK(site.names.size() == 2);
    CHECK(site.spec() == site.two);
    CHECK((*site.api.get("Secret", "houses-key"))["data"]["password"] == "b25l");
}

TEST_CASE("taking back a canary keeps what others changed meanwhile") {
    Site site;
    bool is_first = true;
    site.api.intercept([&](const std::string& request) {
        if (request.starts_with("PUT") && std::exchange(is_first, false)) {
            site.change([](Json service) {  // after it was looked for, before the edit
                service["spec"]["explainer"] = "new";
                return service;
            });
        }
        return std::optional<net::Response>{};
    });
    const Endpoint canary = site.start();
    site.change([](Json service) {
        service["spec"]["transformer"] = "new";
        service["spec"]["predictor"]["maxReplicas"] = 7;
        return kubernetes::with_traffic(service, 50);
    });
    canary.remove();
    Json kept = site.one;
    kept["explainer"] = kept["transformer"] = "new";
    kept["predictor"]["maxReplicas"] = 7;
    CHECK(site.spec() == kept);
    CHECK_FALSE(site.has("Secret"));
}

TEST_CASE("a canary that somebody else edited is not taken back, and keeps what it needs") {
    Site site;
    const Endpoint canary = site.start();
    site.change([](Json service) {
        service["spec"]["predictor"]["model"]["storageUri"] = "three";
        return service;
    });
    const Json theirs = site.spec();
    CHECK(contains(error_of([&] { canary.remove(); }),
                   "cannot take back the canary of InferenceService team/houses in "
                   "spec.predictor.model.storageUri: that has been changed by somebody else"));
    CHECK(site.spec() == theirs);
    CHECK(site.has("Secret"));
}

TEST_CASE("a canary that is stopped before its edit is sent puts nothing back") {
    Site site;
    int looks = 0;
    site.api.intercept([&](const std::string& request) -> std::optional<net::Response> {
        if (!request.starts_with("GET") || !contains(request, "inferenceservices/") ||
            ++looks != 2) {
            return std::nullopt;
        }
        const Json seen = *site.api.get("InferenceService", "houses");
        site.stopping.request_stop();
        return net::Response{.status = 200, .body = seen.dump()};
    });
    CHECK_THROWS_AS((void)site.start(), Cancelled);
    for (const std::string& request : site.api.requests()) {
        CHECK_FALSE(request.starts_with("PUT"));
    }
    CHECK(site.spec() == site.one);
    CHECK(site.api.size() == 1);
}

TEST_CASE("a canary of the old version is taken back, whatever share it has by now") {
    const Json old{{"default", {{"predictor", "one"}}}, {"explainer", "x"}};
    const Json wanted{{"spec", {{"canary", {{"predictor", "two"}}}, {"canaryTrafficPercent", 10}}}};
    const Json service{{"apiVersion", "serving.kubeflow.org/v1alpha2"}, {"spec", old}};
    const Json after = kubernetes::with_canary(service, wanted);
    for (const int percent : {0, 10, 60, 100}) {
        CAPTURE(percent);
        const Json now = kubernetes::with_traffic(after, percent);
        const Json canary = kubernetes::detail::with_share_of(now, after);
        CHECK(canary == now);
        CHECK(kubernetes::detail::without_edit(now["spec"], old, canary["spec"], "it") == old);
    }
}

TEST_CASE("a canary by editing, promoted and taken back") {
    using kubernetes::with_canary;
    using kubernetes::with_traffic;
    const Json service{{"apiVersion", "serving.kserve.io/v1beta1"},
                       {"metadata", {{"name", "s"}}},
                       {"spec", {{"predictor", {{"model", {{"storageUri", "one"}}}}}}}};
    const Json canary = with_canary(
        service,
        {{"spec",
          {{"predictor", {{"model", {{"storageUri", "two"}}}, {"canaryTrafficPercent", 10}}}}}});
    CHECK(canary["spec"]["predictor"]["model"]["storageUri"] == "two");
    CHECK(canary["metadata"] == service["metadata"]);
    CHECK_FALSE(with_traffic(canary, 100)["spec"]["predictor"].contains("canaryTrafficPercent"));
    CHECK(with_traffic(canary, 0)["spec"]["predictor"]["canaryTrafficPercent"] == 0);
    CHECK_THROWS_AS((void)with_traffic(canary, 101), Error);
    for (const char* mode : {"Standard", "RawDeployment"}) {
        Json standing = service;
        standing["kind"] = "InferenceService";
        standing["status"]["deploymentMode"] = mode;
        const std::string said = error_of([&] { kubernetes::check_divides(standing); });
        CHECK(contains(said, "InferenceService"));
        CHECK(contains(said, std::string{"in the mode "} + mode));
    }
    CHECK_NOTHROW(kubernetes::check_divides(service));

    Json legacy{
        {"apiVersion", "serving.kubeflow.org/v1alpha2"},
        {"metadata", {{"name", "s"}}},
        {"spec",
         {{"default", "one"}, {"canary", {{"predictor", "two"}}}, {"canaryTrafficPercent", 10}}}};
    CHECK(with_traffic(legacy, 50)["spec"]["canaryTrafficPercent"] == 50);
    CHECK(with_traffic(legacy, 0)["spec"] == Json{{"default", "one"}});
    const Json promoted = with_traffic(legacy, 100)["spec"];
    CHECK(promoted == Json{{"default", {{"predictor", "two"}}}});
    legacy["spec"] = promoted;
    CHECK(contains(error_of([&] { (void)with_traffic(legacy, 10); }), "it has no canary"));
}
