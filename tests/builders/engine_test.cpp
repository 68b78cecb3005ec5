#include "fairing/builders/engine.hpp"

#include <doctest/doctest.h>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using test::Recorded;
using test::ScriptedTransport;

namespace {

const std::string base = "http+unix://%2Fe.sock/v1.41";
const std::string digest = "sha256:" + std::string(64, 'd');
const std::string built = "{\"stream\":\"Step 1/1 : FROM x\"}\n{\"aux\":{\"ID\":\"sha256:abc\"}}\n";
const std::string inspected =
    R"({"Id":"sha256:abc","Os":"linux","Architecture":"arm64","Variant":"v8",)"
    R"("Config":{"Cmd":["b"],"Entrypoint":["a"],"Env":["PYTHONPATH=/app/lib:/base","X=1"]}})";

/// A context, a scripted engine, and what was said.
struct Bench {
    support::Workspace space = {};
    Context context = {.command = {"python3", "/app/train.py"}};
    ScriptedTransport script = {};
    support::Log log = {};
    Session session = {};
    DockerBuilder builder{
        .base_image = "localhost:5000/base", .registry = "r.example/team", .engine = "/e.sock"};

    Bench() {
        space.file("train.py", "print(1)\n");
        context.files.push_back(
            {.source = space / "train.py", .destination = "/app/train.py", .size = 9});
        session.transport = std::ref(script);
        session.log = log.control().log;
        session.credentials = [](const CredentialRequest& request) {
            return std::optional{request.host == "r.example"
                                     ? Credential{.user = "me", .password = Secret{"s3cret"}}
                                     : Credential{}};
        };
        script.expect("GET", "http+unix://%2Fe.sock/version",
                      {.status = 200, .body = R"({"ApiVersion":"1.41"})"});
    }
    Bench& builds(const std::string& answer = built) {
        script.expect("POST", "", {.status = 200, .body = answer});
        return *this;
    }
    /// "repository:tag" had no image before.
    Bench& names(const std::string& name) {
        script.expect("GET", base + "/images/sha256%3Aabc/json", {.status = 200, .body = inspected})
            .expect("GET", base + "/images/" + name + "/json", {.status = 404})
            .expect("POST", "", {.status = 201});
        return *this;
    }
    [[nodiscard]] Image build() const { return builder.build(context, session); }
    [[nodiscard]] std::string error() const {
        return support::error_of([this] { static_cast<void>(build()); });
    }
    [[nodiscard]] const Recorded& sent(std::size_t number) const {
        return script.recorded().at(number);
    }
};

}  // namespace

TEST_CASE("built, named and pushed: the image is the registry's, by digest") {
    Bench f;
    f.context.search_paths = {{"PYTHONPATH", "/app/lib"}};
    f.builder.tag = "v1";
    f.builds().names("r.example/team/fairing-job%3Av1");
    f.script.expect("POST", base + "/images/r.example/team/fairing-job/push?tag=v1",
                    {.status = 200, .body = "{\"aux\":{\"Digest\":\"" + digest + "\"}}"});
    const Image image = f.build();
    CHECK(f.script.complaint().empty());
    CHECK(image.reference == "r.example/team/fairing-job:v1@" + digest);
    CHECK(image.digest == digest);
    CHECK(image.location == Location::registry);
    CHECK(image.platform == "linux/arm64/v8");
    CHECK(image.environment.at("PYTHONPATH") == "/app/lib:/base");
    CHECK(image.command == f.context.command);
    CHECK(image.tag == "v1");
    CHECK(f.log.lines.front() == "Step 1/1 : FROM x");

    // The base's registry gave nothing, so nothing is said of it; the target's gets its own.
    CHECK(f.sent(1).header("X-Registry-Config").empty());
    CHECK(f.sent(1).url == base + "/build?rm=1&forcerm=1&dockerfile=Dockerfile&tlsVerify=false");
    CHECK(f.sent(1).body.find("FROM localhost:5000/base\n") != std::string::npos);
    CHECK(f.sent(4).url ==
          base + "/images/sha256%3Aabc/tag?repo=r.example%2Fteam%2Ffairing-job&tag=v1");
    CHECK(Json::parse(codec::base64_decode(f.sent(5).header("X-Registry-Auth"))) ==
          Json{{"username", "me"}, {"password", "s3cret"}, {"serveraddress", "r.example"}});
    for (const std::string& line : f.log.lines) {
        CHECK_FALSE(support::contains(line, "s3cret"));
    }
}

