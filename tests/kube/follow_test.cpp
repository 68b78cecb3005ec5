#include "fairing/kube/follow.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "fairing/core/error.hpp"
#include "fairing/net/transport.hpp"

using namespace fairing;

namespace {

/// One line of a container, at `milliseconds` after the beginning of 2024.
std::string stamped(int milliseconds, const std::string& text) {
    const kube::Time time{.seconds = 1704067200 + milliseconds / 1000};
    std::string fraction = std::to_string(milliseconds % 1000 + 1000).substr(1);
    std::string stamp = kube::whole_seconds(time);
    stamp.insert(stamp.size() - 1, '.' + fraction);
    return stamp + ' ' + text + '\n';
}

/// An API server with one pod and the log of its container, as a kubelet gives it: `sinceTime` by
/// whole seconds, and the connection cut where a test wants it.
class FakeCluster {
public:
    std::vector<std::string> current = {}, previous = {};  ///< stamped lines
    std::vector<std::size_t> cuts = {};  ///< byte counts after which one log request breaks
    Json pod = {};
    std::function<void()> on_log_end = {};  ///< after a log was given whole
    std::vector<std::string> asked = {};
    int waiting_answers = 0;  ///< so often the log is refused because the container waits

    static Json make_pod(const std::string& name, const Json& state, int restarts = 0) {
        Json status = {{"name", "main"}, {"restartCount", restarts}, {"state", state}};
        return {{"apiVersion", "v1"},
                {"kind", "Pod"},
                {"metadata", {{"name", name}, {"namespace", "team"}, {"uid", "uid-" + name}}},
                {"spec",
                 {{"restartPolicy", "Never"}, {"containers", Json::array({{{"name", "main"}}})}}},
                {"status", {{"phase", "Running"}, {"containerStatuses", Json::array({status})}}}};
    }
    static Json running() { return {{"running", Json::object()}}; }
    static Json ended(int code) { return {{"terminated", {{"exitCode", code}}}}; }

    void end(int code) {
        pod["status"]["phase"] = code == 0 ? "Succeeded" : "Failed";
        pod["status"]["containerStatuses"][0]["state"] = ended(code);
    }

    net::Response send(const net::Request& request, const net::BodySink& sink,
                       std::stop_token stop) {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
        }
        const std::lock_guard lock{mutex_};
        const std::string target = request.url.substr(std::string{"http://api"}.size());
        asked.push_back(target);
        if (target == "/api/v1") {
            return {.status = 200, .body = R"({"kind":"APIResourceList","resources":[
                        {"name":"pods","kind":"Pod","namespaced":true,"verbs":["get"]}]})"};
        }
        if (target.find("/log") == std::string::npos) {
            return pod.is_null() ? net::Response{.status = 404}
                                 : net::Response{.status = 200, .body = pod.dump()};
        }
        if (waiting_answers > 0) {
            --waiting_answers;
            return {.status = 400, .body = R"({"kind":"Status","message":"waiting to start"})"};
        }
        give_log(target, sink);
        return {.status = 200};
    }

private:
    void give_log(const std::string& target, const net::BodySink& sink) {
        const std::size_t since = target.find("sinceTime=");
        std::string from;
        if (since != std::string::npos) {
            from = target.substr(since + 10, 24);  // 2024-01-01T00%3A00%3A00Z
            for (std::size_t at = 0; (at = from.find("%3A")) != std::string::npos;) {
                from.replace(at, 3, ":");
            }
            from.pop_back();  // compared by prefix: "…:05" is before "…:05.1Z"
        }
        const bool is_previous = target.find("previous=true") != std::string::npos;
        std::string text;
        for (const std::string& line : is_previous ? previous : current) {
            if (std::string_view{line}.substr(0, from.size()) >= from) {
                text += line;
            }
        }
        const bool is_cut = !cuts.empty();
        if (is_cut) {
            text.resize(std::min(text.size(), cuts.front()));
            cuts.erase(cuts.begin());
        }
        for (std::string_view rest = text; !rest.empty();) {
            const std::size_t part = std::min<std::size_t>(rest.size(), 60000);
            sink(std::as_bytes(std::span{rest.substr(0, part)}));
            rest.remove_prefix(part);
        }
        if (is_cut) {
            throw Error{ErrorCode::unavailable, {.attempted = "reach", .answer = "reset"}};
        }
        if (on_log_end) {
            on_log_end();
        }
    }
    std::mutex mutex_;
};

