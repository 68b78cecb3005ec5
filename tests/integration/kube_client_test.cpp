// The client against a real API server, through connections that break where a test wants it: rows
// 47 to 50.
#include <doctest/doctest.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../support/api_proxy.hpp"
#include "../support/kube_testenv.hpp"
#include "fairing/kube/client.hpp"
#include "fairing/kube/watch.hpp"

using namespace fairing;
using support::ApiProxy;
using support::Fault;
using support::in_time;
using support::KubeTestenv;
using support::SeenRequest;

namespace {

kube::Client client_of(const std::string& url) {
    return kube::Client{kube::Cluster{.server = url},
                        support::make_transport(),
                        Control{},
                        {.retry = {.first_delay = std::chrono::milliseconds{10}}}};
}

/// A namespace, the proxy before the API server, and a client that talks to the proxy.
struct ProxiedSite {
    explicit ProxiedSite(KubeTestenv& testenv)
        : kube(testenv),
          space(testenv.new_namespace()),
          proxy(testenv.server(), testenv.token(), support::make_transport(testenv.ca())),
          client(client_of(proxy.url())) {}

    [[nodiscard]] Json job(const std::string& name, const std::string& id) const {
        return {{"apiVersion", "batch/v1"},
                {"kind", "Job"},
                {"metadata",
                 {{"name", name}, {"namespace", space}, {"labels", {{kube::run_label, id}}}}},
                {"spec",
                 {{"suspend", true},
                  {"template",
                   {{"spec",
                     {{"restartPolicy", "Never"},
                      {"containers", Json::array({{{"name", "main"}, {"image", "none"}}})}}}}}}}};
    }
    [[nodiscard]] std::size_t jobs() const {
        return kube.api().get("/apis/batch/v1/namespaces/" + space + "/jobs").body["items"].size();
    }
    [[nodiscard]] std::size_t posts() const { return proxy.count("POST", "/jobs"); }
    /// A ConfigMap that the watches of these tests see.
    void put_map(const std::string& name, const std::string& value) const {
        const std::string maps = "/api/v1/namespaces/" + space + "/configmaps";
        const Json object = {{"metadata", {{"name", name}, {"labels", {{"watched", "yes"}}}}},
                             {"data", {{"value", value}}}};
        const support::ApiAnswer made = kube.api().post(maps, object);
        REQUIRE((made.ok() || made.status == 409));
        if (made.status == 409) {
            REQUIRE(kube.api().patch(maps + '/' + name, {{"data", {{"value", value}}}}).ok());
        }
    }

    KubeTestenv& kube;
    std::string space;
    ApiProxy proxy;
    kube::Client client;
};

/// The first `count` requests that match get `fault`.
ApiProxy::Policy first(int count, const std::string& method, const std::string& part, Fault fault) {
    return [=, left = std::make_shared<int>(count)](const SeenRequest& request) {
        const bool meant =
            request.method == method && request.target.find(part) != std::string::npos;
        return meant && (*left)-- > 0 ? fault : Fault{};
    };
}

/// A watch on a thread of its own; keeps "+name=value", "~name=value" and "-name".
class RecordedWatch {
public:
    RecordedWatch(const kube::Client& client, const std::string& space,
                  kube::WatchOptions options = {})
        : thread_([this, client, space, options](const std::stop_token& stop) {
              try {
                  kube::watch(
                      client.with_stop(stop),
                      {.api_version = "v1",
                       .kind = "ConfigMap",
                       .namespace_ = space,
                       .label_selector = "watched=yes"},
                      [this](const kube::WatchEvent& event) { return record(event); }, options);
              } catch (const Cancelled&) {
                  // the end of the test
              } catch (const std::exception& error) {
                  const std::lock_guard lock{mutex_};
                  seen_.push_back(std::string{"threw "} + error.what());
              }
          }) {}

    [[nodiscard]] std::vector<std::string> seen() const {
        const std::lock_guard lock{mutex_};
        return seen_;
    }
    [[nodiscard]] bool sees(const std::string& last) const {
        return in_time([&] {
            const auto all = seen();
            return !all.empty() && all.back() == last;
        });
    }

private:
    kube::Watching record(const kube::WatchEvent& event) {
        const std::string name = kube::name_of(event.object);
        const std::lock_guard lock{mutex_};
        seen_.push_back(event.change == kube::Change::deleted
                            ? '-' + name
                            : (event.change == kube::Change::added ? '+' : '~') + name + '=' +
                                  event.object["data"]["value"].get<std::string>());
        return kube::Watching::go_on;
    }

