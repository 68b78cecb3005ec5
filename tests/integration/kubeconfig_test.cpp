// Kubeconfigs side by side with kubectl, which is the measure: `kubectl config view --minify
// --raw`.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../support/kube_testenv.hpp"
#include "../support/workspace.hpp"
#include "fairing/kube/kubeconfig.hpp"

using namespace fairing;

namespace {

struct KubeconfigCase {
    const char* name;
    std::vector<const char*> files;  ///< the KUBECONFIG list, in order
    const char* context = "";
};

const std::vector<KubeconfigCase>& kubeconfig_cases() {
    static const std::vector<KubeconfigCase> cases = {
        {"token", {R"(
apiVersion: v1
kind: Config
current-context: one
clusters: [{name: c, cluster: {server: "https://a.example:6443"}}]
users: [{name: u, user: {token: abc}}]
contexts: [{name: one, context: {cluster: c, user: u, namespace: team}}]
)"}},
        {"another context than the current",
         {R"(
current-context: one
clusters:
- {name: c, cluster: {server: "https://a.example:6443"}}
- {name: d, cluster: {server: "https://b.example", insecure-skip-tls-verify: true}}
users: [{name: u, user: {token: abc}}, {name: v, user: {username: me, password: secret}}]
contexts:
- {name: one, context: {cluster: c, user: u}}
- {name: two, context: {cluster: d, user: v, namespace: other}}
)"},
         "two"},
        {"JSON",
         {R"({"current-context":"x","clusters":[{"name":"c","cluster":{"server":"https://j"}}],
"users":[{"name":"u","user":{"token":"t"}}],"contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}]})"}},
        {"relative paths start at their own file", {R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://a", certificate-authority: pki/ca.crt}}]
users: [{name: u, user: {client-certificate: ../me.crt, client-key: ./me.key}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
)"}},
        {"token file", {R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://a"}}]
users: [{name: u, user: {tokenFile: token}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
)"}},
        {"data members, proxy and server name", {R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://a", certificate-authority-data: Y2E=, proxy-url: "http://p:3128", tls-server-name: real.example}}]
users: [{name: u, user: {client-certificate-data: YQ==, client-key-data: Yg==}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
)"}},
        {"exec plugin", {R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://a"}}]
users:
- name: u
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./bin/plugin
      args: [get, token]
      env: [{name: A, value: "1"}]
      interactiveMode: Never
      provideClusterInfo: true
contexts: [{name: one, context: {cluster: c, user: u}}]
)"}},
        {"exec plugin from the PATH", {R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://a"}}]
users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws, args: [eks], env: null, interactiveMode: IfAvailable, provideClusterInfo: false}}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
)"}},
        {"two files: the first current-context, entries from both",
         {R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://first"}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
)",
          R"(
current-context: two
clusters: [{name: d, cluster: {server: "https://second"}}]
users: [{name: u, user: {token: second}}]
contexts: [{name: two, context: {cluster: d, user: u}}]
)"}},
        {"two files: an entry of the first wins as a whole",
         {R"(
clusters: [{name: c, cluster: {server: "https://first"}}]
users: [{name: u, user: {token: first}}]
)",
          R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://second", tls-server-name: second}}]
users: [{name: u, user: {token: second}}]
contexts: [{name: one, context: {cluster: c, user: u, namespace: team}}]
)"}},
        {"three files, relative paths in each",
         {R"(
current-context: one
contexts: [{name: one, context: {cluster: c, user: u}}]
)",
          R"(
clusters: [{name: c, cluster: {server: "https://a", certificate-authority: ca.pem}}]
)",
          R"(
users: [{name: u, user: {client-certificate: c.pem, client-key: k.pem}}]
)"}},
        {"an empty file in the list", {"", R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://a"}}]
users: [{name: u, user: {token: abc}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
)"}},
        {"impersonation", {R"(
current-context: one
clusters: [{name: c, cluster: {server: "https://a"}}]
users: [{name: u, user: {token: abc, as: someone, as-groups: [a, b]}}]
contexts: [{name: one, context: {cluster: c, user: u}}]
)"}},
        {"anchors, folded and quoted texts", {R"(
current-context: "one two"
clusters:
- name: &c cluster:1
  cluster:
    server: >-
      https://a.example:6443
users: [{name: 'u@c', user: {token: "0123"}}]
contexts: [{name: "one two", context: {cluster: *c, user: 'u@c', namespace: "007"}}]
)"}},
    };
    return cases;
}

/// kubectl shows a path as it is written; ours are those that it opens: absolute, from the folder
/// of the file whose entry counts.
void make_paths_absolute(Json& shown, const std::vector<kube::KubeconfigFile>& files,
                         const std::string& list, const std::string& kind) {
    for (Json& entry : shown[list]) {
        for (const kube::KubeconfigFile& file : files) {
            const Json entries = file.document.value(list, Json::array());
            const bool has = std::any_of(entries.begin(), entries.end(), [&](const Json& other) {
                return other["name"] == entry["name"];
            });
            if (!has) {
                continue;
            }
            const auto fix = [&](Json& path) {
                path =
                    (file.path.parent_path() / path.get<std::string>()).lexically_normal().string();
            };
            for (const char* key :
                 {"certificate-authority", "client-certificate", "client-key", "tokenFile"}) {
                if (entry[kind].contains(key)) {
                    fix(entry[kind][key]);
                }
            }
            if (entry[kind].contains("exec") &&
                text_or(entry[kind]["exec"], "command").find('/') != std::string::npos) {
                fix(entry[kind]["exec"]["command"]);
            }
            break;
        }
    }
}

}  // namespace

TEST_CASE("fault 54: kubeconfigs are read as kubectl reads them") {
    support::KubeTestenv* kube = support::KubeTestenv::get();
    if (kube == nullptr) {
        return;
    }
    CHECK(kubeconfig_cases().size() >= 12);
    for (const KubeconfigCase& each : kubeconfig_cases()) {
        CAPTURE(std::string{each.name});
        const support::Workspace space;
        std::string list;
        std::vector<kube::KubeconfigFile> files;
        for (std::size_t i = 0; i < each.files.size(); ++i) {
            const std::string name = "d" + std::to_string(i) + "/config";
            space.file(name, each.files[i]);
            list += (list.empty() ? "" : ":") + (space / name);
            files.push_back({.path = space / name,
                             .document = kube::parse_kubeconfig(each.files[i], space / name)});
        }
        const std::string context = each.context;
        const support::ShellResult theirs =
            support::run("KUBECONFIG=" + list + ' ' + kube->kubectl_program() +
                         " config view --minify --raw -o json" +
                         (context.empty() ? "" : " --context " + context) + " 2>&1");
        CAPTURE(theirs.output);
        REQUIRE(theirs.exit_code == 0);
        Json expected = parse_json(theirs.output, "kubectl's answer");
        expected.erase("preferences");
        make_paths_absolute(expected, files, "clusters", "cluster");
        make_paths_absolute(expected, files, "users", "user");
        CHECK(kube::minify_kubeconfig(kube::merge_kubeconfigs(files), context) == expected);
    }
}

TEST_CASE("fault 54: what kubectl refuses is refused, and named") {
    support::KubeTestenv* kube = support::KubeTestenv::get();
    if (kube == nullptr) {
        return;
    }
    struct Bad {
        const char* text;
        const char* named;
    };
    const std::vector<Bad> bad = {
        {"clusters: [{name: c, cluster: {server: 'https://a'}}]\n", "current-context"},
        {"current-context: gone\n", "\"gone\""},
        {"current-context: x\ncontexts: [{name: x, context: {cluster: lost, user: u}}]\n",
         "\"lost\""},
        {"current-context: [\n", "config"},
    };
    for (const Bad& each : bad) {
        CAPTURE(std::string{each.text});
        const support::Workspace space;
        space.file("config", each.text);
        const support::ShellResult theirs =
            support::run("KUBECONFIG=" + (space / "config") + ' ' + kube->kubectl_program() +
                         " --request-timeout=2s get pods 2>&1");
        CHECK(theirs.exit_code != 0);
        const std::string ours = support::error_of(
            [&] { static_cast<void>(kube::load_cluster({.file = space / "config"})); });
        CHECK_MESSAGE(ours.find(each.named) != std::string::npos, ours);
    }
}
