// Logs from the test kubelet through a real API server, over connections that are cut on both sides
// of it: row 51.
#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "../support/kube_testenv.hpp"
#include "../support/tcp_proxy.hpp"
#include "fairing/kube/client.hpp"
#include "fairing/kube/follow.hpp"

using namespace fairing;
using support::in_time;
using support::KubeTestenv;

namespace {

/// A pod by script in a namespace of its own, and a client whose TLS connections a proxy can cut.
class FollowedPod {
public:
    FollowedPod(KubeTestenv& testenv, const Json& script, const std::string& restart = "Never",
                const Json& init_containers = Json::array())
        : kube_(testenv),
          path_("/api/v1/namespaces/" + testenv.new_namespace() + "/pods"),
          proxy(testenv.port()) {
        Json spec = {{"restartPolicy", restart},
                     {"containers", Json::array({{{"name", "main"}, {"image", "none"}}})}};
        if (!init_containers.empty()) {
            spec["initContainers"] = init_containers;
        }
        REQUIRE(
            kube_.api()
                .post(path_, {{"metadata",
                               {{"name", "pod"},
                                {"annotations", {{support::script_annotation, script.dump()}}}}},
                              {"spec", spec}})
                .ok());
    }
    [[nodiscard]] Json pod() const {
        try {
            const support::ApiAnswer answer = kube_.api().get(path_ + "/pod");
            return answer.ok() ? answer.body : Json();
        } catch (const Error&) {
            return Json();  // the API server is away
        }
    }
    [[nodiscard]] std::string phase() const {
        const Json now = pod();
        return now.is_null() ? "" : text_or(now["status"], "phase");
    }
    void remove() const { kube_.api().remove(path_ + "/pod", {{"gracePeriodSeconds", 1}}); }

    /// Every line, from now to the end.
    [[nodiscard]] std::vector<std::string> follow() {
        std::vector<std::string> lines;
        kube::Cluster cluster{.server = "https://127.0.0.1:" + std::to_string(proxy.port())};
        cluster.token = Secret{kube_.token()};
        const kube::Client client{cluster,
                                  support::make_transport(kube_.ca()),
                                  Control{},
                                  {.retry = {.first_delay = std::chrono::milliseconds{20}}}};
        kube::PodLogs logs{client,
                           [&](const OutputLine& line) {
                               lines.push_back(line.text);
                               ++told;
                           },
                           {.look_again = std::chrono::milliseconds{500}}};
        std::string version;
        const bool ended = in_time([&] {
            const Json now = pod();
            if (!now.is_null() && kube::version_of(now) != version) {
                version = kube::version_of(now);
                logs.update(now);
            }
            const std::string state = now.is_null() ? "" : text_or(now["status"], "phase");
            return state == "Succeeded" || state == "Failed" || (gone_is_end && now.is_null());
        });
        CHECK(ended);
        logs.finish();
        return lines;
    }

    bool gone_is_end = false;
    std::atomic<int> told = 0;  ///< lines so far

private:
    KubeTestenv& kube_;
    std::string path_;

public:
    support::TcpProxy proxy;
};

/// `count` numbered lines in `batches`, with pauses between them, so that they are of different
/// seconds.
Json numbered_lines(int count, int batches, int pause_ms) {
    Json steps = Json::array();
    for (int i = 0; i < batches; ++i) {
        steps.push_back({{"lines", count / batches}, {"from", i * (count / batches)}});
        steps.push_back({{"wait_ms", pause_ms}});
    }
    return {{"*", Json::array({steps})}};
}

/// The first place where the lines are not "line 0", "line 1", …; empty when there is none.
std::string first_wrong(const std::vector<std::string>& lines) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
        if (lines[i] != "line " + std::to_string(i)) {
            return "at " + std::to_string(i) + ": " + lines[i].substr(0, 100);
        }
    }
    return {};
}

}  // namespace

