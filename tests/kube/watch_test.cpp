#include "fairing/kube/watch.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

using namespace fairing;
namespace {

constexpr const char* pods = "https://api/api/v1/namespaces/team/pods?";

Json pod_at(const std::string& name, int version) {
    return {{"kind", "Pod"},
            {"metadata",
             {{"name", name}, {"uid", "u-" + name}, {"resourceVersion", std::to_string(version)}}}};
}

std::string event_text(const char* type, const Json& object) {
    return Json{{"type", type}, {"object", object}}.dump() + '\n';
}

std::string bookmark(int version) {
    return event_text("BOOKMARK", {{"kind", "Pod"},
                                   {"metadata", {{"resourceVersion", std::to_string(version)}}}});
}

/// A server that gives each watch what a test wrote down, from the version that it asks for.
struct WatchServer {
    struct Served {
        std::string version = {};  ///< that the watch must begin at
        std::string text = {};
        enum class End { clean, broken, refused } end = End::clean;
        int status = 200;
    };
    std::vector<Served> streams = {};
    std::vector<Json> lists = {};
    std::vector<std::string> wrong = {};
    int watches = 0, listed = 0;

    net::Response send(const net::Request& request, const net::BodySink& sink,
                       std::stop_token stop) {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled, {.attempted = "reach", .answer = "stopped"}};
        }
        if (request.url == "https://api/api/v1") {
            return {.status = 200, .body = R"({"kind":"APIResourceList","resources":[
                        {"name":"pods","kind":"Pod","namespaced":true}]})"};
        }
        if (request.url.find("watch=true") == std::string::npos) {
            if (lists.empty()) {
                return {.status = 403, .body = R"({"kind":"Status","message":"no list"})"};
            }
            ++listed;
            const Json list = lists.front();
            lists.erase(lists.begin());
            return {.status = 200, .body = list.dump()};
        }
        ++watches;
        if (streams.empty()) {
            return {.status = 403, .body = R"({"kind":"Status","message":"no more"})"};
        }
        const Served stream = streams.front();
        streams.erase(streams.begin());
        const std::string version = "resourceVersion=" + stream.version + '&';
        if (request.url.find(version) == std::string::npos ||
            request.url.find("allowWatchBookmarks=true") == std::string::npos ||
            !request.url.starts_with(pods)) {
            wrong.push_back(request.url);
        }
        if (stream.end == Served::End::refused) {
            return {.status = stream.status, .body = stream.text};
        }
        sink(std::as_bytes(std::span{stream.text}));
        if (stream.end == Served::End::broken) {
            throw Error{ErrorCode::unavailable, {.attempted = "reach", .answer = "reset"}};
        }
        return {.status = 200};
    }
};

using Served = WatchServer::Served;

/// What a watch tells until it has told `enough` changes: "added a1".
std::vector<std::string> told(WatchServer& server, std::size_t enough,
                              kube::WatchOptions options = {}) {
    std::vector<std::string> changes;
    const kube::Client client{
        {.server = "https://api"},
        std::ref(server),
        {},
        {.retry = {.attempts = 2, .first_delay = std::chrono::milliseconds{4}, .jitter = 0}}};
    kube::watch(
        client, {.api_version = "v1", .kind = "Pod", .namespace_ = "team"},
        [&](const kube::WatchEvent& event) {
            const char* change = event.change == kube::Change::added      ? "added "
                                 : event.change == kube::Change::modified ? "modified "
                                                                          : "deleted ";
            changes.push_back(change + kube::name_of(event.object) +
                              kube::version_of(event.object));
            return changes.size() == enough ? kube::Watching::enough : kube::Watching::go_on;
        },
        options);
    return changes;
}

Json list_at(int version, std::vector<Json> items) {
    return {{"kind", "PodList"},
            {"metadata", {{"resourceVersion", std::to_string(version)}}},
            {"items", std::move(items)}};
}

using Changes = std::vector<std::string>;

}  // namespace

