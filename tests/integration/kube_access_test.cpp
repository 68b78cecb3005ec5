// Who we are to a real API server: exec plugins and token files that do right, change, and do
// wrong. Row 53.
#include <doctest/doctest.h>
#include <signal.h>

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../support/kube_testenv.hpp"
#include "../support/tcp_proxy.hpp"
#include "../support/workspace.hpp"
#include "fairing/kube/client.hpp"
#include "fairing/kube/kubeconfig.hpp"

using namespace fairing;
using support::contains;
using support::in_time;
using support::KubeTestenv;
using support::ShellResult;

namespace {

/// Kubeconfigs for the real server, each with another user, over a connection that is counted.
class AccessSite {
public:
    explicit AccessSite(KubeTestenv& testenv) : kube(testenv), wire(testenv.port()) {
        // A server that has just started does not know yet what everybody may do.
        const support::KubeApi nobody{kube.server(), kube.nobody_token(),
                                      support::make_transport(kube.ca())};
        REQUIRE(in_time([&] {
            return nobody.post("/apis/authentication.k8s.io/v1/selfsubjectreviews", Json::object())
                .ok();
        }));
    }

    [[nodiscard]] std::string kubeconfig(const Json& user) const {
        const std::string server = "https://127.0.0.1:" + std::to_string(wire.port());
        folder.file(
            "kubeconfig",
            Json{{"current-context", "one"},
                 {"clusters",
                  Json::array(
                      {{{"name", "c"},
                        {"cluster", {{"server", server}, {"certificate-authority", kube.ca()}}}}})},
                 {"users", Json::array({{{"name", "u"}, {"user", user}}})},
                 {"contexts",
                  Json::array({{{"name", "one"}, {"context", {{"cluster", "c"}, {"user", "u"}}}}})}}
                .dump());
        return folder / "kubeconfig";
    }
    [[nodiscard]] kube::Client client(const Json& user, kube::CredentialsOptions options) const {
        const kube::Cluster cluster = kube::load_cluster({.file = kubeconfig(user)});
        auto credentials = std::make_shared<kube::Credentials>(cluster, std::move(options));
        return {cluster, support::make_transport(kube.ca()), Control{}, {}, std::move(credentials)};
    }
    /// One request by the command, with both its streams.
    [[nodiscard]] ShellResult list(const Json& user) const {
        return support::run("timeout 60 " + *env("FAIRING_COMMAND") + " list --kubeconfig " +
                            kubeconfig(user) + " 2>&1");
    }
    /// A user whose plugin is this script; it notes that it ran.
    [[nodiscard]] Json plugin(const std::string& script) const {
        folder.file("plugin", "#!/bin/sh\necho x >> '" + (folder / "runs") + "'\n" + script, 0755);
        return {{"exec",
                 {{"apiVersion", "client.authentication.k8s.io/v1"},
                  {"command", folder / "plugin"},
                  {"interactiveMode", "Never"}}}};
    }
    /// One that gives what answer() said last.
    [[nodiscard]] Json plugin() const { return plugin("cat '" + (folder / "answer") + "'\n"); }
    void answer(const Json& status, const std::string& version = "v1") const {
        folder.file("answer", Json{{"kind", "ExecCredential"},
                                   {"apiVersion", "client.authentication.k8s.io/" + version},
                                   {"status", status}}
                                  .dump());
    }
    [[nodiscard]] std::size_t runs() const { return read_file(folder / "runs").size() / 2; }
    [[nodiscard]] std::string key_file(const std::string& name) const {
        return read_file(std::filesystem::path{kube.ca()}.parent_path() / name);
    }

    KubeTestenv& kube;
    support::Workspace folder = {};
    support::TcpProxy wire;
};

/// Whom the server takes us for.
std::string user_of(const kube::Client& client) {
    const Json review =
        client.create({{"apiVersion", "authentication.k8s.io/v1"}, {"kind", "SelfSubjectReview"}});
    return review["status"]["userInfo"]["username"].get<std::string>();
}

/// A clock that a test turns on.
struct TurnedClock {
    std::chrono::system_clock::time_point now = std::chrono::system_clock::now();

