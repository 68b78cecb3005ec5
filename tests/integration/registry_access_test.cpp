// Ways to a registry with real peers: logins of skopeo and of a credential helper, a proxy.
#include <doctest/doctest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "../support/certificates.hpp"
#include "../support/nginx.hpp"
#include "../support/registry_site.hpp"
#include "../support/shell.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::client_at;
using support::contains;
using support::Content;
using support::error_of;
using support::missing_nginx;
using support::missing_registry;
using support::Nginx;
using support::push;
using support::Registry;

namespace {

/// Options of a client that looks into this file only.
registry::ClientOptions with_file(const std::string& file) {
    registry::ClientOptions options = support::client_options();
    options.files = std::vector<std::filesystem::path>{file};
    return options;
}

/// tinyproxy on a free port, for user "me" with password "s3cret".
class Tinyproxy {
public:
    Tinyproxy() : port_(test::free_port()) {
        space_.file("conf", "Port " + std::to_string(port_) +
                                "\nListen 127.0.0.1\nTimeout 60\nMaxClients 20\nBasicAuth me "
                                "s3cret\nLogFile \"" +
                                (space_ / "access") + "\"\n");
        process_ = std::make_unique<test::ChildProcess>(
            std::vector<std::string>{"tinyproxy", "-d", "-c", space_ / "conf"}, space_ / "log");
        running_ = process_->listens(port_);
    }
    [[nodiscard]] bool running() const { return running_; }
    [[nodiscard]] std::string url(const std::string& user) const {
        return "http://" + user + "@127.0.0.1:" + std::to_string(port_);
    }
    [[nodiscard]] std::string log() const { return read_file(space_ / "access"); }

private:
    support::Workspace space_ = {};
    int port_;
    std::unique_ptr<test::ChildProcess> process_ = {};
    bool running_ = false;
};

const Content layer{support::random_bytes(1 << 20, 1)};

}  // namespace

TEST_CASE("what skopeo login writes opens the registry") {
    if (missing_registry() || !test::has_program("skopeo")) {
        return;
    }
    const Registry registry{Registry::Users::htpasswd};
    REQUIRE(registry.running());
    const support::Workspace space;
    const std::string file = space / "auth.json";
    const support::ShellResult login =
        support::run("skopeo login --tls-verify=false --authfile " + file + " -u me -p s3cret " +
                     registry.host() + " 2>&1");
    REQUIRE_MESSAGE(login.exit_code == 0, login.output);
    registry::Client known = client_at(registry.host(), with_file(file));
    CHECK(push(known, layer) == oci::Transfer::uploaded);
    registry::Client unknown = client_at(registry.host(), with_file(space / "none.json"));
    CHECK(contains(error_of([&] { (void)push(unknown, layer); }),
                   "there are none; log in with `docker login " + registry.host()));
}

TEST_CASE("docker-credential-pass keeps the password of a registry") {
    if (missing_registry() || !test::has_program("docker-credential-pass") ||
        !test::has_program("pass") || !test::has_program("gpg")) {
        MESSAGE("skipped: docker-credential-pass, pass or gpg is not installed");
        return;
    }
    const Registry registry{Registry::Users::htpasswd};
    REQUIRE(registry.running());
    const TemporaryDirectory home{"/tmp"};  // a socket's path is short
    ::setenv("GNUPGHOME", home.path().c_str(), 1);
    ::setenv("PASSWORD_STORE_DIR", (home.path() / "store").c_str(), 1);
    const auto keep = [&](const std::string& password) {
        return support::run(R"(echo '{"ServerURL":")" + registry.host() +
                            R"(","Username":"me","Secret":")" + password +
                            R"("}' | docker-credential-pass store 2>&1)");
    };
    const support::ShellResult made = support::run(
        "gpg --batch -q --passphrase '' --quick-gen-key tests default default never "
        ">&2 && pass init tests 2>&1");
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    write_file(home.path() / "config.json", std::string_view{R"({"credsStore": "pass"})"});
    const registry::ClientOptions options = with_file(home.path() / "config.json");
    {
        registry::Client unknown = client_at(registry.host(), options);
        CHECK(contains(error_of([&] { (void)push(unknown, layer); }), "there are none"));
    }
    REQUIRE(keep("guess").exit_code == 0);
    registry::Client client = client_at(registry.host(), options);
    const std::string what = error_of([&] { (void)push(client, layer); });
    CHECK(contains(what, "check the credentials for " + registry.host() +
                             " in docker-credential-pass, which "));
    CHECK_FALSE(contains(what, "guess"));
    REQUIRE(keep("s3cret").exit_code == 0);  // the same client asks again for what was refused
    CHECK(push(client, layer) == oci::Transfer::uploaded);
    static_cast<void>(support::run("gpgconf --kill all"));
    ::unsetenv("GNUPGHOME");
    ::unsetenv("PASSWORD_STORE_DIR");
}

TEST_CASE("tinyproxy: http in the open, https in a tunnel, a password that it refuses") {
    const support::Certificates certificates;
    if (!certificates.made || missing_registry() || missing_nginx()) {
        return;
    }
    if (!test::has_program("tinyproxy")) {
        MESSAGE("skipped: tinyproxy is not installed");
        return;
    }
    const Tinyproxy proxy;
    REQUIRE(proxy.running());
    const Registry registry;
    const Nginx nginx{"ssl", "ssl_certificate " + certificates.path("good.pem") +
                                 ";\nssl_certificate_key " + certificates.path("key.pem") +
                                 ";\nclient_max_body_size 0;\n" + Nginx::pass_to(registry.port())};
    REQUIRE(nginx.running());
    const auto through = [&](const std::string& user, registry::PlainHttp plain) {
        registry::ClientOptions options = support::client_options();
        options.transport =
            support::make_transport(certificates.path("ca.pem"), {}, proxy.url(user));
        options.plain_http = plain;
        return options;
    };
    registry::Client open =
        client_at(registry.host(), through("me:s3cret", registry::PlainHttp::loopback));
    CHECK(push(open, layer) == oci::Transfer::uploaded);
    CHECK(support::read(open, layer.descriptor) == layer.bytes);
    registry::Client tunnel =
        client_at(nginx.host(), through("me:s3cret", registry::PlainHttp::never));
    const Content other{"x" + layer.bytes};
    CHECK(push(tunnel, other) == oci::Transfer::uploaded);
    CHECK(support::read(tunnel, other.descriptor) == other.bytes);
    CHECK(contains(proxy.log(), "CONNECT " + nginx.host()));
    CHECK(contains(proxy.log(), "PUT http://" + registry.host()));
    registry::Client refused =
        client_at(nginx.host(), through("me:guess", registry::PlainHttp::never));
    const std::string what = error_of([&] { (void)push(refused, layer); });
    CHECK(contains(what, "in " + nginx.host() + "/team/job: the proxy refused the connection: 40"));
    CHECK_FALSE(contains(what, "guess"));
    CHECK(refused.requests() == 1);
}
