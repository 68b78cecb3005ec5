#include "fairing/builders/cluster/builder_job.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "../../support/builder_site.hpp"

using namespace fairing;
using detail::BuilderJob;

namespace {

const std::string digest = "sha256:" + std::string(64, 'd');

/// The Job of a build and a Secret beside it, as they were stored.
struct StoredBuild : support::BuilderSite {
    KubernetesOptions options{.config_file = space / "kubeconfig", .run_id = "abc"};
    kubernetes::Submitted submitted = {};

    StoredBuild() {
        submitted.main = api.put(object("batch/v1", "Job", "fairing-builder-abc"));
        submitted.beside = {kube::key_of(api.put(object("v1", "Secret", "s")))};
    }
    static Json object(const char* api_version, const char* kind, const std::string& name) {
        return {{"apiVersion", api_version},
                {"kind", kind},
                {"metadata",
                 {{"name", name}, {"namespace", "team"}, {"labels", {{"fairing-id", "abc"}}}}}};
    }
    /// Its pod has ended so.
    void end_pod(int exit_code, const std::string& message) {
        Json pod = object("v1", "Pod", "x");
        pod["metadata"]["ownerReferences"] =
            Json::array({Json{{"kind", "Job"}, {"uid", submitted.main["metadata"]["uid"]}}});
        pod["spec"]["containers"] = Json::array({Json{{"name", "kaniko"}}});
        pod["status"]["phase"] = exit_code == 0 ? "Succeeded" : "Failed";
        pod["status"]["containerStatuses"] =
            Json::array({Json{{"name", "kaniko"},
                              {"state",
                               {{"terminated",
                                 {{"exitCode", exit_code},
                                  {"finishedAt", "2026-01-01T00:00:09Z"},
                                  {"message", message}}}}}}});
        api.set_log("x", {"FROM b.example/base", "no space left"});
        api.put(pod);
    }
    void end_job(const char* condition, const char* reason = "") {
        Json job = submitted.main;
        job["status"]["conditions"] =
            Json::array({Json{{"type", condition}, {"status", "True"}, {"reason", reason}}});
        api.put(job);
    }
    /// Follows it to its end; what it throws, and whether the Job was there until the handle went.
    std::optional<ErrorCode> failure(std::string& said_so) {
        const kube::Client client = kubernetes::connect(options, session());
        BuilderJob job{client, submitted, options};
        try {
            static_cast<void>(job.follow());
        } catch (const Error& error) {
            said_so = error.what();
            CHECK(api.get("Job", "fairing-builder-abc"));
            return error.code();
        }
        return std::nullopt;
    }
};

}  // namespace

TEST_CASE("a build that ends well gives the digest that it left, and is removed with its handle") {
    StoredBuild build;
    build.end_pod(0, digest + '\n');
    build.end_job("Complete");
    {
        const kube::Client client = kubernetes::connect(build.options, build.session());
        BuilderJob job{client, build.submitted, build.options};
        CHECK(job.follow() == digest);
        CHECK(build.has_said("no space left"));
        CHECK(build.api.get("Job", "fairing-builder-abc"));
    }
    CHECK(build.api.size() == 0);
}

TEST_CASE("a digest that nobody left is none") {
    StoredBuild build;
    build.end_pod(0, "Killed");
    build.end_job("Complete");
    const kube::Client client = kubernetes::connect(build.options, build.session());
    CHECK(BuilderJob{client, build.submitted, build.options}.follow().empty());
}

TEST_CASE("a build that fails by its own program is our input's fault, another is the cluster's") {
    StoredBuild build;
    std::string text;
    SUBCASE("its program") {
        build.end_pod(1, "");
        build.end_job("Failed", "BackoffLimitExceeded");
        CHECK(build.failure(text) == ErrorCode::input);
        CHECK(support::contains(text, "its last words: FROM b.example/base no space left"));
    }
    SUBCASE("its time") {
        build.options.stream_log = false;
        build.end_job("Failed", "DeadlineExceeded");
        CHECK(build.failure(text) == ErrorCode::unavailable);
        CHECK(support::contains(text, "was stopped: DeadlineExceeded"));
        CHECK_FALSE(support::contains(text, "last words"));
    }
    CHECK(support::contains(
        text, "cannot build an image in the cluster with Job team/fairing-builder-abc"));
    CHECK(build.api.size() == 0);
}

