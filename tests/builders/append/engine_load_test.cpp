#include "fairing/builders/append/engine_load.hpp"

#include <doctest/doctest.h>

#include "../../support/scripted_transport.hpp"
#include "../../support/workspace.hpp"
#include "fairing/builders/append.hpp"

using namespace fairing;
using test::ScriptedTransport;

TEST_CASE(
    "load: the image goes into the engine as an archive, gets its name, and leaves nothing here") {
    const support::Workspace space;
    const support::Workspace temporary;
    space.file("train.py", "x");
    const Context context{
        .files = {{.source = space / "train.py", .destination = "/app/train.py", .size = 1}},
        .command = {"python3"}};
    AppendBuilder builder{.base_image = "scratch", .load = true, .engine = "/e.sock"};
    ScriptedTransport script;
    Session session{.transport = std::ref(script), .cache_directory = space.path() / "cache"};
    const std::string base = "http+unix://%2Fe.sock/v1.41";
    std::string id;
    script
        .expect("GET", "http+unix://%2Fe.sock/version",
                {.status = 200, .body = R"({"ApiVersion":"1.41"})"})
        .expect("POST", base + "/images/load?quiet=1",
                {.status = 200, .body = "{\"stream\":\"Loaded\"}\n"})
        .expect("GET", "",
                [&id](const test::Recorded& request) {
                    const std::size_t at = request.url.find("sha256%3A");
                    id = "sha256:" + request.url.substr(at + 9, 64);
                    return net::Response{.status = 200, .body = Json{{"Id", id}}.dump()};
                })
        .expect("POST", "", {.status = 201});
    const std::optional<std::string> before = env("TMPDIR");
    ::setenv("TMPDIR", temporary.path().c_str(), 1);
    const Image image = builder.build(context, session);
    builder.registry = "oci:/tmp/x";
    const std::string refused =
        support::error_of([&] { static_cast<void>(builder.build(context, session)); });
    if (before) {
        ::setenv("TMPDIR", before->c_str(), 1);
    } else {
        ::unsetenv("TMPDIR");
    }
    CHECK(script.complaint().empty());
    CHECK(std::filesystem::is_empty(temporary.path()));
    CHECK(image.location == Location::engine);
    CHECK(image.reference == id);
    CHECK(image.engine == "/e.sock");
    CHECK(image.tag.size() == 12);
    CHECK(script.recorded().back().url ==
          base + "/images/" + net::percent_encode(id) + "/tag?repo=fairing-job&tag=" + image.tag);
    CHECK(script.recorded()[1].body.find("manifest.json") != std::string::npos);
    CHECK(support::contains(refused, "the image goes to oci:/tmp/x"));
}