    [[nodiscard]] Clock clock() {
        return [this] { return now; };
    }
    [[nodiscard]] std::string in(std::chrono::minutes time) const {
        return support::rfc3339(
            std::chrono::duration_cast<std::chrono::nanoseconds>((now + time).time_since_epoch())
                .count(),
            0);
    }
};

}  // namespace

TEST_CASE("fault 53: a plugin's token opens the server; another is fetched when it must be") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    using std::chrono::minutes;
    const AccessSite site{*testenv};
    TurnedClock clock;
    const kube::Client client = site.client(site.plugin(), {.clock = clock.clock()});

    site.answer({{"token", testenv->token()}, {"expirationTimestamp", clock.in(minutes{10})}});
    CHECK(user_of(client) == "admin");
    CHECK(site.runs() == 1);
    site.answer(
        {{"token", testenv->nobody_token()}, {"expirationTimestamp", clock.in(minutes{30})}});
    clock.now += minutes{9};
    CHECK(user_of(client) == "admin");
    CHECK(site.runs() == 1);
    clock.now += minutes{2};
    CHECK(user_of(client) == "nobody");
    CHECK(site.runs() == 2);

    // A token that the server refuses is fetched once more, and then it is told.
    site.answer({{"token", "stale-token"}});
    clock.now += minutes{30};
    const std::string refused = support::error_of([&] { static_cast<void>(user_of(client)); });
    CHECK_MESSAGE(contains(refused, "401"), refused);
    CHECK_FALSE(contains(refused, "stale-token"));
    CHECK(site.runs() == 4);
    site.answer({{"token", testenv->token()}});
    CHECK(user_of(client) == "admin");
    CHECK(site.runs() == 5);
}

TEST_CASE("fault 53: a plugin's certificate opens the server, one with another key does not") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr || !env("FAIRING_COMMAND")) {
        MESSAGE("skipped: no binaries, or FAIRING_COMMAND is not set");
        return;
    }
    const AccessSite site{*testenv};
    const std::string certificate = site.key_file("admin.crt");
    site.answer(
        {{"clientCertificateData", certificate}, {"clientKeyData", site.key_file("admin.key")}});
    const ShellResult good = site.list(site.plugin());
    CHECK_MESSAGE(good.exit_code == 0, good.output);
    CHECK(site.runs() == 1);

    const ShellResult nobody = site.list(Json::object());
    CAPTURE(nobody.output);
    CHECK(nobody.exit_code == 77);
    CHECK(contains(nobody.output, "system:anonymous"));

    site.answer(
        {{"clientCertificateData", certificate}, {"clientKeyData", site.key_file("kubelet.key")}});
    const ShellResult other = site.list(site.plugin());
    CAPTURE(other.output);
    CHECK(other.exit_code != 0);
    CHECK(contains(other.output, "certificate"));
    CHECK_FALSE(contains(other.output, "PRIVATE"));
}

