#include "fairing/registry/credentials.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

using namespace fairing;
using registry::find_login;
using registry::Login;

namespace {

/// A credential file with `text`, and what was logged while it was read.
struct Fixture {
    TemporaryDirectory directory;
    std::filesystem::path file = directory.path() / "config.json";
    std::string log;
    Control control;

    explicit Fixture(const std::string& text) {
        write_file(file, text, 0600);
        control.log = [this](LogRecord record) {
            log += (record.level == Level::warning ? "warning: " : "") + record.text + '\n';
        };
    }
    std::optional<Login> find(const std::string& host, const std::string& repository = "team/job") {
        return find_login(file, host, repository, control);
    }
    std::string failure(const std::string& host = "r.example") {
        try {
            find(host);
        } catch (const Error& error) {
            CHECK(std::string{error.what()}.find(file.string()) != std::string::npos);
            return error.what();
        }
        return "no error";
    }
};

std::string auth(const std::string& pair) {
    return R"({"auth": ")" + codec::base64_encode(pair) + "\"}";
}

/// Sets a variable of the environment, and puts back what was there.
struct Variable {
    Variable(const char* name, const std::string& value) : name_(name), before_(env(name)) {
        ::setenv(name, value.c_str(), 1);
    }
    ~Variable() {
        if (before_) {
            ::setenv(name_, before_->c_str(), 1);
        } else {
            ::unsetenv(name_);
        }
    }
    const char* name_;
    std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("user and password of a host") {
    Fixture fixture{R"({"auths": {"r.example:5000": )" + auth("me:pass:word") +
                    R"(, "https://old.example/v1/": )" + auth("old:one") + "}}"};
    const auto login = fixture.find("r.example:5000");
    REQUIRE(login);
    CHECK(login->user == "me");
    CHECK(login->password.reveal() == "pass:word");
    CHECK(login->source == fixture.file.string());
    CHECK(fixture.find("old.example")->user == "old");
    CHECK_FALSE(fixture.find("r.example"));
    CHECK_FALSE(fixture.find("other.example"));
    CHECK(fixture.log.empty());
}

TEST_CASE("fault 37: the whole repository before its host, and Docker Hub's key") {
    Fixture both{R"({"auths": {"r.example": )" + auth("host:x") + R"(, "r.example/team": )" +
                 auth("team:x") + R"(, "r.example/team/job": )" + auth("job:x") + "}}"};
    CHECK(both.find("r.example", "team/job")->user == "job");
    CHECK(both.find("r.example", "team/other")->user == "team");
    CHECK(both.find("r.example", "teamwork/job")->user == "host");
    CHECK(both.find("r.example", "other")->user == "host");

    Fixture hub{R"({"auths": {"https://index.docker.io/v1/": )" + auth("hub:x") + "}}"};
    CHECK(hub.find("docker.io", "library/python")->user == "hub");
    CHECK(hub.find("registry-1.docker.io", "library/python")->user == "hub");
    CHECK_FALSE(hub.find("docker.io.example", "library/python"));

    Fixture podman{R"({"auths": {"https://index.docker.io/v1/": )" + auth("hub:x") +
                   R"(, "docker.io/library": )" + auth("library:x") + "}}"};
    CHECK(podman.find("docker.io", "library/python")->user == "library");
    CHECK(podman.find("docker.io", "me/python")->user == "hub");
}

TEST_CASE("tokens, plain members, and entries that say nothing") {
    Fixture fixture{R"({"auths": {"a": {"identitytoken": "id"}, "b": {"registrytoken": "rt"},
                        "c": {"username": "u", "password": "p"}, "d": {}, "e": {"auth": ""}, "f": 5}})"};
    CHECK(fixture.find("a")->identity_token.reveal() == "id");
    CHECK(fixture.find("b")->bearer_token.reveal() == "rt");
    CHECK(fixture.find("c")->user == "u");
    CHECK(fixture.find("c")->password.reveal() == "p");
    CHECK_FALSE(fixture.find("d"));
    CHECK_FALSE(fixture.find("e"));
    CHECK_FALSE(fixture.find("f"));
}

TEST_CASE("fault 36: the helper of a host, then the store, then the entries") {
    const TemporaryDirectory programs;
    const auto add = [&](const std::string& name, const std::string& script) {
        write_file(programs.path() / ("docker-credential-" + name), "#!/bin/sh\n" + script + '\n',
                   0755);
    };
    add("ours", R"(read -r host; echo "{\"Username\":\"ours $host\",\"Secret\":\"x\"}")");
    add("all", R"(read -r host; echo "{\"Username\":\"all $host\",\"Secret\":\"x\"}")");
    add("none", "echo credentials not found in native keychain; exit 1");
    add("broken", "exit 1");
    const Variable path{"PATH", programs.path().string() + ':' + env("PATH", "")};
    Fixture both{R"({"credHelpers": {"r.example": "ours", "plain.example": "", "n.example": "none"},
                     "credsStore": "all", "auths": {"r.example": )" +
                 auth("a:b") + R"(, "plain.example": )" + auth("plain:b") + R"(, "n.example": )" +
                 auth("n:b") + "}}"};
    CHECK(both.find("r.example")->user == "ours r.example");
    CHECK(both.find("other.example:5000")->user == "all other.example:5000");
    CHECK(both.find("plain.example")->user == "plain");
    CHECK(both.find("n.example")->user == "n");
    CHECK(both.find("docker.io", "library/python")->user == "all https://index.docker.io/v1/");
    Fixture store{R"({"credsStore": "none"})"};
    CHECK_FALSE(store.find("r.example"));
    Fixture broken{R"({"credHelpers": {"r.example": "broken"}, "auths": {"r.example": )" +
                   auth("a:b") + "}}"};
    CHECK(broken.failure().find("exit code 1") != std::string::npos);
    Fixture missing{R"({"credsStore": "no-such-helper"})"};
    CHECK(missing.failure().find("there is no such program") != std::string::npos);
}

TEST_CASE("clouds: Google's users are users, Azure's user of zeros has an identity token") {
    const std::string zeros = "00000000-0000-0000-0000-000000000000";
    Fixture fixture{R"({"auths": {"gcr.io": )" + auth("_json_key:{\"a\": \"b:c\"}\n") +
                    R"(, "x.pkg.dev": )" + auth("oauth2accesstoken:ya29.x") +
                    R"(, "a.azurecr.io": )" + auth(zeros + ":refresh") +
                    R"(, "b.azurecr.io": {"auth": ")" + codec::base64_encode(zeros + ':') +
                    R"(", "identitytoken": "id"}}})"};
    CHECK(fixture.find("gcr.io")->user == "_json_key");
    CHECK(fixture.find("gcr.io")->password.reveal() == "{\"a\": \"b:c\"}\n");
    CHECK(fixture.find("gcr.io")->identity_token.empty());
    CHECK(fixture.find("x.pkg.dev")->user == "oauth2accesstoken");
    CHECK(fixture.find("a.azurecr.io")->identity_token.reveal() == "refresh");
    CHECK(fixture.find("a.azurecr.io")->password.reveal() == "refresh");
    CHECK(fixture.find("b.azurecr.io")->identity_token.reveal() == "id");
}

