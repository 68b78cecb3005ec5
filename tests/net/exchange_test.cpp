#include "fairing/net/exchange.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <thread>

#include "../support/scripted_transport.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using support::error_of;
using test::ScriptedTransport;

namespace {

net::ExchangeOptions quick() {
    return {.attempted = "fetch", .subject = "the thing", .retry = {.first_delay = 1ms}};
}

net::Response moved(const std::string& location, int status = 307) {
    return {.status = status, .headers = {{"Location", location}}};
}

}  // namespace

TEST_CASE("a temporary status is repeated, and the last answer given") {
    ScriptedTransport script;
    for (int i = 0; i < 5; ++i) {
        script.expect("GET", "http://h/x", {.status = 503});
    }
    const auto answer = net::exchange(std::ref(script), {.url = "http://h/x"}, quick(), {});
    CHECK(answer.status == 503);
    CHECK(answer.attempts == 5);
    CHECK(script.complaint().empty());
}

TEST_CASE("fault 3: Retry-After is waited for") {
    ScriptedTransport script;
    script.expect("GET", "", {.status = 503, .headers = {{"retry-after", "2"}}})
        .expect("GET", "", {.status = 200});
    const auto begin = std::chrono::steady_clock::now();
    CHECK(net::exchange(std::ref(script), {.url = "http://h/x"}, quick(), {}).attempts == 2);
    CHECK(std::chrono::steady_clock::now() - begin >= 2s);
}

TEST_CASE("fault 6: what can not pass is not repeated") {
    for (const int status : {400, 403, 404, 409, 413, 422}) {
        ScriptedTransport script;
        script.expect("PUT", "", {.status = status});
        const auto answer =
            net::exchange(std::ref(script), {.method = "PUT", .url = "http://h/x"}, quick(), {});
        CHECK(answer.status == status);
        CHECK(answer.attempts == 1);
    }
}

TEST_CASE("broken connections are repeated, and the error counts them") {
    ScriptedTransport script;
    for (int i = 0; i < 5; ++i) {
        script.expect_broken("GET", "http://h/x");
    }
    const std::string what = error_of(
        [&] { (void)net::exchange(std::ref(script), {.url = "http://h/x"}, quick(), {}); });
    CHECK(what == "cannot fetch the thing after 5 attempts: connection reset (http://h)");
    CHECK(script.complaint().empty());
}

TEST_CASE("a request that is not idempotent is sent once, unless the caller says otherwise") {
    ScriptedTransport script;
    script.expect_broken("POST", "").expect("POST", "", {.status = 503});
    const net::Request post{.method = "POST", .url = "http://h/x"};
    CHECK_THROWS_AS((void)net::exchange(std::ref(script), post, quick(), {}), Error);
    CHECK(net::exchange(std::ref(script), post, quick(), {}).attempts == 1);
    script.expect_broken("POST", "").expect("POST", "", {.status = 200});
    net::ExchangeOptions always = quick();
    always.repeat = net::Repeat::always;
    CHECK(net::exchange(std::ref(script), post, always, {}).attempts == 2);
}

TEST_CASE("redirects are followed, and secrets stay with their origin") {
    ScriptedTransport script;
    script.expect("GET", "http://h/a", moved("/b"))
        .expect("GET", "http://h/b", moved("http://h:81/c?sig=%2b"))
        .expect("GET", "http://h:81/c?sig=%2b", moved("http://h/d"))
        .expect("GET", "http://h/d", {.status = 200, .body = "there"});
    const auto answer = net::exchange(std::ref(script),
                                      {.url = "http://h/a",
                                       .headers = {{"Authorization", "Basic geheim"},
                                                   {"cookie", "geheim"},
                                                   {"X-Registry-Auth", "geheim"},
                                                   {"Accept", "a/b"}}},
                                      quick(), {});
    CHECK(answer.body == "there");
    CHECK(answer.url == "http://h/d");
    CHECK(script.recorded()[1].header("Authorization") == "Basic geheim");
    for (const std::size_t foreign : {2U, 3U}) {
        CHECK(script.recorded()[foreign].headers == net::Headers{{"Accept", "a/b"}});
    }
}

TEST_CASE("fault 10, 11, 12: redirects that are refused") {
    const auto refused = [](const char* from, const std::string& to) {
        ScriptedTransport script;
        script.expect("GET", from, moved(to));
        const std::string what =
            error_of([&] { (void)net::exchange(std::ref(script), {.url = from}, quick(), {}); });
        CHECK(script.recorded().size() == 1);
        return what;
    };
    CHECK(refused("https://h/", "http://h/x").find("https to http") != std::string::npos);
    for (const char* host : {"169.254.169.254", "0.0.0.0", "[::]", "[::ffff:169.254.169.254]"}) {
        CHECK(refused("http://h/", std::string{"http://"} + host + "/latest")
                  .find("refused address") != std::string::npos);
    }
    CHECK(refused("http://h/", "http://h:999999/").find("port") != std::string::npos);
    CHECK(refused("http://h/", "http+unix://%2Frun%2Fdocker.sock/").find("refused") !=
          std::string::npos);
    CHECK(refused("http://h/", "").find("without a Location") != std::string::npos);
    CHECK(refused("http://h/", "http://u:geheim@h/").find("geheim") == std::string::npos);
}

