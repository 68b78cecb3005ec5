#include "fairing/kube/kubeconfig.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <optional>
#include <string>

#include "../support/workspace.hpp"

using namespace fairing;
using support::Workspace;

namespace {

constexpr const char* certificate =
    "-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n";
constexpr const char* private_key =
    "-----BEGIN PRIVATE KEY-----\nMA==\n-----END PRIVATE KEY-----\n";

/// A variable for as long as the test lasts.
class Variable {
public:
    Variable(const char* name, const std::string& value) : name_(name), before_(env(name)) {
        ::setenv(name, value.c_str(), 1);
    }
    ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;

private:
    const char* name_;
    std::optional<std::string> before_;
};

/// A kubeconfig with one context, "lab".
Json config_of(const Json& cluster, const Json& user, const Json& context = Json::object()) {
    Json named = context;
    named["cluster"] = "c";
    named["user"] = "u";
    return {{"kind", "Config"},
            {"current-context", "lab"},
            {"clusters", Json::array({{{"name", "c"}, {"cluster", cluster}}})},
            {"users", Json::array({{{"name", "u"}, {"user", user}}})},
            {"contexts", Json::array({{{"name", "lab"}, {"context", named}}})}};
}

const Json plain_cluster = {{"server", "https://api:6443"}};

kube::Cluster selected(const Json& config, const std::string& context = {}) {
    return kube::select_cluster(kube::merge_kubeconfigs({{"/etc/kube/config", config}}), context);
}

std::string complaint(const Json& config, const std::string& context = {}) {
    try {
        static_cast<void>(selected(config, context));
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

std::string load_complaint(const kube::KubeconfigOptions& options = {}) {
    try {
        static_cast<void>(kube::load_cluster(options));
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

bool mentions(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("data before files, token before tokenFile, and a slash at the end does not count") {
    const Workspace folder;
    folder.file("ca.pem", certificate);
    const Json cluster = {{"server", "https://api:6443/k8s/"},
                          {"certificate-authority", folder / "no such file"},
                          {"certificate-authority-data", codec::base64_encode(certificate)},
                          {"tls-server-name", "kubernetes"},
                          {"proxy-url", "http://proxy:3128"}};
    const Json user = {{"token", "one"},
                       {"tokenFile", "/two"},
                       {"client-certificate-data", codec::base64_encode(certificate)},
                       {"client-key-data", codec::base64_encode(private_key)}};
    const kube::Cluster got = selected(config_of(cluster, user, {{"namespace", "team"}}));
    CHECK(got.server == "https://api:6443/k8s");
    CHECK(got.certificate_authority == certificate);
    CHECK(got.tls_server_name == "kubernetes");
    CHECK(got.proxy == "http://proxy:3128");
    CHECK(got.token.reveal() == "one");
    CHECK(got.token_file.empty());
    CHECK(got.client_certificate == certificate);
    CHECK(got.client_key.reveal() == private_key);
    CHECK(got.namespace_ == "team");
    CHECK(got.context == "lab");
    CHECK(got.check == kube::ServerCheck::full);
}

TEST_CASE("relative paths start at their own file") {
    const Workspace folder;
    folder.file("a/config",
                config_of({{"server", "https://api"}, {"certificate-authority", "ca.pem"}},
                          {{"client-certificate", "../cert.pem"},
                           {"client-key", "key.pem"},
                           {"tokenFile", "token"}})
                    .dump());
    folder.file("a/ca.pem", certificate);
    folder.file("cert.pem", certificate);
    folder.file("a/key.pem", private_key);
    const kube::Cluster got = kube::load_cluster({.file = folder / "a/config"});
    CHECK(got.certificate_authority == certificate);
    CHECK(got.token_file == folder / "a/token");
    const Json config = config_of(
        plain_cluster,
        {{"exec", {{"apiVersion", "client.authentication.k8s.io/v1"}, {"command", "./plugin"}}}});
    CHECK(selected(config).exec->command == "/etc/kube/plugin");
}

TEST_CASE("fault 54: of several files the first entry wins as a whole") {
    Json first = config_of({{"server", "https://first"}}, {{"token", "t1"}});
    first.erase("current-context");
    Json second = config_of({{"server", "https://second"}, {"tls-server-name", "x"}},
                            {{"token", "t2"}, {"as", "other"}});
    second["current-context"] = "more";
    second["contexts"].push_back(
        {{"name", "more"}, {"context", {{"cluster", "c"}, {"user", "u"}}}});
    const Json merged = kube::merge_kubeconfigs({{"/1", first}, {"/2", second}});
    const kube::Cluster got = kube::select_cluster(merged);
    CHECK(got.context == "more");
    CHECK(got.server == "https://first");
    CHECK(got.tls_server_name.empty());
    CHECK(got.token.reveal() == "t1");
    CHECK(got.impersonation.user.empty());
}

TEST_CASE("fault 54: files of KUBECONFIG that are missing do not count, broken ones do") {
    const Workspace folder;
    folder.file("good", config_of(plain_cluster, {{"token", "t"}}).dump());
    folder.file("broken", "{\"clusters\": [hidden-secret");
    {
        const Variable list{"KUBECONFIG", folder / "none" + std::string{"::"} + (folder / "good")};
        CHECK(kube::load_cluster().token.reveal() == "t");
        CHECK(mentions(load_complaint({.file = folder / "none"}), "No such file"));
        CHECK(mentions(load_complaint({.context = "x"}), "context \"x\""));
    }
    const Variable list{"KUBECONFIG", (folder / "broken") + ':' + (folder / "good")};
    const std::string text = load_complaint();
    CHECK(mentions(text, "broken"));
    CHECK_FALSE(mentions(text, "hidden-secret"));
}

TEST_CASE("what is missing is named") {
    const Json user = Json::object();
    CHECK(complaint(config_of(plain_cluster, user), "x") ==
          "cannot use kubeconfig context \"x\": there is none of that name; there are: lab");
    Json config = config_of(plain_cluster, user);
    config["current-context"] = "";
    CHECK(mentions(complaint(config), "it has no current-context; choose one with --context"));
    config = config_of(plain_cluster, user);
    config["clusters"] = nullptr;
    CHECK(complaint(config) ==
          "cannot use kubeconfig cluster \"c\": there is none of that name, which context \"lab\" "
          "names; there are: none");
    config = config_of(plain_cluster, user);
    config["users"] = Json::array();
    CHECK(mentions(complaint(config), "user \"u\": there is none of that name"));
    config = config_of(plain_cluster, user);
    config["users"].push_back(config["users"][0]);
    CHECK(mentions(complaint(config), "users names \"u\" twice"));
    CHECK(mentions(complaint(config_of(Json::object(), user)), "cluster \"c\": it has no server"));
    CHECK(mentions(complaint(config_of({{"server", "api"}}, user)), "server: "));
}

TEST_CASE("what contradicts itself, or is not supported, is refused without a secret") {
    const auto of_user = [](const Json& user) { return complaint(config_of(plain_cluster, user)); };
    const auto of_cluster = [](Json cluster) {
        cluster["server"] = "https://api";
        return complaint(config_of(cluster, Json::object()));
    };
    const std::string pem = codec::base64_encode(certificate);
    const std::string key = codec::base64_encode(private_key);
    CHECK(mentions(of_user({{"client-certificate-data", pem}}), "client-key is missing"));
    CHECK(mentions(of_user({{"client-key-data", key}}), "client-certificate is missing"));
    CHECK(mentions(of_user({{"client-key-data", "!hidden"}, {"client-certificate-data", pem}}),
                   "client-key-data is not Base64"));
    CHECK_FALSE(mentions(of_user({{"client-key-data", "!hidden"}}), "hidden"));
    CHECK(mentions(of_user({{"client-key-data", pem}, {"client-certificate-data", pem}}),
                   "client-key holds no PEM private key"));
    CHECK(mentions(of_user({{"client-certificate", "/no/such"}, {"client-key-data", key}}),
                   "client-certificate /no/such: No such file"));
    CHECK(mentions(of_user({{"token", "hidden"}, {"username", "me"}}), "exclude another"));
    CHECK_FALSE(mentions(of_user({{"token", "hidden"}, {"username", "me"}}), "hidden"));
    CHECK(mentions(of_user({{"auth-provider", {{"name", "gcp"}}}}), "auth-provider was removed"));
    CHECK(mentions(of_user({{"as-uid", "1"}}), "without as"));
    CHECK(mentions(
        of_user({{"exec",
                  {{"apiVersion", "client.authentication.k8s.io/v1alpha1"}, {"command", "x"}}}}),
        "client.authentication.k8s.io/v1alpha1"));
    CHECK(mentions(of_user({{"exec", {{"apiVersion", "client.authentication.k8s.io/v1"}}}}),
                   "exec has no command"));
    CHECK(mentions(
        of_cluster({{"insecure-skip-tls-verify", true}, {"certificate-authority-data", pem}}),
        "exclude another"));
    CHECK(mentions(of_cluster({{"insecure-skip-tls-verify", "maybe"}}), "neither true nor false"));
    CHECK(mentions(of_cluster({{"certificate-authority-data", "bm90aGluZw=="}}),
                   "no PEM certificate"));
    CHECK(mentions(of_cluster({{"proxy-url", "socks5://x"}}), "not an http:// URL"));
}

TEST_CASE("insecure, impersonation, Basic and an exec plugin with the cluster's own words") {
    Json cluster = plain_cluster;
    cluster["insecure-skip-tls-verify"] = "yes";
    cluster["extensions"] = {{{"name", "client.authentication.k8s.io/exec"}, {"extension", 7}}};
    const Json user = {{"as", "boss"},
                       {"as-groups", {"a", "b"}},
                       {"as-user-extra", {{"reason", {"x", "y"}}}},
                       {"exec",
                        {{"apiVersion", "client.authentication.k8s.io/v1beta1"},
                         {"command", "aws"},
                         {"args", {"eks", 1}},
                         {"env", {{{"name", "AWS_PROFILE"}, {"value", "dev"}}}},
                         {"provideClusterInfo", true},
                         {"installHint", "install aws"}}}};
    const kube::Cluster got = selected(config_of(cluster, user));
    CHECK(got.check == kube::ServerCheck::off);
    CHECK(got.impersonation.groups.size() == 2);
    CHECK(got.impersonation.extra.size() == 2);
    REQUIRE(got.exec);
    CHECK(got.exec->arguments == std::vector<std::string>{"eks", "1"});
    CHECK(got.exec->environment.at("AWS_PROFILE") == "dev");
    CHECK(got.exec->cluster_info["config"] == 7);
    CHECK(got.exec->cluster_info["server"] == "https://api:6443");
    CHECK(selected(config_of(plain_cluster, {{"username", "me"}, {"password", "p"}})).user == "me");
}

TEST_CASE("in a pod: the service account, and what it lacks is named") {
    const Workspace folder;
    const Variable no_list{"KUBECONFIG", folder / "none"};
    const Variable no_home{"HOME", folder / "nowhere"};
    {
        const Variable no_host{"KUBERNETES_SERVICE_HOST", ""};
        CHECK(mentions(load_complaint(), "there is no kubeconfig (looked for " + folder / "none"));
    }
    const Variable host{"KUBERNETES_SERVICE_HOST", "fd00::1"};
    const Variable port{"KUBERNETES_SERVICE_PORT", "443"};
    const kube::KubeconfigOptions options{.service_account = folder.path()};
    CHECK(mentions(load_complaint(options), "token is missing"));
    folder.file("token", "t");
    CHECK(mentions(load_complaint(options), "ca.crt is missing"));
    folder.file("ca.crt", certificate);
    folder.file("namespace", "team\n");
    const kube::Cluster got = kube::load_cluster(options);
    CHECK(got.server == "https://[fd00::1]:443");
    CHECK(got.namespace_ == "team");
    CHECK(got.token_file == folder / "token");
    CHECK(got.certificate_authority == certificate);
}

#if FAIRING_YAML
TEST_CASE("YAML, where numbers and words stand for texts") {
    const kube::Cluster got = selected(kube::parse_kubeconfig(
        "apiVersion: v1\nkind: Config\ncurrent-context: 7\n"
        "clusters:\n- name: c\n  cluster: {server: https://api, insecure-skip-tls-verify: true}\n"
        "contexts:\n- name: 7\n  context: {cluster: c, user: u}\n"
        "users:\n- name: u\n  user: {token: 123456}\n",
        "f"));
    CHECK(got.context == "7");
    CHECK(got.token.reveal() == "123456");
    CHECK(got.check == kube::ServerCheck::off);
}
#endif
