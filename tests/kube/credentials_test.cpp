#include "fairing/kube/credentials.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>

#include "../support/workspace.hpp"

using namespace fairing;
using support::error_of;
using support::Workspace;

namespace {

/// A clock that a test turns.
struct TestClock {
    std::chrono::system_clock::time_point now =
        std::chrono::system_clock::time_point{std::chrono::seconds{1704067200}};  // 2024
    [[nodiscard]] Clock clock() {
        return [this] { return now; };
    }
};

std::string bearer(kube::Credentials& credentials) {
    net::Headers headers;
    credentials.add_to(headers);
    return net::header(headers, "Authorization");
}

kube::Cluster cluster_with(const std::string& script, const Workspace& folder) {
    folder.file("plugin", "#!/bin/sh\n" + script, 0755);
    return {.server = "https://api",
            .exec = kube::ExecPlugin{.api_version = "client.authentication.k8s.io/v1",
                                     .command = folder / "plugin",
                                     .environment = {{"WORD", "abc"}}}};
}

std::string printing(const std::string& status) {
    return "printf '%s' '{\"kind\":\"ExecCredential\","
           "\"apiVersion\":\"client.authentication.k8s.io/v1\",\"status\":" +
           status + "}'\n";
}

}  // namespace

TEST_CASE("fault 53: a token file is read anew after a minute, and after a 401") {
    const Workspace folder;
    folder.file("token", " one\n");
    TestClock clock;
    kube::Credentials credentials{{.server = "https://api", .token_file = folder / "token"},
                                  {.clock = clock.clock()}};
    CHECK(bearer(credentials) == "Bearer one");
    folder.file("token", "two");
    clock.now += std::chrono::seconds{59};
    CHECK(bearer(credentials) == "Bearer one");
    clock.now += std::chrono::seconds{1};
    CHECK(bearer(credentials) == "Bearer two");
    folder.file("token", "three");
    CHECK(credentials.drop());
    CHECK(bearer(credentials) == "Bearer three");
    folder.file("token", "\n");
    CHECK(credentials.drop());
    CHECK(error_of([&] { bearer(credentials); }) ==
          "cannot read token file " + folder / "token" + std::string{": it is empty"});
}

TEST_CASE("a static token, Basic and impersonation; nothing over plain http") {
    kube::Credentials token{
        {.server = "https://api",
         .token = Secret{"t"},
         .impersonation = {
             .user = "boss", .groups = {"a", "b"}, .extra = {{"example.org/x", "y"}}}}};
    net::Headers headers;
    token.add_to(headers);
    CHECK(net::header(headers, "Authorization") == "Bearer t");
    CHECK(net::header(headers, "Impersonate-User") == "boss");
    CHECK(headers.count("Impersonate-Group") == 2);
    CHECK(net::header(headers, "Impersonate-Extra-example.org%2Fx") == "y");
    CHECK_FALSE(token.drop());
    kube::Credentials basic{{.server = "https://api", .user = "me", .password = Secret{"p"}}};
    CHECK(bearer(basic) == "Basic bWU6cA==");
    kube::Credentials plain{{.server = "http://api",
                             .client_certificate = "c",
                             .client_key = Secret{"k"},
                             .token = Secret{"t"}}};
    CHECK(bearer(plain).empty());
    CHECK_FALSE(plain.certificate());
}

TEST_CASE("an exec plugin is run once, until its credentials expire or are refused") {
    const Workspace folder;
    const std::string count = folder / "count";
    TestClock clock;
    kube::Credentials credentials{
        cluster_with("echo x >> '" + count + "'\n" +
                         printing(R"({"token":"t","expirationTimestamp":"2024-01-01T00:10:00Z"})"),
                     folder),
        {.clock = clock.clock()}};
    const auto runs = [&count] { return read_file(count).size() / 2; };
    CHECK(bearer(credentials) == "Bearer t");
    CHECK_FALSE(credentials.certificate());
    CHECK(bearer(credentials) == "Bearer t");
    CHECK(runs() == 1);
    CHECK(credentials.drop());
    CHECK(bearer(credentials) == "Bearer t");
    CHECK(runs() == 2);
    clock.now += std::chrono::minutes{10};
    CHECK(error_of([&] { bearer(credentials); }).find("expired at 2024-01-01T00:10:00Z") !=
          std::string::npos);
    CHECK(runs() == 3);
}

