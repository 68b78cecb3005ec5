#include "fairing/backends.hpp"

#include <doctest/doctest.h>

#include <map>

#include "support/builder_site.hpp"
#include "support/ecr_double.hpp"
#include "support/scripted_transport.hpp"
#include "support/variables.hpp"

using namespace fairing;
using support::contains;

namespace {

const std::string ecr_host = support::EcrDouble::host;

/// A context, a cluster and registries, and an engine that the environment names.
struct Site : support::BuilderSite {
    struct WithEngine {
        test::ScriptedTransport& engine;
        Hosts others;
        net::Response send(const net::Request& request, const net::BodySink& sink,
                           const std::stop_token& stopping) const {
            return request.url.starts_with("http://engine.example")
                       ? engine.send(request, sink, stopping)
                       : others.send(request, sink, stopping);
        }
    };

    support::Variables variables{
        {{"DOCKER_HOST", "tcp://engine.example"}, {"KUBERNETES_SERVICE_HOST", ""}}};
    test::ScriptedTransport engine = {};
    BackendBuilder builder{.backend = {.context_source = {{.image = "scratch"}}},
                           .base_image = "scratch",
                           .registry = "r.example/team",
                           .kubernetes = {.name = "mine",
                                          .config_file = space / "kubeconfig",
                                          .run_id = "abc",
                                          .environment = {{"A", "1"}}}};

    void require_packages() {
        space.file("requirements.txt", "numpy\n");
        context.files.insert(context.files.begin(), {.source = space / "requirements.txt",
                                                     .destination = "/app/requirements.txt",
                                                     .size = 6});
    }
    /// One that answers, and fails to build.
    void expect_docker() {
        const net::Response version{.status = 200, .body = R"({"ApiVersion": "1.41"})"};
        engine.expect("GET", "http://engine.example:2375/version", version)
            .expect("GET", "http://engine.example:2375/version", version)
            .expect("POST", "", {.status = 200, .body = "{\"error\": \"no pip in the base\"}\n"});
    }
    /// What a build says in the end; the cluster takes no Job.
    [[nodiscard]] std::string build() {
        api.intercept([](const std::string& request) -> std::optional<net::Response> {
            return contains(request, "POST /apis/batch/v1/namespaces/team/jobs")
                       ? std::optional{net::Response{.status = 422, .body = "no Job here"}}
                       : std::nullopt;
        });
        Session all = session();
        all.transport = WithEngine{engine, {api, registry}};
        return support::error_of([&] { static_cast<void>(builder.build(context, all)); });
    }
};

/// What the mutators make of a pod, and of objects beside it, offline.
struct Mutated {
    PodSpec pod{Json{{"containers", Json::array({Json{{"name", "main"}}})}}};
    std::vector<Json> objects = {};

    explicit Mutated(const KubernetesOptions& options) {
        const std::string namespace_, role, workload = "w";
        const Session session;
        PodContext context{namespace_, role, nullptr, session, objects, workload};
        for (const PodSpecMutator& mutator : options.pod_spec_mutators) {
            mutator(pod, context);
        }
    }
    /// The pod's variables and mounts, in order.
    [[nodiscard]] std::string text() {
        std::string all;
        for (const auto& [list, key] : {std::pair{"env", "name"}, {"volumeMounts", "mountPath"}}) {
            for (const Json& each : pod.container().value(list, Json::array())) {
                all += (all.empty() ? "" : " ") + each[key].get<std::string>();
            }
        }
        return all;
    }
};

/// Builds in the cluster of that platform, for somebody or nobody at the registry.
ClusterBuilder cluster_builder(Platform platform, const std::string& registry,
                               const std::string& user = {},
                               std::optional<ContextSourceOptions> context_source = {}) {
    const Session session{.credentials = [&user](const CredentialRequest&) {
        return std::optional{Credential{.user = user, .password = Secret{user}}};
    }};
    return detail::cluster_builder(
        {.backend = {.platform = platform, .context_source = std::move(context_source)},
         .registry = registry},
        oci::parse_reference(registry + "/fairing-job"), session);
}

}  // namespace

TEST_CASE("nothing to install: the context is appended; ECR gets its repository") {
    Site site;
    CHECK(site.build().empty());
    CHECK(site.engine.recorded().empty());
    CHECK(site.api.requests().empty());
    CHECK(site.tags("team/fairing-job").size() == 1);

    support::EcrDouble ecr;
    site.builder.backend.platform = Platform::aws;
    site.builder.registry = ecr_host + "/team";
    const Image image = site.builder.build(site.context, {.transport = std::ref(ecr)});
    CHECK(image.reference.starts_with(ecr_host + "/team/fairing-job:"));
    CHECK(ecr.repositories == std::set<std::string>{"team/fairing-job"});
}

