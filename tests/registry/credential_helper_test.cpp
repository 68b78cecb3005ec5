#include "fairing/registry/credential_helper.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>

#include "../support/workspace.hpp"
#include "fairing/core/env.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using registry::CredentialHelper;
using support::contains;

namespace {

/// Helper programs of the test in front of the PATH.
struct Helpers {
    support::Workspace space = {};
    std::string before = env("PATH", "");

    Helpers() { ::setenv("PATH", (space.path().string() + ':' + before).c_str(), 1); }
    Helpers(Helpers&&) = delete;
    Helpers& operator=(Helpers&&) = delete;
    ~Helpers() { ::setenv("PATH", before.c_str(), 1); }

    void add(const std::string& name, const std::string& script) const {
        space.file("docker-credential-" + name, "#!/bin/sh\n" + script + '\n', 0755);
    }
    /// What it says about r.example.
    static std::optional<registry::Login> get(const std::string& name,
                                              std::chrono::milliseconds limit = 2min) {
        return CredentialHelper{.name = name, .file = "/x/config.json", .time_limit = limit}.get(
            "r.example", {});
    }
    static std::string failure(const std::string& name, std::chrono::milliseconds limit = 2min) {
        const std::string what = support::error_of([&] { (void)get(name, limit); });
        CHECK(contains(what, "cannot get credentials for r.example from docker-credential-"));
        CHECK(contains(what, "which /x/config.json names: "));
        CHECK_FALSE(contains(what, "geheim"));
        return what;
    }
};

}  // namespace

TEST_CASE("a helper is asked for a host and answers with a user and a secret, or a token") {
    const Helpers helpers;
    helpers.add("echo",
                R"(test "$1" = get && read -r host || true)"
                "\n"
                R"(echo "{\"ServerURL\":\"x\",\"Username\":\"me@$host\",\"Secret\":\"geheim\"}")");
    const auto login = Helpers::get("echo");
    REQUIRE(login);
    CHECK(login->user == "me@r.example");
    CHECK(login->password.reveal() == "geheim");
    CHECK(login->source == "docker-credential-echo, which /x/config.json names");
    helpers.add("token", R"(echo '{"Username":"<token>","Secret":"geheim"}')");
    CHECK(Helpers::get("token")->identity_token.reveal() == "geheim");
    CHECK(Helpers::get("token")->user.empty());
    helpers.add("empty", R"(echo '{"Username":"","Secret":""}')");
    CHECK_FALSE(Helpers::get("empty"));
}

TEST_CASE("fault 36: only \"not found\" means anonymous; everything else is named, and not shown") {
    const Helpers helpers;
    helpers.add("none", "echo credentials not found in native keychain; exit 1");
    CHECK_FALSE(Helpers::get("none"));
    helpers.add("locked", "echo geheim; echo geheim >&2; exit 1");
    CHECK(
        contains(Helpers::failure("locked"), "it ended with exit code 1; run `echo r.example | "));
    helpers.add("almost", "echo credentials not found in native keychain, geheim; exit 1");
    CHECK(contains(Helpers::failure("almost"), "exit code 1"));
    helpers.add("words", "echo geheim");
    CHECK(contains(Helpers::failure("words"), "did not answer with a JSON object"));
    helpers.add("list", "echo '[\"geheim\"]'");
    CHECK(contains(Helpers::failure("list"), "did not answer with a JSON object"));
    helpers.add("large", "head -c 10000000 /dev/zero");
    CHECK(contains(Helpers::failure("large"), "more than 1048576 bytes"));
    helpers.add("killed", "kill -9 $$");
    CHECK(contains(Helpers::failure("killed"), "exit code 137"));
    helpers.add("hangs", "sleep 1000");
    CHECK(contains(Helpers::failure("hangs", 500ms), "did not end within 500 ms"));
    CHECK(contains(Helpers::failure("missing"), "there is no such program"));
    helpers.add("later", "echo '{\"Username\":\"me\",\"Secret\":\"geheim\"}'");
    CHECK(Helpers::get("later"));  // once the fault is gone
    for (const char* name : {"", "../x", "x/y", ".", "a b", "a;b", "x\n"}) {
        CAPTURE(name);
        CHECK(contains(Helpers::failure(name), "it is not the name of a helper"));
    }
}

TEST_CASE("a stop ends a helper") {
    const Helpers helpers;
    helpers.add("hangs", "sleep 60");
    std::stop_source stop;
    stop.request_stop();
    CHECK_THROWS_AS(
        (void)(CredentialHelper{.name = "hangs"}.get("r.example", {.stop = stop.get_token()})),
        Cancelled);
}