    mutable std::mutex mutex_;
    std::vector<std::string> seen_ = {};
    std::jthread thread_;
};

std::string gone_status() {
    return Json{{"kind", "Status"},
                {"apiVersion", "v1"},
                {"status", "Failure"},
                {"reason", "Expired"},
                {"message", "too old resource version: 1 (2)"},
                {"code", 410}}
        .dump();
}

}  // namespace

TEST_CASE("fault 47: the reply to a create is lost, and there is exactly one Job") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    ProxiedSite site{*testenv};
    site.proxy.set_policy(first(1, "POST", "/jobs", {.kind = Fault::Kind::lose_reply}));
    const Json created = site.client.create(site.job("one", "run-1"));
    CHECK(site.jobs() == 1);
    CHECK(kube::uid_of(created) ==
          kube::uid_of(
              testenv->api().get("/apis/batch/v1/namespaces/" + site.space + "/jobs/one").body));

    // The reply to the look afterwards is lost, too.
    auto lost = std::make_shared<int>(2);
    site.proxy.set_policy([lost](const SeenRequest& request) {
        const bool meant = request.target.find("/jobs") != std::string::npos && (*lost)-- > 0;
        return meant ? Fault{.kind = Fault::Kind::lose_reply} : Fault{};
    });
    static_cast<void>(site.client.create(site.job("two", "run-2")));
    CHECK(site.jobs() == 2);

    // The server goes away while it is asked, and comes back.
    testenv->stop("kube-apiserver");
    std::jthread restart{[&] { testenv->start("kube-apiserver"); }};
    const kube::Client patient{kube::Cluster{.server = site.proxy.url()},
                               support::make_transport(),
                               Control{},
                               {.retry = {.attempts = 1000,
                                          .first_delay = std::chrono::milliseconds{50},
                                          .longest_delay = std::chrono::milliseconds{200}}}};
    static_cast<void>(patient.create(site.job("three", "run-3")));
    restart.join();
    CHECK(site.jobs() == 3);
}

TEST_CASE("fault 48: 409 of a foreign object, 422 with its causes, 403: asked once") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    ProxiedSite site{*testenv};
    static_cast<void>(site.client.create(site.job("taken", "somebody")));
    site.proxy.forget();
    const auto refused = [](const kube::Client& client, const Json& object) {
        try {
            static_cast<void>(client.create(object));
        } catch (const kube::StatusError& error) {
            return error;
        }
        FAIL("it was created");
        throw std::logic_error{"never"};
    };
    const kube::StatusError conflict = refused(site.client, site.job("taken", "me"));
    CHECK(conflict.status() == 409);
    CHECK(std::string{conflict.what()}.find("taken") != std::string::npos);
    CHECK(site.posts() == 1);
    // Ours is no conflict.
    CHECK_NOTHROW(static_cast<void>(site.client.create(site.job("taken", "somebody"))));

    site.proxy.forget();
    Json bad = site.job("bad", "me");
    bad["spec"]["backoffLimit"] = -1;
    bad["spec"]["template"]["spec"]["restartPolicy"] = "Always";
    const kube::StatusError invalid = refused(site.client, bad);
    CHECK(invalid.status() == 422);
    CHECK(invalid.causes().size() >= 2);
    const std::string said = invalid.what();
    CHECK_MESSAGE(said.find("spec.backoffLimit") != std::string::npos, said);
    CHECK_MESSAGE(said.find("restartPolicy") != std::string::npos, said);
    CHECK(site.posts() == 1);

    ApiProxy nobody{testenv->server(), testenv->nobody_token(),
                    support::make_transport(testenv->ca())};
    nobody.set_policy({});
    const kube::StatusError denied = refused(client_of(nobody.url()), site.job("no", "me"));
    CHECK(denied.status() == 403);
    CHECK(std::string{denied.what()}.find("forbidden") != std::string::npos);
    CHECK(nobody.count("POST", "/jobs") == 1);
}

TEST_CASE("fault 49: a 429 with Retry-After is tried again, a 500 without one is not for a POST") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    ProxiedSite site{*testenv};
    site.proxy.set_policy(first(2, "POST", "/jobs",
                                {.kind = Fault::Kind::answer,
                                 .status = "429 Too Many Requests",
                                 .headers = "Retry-After: 1\r\n"}));
    static_cast<void>(site.client.create(site.job("one", "run-1")));
    CHECK(site.posts() == 3);
    CHECK(site.jobs() == 1);

    site.proxy.forget();
    site.proxy.set_policy(
        first(1, "POST", "/jobs",
              {.kind = Fault::Kind::answer, .status = "500 Internal Server Error", .body = "{}"}));
    CHECK_THROWS_AS(static_cast<void>(site.client.create(site.job("two", "run-2"))),
                    kube::StatusError);
    CHECK(site.posts() == 1);
    CHECK(site.jobs() == 1);
}