TEST_CASE("a plugin gets KUBERNETES_EXEC_INFO and its own variables, and may give a certificate") {
    const Workspace folder;
    kube::Cluster cluster = cluster_with(
        "printf '%s %s' \"$WORD\" \"$KUBERNETES_EXEC_INFO\" > '" + folder / "info" +
            std::string{"'\n"} + printing(R"({"clientCertificateData":"C","clientKeyData":"K"})"),
        folder);
    cluster.exec->cluster_info = {{"server", "https://api"}};
    kube::Credentials credentials{cluster};
    const auto certificate = credentials.certificate();
    REQUIRE(certificate);
    CHECK(certificate->chain == "C");
    CHECK(certificate->key.reveal() == "K");
    CHECK(bearer(credentials).empty());
    const std::string info = read_file(folder / "info");
    CHECK(info.starts_with("abc {"));
    CHECK(Json::parse(info.substr(4)) ==
          Json{{"apiVersion", "client.authentication.k8s.io/v1"},
               {"kind", "ExecCredential"},
               {"spec", {{"interactive", false}, {"cluster", {{"server", "https://api"}}}}}});
}

TEST_CASE("fault 53: a plugin that does wrong is named, and what it wrote is not shown") {
    const Workspace folder;
    const auto said = [&folder](const std::string& script,
                                std::chrono::milliseconds limit = std::chrono::minutes{2}) {
        kube::Cluster cluster = cluster_with(script, folder);
        cluster.exec->install_hint = "install it so";
        kube::Credentials credentials{cluster, {.exec_time_limit = limit}};
        const std::string text = error_of([&] { bearer(credentials); });
        CHECK(text.find("hidden") == std::string::npos);
        const std::string start =
            "cannot get credentials from exec plugin " + folder / "plugin" + std::string{": "};
        CHECK(text.starts_with(start));
        return text.substr(std::min(start.size(), text.size()));
    };
    CHECK(said("echo hidden") == "it printed no ExecCredential");
    CHECK(
        said(
            R"(echo '{"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1"}')") ==
        "it answered in client.authentication.k8s.io/v1beta1, the kubeconfig says "
        "client.authentication.k8s.io/v1");
    CHECK(said(printing("null")) == "its ExecCredential has no status");
    CHECK(said(printing(R"({"clientCertificateData":"hidden"})")) ==
          "its status has a clientCertificateData without clientKeyData");
    CHECK(said(printing("{}")) == "its status has neither a token nor a client certificate");
    CHECK(said(printing(R"({"token":"hidden","expirationTimestamp":"2001-01-01T00:00:00Z"})")) ==
          "it gave credentials that have expired at 2001-01-01T00:00:00Z");
    CHECK(said(printing(R"({"token":"hidden","expirationTimestamp":"soon"})")) ==
          "its expirationTimestamp is no time");
    CHECK(said("echo hidden; echo hidden >&2; exit 3") ==
          "it ended with exit code 3; run it by hand to see why");
    CHECK(said("sleep 1000", std::chrono::milliseconds{300}) ==
          "it did not end within 300 ms; install it so");
}

TEST_CASE("a plugin that is not there: the kubeconfig's own hint") {
    kube::Credentials credentials{
        {.server = "https://api",
         .exec = kube::ExecPlugin{.api_version = "client.authentication.k8s.io/v1",
                                  .command = "no-such-plugin-7",
                                  .install_hint = "get it from example.org"}}};
    const std::string text = error_of([&] { bearer(credentials); });
    CHECK(text.find("no-such-plugin-7") != std::string::npos);
    CHECK(text.ends_with("; get it from example.org"));
}
