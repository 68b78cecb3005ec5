#include "fairing/deployers/job.hpp"

#include <doctest/doctest.h>

#include <thread>

#include "../support/memory_site.hpp"
#include "../support/openapi.hpp"

using namespace fairing;

namespace {

const Image sample_image{.reference = "r.example/team/job:1@sha256:" + std::string(64, '0'),
                         .command = {"python3", "/app/train.py"}};

/// The document of a pod of the run, with this status.
Json pod_of_job(const Json& job, const char* status) {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata",
             {{"name", "fairing-job-abc-x"},
              {"namespace", "team"},
              {"labels", {{"fairing-id", "abc"}}},
              {"ownerReferences",
               Json::array({Json{{"kind", "Job"}, {"uid", job["metadata"]["uid"]}}})}}},
            {"spec", {{"containers", Json::array({Json{{"name", "fairing-job"}}})}}},
            {"status", Json::parse(status)}};
}

/// Plays the controllers and the kubelet: the Job starts a pod, which ends with that code.
void play(support::MemoryApi& api, int exit_code) {
    Json job = api.await("Job");
    job["status"] = {{"active", 1}, {"startTime", "2026-01-01T00:00:00Z"}};
    api.put(job);
    api.set_log("fairing-job-abc-x", {"epoch 1", "epoch 2"});
    api.put(pod_of_job(job, R"({"phase": "Running", "containerStatuses": [{"name": "fairing-job",
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]})"));
    Json ended = pod_of_job(job, R"({"containerStatuses": [{"name": "fairing-job",
        "state": {"terminated": {"finishedAt": "2026-01-01T00:00:09Z", "reason": "Error"}}}]})");
    ended["status"]["phase"] = exit_code == 0 ? "Succeeded" : "Failed";
    ended["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] = exit_code;
    api.put(ended);
    job["status"]["conditions"] =
        exit_code == 0
            ? Json::parse(R"([{"type": "Complete", "status": "True"}])")
            : Json::parse(
                  R"([{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded"}])");
    api.put(job);
}

}  // namespace

TEST_CASE("a Job has Fairing's labels, names and limits, and equal run ids give equal bytes") {
    const JobDeployer deployer{
        .kubernetes = {.namespace_ = "ml",
                       .labels = {{"team", "vision"}},
                       .pod_spec_mutators = {resources({.cpu = 1, .memory_gb = 5})},
                       .run_id = "abc"},
        .runs = 3};
    const std::vector<Json> objects = deployer.manifests(sample_image, {});
    REQUIRE(objects.size() == 1);
    Json wanted = Json::parse(R"({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": {"name": "fairing-job-abc", "namespace": "ml",
            "labels": {"fairing-deployer": "job", "fairing-id": "abc", "team": "vision"},
            "annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {"parallelism": 3, "completions": 3, "backoffLimit": 0, "template": {
            "metadata": {"labels": {"fairing-deployer": "job", "fairing-id": "abc", "team": "vision"},
                "annotations": {"sidecar.istio.io/inject": "false"}},
            "spec": {"restartPolicy": "Never", "containers": [{
                "name": "fairing-job", "image": "IMAGE",
                "command": ["python3", "/app/train.py"], "workingDir": "/app/",
                "env": [{"name": "FAIRING_RUNTIME", "value": "1"}],
                "resources": {"limits": {"cpu": "1", "memory": "4.66Gi"}},
                "securityContext": {"runAsUser": 0}}]}}}})");
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = sample_image.reference;
    CHECK(objects[0] == wanted);
    CHECK(deployer.manifests(sample_image, {})[0].dump() == objects[0].dump());
    const JobDeployer unnamed;
    CHECK(unnamed.manifests(sample_image, {})[0].dump() ==
          unnamed.manifests(sample_image, {})[0].dump());
}

