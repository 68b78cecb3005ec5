#include "fairing/builders/cluster.hpp"

#include <doctest/doctest.h>

#include <map>
#include <thread>

#include "../support/builder_site.hpp"
#include "../support/openapi.hpp"
#include "../support/variables.hpp"

using namespace fairing;

namespace {

const std::string digest = "sha256:" + std::string(64, 'd');

struct Site : support::BuilderSite {
    ClusterBuilder builder{.base_image = "b.example/base:1",
                           .registry = "r.example/team",
                           .tag = "v1",
                           .kaniko_image = "k.example/kaniko:1",
                           .context_source = {.image = "scratch"},
                           .kubernetes = {.config_file = space / "kubeconfig", .run_id = "abc"}};
    Json job = {}, secret = {};  ///< as they were stored

    /// Plays the controllers and the kubelet: the Job's pod ends so.
    void play(int exit_code, const std::string& message,
              const std::function<void()>& before_end = {}) {
        job = api.await("Job");
        secret = api.get("Secret", "fairing-builder-abc-registries").value_or(Json());
        job["status"] = {{"active", 1}, {"startTime", "2026-01-01T00:00:00Z"}};
        api.put(job);
        api.set_log("fairing-builder-abc-x", {"FROM b.example/base", "no space left"});
        api.put(pod(R"({"running": {"startedAt": "2026-01-01T00:00:00Z"}})", "Running"));
        if (before_end) {
            before_end();
        }
        Json state = {{"terminated",
                       {{"exitCode", exit_code},
                        {"finishedAt", "2026-01-01T00:00:09Z"},
                        {"reason", exit_code == 0 ? "Completed" : "Error"},
                        {"message", message}}}};
        api.put(pod(state.dump(), exit_code == 0 ? "Succeeded" : "Failed"));
        Json ended = job;
        ended["status"]["conditions"] = Json::array(
            {Json{{"type", exit_code == 0 ? "Complete" : "Failed"}, {"status", "True"}}});
        api.put(ended);
    }
    [[nodiscard]] Json pod(const std::string& state, const char* phase) const {
        return {{"apiVersion", "v1"},
                {"kind", "Pod"},
                {"metadata",
                 {{"name", "fairing-builder-abc-x"},
                  {"namespace", "team"},
                  {"labels", {{"fairing-id", "abc"}}},
                  {"ownerReferences",
                   Json::array({Json{{"kind", "Job"}, {"uid", job["metadata"]["uid"]}}})}}},
                {"spec", {{"containers", Json::array({Json{{"name", "kaniko"}}})}}},
                {"status",
                 {{"phase", phase},
                  {"containerStatuses",
                   Json::array({Json{{"name", "kaniko"}, {"state", Json::parse(state)}}})}}}};
    }
    [[nodiscard]] Image build(int exit_code, const std::string& message,
                              const std::function<void()>& before_end = {}) {
        const std::jthread cluster{
            [this, exit_code, message, before_end] { play(exit_code, message, before_end); }};
        return builder.build(context, session());
    }
    /// Nothing of the build is left in the cluster, nor its context in the registry.
    [[nodiscard]] bool is_clean() {
        for (const std::string& tag : tags("team/fairing-job")) {
            if (tag.starts_with("fairing-context-")) {
                return false;
            }
        }
        return api.size() == 0;
    }
    /// The refusal, before anybody was asked.
    [[nodiscard]] std::string refusal() {
        const std::string text =
            support::error_of([this] { static_cast<void>(builder.build(context, session())); });
        CHECK(api.requests().empty());
        CHECK(registry.requests.empty());
        return text;
    }
};

Json config_of(const Json& secret) {
    return Json::parse(
        codec::base64_decode(secret["data"][".dockerconfigjson"].get<std::string>()));
}

}  // namespace