TEST_CASE("packages to install: Docker builds when it answers") {
    Site site;
    site.require_packages();
    site.expect_docker();
    CHECK(contains(site.build(), "no pip in the base"));
    CHECK(site.engine.complaint().empty());
    CHECK(contains(site.engine.recorded().at(2).url, "/build?"));
    CHECK(contains(site.engine.recorded().at(2).body, "requirements.txt"));
    CHECK(site.has_said("building with Docker"));
}

TEST_CASE("whichever builder is chosen builds for the platform, and trusts as it is told") {
    Site site;
    site.builder.platform = "linux/arm64";
    site.builder.insecure = true;
    site.builder.ca_file = site.space / "ca.pem";
    struct Plain {
        support::MemoryRegistry& registry;
        net::Response send(const net::Request& request, const net::BodySink& sink,
                           const std::stop_token& stopping) const {
            CHECK(request.url.starts_with("http://r.example/"));
            return registry.send(request, sink, stopping);
        }
    };
    const Session plain{.transport = Plain{site.registry}};
    CHECK(contains(site.builder.build(site.context, plain).platform, "arm64"));

    const ClusterBuilder cluster = detail::cluster_builder(
        site.builder, oci::parse_reference("r.example/team/fairing-job"), site.session());
    CHECK(cluster.platform == site.builder.platform);
    CHECK(cluster.insecure);
    CHECK(cluster.ca_file == site.builder.ca_file);

    site.require_packages();
    site.expect_docker();
    CHECK(contains(site.build(), "no pip in the base"));
    CHECK(contains(site.engine.recorded().at(2).url, "platform=linux%2Farm64"));
    CHECK(site.has_said("ca.pem is left out"));
}

TEST_CASE("packages to install: the cluster builds when Docker does not answer, and in a pod") {
    Site silent;
    silent.require_packages();
    silent.engine.expect("GET", "http://engine.example:2375/version", {.status = 403});
    CHECK(contains(silent.build(), "no Job here"));
    CHECK(silent.engine.complaint().empty());
    CHECK(silent.has_said("building in the cluster"));

    Site pod;
    pod.require_packages();
    const support::Variables inside{{{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}}};
    CHECK(contains(pod.build(), "no Job here"));
    CHECK(pod.engine.recorded().empty());
}

TEST_CASE("every platform: the store of its builds, the credentials of its pods, its namespace") {
    struct Expected {
        Platform platform;
        ContextStore store;
        std::string credentials, namespace_;
        std::string registry = "r.example/team";
    };
    const std::string gcp = "GOOGLE_APPLICATION_CREDENTIALS /etc/secrets";
    const std::string aws = "AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY";
    const std::string acr = "team.azurecr.io";
    const support::Variables outside{{{"KUBERNETES_SERVICE_HOST", ""}}};
    for (const Expected& each : std::vector<Expected>{
             {Platform::kubernetes, ContextStore::registry, "", ""},
             {Platform::gke, ContextStore::gcs, gcp, ""},
             {Platform::aws, ContextStore::s3, aws, ""},
             {Platform::azure, ContextStore::azure_files, "", "", acr},
             {Platform::ibm_cloud, ContextStore::cos, "", ""},
             {Platform::kubeflow, ContextStore::registry, "", "kubeflow"},
             {Platform::kubeflow_gke, ContextStore::gcs, gcp, "kubeflow"},
             {Platform::kubeflow_aws, ContextStore::s3, aws, "kubeflow"},
             {Platform::kubeflow_azure, ContextStore::azure_files, "", "kubeflow", acr}}) {
        CAPTURE(static_cast<int>(each.platform));
        const Backend backend{.platform = each.platform};
        const JobDeployer training = backend.training_deployer();
        CHECK(Mutated{training.kubernetes}.text() == each.credentials);
        CHECK(training.kubernetes.namespace_ == each.namespace_);
        CHECK(backend.training_deployer({.namespace_ = "ml"}).kubernetes.namespace_ == "ml");
        CHECK(backend.training_deployer({.profile = "ann"}).kubernetes.namespace_.empty());

        const ServingDeployer serving =
            backend.serving_deployer("Houses", {}, ServiceType::load_balancer);
        CHECK(serving.kubernetes.pod_spec_mutators.empty());
        CHECK(serving.kubernetes.namespace_ == each.namespace_);
        CHECK(serving.serving_class == "Houses");
        CHECK(serving.service_type == ServiceType::load_balancer);

        const ClusterBuilder builder = cluster_builder(each.platform, each.registry, "me");
        CHECK(builder.context_source.name == each.store);
        CHECK(builder.kubernetes.namespace_ == each.namespace_);
        CHECK(Mutated{builder.kubernetes}.text().empty());  // its own store gives them
        const ClusterBuilder other =
            cluster_builder(each.platform, each.registry, "me", {{.name = ContextStore::registry}});
        CHECK(other.context_source.name == ContextStore::registry);
        CHECK(Mutated{other.kubernetes}.text() == each.credentials);
    }
    const support::Variables inside{{{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}}};
    CHECK(
        Backend{.platform = Platform::kubeflow}.training_deployer().kubernetes.namespace_.empty());
}