TEST_CASE("fault 12: a loop and an eleventh redirect end") {
    ScriptedTransport loop;
    loop.expect("GET", "http://h/a", moved("/b")).expect("GET", "http://h/b", moved("/a"));
    CHECK(error_of([&] {
              (void)net::exchange(std::ref(loop), {.url = "http://h/a"}, quick(), {});
          }).find("redirect loop") != std::string::npos);
    ScriptedTransport hops;
    for (int i = 0; i <= 10; ++i) {
        hops.expect("GET", "", moved("/" + std::to_string(i)));
    }
    CHECK(error_of([&] {
              (void)net::exchange(std::ref(hops), {.url = "http://h/a"}, quick(), {});
          }).find("more than 10 redirects") != std::string::npos);
    CHECK(hops.complaint().empty());
}

TEST_CASE("a redirect of PUT is the caller's") {
    ScriptedTransport script;
    script.expect("PUT", "", moved("http://other/"));
    CHECK(net::exchange(std::ref(script), {.method = "PUT", .url = "http://h/"}, quick(), {})
              .status == 307);
}

TEST_CASE("a sink that has bytes ends the repeating, unless the body is always the same") {
    // The scripted transport gives whole bodies; a transport of its own gives a half and breaks.
    struct Halving {
        int calls = 0;
        net::Response send(const net::Request&, const net::BodySink& sink, std::stop_token) {
            const std::string text = "0123456789";
            const std::size_t upto = ++calls == 1 ? 4 : calls == 2 ? 7 : 10;
            for (std::size_t i = 0; i < upto; i += 2) {
                sink(std::as_bytes(std::span{text}.subspan(i, std::min<std::size_t>(2, upto - i))));
            }
            if (upto < text.size()) {
                throw Error{ErrorCode::unavailable, {.attempted = "reach", .answer = "cut"}};
            }
            return {.status = 200};
        }
    };
    std::string got;
    const net::BodySink sink = [&](std::span<const std::byte> bytes) {
        got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    Halving first;
    CHECK_THROWS_AS((void)net::exchange(std::ref(first), {.url = "http://h/"}, quick(), {}, sink),
                    Error);
    CHECK(first.calls == 1);
    got.clear();
    Halving second;
    net::ExchangeOptions skip = quick();
    skip.partial = net::Partial::resume;
    CHECK(net::exchange(std::ref(second), {.url = "http://h/"}, skip, {}, sink).attempts == 3);
    CHECK(got == "0123456789");
}

TEST_CASE("what the sink throws is not repeated and not changed") {
    ScriptedTransport script;
    script.expect("GET", "", {.status = 200, .body = "x"});
    const net::BodySink sink = [](std::span<const std::byte>) {
        throw Error{ErrorCode::unavailable,
                    {.attempted = "write", .subject = "a disk", .answer = "full"}};
    };
    CHECK(error_of([&] {
              (void)net::exchange(std::ref(script), {.url = "http://h/"}, quick(), {}, sink);
          }) == "cannot write a disk: full");
    CHECK(script.recorded().size() == 1);
}

TEST_CASE("one deadline for all attempts") {
    ScriptedTransport script;
    script.expect("GET", "", {.status = 503, .headers = {{"Retry-After", "30"}}});
    net::ExchangeOptions options = quick();
    options.deadline = 200ms;
    const std::string what =
        error_of([&] { (void)net::exchange(std::ref(script), {.url = "http://h/"}, options, {}); });
    CHECK(what.find("no success within 200 ms, last: 503 Service Unavailable") !=
          std::string::npos);
}

TEST_CASE("a stop ends the pause between two attempts") {
    ScriptedTransport script;
    script.expect("GET", "", {.status = 503, .headers = {{"Retry-After", "30"}}});
    std::stop_source source;
    const Control control{.stop = source.get_token()};
    const std::jthread stopper{[&] {
        std::this_thread::sleep_for(50ms);
        source.request_stop();
    }};
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS((void)net::exchange(std::ref(script), {.url = "http://h/"}, quick(), control),
                    Cancelled);
    CHECK(std::chrono::steady_clock::now() - begin < 25s);
}

TEST_CASE("the log shows no secret") {
    ScriptedTransport script;
    script.expect("GET", "", moved("http://h:81/x?X-Amz-Signature=geheim"))
        .expect_broken("GET", "")
        .expect("GET", "", moved("http://h:81/x?X-Amz-Signature=geheim"))
        .expect("GET", "", {.status = 200});
    std::string log;
    Control control;
    control.log = [&](LogRecord record) { log += record.text + '\n'; };
    (void)net::exchange(std::ref(script),
                        {.url = "http://h/", .headers = {{"Authorization", "Bearer geheim"}}},
                        quick(), control);
    CHECK(log.find("200 OK") != std::string::npos);
    CHECK(log.find("geheim") == std::string::npos);
}

TEST_CASE("without a transport there is a sentence") {
    CHECK(error_of([] {
              (void)net::exchange({}, {.url = "http://h/"}, quick(), {});
          }).find("there is no transport") != std::string::npos);
}