TEST_CASE("the Job, its Secret and the context as they are stored; nothing is left of them") {
    Site site;
    const Image image = site.build(0, digest + "\n");
    CHECK(image.reference == "r.example/team/fairing-job:v1@" + digest);
    CHECK(image.digest == digest);
    CHECK(image.location == Location::registry);
    CHECK(image.command == site.context.command);
    CHECK(site.has_said("no space left"));
    CHECK(site.is_clean());

    const std::string carrier = site.job["spec"]["template"]["spec"]["initContainers"][0]["image"];
    CHECK(carrier.starts_with("r.example/team/fairing-job:fairing-context-abc@sha256:"));
    Json wanted = Json::parse(R"({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "fairing-builder-abc", "namespace": "team", "annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {"backoffLimit": 0, "template": {
            "metadata": {"annotations": {"sidecar.istio.io/inject": "false"}},
            "spec": {"restartPolicy": "Never",
                "imagePullSecrets": [{"name": "fairing-builder-abc-registries"}],
                "initContainers": [{"name": "context", "image": "CARRIER",
                    "command": ["cp", "-a", ".", "/workspace"], "workingDir": "/fairing-context",
                    "securityContext": {"runAsUser": 0},
                    "volumeMounts": [{"name": "fairing-context", "mountPath": "/workspace"}]}],
                "containers": [{"name": "kaniko", "image": "k.example/kaniko:1",
                    "args": ["--dockerfile=Dockerfile", "--context=dir:///workspace",
                        "--destination=r.example/team/fairing-job:v1",
                        "--digest-file=/dev/termination-log", "--log-format=text"],
                    "securityContext": {"runAsUser": 0},
                    "volumeMounts": [
                        {"name": "fairing-volume-fairing-builder-abc-registries",
                         "mountPath": "/kaniko/.docker/", "readOnly": true},
                        {"name": "fairing-context", "mountPath": "/workspace"}]}],
                "volumes": [
                    {"name": "fairing-volume-fairing-builder-abc-registries", "secret": {
                        "secretName": "fairing-builder-abc-registries",
                        "items": [{"key": ".dockerconfigjson", "path": "config.json"}]}},
                    {"name": "fairing-context", "emptyDir": {}}]}}}})");
    const Json labels = {{"fairing-id", "abc"},
                         {"fairing-deployer", "builder"},
                         {"fairing-builder", "kaniko"},
                         {"fairing-build-id", "abc"}};
    wanted["metadata"]["labels"] = labels;
    wanted["spec"]["template"]["metadata"]["labels"] = labels;
    wanted["spec"]["template"]["spec"]["initContainers"][0]["image"] = carrier;
    Json stored = site.job;
    for (const char* key : {"uid", "resourceVersion"}) {
        stored["metadata"].erase(key);
    }
    stored.erase("status");
    CHECK(stored == wanted);
    if (const auto api = support::OpenApi::find()) {
        CHECK(api->findings(wanted).empty());
    }

    // Only the registries of the target and of the base, and only in a Secret.
    CHECK(config_of(site.secret) ==
          Json{{"auths",
                {{"r.example", {{"auth", codec::base64_encode("me-at-r.example:s3cret")}}},
                 {"b.example", {{"auth", codec::base64_encode("me-at-b.example:s3cret")}}}}}});
    CHECK(site.secret["metadata"]["labels"]["fairing-build-id"] == "abc");
    CHECK_FALSE(support::contains(site.job.dump(), "s3cret"));
    for (const LogRecord& record : site.said) {
        CHECK_FALSE(support::contains(record.text, "s3cret"));
    }
}

TEST_CASE("a build that fails is an error with the log's last lines, and leaves nothing") {
    Site site;
    try {
        static_cast<void>(site.build(1, ""));
        FAIL("it did not fail");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::input);
        CHECK(support::contains(error.what(), "Job team/fairing-builder-abc"));
        CHECK(support::contains(error.what(), "its last words: FROM b.example/base no space left"));
    }
    CHECK(site.is_clean());
}

TEST_CASE("a stop leaves neither Job nor Secret nor context") {
    Site site;
    std::exception_ptr thrown;
    const std::jthread cluster{[&site] {
        site.job = site.api.await("Job");
        site.api.put(site.pod(R"({"running": {"startedAt": "2026-01-01T00:00:00Z"}})", "Running"));
        static_cast<void>(site.api.await_request("GET /api/v1/namespaces/team/pods/"));
        site.stop.request_stop();
    }};
    CHECK_THROWS_AS(static_cast<void>(site.builder.build(site.context, site.session())), Cancelled);
    site.api.remove("Pod", "fairing-builder-abc-x");
    CHECK(site.is_clean());

    // Before there is a Job: the context goes all the same.
    Site early;
    early.api.intercept([&early](const std::string& request) -> std::optional<net::Response> {
        if (request.starts_with("POST ")) {
            early.stop.request_stop();
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
        }
        return std::nullopt;
    });
    CHECK_THROWS_AS(static_cast<void>(early.builder.build(early.context, early.session())),
                    Cancelled);
    CHECK(early.is_clean());
}

