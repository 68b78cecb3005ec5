#include "fairing/runs/submission.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "../support/memory_api.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

namespace {

Json object_named(const char* api_version, const char* kind, const char* name) {
    return {
        {"apiVersion", api_version},
        {"kind", kind},
        {"metadata", {{"name", name}, {"namespace", "team"}, {"labels", {{"fairing-id", "abc"}}}}}};
}

const std::vector<Json> run_objects{object_named("v1", "Secret", "s"),
                                    object_named("v1", "ConfigMap", "c"),
                                    object_named("batch/v1", "Job", "j")};

kube::Client client_of(support::MemoryApi& api, std::stop_token stop = {}) {
    return kube::Client{{.server = "https://k.example", .namespace_ = "team"},
                        std::ref(api),
                        {.stop = std::move(stop)}};
}

net::Response status(int code, const std::string& reason) {
    return {
        .status = code,
        .body = Json{{"kind", "Status"}, {"reason", reason}, {"message", reason}, {"code", code}}
                    .dump()};
}

}  // namespace

TEST_CASE("all objects are created, and the main one owns the others") {
    support::MemoryApi api;
    const auto submitted = kubernetes::submit(client_of(api), run_objects, "abc");
    CHECK(kube::name_of(submitted.main) == "j");
    CHECK(submitted.beside.size() == 2);
    for (const char* name : {"s", "c"}) {
        const auto object = api.get(name[0] == 's' ? "Secret" : "ConfigMap", name);
        REQUIRE(object);
        CHECK((*object)["metadata"]["ownerReferences"] ==
              Json::array({Json{{"apiVersion", "batch/v1"},
                                {"kind", "Job"},
                                {"name", "j"},
                                {"uid", kube::uid_of(submitted.main)}}}));
    }
}

TEST_CASE("whatever fails, nothing is left behind") {
    const std::vector<std::string> requests = {
        "POST /api/v1/namespaces/team/configmaps", "POST /apis/batch/v1/namespaces/team/jobs",
        "PATCH /api/v1/namespaces/team/secrets/s", "PATCH /api/v1/namespaces/team/configmaps/c"};
    for (const std::string& failing : requests) {
        CAPTURE(failing);
        support::MemoryApi api;
        api.intercept([&](const std::string& request) -> std::optional<net::Response> {
            return request.starts_with(failing) ? std::optional{status(403, "Forbidden")}
                                                : std::nullopt;
        });
        const std::string error = support::error_of(
            [&] { (void)kubernetes::submit(client_of(api), run_objects, "abc"); });
        CHECK(support::contains(error, "Forbidden"));
        CHECK(api.size() == 0);
    }
}

TEST_CASE("a stop at any step leaves nothing behind, even when the reply is lost") {
    for (const char* last :
         {"POST /api/v1/namespaces/team/secrets", "POST /apis/batch/v1/namespaces/team/jobs",
          "PATCH /api/v1/namespaces/team/secrets/s"}) {
        CAPTURE(last);
        support::MemoryApi api;
        std::stop_source stop;
        bool is_stopped = false;
        api.intercept([&](const std::string& request) -> std::optional<net::Response> {
            if (!request.starts_with(last) || is_stopped) {
                return std::nullopt;
            }
            is_stopped = true;
            // Stored, but nobody learns of it.
            api.put(run_objects[std::string_view{last}.ends_with("jobs") ? 2 : 0]);
            stop.request_stop();
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
        });
        CHECK_THROWS_AS(
            (void)kubernetes::submit(client_of(api, stop.get_token()), run_objects, "abc"),
            Cancelled);
        CHECK(is_stopped);
        CHECK(api.size() == 0);
    }
}

TEST_CASE("a request that reaches the server after the stop leaves nothing behind either") {
    support::MemoryApi api;
    std::stop_source stop;
    int looks = 0;
    api.intercept([&](const std::string& request) -> std::optional<net::Response> {
        if (request.starts_with("POST /apis/batch/v1/namespaces/team/jobs")) {
            stop.request_stop();
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
        }
        if (request.starts_with("GET /apis/batch/v1/namespaces/team/jobs/j") && ++looks == 2) {
            api.put(run_objects[2]);
        }
        return std::nullopt;
    });
    CHECK_THROWS_AS((void)kubernetes::submit(client_of(api, stop.get_token()), run_objects, "abc"),
                    Cancelled);
    CHECK(looks == 2);
    CHECK(api.size() == 0);
}

TEST_CASE("a log that throws leaves nothing behind either") {
    support::MemoryApi api;
    const kube::Client client = client_of(api).with({.log = [](const LogRecord& record) {
        if (support::contains(record.text, "/configmaps")) {
            throw std::runtime_error{"the log is full"};
        }
    }});
    CHECK_THROWS_AS((void)kubernetes::submit(client, run_objects, "abc"), std::runtime_error);
    CHECK(api.size() == 0);
}

TEST_CASE("an object of somebody else is not touched") {
    support::MemoryApi api;
    Json foreign = run_objects[2];
    foreign["metadata"]["labels"]["fairing-id"] = "other";
    api.put(foreign);
    const std::string error =
        support::error_of([&] { (void)kubernetes::submit(client_of(api), run_objects, "abc"); });
    CHECK(support::contains(error, "AlreadyExists"));
    CHECK(api.size() == 1);
    CHECK(api.get("Job", "j")->at("metadata").at("labels").at("fairing-id") == "other");
}

TEST_CASE("a dry run stores nothing") {
    support::MemoryApi api;
    CHECK(kubernetes::dry_run(client_of(api), run_objects).size() == 3);
    CHECK(api.size() == 0);
}