TEST_CASE("several workers know rank, world size and where rank 0 is") {
    const JobDeployer deployer{.kubernetes = {.namespace_ = "ml", .run_id = "abc"}, .workers = 4};
    const std::vector<Json> objects = deployer.manifests(sample_image, {});
    REQUIRE(objects.size() == 2);
    const Json& service = objects[0];
    CHECK(service["kind"] == "Service");
    CHECK(service["metadata"]["name"] == "fairing-job-abc");
    CHECK(service["metadata"]["labels"]["fairing-id"] == "abc");
    CHECK(service["spec"]["clusterIP"] == "None");
    CHECK(service["spec"]["selector"]["fairing-id"] == "abc");
    CHECK(service["spec"]["publishNotReadyAddresses"] == true);
    const Json& spec = objects[1]["spec"];
    CHECK(spec["completionMode"] == "Indexed");
    CHECK(spec["completions"] == 4);
    CHECK(spec["parallelism"] == 4);
    const Json& pod = spec["template"]["spec"];
    CHECK(pod["subdomain"] == "fairing-job-abc");
    std::map<std::string, Json> variables;
    for (const Json& each : pod["containers"][0]["env"]) {
        variables[each["name"]] = each;
    }
    CHECK(variables["WORLD_SIZE"]["value"] == "4");
    CHECK(variables["MASTER_ADDR"]["value"] == "fairing-job-abc-0.fairing-job-abc");
    CHECK(variables["MASTER_PORT"]["value"] == "29500");
    CHECK(variables["RANK"]["valueFrom"]["fieldRef"]["fieldPath"] ==
          "metadata.annotations['batch.kubernetes.io/job-completion-index']");
    if (const auto api = support::OpenApi::find()) {
        CHECK(api->findings(objects[0]).empty());
        CHECK(api->findings(objects[1]).empty());
    }
    for (const JobDeployer& bad : {JobDeployer{.runs = 2, .workers = 2}, JobDeployer{.workers = -1},
                                   JobDeployer{.workers = 2, .main_port = 70000},
                                   JobDeployer{.kubernetes = {.name = "1st"}, .workers = 2}}) {
        CHECK_THROWS_AS(bad.check(), Error);
    }
}