/// The lines of the pod of `cluster`, told once that it is there.
std::vector<std::string> follow(FakeCluster& cluster, kube::FollowOptions options = {},
                                Control control = {}) {
    std::vector<std::string> lines;
    kube::Cluster where{.server = "http://api"};
    kube::Client client{where,
                        std::ref(cluster),
                        std::move(control),
                        {.retry = {.first_delay = std::chrono::milliseconds{4}}}};
    options.look_again = std::chrono::milliseconds{5};
    kube::PodLogs logs{client, [&lines](const OutputLine& line) { lines.push_back(line.text); },
                       options};
    logs.update(cluster.pod);
    logs.finish();
    return lines;
}

std::vector<std::string> numbered(int count) {
    std::vector<std::string> lines;
    for (int i = 0; i < count; ++i) {
        lines.push_back("line " + std::to_string(i));
    }
    return lines;
}

}  // namespace

TEST_CASE("100,000 lines with ten disconnections arrive once, in order") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running());
    const std::vector<std::string> expected = numbered(100000);
    for (int i = 0; i < 100000; ++i) {
        // Ten thousand lines a second, a hundred of them at the same time.
        cluster.current.push_back(stamped(i / 100 * 10, expected[static_cast<std::size_t>(i)]));
    }
    // Each cut is somewhere in a line; the later ones come after what is read again.
    cluster.cuts = {1,       150003, 700001,  1000019, 1000003,
                    1100007, 999983, 1200011, 1234567, 1000001};
    cluster.on_log_end = [&] { cluster.end(0); };
    const std::vector<std::string> lines = follow(cluster);
    CHECK(lines.size() == expected.size());
    CHECK(lines == expected);
    CHECK(cluster.cuts.empty());
    CHECK(std::count_if(cluster.asked.begin(), cluster.asked.end(), [](const std::string& target) {
              return target.find("sinceTime=") != std::string::npos;
          }) >= 9);
}

TEST_CASE("fault 51: long lines, control bytes and a missing last newline") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running());
    const std::string longest(std::size_t{1} << 20, 'x');
    const std::string odd{"\0nul \x1b[31m", 11};
    std::string last = stamped(3000, "the end");
    last.pop_back();
    cluster.current = {stamped(1000, longest), stamped(1000, odd), stamped(2000, ""), last};
    cluster.cuts = {longest.size() / 2, longest.size() + 60};
    cluster.on_log_end = [&] { cluster.end(0); };
    CHECK(follow(cluster) == std::vector<std::string>{longest, odd, "", "the end"});
}

TEST_CASE("a container that waits is waited for, and one that never began is not") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running());
    cluster.current = {stamped(0, "hello")};
    cluster.waiting_answers = 3;
    cluster.on_log_end = [&] { cluster.end(0); };
    CHECK(follow(cluster) == std::vector<std::string>{"hello"});

    FakeCluster never;
    never.pod = FakeCluster::make_pod("b", {{"waiting", {{"reason", "ImagePullBackOff"}}}});
    CHECK(follow(never).empty());
    for (const std::string& target : never.asked) {
        CHECK(target.find("/log") == std::string::npos);
    }
}

TEST_CASE("a restart: the rest of the crashed instance first, then the new one") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running());
    cluster.pod["spec"]["restartPolicy"] = "OnFailure";
    cluster.current = {stamped(0, "first 1")};
    int ends = 0;
    cluster.on_log_end = [&] {
        if (++ends == 1) {  // it crashes after one more line, and starts again at once
            cluster.previous = {stamped(0, "first 1"), stamped(1, "first 2")};
            cluster.current = {stamped(5000, "second 1")};
            cluster.pod["status"]["containerStatuses"][0]["restartCount"] = 1;
            cluster.pod["status"]["containerStatuses"][0]["lastState"] = FakeCluster::ended(1);
        } else if (ends == 3) {
            cluster.end(0);
        }
    };
    CHECK(follow(cluster) == std::vector<std::string>{"first 1", "first 2", "second 1"});
}

