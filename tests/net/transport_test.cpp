#include "fairing/net/transport.hpp"

#include <doctest/doctest.h>

#include <stdexcept>
#include <string>
#include <type_traits>

using namespace fairing;

namespace {

/// Counts its requests, and hands on what it is given.
struct Counting {
    int count = 0;
    net::Response send(const net::Request& request, const net::BodySink& sink,
                       const std::stop_token& stop) {
        if (stop.stop_requested()) {
            throw std::runtime_error{"stopped"};
        }
        if (sink) {
            sink({});
        }
        return {.status = ++count, .body = request.url};
    }
};
struct NoStop {
    net::Response send(const net::Request&, const net::BodySink&) { return {}; }
};
struct OtherResult {
    int send(const net::Request&, const net::BodySink&, const std::stop_token&) { return 200; }
};

static_assert(net::Transport<Counting>);
static_assert(!net::Transport<NoStop> && !net::Transport<OtherResult> && !net::Transport<int>);
static_assert(!std::is_constructible_v<net::AnyTransport, NoStop>);

}  // namespace

TEST_CASE("a transport by value is shared by its copies") {
    const net::AnyTransport first = Counting{};
    const net::AnyTransport second = first;
    CHECK(first.send({.url = "http://a"}).status == 1);
    CHECK(second.send({.url = "http://b"}).status == 2);
    CHECK(first.send({.url = "http://c"}).body == "http://c");
}

TEST_CASE("one that is lent stays its owner's") {
    Counting owned;
    const net::AnyTransport lent = std::ref(owned);
    CHECK(lent.send({}).status == 1);
    owned.count = 41;
    CHECK(lent.send({}).status == 42);
    CHECK(owned.count == 42);
}

TEST_CASE("sink and stop reach it, and what it throws comes out") {
    const net::AnyTransport transport = Counting{};
    bool called = false;
    static_cast<void>(transport.send({}, [&called](std::span<const std::byte>) { called = true; }));
    CHECK(called);
    std::stop_source stop;
    stop.request_stop();
    CHECK_THROWS_WITH_AS(static_cast<void>(transport.send({}, {}, stop.get_token())), "stopped",
                         std::runtime_error);
}

TEST_CASE("one that is none says so") {
    CHECK_FALSE(net::AnyTransport{});
    CHECK(net::AnyTransport{Counting{}});
}