TEST_CASE("fault 35, 37: a file that can not be used is named, its contents are not") {
    const auto failure = [](const std::string& text) {
        Fixture fixture{text};
        const std::string what = fixture.failure();
        CHECK(what.find("geheim") == std::string::npos);
        CHECK(what.find(codec::base64_encode("geheim")) == std::string::npos);
        return what;
    };
    CHECK(failure(R"({"auths": geheim)").find("not valid JSON") != std::string::npos);
    CHECK(failure("[]").find("not a JSON object") != std::string::npos);
    CHECK(failure("").find("not valid JSON") != std::string::npos);
    CHECK(failure(std::string(2 << 20, ' ')).find("longer than") != std::string::npos);
    CHECK(failure(R"({"auths": {"r.example": )" + auth("geheim") + "}}").find("no colon") !=
          std::string::npos);
    CHECK(failure(R"({"auths": {"r.example": {"auth": "geheim!"}}})").find("Base64") !=
          std::string::npos);
    CHECK(failure(std::string(100000, '[') + "geheim") != "no error");
    Fixture locked{R"({"auths": {"r.example": )" + auth("me:geheim") + "}}"};
    const bool is_root = ::geteuid() == 0;
    ::chmod(locked.file.c_str(), 0);
    ::chmod(locked.directory.path().c_str(), 0755);
    if (is_root) {
        REQUIRE(::seteuid(65534) == 0);  // root reads files of mode 0000
    }
    const std::string what = locked.failure();
    if (is_root) {
        REQUIRE(::seteuid(0) == 0);
    }
    CHECK(what.find("Permission denied") != std::string::npos);
    ::chmod(locked.file.c_str(), 0600);
    CHECK(locked.find("r.example")->user == "me");  // once the fault is gone
}