TEST_CASE("a build whose digest nobody left: the registry is asked") {
    Site site;
    std::string pushed;
    const Image image = site.build(0, "Killed", [&] {
        pushed = AppendBuilder{.base_image = "scratch", .registry = "r.example/team", .tag = "v1"}
                     .build(site.context, {.transport = std::ref(site.registry)})
                     .digest;
    });
    CHECK(image.digest == pushed);
    CHECK(image.reference == "r.example/team/fairing-job:v1@" + pushed);
    // What is not there is an error, and not an image.
    Site empty;
    CHECK_THROWS_AS(static_cast<void>(empty.build(0, "")), Error);
    CHECK(empty.is_clean());
}

TEST_CASE("a kept Job, a registry that lets nobody remove, a second build that sends little") {
    Site site;
    site.builder.kubernetes.cleanup = Cleanup::never;
    site.registry.lets_remove = false;
    static_cast<void>(site.build(0, digest));
    CHECK(site.api.get("Job", "fairing-builder-abc"));
    CHECK(site.api.get("Secret", "fairing-builder-abc-registries"));
    CHECK(site.has_said("the context of the build stays in the registry", Level::debug));
    CHECK_FALSE(site.has_said("the context of the build stays in the registry"));
    CHECK(site.tags("team/fairing-job") == std::vector<std::string>{"fairing-context-abc"});

    site.api.remove("Job", "fairing-builder-abc");
    site.builder.kubernetes.cleanup = {};
    site.registry.lets_remove = true;
    site.registry.requests.clear();
    static_cast<void>(site.build(0, digest));
    // The layer with the Dockerfile, which is a new file, and the config; both are small.
    CHECK(site.registry.count("POST ") == 2);
    CHECK(site.registry.count("PUT /v2/team/fairing-job/blobs/") == 2);
    CHECK(site.registry.count("HEAD /v2/team/fairing-job/blobs/") == 0);
}

TEST_CASE("anonymous, not pushed, cached, on another platform, with more arguments") {
    Site site;
    site.builder.base_image = "anonymous.example/base";
    site.builder.registry.clear();
    site.builder.push = false;
    site.builder.cache = true;
    site.builder.platform = "linux/arm64";
    site.builder.kaniko_arguments = {"--single-snapshot", "--label=price=$(HOME)"};
    std::string members;
    bool removed = false;
    site.builder.upload_context = [&](const ContextUpload& upload) {
        codec::GunzipReader reader{[&members](std::span<const std::byte> bytes) {
            members.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        }};
        upload.archive.read({0, upload.archive.size},
                            [&reader](std::span<const std::byte> bytes) { reader.write(bytes); });
        reader.finish();
        CHECK(upload.hash == "abc");
        CHECK(upload.namespace_ == "team");
        return UploadedContext{{.url = "s3://b/k",
                                .arguments = {"--skip-unused-stages"},
                                .remove = [&removed] { removed = true; }},
                               {}};
    };
    site.builder.tag.clear();
    const Image image = site.build(0, digest);
    const Json& pod = site.job["spec"]["template"]["spec"];
    const Image appended =
        AppendBuilder{.base_image = "scratch", .push = false}.build(site.context, {});
    CHECK(image.context_digest == appended.context_digest);
    CHECK(image.reference == "fairing-job:" + image.tag + '@' + digest);
    CHECK(image.location == Location::nowhere);
    CHECK(pod["containers"][0]["args"] ==
          Json{"--dockerfile=Dockerfile", "--context=s3://b/k",
               "--destination=localhost/fairing-job:" + image.tag,
               "--digest-file=/dev/termination-log", "--log-format=text", "--no-push",
               "--cache=true", "--custom-platform=linux/arm64", "--skip-unused-stages",
               "--single-snapshot", "--label=price=$$(HOME)"});
    CHECK(site.secret.is_null());
    CHECK_FALSE(pod.contains("volumes"));
    CHECK(support::contains(members, "FROM anonymous.example/base\n"));
    CHECK(support::contains(members, "app/train.py"));
    CHECK(removed);
    CHECK(site.is_clean());
}

