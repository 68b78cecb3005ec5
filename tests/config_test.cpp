#include "fairing/config.hpp"

#include <doctest/doctest.h>

#include "support/workspace.hpp"

using namespace fairing;
using support::error_of;

namespace {
struct Farm {
    std::string address = {};
    Image build(const Context&, const Session&) const { return {.reference = "farm " + address}; }
};
/// Names the image after what it would run.
struct Naming {
    Image build(const Context& context, const Session&) const {
        std::string all;
        for (const std::string& word : context.command) {
            all += word.substr(word.rfind('/') + 1) + ' ';
        }
        const auto function = context.environment.find("FAIRING_FUNCTION");
        return {.reference = all + (function == context.environment.end() ? "" : function->second)};
    }
};
/// Remembers what it was to run.
struct Remember {
    std::string* image;
    Workload deploy(const Image& given, const Session& session) const {
        *image = given.reference + (session.registries.empty() ? "" : " with registries");
        return {};
    }
};

int train(const Worker&) { return 0; }
int evaluate(const Worker&) { return 0; }
int unknown(const Worker&) { return 0; }
}  // namespace

TEST_CASE("stages are chosen by name, with options by field") {
    Config config;
    config.set_preprocessor("python", {{"executable", "train.py"}, {"input_files", {"a", "b"}}})
        .set_builder("append", {{"base_image", "scratch"}, {"push", false}})
        .set_deployer("local", {{"isolation", "process"}});
    CHECK_NOTHROW(static_cast<void>(config.fairing()));
}

TEST_CASE("unknown names and keys list those there are") {
    Config config;
    CHECK(error_of([&] {
              config.set_builder("apend");
          }).find("did you mean append? there is append") != std::string::npos);
    CHECK(error_of([&] {
              config.set_builder("append", {{"base-image", "x"}});
          }).find("did you mean base_image?") != std::string::npos);
    CHECK(error_of([&] {
              Config{Json{{"deployers", Json::object()}}};
          }).find("preprocessor, builder, deployer") != std::string::npos);
    CHECK(error_of([&] {
              Config{Json{{"deployer", {{"isolation", "vm"}}}}};
          }).find("auto, container, process") != std::string::npos);
    CHECK(error_of([&] { Config{Json::array()}; }).find("not a JSON object") != std::string::npos);
}

TEST_CASE("registries stand beside the stages") {
    const Config config{Json::parse(
        R"({"registries": {"docker.io": {"mirrors": ["mirror.example"]}}, "builder": {}})")};
    CHECK(config.registries().at("docker.io").mirrors ==
          std::vector<std::string>{"mirror.example"});
    CHECK(error_of([] {
              Config{Json{{"registries", {{"docker.io", {{"mirror", "x"}}}}}}};
          }).find("did you mean mirrors?") != std::string::npos);
}

TEST_CASE("a file is read, and named when it is wrong") {
    const TemporaryDirectory directory;
    const auto file = directory.path() / "fairing.json";
    write_file(file,
               std::string_view{R"({"builder": {"registry": "r.example/x", "insecure": true}})"});
    CHECK_NOTHROW(static_cast<void>(Config::from_file(file)));
    write_file(file, std::string_view{"{\"builder\": "});
    CHECK(error_of([&] { static_cast<void>(Config::from_file(file)); }).find(file.string()) !=
          std::string::npos);
}

TEST_CASE("a builder of one's own, by name and by value") {
    Config config;
    config.add_builder("farm",
                       [](const Json& options) { return Farm{text_or(options, "address")}; });
    config.set_builder("farm", {{"address", "a"}});
    CHECK(config.builder().build({}, {}).reference == "farm a");
    config.set_builder(Farm{"b"});
    CHECK(config.builder().build({}, {}).reference == "farm b");
}

TEST_CASE("deployers of endpoints by name") {
    Config config;
    const auto last = [&] {
        return config.deployer().manifests({.reference = "r.example/a:1"}, {}).back();
    };
    config.set_deployer("serving", {{"serving_class", "Houses"},
                                    {"service_type", "LoadBalancer"},
                                    {"protocol", "v2"},
                                    {"replicas", 2}});
    CHECK(last()["kind"] == "Deployment");
    CHECK(last()["spec"]["replicas"] == 2);
    config.set_deployer("kfserving", {{"framework", "sklearn"},
                                      {"storage_uri", "s3://m"},
                                      {"protocol", "v2"},
                                      {"min_replicas", 0}});
    CHECK(last()["apiVersion"] == "serving.kserve.io/v1beta1");
    CHECK(last()["spec"]["predictor"]["minReplicas"] == 0);
    config.set_deployer("kfserving", {{"api", "v1alpha2"}});
    CHECK(last()["apiVersion"] == "serving.kubeflow.org/v1alpha2");
}

TEST_CASE("deployers to Google Cloud by name") {
    Config config;
    const auto body = [&config] {
        return config.deployer().manifests({.reference = "r.example/a@sha256:1"}, {}).front();
    };
    config.set_deployer("vertex", {{"machine_type", "n1-standard-8"},
                                   {"strategy", "spot"},
                                   {"labels", {{"team", "houses"}}},
                                   {"job_config", {{"jobSpec", {{"enableWebAccess", true}}}}}});
    CHECK(body()["jobSpec"]["scheduling"]["strategy"] == "SPOT");
    CHECK(body()["jobSpec"]["enableWebAccess"] == true);
    CHECK(body()["labels"]["team"] == "houses");
    config.set_deployer("vertex-serving", {{"name", "houses"}, {"endpoint_name", "prices"}});
    CHECK(body()["model"]["displayName"] == "houses");
    config.set_deployer("gcp", {{"endpoint", "https://gateway.example"}, {"scale_tier", "BASIC"}});
    CHECK(body()["trainingInput"]["scaleTier"] == "BASIC");
    config.set_deployer("gcpserving", {{"endpoint", "https://gateway.example"}, {"name", "m"}});
    CHECK(body()["name"] == "m");
    CHECK(error_of([&] {
              config.set_deployer("vertex", {{"machine_typ", "x"}});
          }).find("did you mean machine_type?") != std::string::npos);
}