TEST_CASE("fault 51: 100,000 lines over ten forced disconnections, each line once and in order") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    FollowedPod pod{*testenv, numbered_lines(100'000, 25, 300)};
    testenv->kubelet().cut_logs({.times = 5, .after_bytes = 150'001});  // behind the API server
    pod.proxy.cut_after(120'000, 5);                                    // before it
    const std::vector<std::string> lines = pod.follow();
    CHECK(lines.size() == 100'000);
    CHECK(first_wrong(lines).empty());
    CHECK(testenv->kubelet().cuts_left() == 0);
    CHECK(pod.proxy.cuts_left() == 0);
}

TEST_CASE("fault 51: many lines of the same time, equal ones among them, cut in between") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    const Json same = {{"say", "the same\n"}, {"times", 500}};
    const Json steps = Json::array({{{"one_time", true}},
                                    {{"lines", 500}},
                                    same,
                                    {{"wait_ms", 1500}},
                                    same,
                                    {{"one_time", false}},
                                    {{"say", "the end\n"}}});
    FollowedPod pod{*testenv, {{"*", Json::array({steps})}}};
    testenv->kubelet().cut_logs({.times = 4, .after_bytes = 33'333});
    std::vector<std::string> lines = pod.follow();
    CHECK(testenv->kubelet().cuts_left() == 0);
    REQUIRE(lines.size() == 1501);
    CHECK(lines.back() == "the end");
    for (std::size_t i = 500; i < 1500; ++i) {
        REQUIRE(lines[i] == "the same");
    }
    lines.resize(500);
    CHECK(first_wrong(lines).empty());
}

TEST_CASE("fault 51: a line of 1 MiB, NUL and ESC, no final newline, cut in the middle of a line") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    const std::string longest(std::size_t{1} << 20, 'x');
    const std::string control{"a\0b\x1b[31mred", 11};
    const Json steps = Json::array({{{"say", "first\n"}},
                                    {{"say", "x"}, {"times", longest.size()}},
                                    {{"say", "\n"}},
                                    {{"say", control + '\n'}},
                                    {{"wait_ms", 500}},
                                    {{"say", "no newline"}}});
    FollowedPod pod{*testenv, {{"*", Json::array({steps})}}};
    testenv->kubelet().cut_logs({.times = 2, .after_bytes = 500'000});
    const std::vector<std::string> lines = pod.follow();
    REQUIRE(lines.size() == 4);
    CHECK(lines[0] == "first");
    CHECK(lines[1] == longest);
    CHECK(lines[2] == control);
    CHECK(lines[3] == "no newline");
}

TEST_CASE("fault 51: init containers first, then every run of a container that is started again") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    const Json script = Json::parse(R"({
        "prepare": [[{"say": "prepared\n"}]],
        "main": [[{"say": "one\ntwo\n"}, {"wait_ms": 3000}, {"exit": 3}],
                 [{"say": "three"}, {"wait_ms": 3000}, {"exit": 4}],
                 [{"say": "four\n"}, {"wait_ms": 300}]]})");
    FollowedPod pod{*testenv, script, "OnFailure",
                    Json::array({{{"name", "prepare"}, {"image", "none"}}})};
    CHECK(pod.follow() == std::vector<std::string>{"prepared", "one", "two", "three", "four"});
}

TEST_CASE("fault 51: the API server is killed and comes back while a log is followed") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    FollowedPod pod{*testenv, numbered_lines(4'000, 40, 250)};
    REQUIRE(in_time([&] { return pod.phase() == "Running"; }));
    std::jthread restart{[&] {
        testenv->stop("kube-apiserver");
        testenv->start("kube-apiserver");
    }};
    const std::vector<std::string> lines = pod.follow();
    restart.join();
    CHECK(lines.size() == 4'000);
    CHECK(first_wrong(lines).empty());
}

TEST_CASE("fault 52: a pod that is deleted under us ends its log") {
    KubeTestenv* testenv = KubeTestenv::get();
    if (testenv == nullptr) {
        return;
    }
    FollowedPod pod{*testenv, Json::parse(R"({"*": [[{"say": "on it\n"}, {"hang": true}]]})")};
    REQUIRE(in_time([&] { return pod.phase() == "Running"; }));
    pod.gone_is_end = true;
    std::jthread remover{[&] {
        // What was not read before is lost with the pod.
        if (in_time([&] { return pod.told > 0; })) {
            pod.remove();
        }
    }};
    const std::vector<std::string> lines = pod.follow();
    CHECK(lines == std::vector<std::string>{"on it"});
}