TEST_CASE("a build in the cluster is by the backend's Kaniko image, or the builder's own") {
    Site site;
    const auto image = [&site] {
        return detail::cluster_builder(
                   site.builder, oci::parse_reference("r.example/team/fairing-job"), site.session())
            .kaniko_image;
    };
    CHECK(image() == ClusterBuilder{}.kaniko_image);
    site.builder.backend.kaniko_image = "mirror.example/kaniko:1";
    CHECK(image() == "mirror.example/kaniko:1");
}

TEST_CASE("who is nobody at the platform's registry here lets the cluster's own prove it there") {
    Mutated ecr{cluster_builder(Platform::aws, ecr_host + "/team").kubernetes};
    CHECK(ecr.text() == "/kaniko/.docker/");
    REQUIRE(ecr.objects.size() == 1);
    CHECK(contains(ecr.objects[0].dump(), "ecr-login"));
    Mutated acr{cluster_builder(Platform::kubeflow_azure, "team.azurecr.io").kubernetes};
    CHECK(contains(acr.pod.json().dump(), "\"secretName\":\"acrcreds\""));

    const auto given = [](Platform platform, const std::string& registry, const std::string& user) {
        return Mutated{cluster_builder(platform, registry, user).kubernetes}.text();
    };
    CHECK(given(Platform::aws, ecr_host + "/team", "me").empty());
    CHECK(given(Platform::azure, "team.azurecr.io", "me").empty());
    CHECK(given(Platform::aws, "r.example/team", "").empty());
    CHECK(given(Platform::kubernetes, ecr_host + "/team", "").empty());
}

TEST_CASE(
    "of a job's options a build takes its place and its mutators, not what is the job's own") {
    Site site;
    bool mutated = false;
    site.builder.kubernetes.context = "c";
    site.builder.kubernetes.service_account = "builder";
    site.builder.kubernetes.labels = {{"team", "houses"}};
    site.builder.kubernetes.pod_spec_mutators = {
        [&mutated](PodSpec&, PodContext&) { mutated = true; }};
    const KubernetesOptions options =
        detail::cluster_builder(site.builder, oci::parse_reference("r.example/team/fairing-job"),
                                site.session())
            .kubernetes;
    CHECK(options.name.empty());
    CHECK(options.run_id.empty());
    CHECK(options.environment.empty());
    CHECK(options.config_file == site.builder.kubernetes.config_file);
    CHECK(options.context == "c");
    CHECK(options.service_account == "builder");
    CHECK(options.labels == site.builder.kubernetes.labels);
    CHECK(Mutated{options}.text().empty());
    CHECK(mutated);
}

TEST_CASE(
    "the registry: Google's project names one, Azure wants its own, others have to be named") {
    Site site;
    site.builder.registry.clear();
    CHECK(contains(site.build(), "--registry"));
    const support::Variables project{{{"GOOGLE_CLOUD_PROJECT", "houses"}}};
    site.builder.backend.platform = Platform::kubeflow_gke;
    CHECK(site.build().empty());
    CHECK(site.tags("houses/fairing-job/fairing-job").size() == 1);
    CHECK(site.has_said("gcr.io/houses/fairing-job"));
    const support::Variables of_domain{{{"GOOGLE_CLOUD_PROJECT", "example.com:houses"}}};
    CHECK(site.builder.backend.default_registry() == "gcr.io/example.com/houses/fairing-job");

    site.builder.backend.platform = Platform::azure;
    site.builder.registry = "r.example/azurecr.io";
    CHECK(contains(site.build(), "it is no Azure Container Registry"));
    CHECK(site.registry.count("PUT /v2/azurecr.io") == 0);
    site.builder.registry = "team.azurecr.io/x";
    CHECK(site.build().empty());
    CHECK(site.tags("x/fairing-job").size() == 1);
}