TEST_CASE("who is somebody else at the base's repository than at the target's is both") {
    Site site;
    const auto entry = [](const std::string& login) {
        return Json{{"auth", codec::base64_encode(login)}};
    };
    site.space.file(
        "docker/config.json",
        Json{{"auths",
              {{"r.example/team", entry("team:one")}, {"r.example/bases", entry("bases:two")}}}}
            .dump());
    const support::Variables variables{{{"DOCKER_CONFIG", site.space / "docker"}}};
    const auto auths = [&](const std::string& base) {
        site.builder.base_image = base;
        Session session = site.session();
        session.credentials = {};
        {
            const std::jthread cluster{[&site] { site.play(0, digest); }};
            static_cast<void>(site.builder.build(site.context, session));
        }
        return config_of(site.secret)["auths"];
    };
    CHECK(auths("r.example/team/base") == Json{{"r.example", entry("team:one")}});
    CHECK(auths("r.example/bases/python") ==
          Json{{"r.example", entry("team:one")}, {"r.example/bases/python", entry("bases:two")}});
}

TEST_CASE("what a build would give is told without one") {
    Site site;
    site.builder.tag.clear();
    const Image foreseen = site.builder.foresee(site.context, site.session());
    CHECK(site.api.requests().empty());
    CHECK(site.registry.requests.empty());
    CHECK(foreseen.location == Location::nowhere);
    const Image image = site.build(0, digest);
    CHECK(image.reference == foreseen.reference + '@' + digest);
    CHECK(image.tag == foreseen.tag);
    site.builder.kaniko_arguments = {"--build-arg=A=1"};
    CHECK(site.builder.foresee(site.context, site.session()).tag != image.tag);
    CHECK(image.context_digest == foreseen.context_digest);
}

TEST_CASE("what can not be built is refused before anybody is asked") {
    const auto refusal = [](const std::function<void(ClusterBuilder&)>& change) {
        Site site;
        change(site.builder);
        return site.refusal();
    };
    using B = ClusterBuilder;
    CHECK(support::contains(refusal([](B& b) { b.registry = "oci:/tmp/x"; }), "registries only"));
    CHECK(support::contains(refusal([](B& b) { b.registry = ""; }), "--registry"));
    CHECK(support::contains(refusal([](B& b) {
                                b.registry = "";
                                b.push = false;
                            }),
                            "--context-source"));
    for (const std::string hostile : {"a\nb", "$(touch x)", "-flag", "a\"b", "A"}) {
        CAPTURE(hostile);
        CHECK_FALSE(refusal([&](B& b) { b.image_name = hostile; }).empty());
        CHECK_FALSE(refusal([&](B& b) { b.kubernetes.run_id = hostile; }).empty());
        CHECK_FALSE(refusal([&](B& b) { b.kubernetes.namespace_ = hostile; }).empty());
        CHECK_FALSE(refusal([&](B& b) { b.kaniko_image = hostile + ' '; }).empty());
        CHECK_FALSE(refusal([&](B& b) { b.kaniko_arguments = {hostile}; }).empty());
        CHECK_FALSE(refusal([&](B& b) { b.base_image = "b.example/" + hostile; }).empty());
    }
    CHECK(support::contains(refusal([](B& b) { b.kaniko_arguments = {"--destination=x"}; }),
                            "the builder says that itself"));
    CHECK(support::contains(refusal([](B& b) { b.context_source = {.bucket = "b"}; }),
                            "it belongs to s3"));
    CHECK(support::contains(refusal([](B& b) { b.platform = "windows"; }), "windows"));
    CHECK(support::contains(refusal([](B& b) { b.dockerfile_path = "/nowhere/x"; }), "/nowhere/x"));
}

TEST_CASE("options in JSON: where the cluster is, and the context source as an object") {
    const auto builder = stage_from<ClusterBuilder>(
        Json::parse(R"({"registry": "r.example/x", "namespace": "ml", "cleanup": "never",
            "context_source": {"name": "s3", "bucket": "b"}, "resources": {"cpu": 2}})"),
        "builder cluster");
    CHECK(builder.kubernetes.namespace_ == "ml");
    CHECK(builder.kubernetes.cleanup == Cleanup::never);
    CHECK(builder.kubernetes.resources.cpu == 2);
    CHECK(builder.context_source.name == ContextStore::s3);
    CHECK(builder.context_source.bucket == "b");
    CHECK_THROWS_AS(static_cast<void>(stage_from<ClusterBuilder>(
                        Json::parse(R"({"context_source": {"name": "ftp"}})"), "builder cluster")),
                    Error);
}