TEST_CASE("credentials go to the registries of the Dockerfile's images, and no others") {
    Bench f;
    f.space.file("own", "FROM r.example/base\nCOPY app /app\n");
    f.builder = {.push = false, .dockerfile_path = f.space / "own", .engine = "/e.sock"};
    f.context.command = {};
    f.builds();
    f.script.expect("GET", "", {.status = 200, .body = inspected})
        .expect("GET", "", {.status = 404})
        .expect("POST", "", {.status = 201});
    const Image image = f.build();
    CHECK(f.script.complaint().empty());
    CHECK(Json::parse(codec::base64_decode(f.sent(1).header("X-Registry-Config"))) ==
          Json{{"r.example",
                {{"username", "me"}, {"password", "s3cret"}, {"serveraddress", "r.example"}}}});
    CHECK_FALSE(support::contains(f.sent(1).url, "tlsVerify"));
    CHECK(f.sent(1).body.find("FROM r.example/base\nCOPY app /app\n") != std::string::npos);
    // Not pushed: by its id in the engine, and runnable there only.
    CHECK(image.location == Location::engine);
    CHECK(image.reference == "sha256:abc");
    CHECK(image.engine == "/e.sock");
    CHECK(image.command == std::vector<std::string>{"a", "b"});
    CHECK(f.sent(4).url.find("?repo=fairing-job&tag=" + image.tag) != std::string::npos);
    CHECK(image.tag.size() == 12);
    CHECK(support::contains(f.log.lines.back(), "fairing-job:" + image.tag));
}

TEST_CASE("what a build would give is known without an engine") {
    Bench f;
    f.builder.tag = "";
    const Image image = f.builder.foresee(f.context, f.session);
    CHECK(f.script.recorded().empty());
    CHECK(image.location == Location::nowhere);
    CHECK(image.tag.size() == 12);
    CHECK(image.reference == "r.example/team/fairing-job:" + image.tag);
    CHECK(image.command == f.context.command);
    DockerBuilder other = f.builder;
    other.platform = "linux/arm64";
    CHECK(other.foresee(f.context, f.session).tag != image.tag);
    f.builder.registry = "oci:somewhere";
    CHECK(support::contains(
        support::error_of([&] { static_cast<void>(f.builder.foresee(f.context, f.session)); }),
        "pushes to registries only"));
}

TEST_CASE("what a step said last explains its failure") {
    Bench f;
    f.builds(
        "{\"stream\":\"Step 1/2 : FROM x\\n\"}\n{\"stream\":\"old\\n\"}\n{\"stream\":\"Step 2/2 : "
        "RUN "
        "pip\"}\n{\"stream\":\" ---> Running in 1\\n\"}\n{\"stream\":\"No matching version\\n\"}\n"
        "{\"errorDetail\":{\"code\":1},\"error\":\"returned a non-zero code: 1\"}\n");
    CHECK(
        f.error() ==
        "cannot build an image with the container engine at /e.sock: returned a non-zero code: 1; "
        "its last words: No matching version");
    CHECK(f.script.complaint().empty());
}

TEST_CASE("a push that fails takes the name back, or gives it to the image that had it") {
    const std::string refused = "{\"error\":\"unauthorized\"}\n";
    {
        Bench f;
        f.builder.tag = "v1";
        f.builds().names("r.example/team/fairing-job%3Av1").builds(refused);
        f.script.expect("DELETE", base + "/images/r.example/team/fairing-job%3Av1",
                        {.status = 200, .body = "[]"});
        CHECK(support::contains(f.error(), "push r.example/team/fairing-job:v1"));
        CHECK(f.script.complaint().empty());
    }
    Bench f;
    f.builder.tag = "v1";
    f.builds();
    f.script.expect("GET", "", {.status = 200, .body = inspected})
        .expect("GET", "", {.status = 200, .body = R"({"Id":"sha256:old"})"})
        .expect("POST", "", {.status = 201});
    f.builds(refused);
    f.script.expect("POST",
                    base + "/images/sha256%3Aold/tag?repo=r.example%2Fteam%2Ffairing-job&tag=v1",
                    {.status = 201});
    CHECK(support::contains(f.error(), "unauthorized"));
    CHECK(f.script.complaint().empty());
}

TEST_CASE("what can not be built this way is refused before anything is sent") {
    Bench f;
    f.builder.registry = "";
    CHECK(support::contains(f.error(), "no registry is given"));
    f.builder.registry = "oci:/tmp/x";
    CHECK(support::contains(f.error(), "pushes to registries only"));
    {
        Bench layout;
        layout.builder.base_image = "oci:/tmp/x";
        CHECK(support::contains(layout.error(), "takes its bases from registries"));
        CHECK(layout.script.recorded().size() == 1);
    }
    Bench hostile;
    hostile.context.working_directory = "/$(x)";
    CHECK(support::contains(hostile.error(), "write to a Dockerfile"));
    CHECK(hostile.script.recorded().size() == 1);
    f.builder = {.push = false, .engine = "/nowhere/e.sock"};
    f.session.transport = {};
    CHECK(support::contains(f.error(), "the container engine at /nowhere/e.sock"));
}

TEST_CASE("a stop is no failure of the engine's") {
    Bench f;
    std::stop_source source;
    f.session.stop = source.get_token();
    f.script.expect("POST", "", [&source](const Recorded&) {
        source.request_stop();
        return net::Response{.status = 200, .body = built};
    });
    CHECK_THROWS_AS(static_cast<void>(f.build()), Cancelled);
}

TEST_CASE("Docker Hub is known to engines by its old address") {
    Session session;
    session.credentials = [](const CredentialRequest&) {
        return std::optional{Credential{.user = "<token>", .password = Secret{"t"}}};
    };
    CHECK(detail::engine_credentials(session, oci::parse_reference("debian")) ==
          Json{{"identitytoken", "t"}, {"serveraddress", "https://index.docker.io/v1/"}});
}
