#include "fairing/kube/connect.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "../support/http_server.hpp"
#include "fairing/kube/follow.hpp"

using namespace fairing;
using test::HttpServer;
using test::Peer;

namespace {

constexpr const char* pod_kinds =
    R"({"kind":"APIResourceList","resources":[{"name":"pods","kind":"Pod","namespaced":true}]})";

std::string chunk(const std::string& text) {
    char size[20] = {};
    std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    return size + text + "\r\n";
}

}  // namespace

TEST_CASE("a stop ends a log that is silent: the connection is closed") {
    std::stop_source stop;
    HttpServer server{[](Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            if (head.find("/log?") == std::string::npos) {
                peer.answer("200 OK", pod_kinds);
                continue;
            }
            peer.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk("hello\n"));
            peer.body(1);  // until the client goes away
        }
    }};
    std::vector<std::string> warnings;
    const kube::Client client =
        kube::connect(kube::Cluster{.server = "http://127.0.0.1:" + std::to_string(server.port()),
                                    .token = Secret{"hidden"}},
                      {.stop = stop.get_token(), .log = [&warnings](const LogRecord& record) {
                           if (record.level == Level::warning) {
                               warnings.push_back(record.text);
                           }
                       }});
    std::string text;
    const kube::ObjectKey pod{
        .api_version = "v1", .kind = "Pod", .namespace_ = "team", .name = "a"};
    CHECK_THROWS_AS(client.read_log(pod, {.container = "main", .follow = true},
                                    [&](std::span<const std::byte> bytes) {
                                        text.append(reinterpret_cast<const char*>(bytes.data()),
                                                    bytes.size());
                                        stop.request_stop();
                                    }),
                    Cancelled);
    CHECK(text == "hello\n");
    REQUIRE(warnings.size() == 1);
    CHECK(warnings[0].find("no credentials are sent") != std::string::npos);
    CHECK(warnings[0].find("hidden") == std::string::npos);
}

TEST_CASE("fault 54: over plain http no token goes out; a log cut on the wire is read on") {
    std::atomic<int> logs = 0;
    std::atomic<int> tokens = 0;
    HttpServer server{[&](Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            tokens += head.find("Authorization") == std::string::npos ? 0 : 1;
            if (head.find("/log?") == std::string::npos) {
                const bool is_pod = head.find("/pods/a") != std::string::npos;
                peer.answer("200 OK",
                            is_pod ? R"({"metadata":{"name":"a","namespace":"team","uid":"u"},
                               "spec":{"restartPolicy":"Never","containers":[{"name":"m"}]},
                               "status":{"phase":"Running","containerStatuses":[
                                   {"name":"m","restartCount":0,"state":{"running":{}}}]}})"
                                   : pod_kinds);
                continue;
            }
            const std::string begin = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                      chunk("2024-01-01T00:00:01Z one\n2024-01-01T00:00:01Z tw");
            if (++logs == 1) {
                peer.say(begin);
                return;  // in the middle of a line, and of the body
            }
            peer.say(begin + chunk("o\n") + "0\r\n\r\n");
        }
    }};
    std::stop_source stop;
    const kube::Client client =
        kube::connect(kube::Cluster{.server = "http://127.0.0.1:" + std::to_string(server.port()),
                                    .token = Secret{"hidden"}},
                      {.stop = stop.get_token()});
    std::vector<std::string> lines;
    {
        kube::PodLogs reader{client, [&](const OutputLine& line) {
                                 lines.push_back(line.text);
                                 if (line.text == "two") {
                                     stop.request_stop();
                                 }
                             }};
        reader.update(
            client.get({.api_version = "v1", .kind = "Pod", .namespace_ = "team", .name = "a"}));
        CHECK_THROWS_AS(reader.finish(), Cancelled);
    }
    CHECK(lines == std::vector<std::string>{"one", "two"});
    CHECK(logs == 2);
    CHECK(tokens == 0);
}