TEST_CASE("fault 53: a plugin that does wrong is named, and the server is not asked") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr || !env("FAIRING_COMMAND")) {
        MESSAGE("skipped: no binaries, or FAIRING_COMMAND is not set");
        return;
    }
    const AccessSite site{*testenv};
    const auto refused = [&](const Json& user, const std::string& said) {
        const ShellResult ran = site.list(user);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 77);
        CHECK_MESSAGE(contains(ran.output, said), said);
        CHECK(contains(ran.output, site.folder / "plugin"));
        CHECK_FALSE(contains(ran.output, "hidden"));
    };
    const Json plugin = site.plugin();
    site.answer({{"token", "hidden"}}, "v1beta1");
    refused(plugin, "the kubeconfig says client.authentication.k8s.io/v1");
    site.answer(nullptr);
    refused(plugin, "its ExecCredential has no status");
    site.answer(Json::object());
    refused(plugin, "neither a token nor a client certificate");
    site.answer({{"clientCertificateData", site.key_file("admin.crt")}});
    refused(plugin, "a clientCertificateData without clientKeyData");
    site.answer({{"token", "hidden"}, {"expirationTimestamp", "2001-01-01T00:00:00Z"}});
    refused(plugin, "credentials that have expired at 2001-01-01T00:00:00Z");
    refused(site.plugin("echo hidden\n"), "it printed no ExecCredential");
    refused(site.plugin("echo hidden >&2; exit 3\n"), "it ended with exit code 3");

    // One that hangs is ended when its time is over, or by an interrupt.
    const std::string id = site.folder / "id";
    const Json hanging = site.plugin("echo $$ > '" + id + ".new'; mv '" + id + ".new' '" + id +
                                     "'; exec sleep 600\n");
    const auto is_running = [&] {  // unless the time was over before it had begun
        return std::filesystem::exists(id) &&
               ::kill(static_cast<pid_t>(std::stoi(read_file(id))), 0) == 0;
    };
    const kube::Client impatient =
        site.client(hanging, {.exec_time_limit = std::chrono::milliseconds{700}});
    const std::string late = support::error_of([&] { static_cast<void>(user_of(impatient)); });
    CHECK_MESSAGE(contains(late, "it did not end within 700 ms"), late);
    CHECK_FALSE(is_running());
    std::filesystem::remove(id);
    test::ChildProcess command{
        {*env("FAIRING_COMMAND"), "list", "--kubeconfig", site.kubeconfig(hanging)},
        site.folder / "log"};
    REQUIRE(in_time([&] { return std::filesystem::exists(id); }));
    command.signal(SIGINT);
    CHECK(in_time([&] { return command.exit_code().has_value(); }));
    CHECK(command.exit_code() == 130);
    CHECK_FALSE(is_running());

    CHECK(site.wire.connections() == 0);
}

TEST_CASE("fault 53: a token file is read anew after a minute and after a refusal") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    using std::chrono::seconds;
    const AccessSite site{*testenv};
    // A token that the server itself made, and forgets with the Secret that it is bound to.
    const std::string space = testenv->new_namespace();
    const std::string core = "/api/v1/namespaces/" + space;
    const support::ApiAnswer session =
        testenv->api().post(core + "/secrets", {{"metadata", {{"name", "session"}}}});
    REQUIRE(session.ok());
    const support::ApiAnswer made =
        testenv->api().post(core + "/serviceaccounts/default/token",
                            {{"spec",
                              {{"expirationSeconds", 3600},
                               {"boundObjectRef",
                                {{"apiVersion", "v1"},
                                 {"kind", "Secret"},
                                 {"name", "session"},
                                 {"uid", session.body["metadata"]["uid"]}}}}}});
    REQUIRE(made.ok());
    const std::string bound = made.body["status"]["token"].get<std::string>();

    TurnedClock clock;
    site.folder.file("token", bound + '\n');
    const kube::Client client =
        site.client({{"tokenFile", site.folder / "token"}}, {.clock = clock.clock()});
    const std::string account = "system:serviceaccount:" + space + ":default";
    CHECK(user_of(client) == account);
    site.folder.file("token", testenv->nobody_token());
    clock.now += seconds{59};
    CHECK(user_of(client) == account);

    REQUIRE(testenv->api().remove(core + "/secrets/session").ok());
    const support::KubeApi with_bound{testenv->server(), bound,
                                      support::make_transport(testenv->ca())};
    REQUIRE(in_time([&] { return with_bound.get("/api").status == 401; }));
    CHECK(user_of(client) == "nobody");

    site.folder.file("token", testenv->token());
    clock.now += seconds{59};
    CHECK(user_of(client) == "nobody");
    clock.now += seconds{1};
    CHECK(user_of(client) == "admin");

    site.folder.file("token", " \n");
    clock.now += seconds{61};
    const std::string empty = support::error_of([&] { static_cast<void>(user_of(client)); });
    CHECK(empty == "cannot read token file " + (site.folder / "token") + ": it is empty");
    const int connections = site.wire.connections();
    const kube::Client fresh = site.client({{"tokenFile", site.folder / "token"}}, {});
    CHECK(support::error_of([&] { static_cast<void>(user_of(fresh)); }) == empty);
    CHECK(site.wire.connections() == connections);
}