TEST_CASE("every option of a Job has its place") {
    const JobDeployer deployer{.kubernetes = {.name = "mine",
                                              .annotations = {{"note", "a b"}},
                                              .run_id = "abc",
                                              .queue = "q",
                                              .queue_priority = "high"},
                               .backoff_limit = 2,
                               .ttl_seconds_after_finished = 60,
                               .active_deadline_seconds = 3600,
                               .completion_mode = CompletionMode::indexed,
                               .suspend = true};
    const Json job = deployer.manifests(sample_image, {})[0];
    CHECK(job["metadata"]["name"] == "mine");
    CHECK_FALSE(job["metadata"].contains("namespace"));
    CHECK(job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q");
    CHECK(job["metadata"]["labels"]["kueue.x-k8s.io/priority-class"] == "high");
    CHECK(job["metadata"]["annotations"]["note"] == "a b");
    CHECK(job["spec"]["backoffLimit"] == 2);
    CHECK(job["spec"]["ttlSecondsAfterFinished"] == 60);
    CHECK(job["spec"]["activeDeadlineSeconds"] == 3600);
    CHECK(job["spec"]["completionMode"] == "Indexed");
    CHECK(job["spec"]["suspend"] == true);
    const JobDeployer always{.kubernetes = {.cleanup = Cleanup::always, .run_id = "abc"}};
    CHECK(always.manifests(sample_image, {})[0]["spec"]["ttlSecondsAfterFinished"] == 300);
}

TEST_CASE("manifests are what the Kubernetes schema says") {
    const auto schema = support::OpenApi::find();
    if (!schema) {
        MESSAGE("skipped: there is no Kubernetes OpenAPI below FAIRING_TEST_DATA");
        return;
    }
    Json wrong = JobDeployer{}.manifests(sample_image, {})[0];
    wrong["spec"]["runs"] = 3;
    wrong["spec"]["template"]["spec"]["containers"][0].erase("name");
    wrong["spec"]["parallelism"] = "3";
    CHECK(schema->findings(wrong).size() == 3);  // the check itself

    const JobDeployer deployer{
        .kubernetes = {.namespace_ = "ml",
                       .labels = {{"team", "vision"}},
                       .annotations = {{"note", "x"}},
                       .pod_spec_mutators = {tolerations(
                           {{.key = "gpu", .effect = "NoExecute", .seconds = 5}})},
                       .cleanup = Cleanup::always,
                       .resources = {.cpu = 0.5, .memory_gb = 1, .gpu = 1},
                       .environment = {{"A", "b"}},
                       .volumes = {"pvc:data:/mnt", "secret:s:/s:k", "config_map:c:/c"},
                       .node_selector = {{"disk", "ssd"}},
                       .service_account = "trainer",
                       .image_pull_secrets = {"one"},
                       .docker_credentials = true,
                       .priority_class = "low",
                       .queue = "q",
                       .queue_priority = "high"},
        .active_deadline_seconds = 10,
        .completion_mode = CompletionMode::indexed,
        .suspend = true};
    const std::vector<Json> objects = deployer.manifests(sample_image, {});
    CHECK(objects.size() == 2);
    for (const Json& object : objects) {
        CHECK(schema->findings(object) == std::vector<std::string>{});
    }
}

TEST_CASE("what is wrong is refused before any request") {
    support::MemorySite site;
    const auto refusal = [&](const JobDeployer& deployer, const Image& image = sample_image) {
        return support::error_of([&] { (void)deployer.deploy(image, site.session()); });
    };
    const auto with = [&](const auto& change) {
        JobDeployer deployer{.kubernetes = site.options()};
        change(deployer);
        return refusal(deployer);
    };
    CHECK(support::contains(with([](auto& d) { d.kubernetes.name = std::string(64, 'a'); }),
                            "64 characters"));
    CHECK(support::contains(with([](auto& d) { d.kubernetes.name = "a\r\nX: y"; }),
                            "cannot use name"));
    CHECK(
        support::contains(with([](auto& d) { d.kubernetes.run_id = "Run"; }), "cannot use run id"));
    CHECK(support::contains(with([](auto& d) { d.kubernetes.namespace_ = "A"; }),
                            "cannot use namespace"));
    CHECK(support::contains(with([](auto& d) { d.kubernetes.labels["team"] = "a b"; }),
                            "cannot use label team"));
    CHECK(support::contains(with([](auto& d) { d.kubernetes.queue = "a b"; }), "cannot use label"));
    CHECK(support::contains(with([](auto& d) { d.runs = 0; }), "cannot use runs 0"));
    const auto indexed = [&](std::size_t length) {
        return with([&](auto& d) {
            d.kubernetes.name = std::string(length, 'a');
            d.completion_mode = CompletionMode::indexed;
            d.runs = 11;
        });
    };
    CHECK(support::contains(indexed(61), "cannot use name of the last pod"));
    CHECK(support::contains(with([](auto& d) { d.active_deadline_seconds = 0; }),
                            "cannot use active_deadline_seconds 0"));
    CHECK(support::contains(refusal({.kubernetes = site.options()},
                                    {.reference = "oci:/x", .location = Location::layout}),
                            "where no cluster can pull it"));
    CHECK(support::contains(refusal({.kubernetes = site.options()},
                                    {.reference = "r.example/a", .location = Location::nowhere}),
                            "stored nowhere"));
    CHECK(site.api.requests().empty());
    CHECK(indexed(60).empty());
}

TEST_CASE("a check asks nobody, and calls no mutator") {
    const auto refusal = [](const KubernetesOptions& options) {
        return support::error_of([&] { JobDeployer{.kubernetes = options}.check(); });
    };
    bool is_called = false;
    const PodSpecMutator mutator = [&](PodSpec&, PodContext&) { is_called = true; };
    CHECK(refusal({.pod_spec_mutators = {mutator}, .config_file = "/nowhere"}).empty());
    CHECK_FALSE(is_called);
    CHECK(support::contains(refusal({.namespace_ = "A"}), "cannot use namespace"));
    CHECK(support::contains(refusal({.environment = {{"A=B", ""}}}), "cannot use variable"));
    CHECK(support::contains(refusal({.service_account = "A b"}), "cannot use service account"));
    CHECK(support::contains(refusal({.annotations = {{"a b", ""}}}), "cannot use annotation"));
}

TEST_CASE("an image that was not pushed yet can be rendered") {
    CHECK(JobDeployer{}
              .manifests({.reference = "r.example/a:1@sha256:0", .location = Location::nowhere}, {})
              .size() == 1);
    CHECK_THROWS(
        (void)JobDeployer{}.manifests({.reference = "oci:/x", .location = Location::layout}, {}));
}

TEST_CASE("a Job is created, followed to its end and removed, with five requests before it lives") {
    support::MemorySite site;
    const JobDeployer deployer{.kubernetes = site.options()};
    const Workload workload = deployer.deploy(sample_image, site.session());
    CHECK(workload.object().namespace_ == "team");
    CHECK(workload.object().name == "fairing-job-abc");
    std::thread cluster{[&] {
        // The first event comes when all watches are there, the worst case.
        CHECK(site.api.await_request("GET /api/v1/namespaces/team/pods?"));
        play(site.api, 0);
    }};
    const Session session = site.session();
    const Outcome outcome = workload.follow(session.output);
    cluster.join();
    CHECK(outcome.state == State::succeeded);
    CHECK(outcome.exit_code == 0);
    CHECK(site.output == std::vector<std::string>{"epoch 1", "epoch 2"});
    CHECK(site.api.requests_before_first_event() <= 5);
    CHECK(site.api.size() == 0);  // no Job, no pod
    CHECK(workload.status().state == State::succeeded);
}

TEST_CASE("a training that fails gives its exit code and the tail of its log") {
    support::MemorySite site;
    KubernetesOptions options = site.options();
    options.cleanup = Cleanup::never;
    SUBCASE("with its log") {}
    SUBCASE("without its log") { options.stream_log = false; }
    const Workload workload =
        JobDeployer{.kubernetes = options}.deploy(sample_image, site.session());
    std::thread cluster{[&] { play(site.api, 7); }};
    const Session session = site.session();
    const Outcome outcome = workload.follow(session.output);
    cluster.join();
    CHECK(outcome.state == State::failed);
    CHECK(outcome.exit_code == 7);
    CHECK(outcome.reason == "container fairing-job of pod fairing-job-abc-x exited with code 7");
    CHECK(outcome.tail == std::vector<std::string>{"epoch 1", "epoch 2"});
    CHECK(site.output.empty() == !options.stream_log);
    CHECK(site.api.size() == 2);  // kept
    workload.remove();
    CHECK(site.api.size() == 0);
}

TEST_CASE("the same run id finds the Job of the first deploy") {
    support::MemorySite site;
    const JobDeployer deployer{.kubernetes = site.options()};
    const Workload first = deployer.deploy(sample_image, site.session());
    const Workload second = deployer.deploy(sample_image, site.session());
    CHECK(first.object().name == second.object().name);
    CHECK(site.api.size() == 1);
}

TEST_CASE("what is rendered is what is stored") {
    support::MemorySite site;
    KubernetesOptions options = site.options();
    options.namespace_ = "ml";
    const JobDeployer deployer{.kubernetes = options};
    (void)deployer.deploy(sample_image, site.session());
    Json stored = site.api.get("Job", "fairing-job-abc").value();
    stored["metadata"].erase("uid");
    stored["metadata"].erase("resourceVersion");
    CHECK(stored == deployer.manifests(sample_image, {})[0]);
}

TEST_CASE("credentials become a secret that goes with the Job") {
    support::MemorySite site;
    Session session = site.session();
    session.credentials = [](const CredentialRequest&) {
        return std::optional{Credential{.user = "u", .password = Secret{"p"}}};
    };
    KubernetesOptions options = site.options();
    options.docker_credentials = true;
    const JobDeployer deployer{.kubernetes = options};
    const Workload workload = deployer.deploy(sample_image, session);
    const Json job = site.api.get("Job", "fairing-job-abc").value();
    const Json secret = site.api.get("Secret", "fairing-job-abc-docker").value();
    CHECK(secret["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]);
    CHECK(secret["metadata"]["labels"]["fairing-id"] == "abc");
    CHECK(job["spec"]["template"]["spec"]["imagePullSecrets"][0]["name"] ==
          "fairing-job-abc-docker");
    // Rendered, it shows nothing.
    CHECK(deployer.manifests(sample_image, session)[0]["data"][".dockerconfigjson"] == "e30=");
    workload.remove();
    CHECK(site.api.size() == 0);
}

TEST_CASE("a dry run at the server stores nothing and hides secrets") {
    support::MemorySite site;
    KubernetesOptions options = site.options();
    options.pod_spec_mutators = {[](PodSpec&, PodContext& context) {
        context.objects.push_back({{"apiVersion", "v1"},
                                   {"kind", "Secret"},
                                   {"metadata", {{"name", "s"}}},
                                   {"data", {{"key", "c2VjcmV0"}}}});
    }};
    const auto objects = JobDeployer{.kubernetes = options}.dry_run(sample_image, site.session());
    REQUIRE(objects.size() == 2);
    CHECK(objects[0]["data"]["key"] == "cmVkYWN0ZWQ=");
    CHECK(objects[1]["metadata"]["uid"] == "dry");
    CHECK(site.api.size() == 0);
}