TEST_CASE("what is kept is a build that has ended, and no other") {
    StoredBuild build;
    build.options.cleanup = Cleanup::never;
    const kube::Client client = kubernetes::connect(build.options, build.session());
    std::size_t left = 0;
    SUBCASE("followed to its end") {
        build.end_pod(0, digest);
        build.end_job("Complete");
        CHECK(BuilderJob{client, build.submitted, build.options}.follow() == digest);
        left = 3;
    }
    SUBCASE("never followed") { const BuilderJob job{client, build.submitted, build.options}; }
    SUBCASE("stopped") {
        build.stop.request_stop();
        BuilderJob job{client, build.submitted, build.options};
        CHECK_THROWS_AS(static_cast<void>(job.follow()), Cancelled);
    }
    CHECK(build.api.size() == left);
}

TEST_CASE("what can not be removed is said, and a log that throws then ends nothing") {
    StoredBuild build;
    build.api.intercept([](const std::string& request) -> std::optional<net::Response> {
        return request.starts_with("DELETE")
                   ? std::optional{net::Response{.status = 403,
                                                 .body = R"({"kind": "Status", "code": 403,
                                                       "reason": "Forbidden", "message": "no"})"}}
                   : std::nullopt;
    });
    Session session = build.session();
    bool throws = false;
    SUBCASE("said") {}
    SUBCASE("not even that") { throws = true; }
    session.log = [&build, throws](const LogRecord& record) {
        build.said.push_back(record);
        if (throws && record.level == Level::warning) {
            throw std::runtime_error{"the log is full"};
        }
    };
    const kube::Client client = kubernetes::connect(build.options, session);
    { const BuilderJob job{client, build.submitted, build.options}; }
    CHECK(build.has_said("cannot delete Job team/fairing-builder-abc", Level::warning));
    CHECK(build.api.get("Job", "fairing-builder-abc"));
}

TEST_CASE("a log that throws at every line keeps neither the Job nor what stands beside it") {
    StoredBuild build;
    Session session = build.session();
    session.log = [](const LogRecord&) { throw std::runtime_error{"the log is full"}; };
    const kube::Client client = kubernetes::connect(build.options, session);
    { const BuilderJob job{client, build.submitted, build.options}; }
    CHECK(build.api.size() == 0);
}

TEST_CASE("the objects of a build, the Job last; the cluster removes it where that was wanted") {
    std::string secret_name;
    bool is_prepared = false;
    const UploadedContext uploaded{{.url = "s3://b/k",
                                    .prepare =
                                        [&is_prepared](PodSpec&, PodContext& context) {
                                            is_prepared = true;
                                            CHECK(context.client == nullptr);
                                        }},
                                   {}};
    const auto objects_with = [&](const KubernetesOptions& options) {
        return detail::builder_objects(
            options, "abc",
            {.image = "k.example/kaniko:1", .context = uploaded.url(), .destination = "r/x:1"},
            uploaded,
            [&secret_name](PodSpec&, std::vector<Json>& beside, const std::string& name) {
                secret_name = name;
                beside.push_back(
                    {{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", name}}}});
            },
            {}, {});
    };
    const std::vector<Json> objects = objects_with({});
    REQUIRE(objects.size() == 2);
    CHECK(is_prepared);
    CHECK(secret_name == "fairing-builder-abc-registries");
    CHECK(objects[0]["metadata"]["labels"]["fairing-id"] == "abc");
    const Json& job = objects[1];
    CHECK(job["kind"] == "Job");
    CHECK(job["metadata"]["name"] == "fairing-builder-abc");
    CHECK(job["metadata"]["labels"]["fairing-deployer"] == "builder");
    CHECK_FALSE(job["metadata"].contains("namespace"));  // it is not known yet
    CHECK(job["spec"]["backoffLimit"] == 0);
    CHECK(job["spec"]["template"]["spec"]["containers"][0]["image"] == "k.example/kaniko:1");
    for (const Cleanup cleanup : {Cleanup::never, Cleanup::when_done}) {
        CHECK_FALSE(
            objects_with({.cleanup = cleanup}).back()["spec"].contains("ttlSecondsAfterFinished"));
    }
    CHECK(objects_with({.cleanup = Cleanup::always}).back()["spec"]["ttlSecondsAfterFinished"] ==
          300);
    CHECK(objects_with({.name = "mine"}).back()["metadata"]["name"] == "mine");
    CHECK(secret_name == "mine-registries");
}