TEST_CASE("fault 50: a watch that is cut in the middle of its JSON loses and repeats nothing") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    ProxiedSite site{*testenv};
    auto number = std::make_shared<std::atomic<int>>(0);
    site.proxy.set_policy([number](const SeenRequest& request) {
        const bool watches = request.target.find("watch=") != std::string::npos;
        // Each of the first ten is cut somewhere else, by a reset and by an orderly end in turn.
        return watches && ++*number <= 10
                   ? Fault{.kind = *number % 2 == 0 ? Fault::Kind::cut : Fault::Kind::end,
                           .bytes = static_cast<std::size_t>(500 + 137 * *number)}
                   : Fault{};
    });
    site.put_map("before", "0");
    const RecordedWatch watch{site.client, site.space};
    std::vector<std::string> expected = {"+before=0"};
    REQUIRE(watch.sees("+before=0"));
    for (int i = 0; i < 40; ++i) {
        const std::string name = "m" + std::to_string(i % 10);
        site.put_map(name, std::to_string(i));
        expected.push_back((i < 10 ? '+' : '~') + name + '=' + std::to_string(i));
        REQUIRE(watch.sees(expected.back()));
    }
    CHECK(watch.seen() == expected);
    CHECK(*number > 10);
}

TEST_CASE("fault 50: 410 as an answer, 410 in the stream, and a real one; bookmarks move on") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    ProxiedSite site{*testenv};
    site.put_map("a", "1");
    site.put_map("b", "1");
    auto number = std::make_shared<std::atomic<int>>(0);
    site.proxy.set_policy([number](const SeenRequest& request) {
        if (request.target.find("watch=") == std::string::npos) {
            return Fault{};
        }
        switch (++*number) {
            case 1:
                return Fault{
                    .kind = Fault::Kind::answer, .status = "410 Gone", .body = gone_status()};
            case 2:
                return Fault{.kind = Fault::Kind::answer,
                             .status = "200 OK",
                             .body = R"({"type":"ERROR","object":)" + gone_status() + "}\n"};
            case 3:
                return Fault{.kind = Fault::Kind::answer,
                             .status = "200 OK",
                             .body = R"({"type":"BOOKMARK","object":{"kind":"ConfigMap",)"
                                     R"("apiVersion":"v1","metadata":{"resourceVersion":"1"}}})"
                                     "\n"};
            default:
                // From the bookmark's version 1 on, which the real server has forgotten.
                return Fault{};
        }
    });
    const RecordedWatch watch{site.client, site.space};
    REQUIRE(in_time([&] { return *number >= 5; }));
    site.put_map("c", "1");
    REQUIRE(watch.sees("+c=1"));
    CHECK(watch.seen() == std::vector<std::string>{"+a=1", "+b=1", "+c=1"});
    CHECK(site.proxy.count("GET", "resourceVersion=1&") == 1);
}

TEST_CASE("fault 50: the API server restarts and etcd is down while a watch goes on") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    ProxiedSite site{*testenv};
    site.put_map("a", "1");
    site.put_map("gone", "1");
    const RecordedWatch watch{site.client, site.space};
    REQUIRE(in_time([&] { return watch.seen().size() == 2; }));

    testenv->stop("kube-apiserver");
    testenv->start("kube-apiserver");
    site.put_map("a", "2");
    REQUIRE(watch.sees("~a=2"));

    testenv->stop("etcd");
    REQUIRE(in_time([&] { return testenv->api().text("/readyz/etcd") != "ok"; }));
    testenv->start("etcd");
    REQUIRE(in_time([&] {
        return testenv->api().remove("/api/v1/namespaces/" + site.space + "/configmaps/gone").ok();
    }));
    REQUIRE(watch.sees("-gone"));

    // Both at once, and something changes before the watch is back.
    site.proxy.cut_all();
    site.put_map("a", "3");
    REQUIRE(watch.sees("~a=3"));
    CHECK(watch.seen() == std::vector<std::string>{"+a=1", "+gone=1", "~a=2", "-gone", "~a=3"});
}