TEST_CASE("a list, then changes; a watch that ends goes on where it was") {
    WatchServer server{.streams = {{"5", event_text("MODIFIED", pod_at("a", 6)) + bookmark(9)},
                                   {"9", event_text("ADDED", pod_at("b", 10))},
                                   {"10", event_text("DELETED", pod_at("a", 11))}},
                       .lists = {list_at(5, {pod_at("a", 3)})}};
    CHECK(told(server, 4) == Changes{"added a3", "modified a6", "added b10", "deleted a11"});
    CHECK(server.wrong.empty());
    CHECK(server.listed == 1);
}

TEST_CASE("fault 50: an event that was cut comes whole, and none comes twice") {
    const std::string second = event_text("MODIFIED", pod_at("a", 7));
    WatchServer server{
        .streams = {{"1", event_text("ADDED", pod_at("a", 6)) + second.substr(0, second.size() / 2),
                     Served::End::broken},
                    {"6", event_text("MODIFIED", pod_at("a", 6)) + second}}};
    CHECK(told(server, 2, {.resource_version = "1"}) == Changes{"added a6", "modified a7"});
    CHECK(server.wrong.empty());
    CHECK(server.listed == 0);
}

TEST_CASE("fault 50: 410 as an answer and as an event lists again, and tells the difference") {
    const Json expired = {{"kind", "Status"}, {"code", 410}, {"reason", "Expired"}};
    WatchServer server{
        .streams = {{"1", expired.dump(), Served::End::refused, 410},
                    {"20", event_text("ADDED", pod_at("c", 21)) + event_text("ERROR", expired)},
                    {"30", event_text("MODIFIED", pod_at("c", 31))}},
        .lists = {list_at(20, {pod_at("a", 3), pod_at("b", 19)}),
                  list_at(30, {pod_at("b", 29), pod_at("c", 21)})}};
    CHECK(told(server, 5, {.resource_version = "1", .known = {pod_at("a", 3)}}) ==
          Changes{"added b19", "added c21", "deleted a3", "modified b29", "modified c31"});
    CHECK(server.wrong.empty());
}

TEST_CASE("fault 50: a server that restarts, and etcd that is down, pass") {
    const Json down = {{"kind", "Status"}, {"code", 500}, {"message", "etcdserver: no leader"}};
    WatchServer server{.streams = {{"1", "", Served::End::broken},
                                   {"1", "", Served::End::broken},
                                   {"1", down.dump(), Served::End::refused, 503},
                                   {"1", event_text("ERROR", down)},
                                   {"1", "what is this?\n"},
                                   {"1", event_text("ADDED", pod_at("a", 2))}}};
    CHECK(told(server, 1, {.resource_version = "1"}) == Changes{"added a2"});
    CHECK(server.wrong.empty());
}

TEST_CASE("what does not pass is an error, and so is a failure that lasts") {
    WatchServer forbidden;
    CHECK_THROWS_AS(told(forbidden, 1, {.resource_version = "1"}), kube::StatusError);
    CHECK(forbidden.watches == 1);
    WatchServer broken{.streams = std::vector<Served>(3, {"1", "", Served::End::broken})};
    // With no patience at all a list must show that the server is there; it does not.
    CHECK_THROWS_AS(told(broken, 1, {.resource_version = "1", .patience = std::chrono::seconds{0}}),
                    kube::StatusError);
    CHECK(broken.watches == 1);
}

TEST_CASE("what the receiver throws is passed on, and a stop ends the watch") {
    WatchServer server{.streams = {{"1", event_text("ADDED", pod_at("a", 2))},
                                   {"1", event_text("ADDED", pod_at("a", 2))}}};
    const kube::WatchTarget target{.api_version = "v1", .kind = "Pod", .namespace_ = "team"};
    std::stop_source stop;
    const kube::Client client{
        {.server = "https://api"}, std::ref(server), {.stop = stop.get_token()}};
    const auto fail = [](const kube::WatchEvent&) -> kube::Watching {
        throw Error{ErrorCode::unavailable, {.attempted = "tell", .answer = "mine"}};
    };
    CHECK_THROWS_WITH_AS(kube::watch(client, target, fail, {.resource_version = "1"}),
                         "cannot tell: mine", Error);
    const auto stopping = [&stop](const kube::WatchEvent&) {
        stop.request_stop();
        return kube::Watching::go_on;
    };
    CHECK_THROWS_AS(kube::watch(client, target, stopping, {.resource_version = "1"}), Cancelled);
}