TEST_CASE("a Kubernetes deployer takes mutators before and after it is chosen") {
    const auto named = [](const char* name) {
        return [name](PodSpec& pod, PodContext&) { pod.set_env(name, "1"); };
    };
    Config config;
    config.add_pod_spec_mutator(named("A"))
        .set_deployer("job", {{"namespace", "ml"},
                              {"resources", {{"cpu", 1}, {"memory_gb", 5}}},
                              {"volumes", {"pvc:data:/mnt"}},
                              {"run_id", "abc"}})
        .add_pod_spec_mutator(named("B"));
    const auto objects = config.deployer().manifests({.reference = "r.example/a:1"}, {});
    REQUIRE(objects.size() == 1);
    const Json& job = objects[0];
    CHECK(job["metadata"]["namespace"] == "ml");
    const Json& container = job["spec"]["template"]["spec"]["containers"][0];
    CHECK(container["resources"]["limits"]["memory"] == "4.66Gi");
    CHECK(container["env"].size() == 3);  // FAIRING_RUNTIME, A, B
    CHECK(container["env"][2]["name"] == "B");
    CHECK(error_of([&] {
              config.set_deployer("job", {{"cpus", 2}});
          }).find("unknown name \"cpus\"") != std::string::npos);
}

TEST_CASE("fn: a function that runs another one as the job, with the stages of its moment") {
    std::string ran;
    Config config{Json{{"registries", {{"r.example", {{"insecure", true}}}}}}};
    config.set_builder(Naming{}).set_deployer(Remember{&ran});
    const support::Workspace space;
    space.file("train.py", "def fit():\n    pass\n");
    const auto remote_fit = config.fn(space / "train.py:fit", {{"arguments", {"--fast"}}});
    char program[] = "p";
    char* argv[] = {program, nullptr};
    CHECK(
        run_main(1, argv, {{"train", train}, {"evaluate", evaluate}}, [&](const Session& session) {
            const auto remote_evaluate = config.fn(evaluate, {{"arguments", {"-x"}}});
            config.set_builder("append").set_deployer("local");
            remote_evaluate(session);
            CHECK(ran.ends_with(" -x evaluate with registries"));
            CHECK(error_of([&] {
                      static_cast<void>(config.fn(unknown));
                  }).find("none of those that run_main() was given") != std::string::npos);
        }) == 0);
    remote_fit();
    CHECK(ran.find("function.py --file train.py --name fit -- --fast") != std::string::npos);
    CHECK(error_of([&] {
              static_cast<void>(config.fn("train.py:fit", {{"argument", 1}}));
          }).find("did you mean arguments?") != std::string::npos);
    CHECK(error_of([&] {
              static_cast<void>(config.fn("train.py:fit", Json::array()));
          }).find("not a JSON object") != std::string::npos);
}

TEST_CASE("fn and deploy run what they say, here, and throw what its failure is") {
    if (!find_program("python3")) {
        MESSAGE("skipped: there is no python3");
        return;
    }
    const support::Workspace space;
    space.file("train.py", "def fit():\n    print('fitted')\ndef fail():\n    exit(3)\n");
    std::string said;
    const Session session{.output = [&said](const OutputLine& line) { said += line.text + '\n'; },
                          .cache_directory = space.path() / "cache"};
    Config config;
    config
        .set_builder("append",
                     {{"base_image", "scratch"}, {"registry", "oci:" + (space / "image")}})
        .set_deployer("local", {{"isolation", "process"}});
    config.fn(space / "train.py:fit")(session);
    CHECK(said == "fitted\n");
    const Image image =
        config.set_preprocessor("python_function", {{"function", space / "train.py:fit"}})
            .fairing()
            .build(session);
    config.deploy(image, session);
    CHECK(said == "fitted\nfitted\n");
    try {
        config.fn(space / "train.py:fail")(session);
        FAIL("it did not fail");
    } catch (const WorkloadError& error) {
        CHECK(error.outcome().exit_code == 3);
    }
}

TEST_CASE("an image that is there already is deployed as it is") {
    std::string ran;
    Config config;
    config.set_deployer(Remember{&ran}).deploy({.reference = "r.example/a:1"});
    CHECK(ran == "r.example/a:1");
    config.set_deployer("job", {{"namespace", "a b"}});
    CHECK(error_of([&] { config.deploy({.reference = "r.example/a:1"}); }).find("a b") !=
          std::string::npos);
}

TEST_CASE("reset: the stages as at first; names of one's own stay") {
    std::string ran;
    Config config;
    bool mutated = false;
    config.add_pod_spec_mutator([&mutated](PodSpec&, PodContext&) { mutated = true; })
        .add_builder("farm", [](const Json&) { return Farm{"a"}; })
        .set_builder("farm")
        .set_preprocessor("notebook")
        .set_deployer(Remember{&ran})
        .reset();
    CHECK_FALSE(config.deployer().manifests({}, {}).empty());  // what runs here can say so
    CHECK(error_of([&] { static_cast<void>(config.builder().build({}, {})); }).find("--registry") !=
          std::string::npos);
    static_cast<void>(
        config.set_deployer("job").deployer().manifests({.reference = "r.example/a:1"}, {}));
    CHECK_FALSE(mutated);
    CHECK(config.set_builder("farm").builder().build({}, {}).reference == "farm a");
}