TEST_CASE("a directory in the place of the file is an error, no file is none") {
    Fixture fixture{"{}"};
    std::filesystem::remove(fixture.file);
    CHECK_FALSE(fixture.find("r.example"));
    std::filesystem::create_directory(fixture.file);
    CHECK(fixture.failure() != "no error");
}

TEST_CASE("the program comes first, then the files in their order, then the keychain") {
    Fixture first{R"({"auths": {"a": )" + auth("first:x") + "}}"};
    Fixture second{R"({"auths": {"a": )" + auth("second:x") + R"(, "b": )" + auth("second:x") +
                   "}}"};
    const std::vector<std::filesystem::path> files = {first.directory.path() / "none", first.file,
                                                      second.file};
    const CredentialsProvider provider =
        [](const CredentialRequest& request) -> std::optional<Credential> {
        CHECK(request.service == Service::registry);
        if (request.host == "p") {
            return Credential{.user = "program", .password = Secret{"x"}};
        }
        if (request.host == "t") {
            return Credential{.user = "<token>", .password = Secret{"identity"}};
        }
        return std::nullopt;
    };
    const registry::CredentialSources sources{
        .program = provider, .files = files, .keychain = [](const CredentialRequest& request) {
            return request.host == "c" || request.host == "a"
                       ? std::optional{Credential{.user = "AWS", .password = Secret{"x"}}}
                       : std::nullopt;
        }};
    CHECK(find_login(sources, "p", "n", {})->user == "program");
    CHECK(find_login(sources, "t", "n", {})->identity_token.reveal() == "identity");
    CHECK(find_login(sources, "t", "n", {})->user.empty());
    CHECK(find_login(sources, "a", "n", {})->user == "first");
    CHECK(find_login(sources, "b", "n", {})->user == "second");
    CHECK(find_login(sources, "c", "n", {})->user == "AWS");
    CHECK_FALSE(find_login(sources, "d", "n", {}));
    CHECK_FALSE(find_login({.files = files}, "c", "n", {}));
}

TEST_CASE("where the files are") {
    const Variable docker{"DOCKER_CONFIG", "/d"}, file{"REGISTRY_AUTH_FILE", "/f/auth.json"},
        runtime{"XDG_RUNTIME_DIR", "/r"}, config{"XDG_CONFIG_HOME", "/c"}, home{"HOME", "/h"};
    CHECK(registry::credential_files() ==
          std::vector<std::filesystem::path>{"/d/config.json", "/f/auth.json",
                                             "/r/containers/auth.json", "/c/containers/auth.json"});
    const Variable no_docker{"DOCKER_CONFIG", ""}, no_file{"REGISTRY_AUTH_FILE", ""},
        no_runtime{"XDG_RUNTIME_DIR", ""}, no_config{"XDG_CONFIG_HOME", ""};
    CHECK(registry::credential_files() ==
          std::vector<std::filesystem::path>{"/h/.docker/config.json",
                                             "/h/.config/containers/auth.json"});
}