TEST_CASE("who comes after a crash sees the tail of it") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running(), 2);
    cluster.pod["status"]["containerStatuses"][0]["lastState"] = FakeCluster::ended(1);
    cluster.previous = {stamped(0, "Traceback")};
    cluster.current = {stamped(9000, "again")};
    cluster.on_log_end = [&] { cluster.end(0); };
    CHECK(follow(cluster) == std::vector<std::string>{"Traceback", "again"});
    CHECK(std::any_of(cluster.asked.begin(), cluster.asked.end(), [](const std::string& target) {
        return target.find("previous=true") != std::string::npos &&
               target.find("tailLines=50") != std::string::npos;
    }));
}

TEST_CASE("init containers come first, sidecars not at all") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::ended(0));
    cluster.pod["spec"]["initContainers"] = {{{"name", "fetch"}},
                                             {{"name", "proxy"}, {"restartPolicy", "Always"}}};
    cluster.pod["status"]["initContainerStatuses"] = {
        {{"name", "fetch"}, {"restartCount", 0}, {"state", FakeCluster::ended(0)}},
        {{"name", "proxy"}, {"restartCount", 0}, {"state", FakeCluster::running()}}};
    cluster.pod["status"]["phase"] = "Succeeded";
    cluster.current = {stamped(0, "x")};
    CHECK(follow(cluster) == std::vector<std::string>{"x", "x"});
    std::vector<std::string> containers;
    for (const std::string& target : cluster.asked) {
        if (const std::size_t at = target.find("container="); at != std::string::npos) {
            containers.push_back(target.substr(at + 10, target.find('&', at) - at - 10));
        }
    }
    CHECK(std::is_sorted(containers.begin(), containers.end()));  // fetch, then main
    CHECK(std::count(containers.begin(), containers.end(), "proxy") == 0);
}

TEST_CASE("of several pods each line says whose it is, and one may be chosen") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("train-abc", FakeCluster::ended(0));
    cluster.pod["status"]["phase"] = "Succeeded";
    cluster.pod["metadata"]["labels"] = {{"batch.kubernetes.io/job-completion-index", "3"}};
    cluster.current = {stamped(0, "loss 1")};
    CHECK(follow(cluster, {.expected_pods = 4}) == std::vector<std::string>{"worker-3 | loss 1"});
    CHECK(follow(cluster, {.only = "3"}) == std::vector<std::string>{"loss 1"});
    CHECK(follow(cluster, {.only = "worker-2"}).empty());
}

TEST_CASE("a pod that is gone ends its log") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running());
    const Json pod = cluster.pod;
    cluster.current = {stamped(0, "hello")};
    cluster.on_log_end = [&] { cluster.pod = nullptr; };
    CHECK(follow(cluster) == std::vector<std::string>{"hello"});
}

TEST_CASE("what the sink throws comes out, and a refusal too") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running());
    cluster.current = {stamped(0, "hello")};
    kube::Client client{{.server = "http://api"}, std::ref(cluster), {}};
    struct Full {};
    kube::PodLogs logs{client, [](const OutputLine&) { throw Full{}; }};
    logs.update(cluster.pod);
    CHECK_THROWS_AS(logs.finish(), Full);
}

TEST_CASE("a stop ends the reading") {
    FakeCluster cluster;
    cluster.pod = FakeCluster::make_pod("a", FakeCluster::running());
    cluster.current = {stamped(0, "hello")};
    std::stop_source stop;
    cluster.on_log_end = [&] { stop.request_stop(); };
    CHECK_THROWS_AS(follow(cluster, {}, {.stop = stop.get_token()}), Cancelled);
}
