#include "fairing/net/httplib_transport.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "../support/certificates.hpp"
#include "../support/child_process.hpp"
#include "../support/http_server.hpp"
#include "../support/nothing_left.hpp"
#include "../support/process_table.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/files.hpp"
#include "fairing/net/exchange.hpp"

#if defined(__has_feature)
#define FAIRING_TEST_TSAN __has_feature(thread_sanitizer)
#else
#define FAIRING_TEST_TSAN 0
#endif

using namespace fairing;
using namespace std::chrono_literals;
using support::Certificates;
using support::contains;
using support::error_of;
using test::HttpServer;
using test::Peer;

namespace {

net::Response send(net::HttplibTransport& transport, const net::Request& request,
                   const net::BodySink& sink = {}, std::stop_token stop = {}) {
    return transport.send(request, sink, std::move(stop));
}

/// Serves one canned answer per connection.
HttpServer::Handler says(std::string answer) {
    return [answer = std::move(answer)](Peer& peer) {
        if (!peer.head().empty()) {
            peer.say(answer);
        }
    };
}

}  // namespace

TEST_CASE("a request goes onto the wire byte for byte") {
    std::string head, body;
    HttpServer server{[&](Peer& peer) {
        head = peer.head();
        body = peer.body(5);
        peer.answer("201 Created", "done", "X-A: 1\r\nX-A: 2\r\n");
    }};
    net::HttplibTransport transport;
    const net::Response response =
        send(transport, {.method = "PUT",
                         .url = server.url("/v2/%2e/x?_state=a%2B%2F%3D+b==&&x=%2b&y&=z"),
                         .headers = {{"Content-Type", "a/b"}},
                         .body = net::Body::of("hello")});
    CHECK(response.status == 201);
    CHECK(response.body == "done");
    CHECK(response.headers.count("X-A") == 2);
    CHECK(body == "hello");
    CHECK(head ==
          "PUT /v2/%2e/x?_state=a%2B%2F%3D+b==&&x=%2b&y&=z HTTP/1.1\r\n"
          "Host: 127.0.0.1:" +
              std::to_string(server.port()) +
              "\r\n"
              "User-Agent: fairing/0.1.0\r\n"
              "Accept: */*\r\n"
              "Content-Length: 5\r\n"
              "Content-Type: a/b\r\n\r\n");
}

TEST_CASE("a body of unknown size goes in chunks, and the connection stays") {
    std::vector<std::string> heads, bodies;
    HttpServer server{[&](Peer& peer) {
        for (int i = 0; i < 2; ++i) {
            heads.push_back(peer.head());
            bodies.push_back(peer.body(i == 0 ? 26 : 5));
            peer.answer("202 Accepted", "fine");
        }
    }};
    net::HttplibTransport transport;
    const net::Body chunks{.size = net::Body::unknown_size, .write = [](const net::BodySink& sink) {
                               sink(std::as_bytes(std::span{"hello ", 6}));
                               sink({});
                               sink(std::as_bytes(std::span{"world", 5}));
                           }};
    CHECK(send(transport, {.method = "PATCH", .url = server.url("/a"), .body = chunks}).status ==
          202);
    const net::Body none{.size = net::Body::unknown_size, .write = [](const net::BodySink&) {}};
    CHECK(send(transport, {.method = "PATCH", .url = server.url("/a"), .body = none}).status ==
          202);
    REQUIRE(heads.size() == 2);
    CHECK(contains(heads[0], "\r\nTransfer-Encoding: chunked\r\n"));
    CHECK_FALSE(contains(heads[0], "Content-Length"));
    CHECK(bodies[0] == "6\r\nhello \r\n5\r\nworld\r\n0\r\n\r\n");
    CHECK(bodies[1] == "0\r\n\r\n");
}

TEST_CASE("connections are kept alive, and a large body needs no memory of ours") {
    std::uint64_t got = 0;
    HttpServer server{[&](Peer& peer) {
        while (true) {
            const std::string head = peer.head();
            if (head.empty()) {
                return;
            }
            if (head.starts_with("PUT")) {
                for (std::uint64_t left = std::uint64_t{64} << 20; left > 0;) {
                    const std::size_t part = peer.body(65536).size();
                    left -= part;
                    got += part;
                }
            }
            peer.answer("200 OK", "fine");
        }
    }};
    net::HttplibTransport transport;
    const std::string piece(1 << 20, 'x');
    const net::Body body{.size = std::uint64_t{64} << 20, .write = [&](const net::BodySink& sink) {
                             for (int i = 0; i < 64; ++i) {
                                 sink(std::as_bytes(std::span{piece}));
                             }
                         }};
    CHECK(send(transport, {.method = "PUT", .url = server.url(), .body = body}).status == 200);
    CHECK(send(transport, {.url = server.url("/again")}).body == "fine");
    CHECK(send(transport, {.method = "POST", .url = server.url("/again")}).body == "fine");
    CHECK(got == std::uint64_t{64} << 20);
    CHECK(server.connections() == 1);
}

TEST_CASE("HEAD, 204 and 304 have no body") {
    HttpServer server{[&](Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            peer.say(head.starts_with("HEAD")     ? "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"
                     : head.starts_with("DELETE") ? "HTTP/1.1 204 No Content\r\n\r\n"
                                                  : "HTTP/1.1 304 Not Modified\r\n\r\n");
        }
    }};
    net::HttplibTransport transport;
    const net::Response head = send(transport, {.method = "HEAD", .url = server.url()});
    CHECK(head.status == 200);
    CHECK(net::header(head.headers, "content-length") == "99");
    CHECK(send(transport, {.method = "DELETE", .url = server.url()}).status == 204);
    CHECK(send(transport, {.url = server.url()}).status == 304);
    CHECK(server.connections() == 1);
}

TEST_CASE("a sink gets the body of success only") {
    HttpServer server{[&](Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            if (contains(head, "/good")) {
                peer.say(
                    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
            } else {
                peer.answer("404 Not Found", "nothing");
            }
        }
    }};
    net::HttplibTransport transport;
    std::string got;
    const net::BodySink sink = [&](std::span<const std::byte> bytes) {
        got.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    };
    CHECK(send(transport, {.url = server.url("/good"), .max_body = 3}, sink).body.empty());
    CHECK(got == "hello world");
    got.clear();
    CHECK(send(transport, {.url = server.url("/bad")}, sink).body == "nothing");
    CHECK(got.empty());
}

TEST_CASE("what sink and body throw comes out as it is, and the next call works") {
    HttpServer server{[&](Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            peer.answer("200 OK", "fine");
        }
    }};
    net::HttplibTransport transport;
    const Error own{ErrorCode::internal, {.attempted = "be", .answer = "own"}};
    CHECK(error_of([&] {
              send(transport, {.url = server.url()},
                   [&](std::span<const std::byte>) { throw own; });
          }) == own.what());
    const net::Body body{.size = 5, .write = [&](const net::BodySink&) { throw own; }};
    CHECK(error_of([&] {
              send(transport, {.method = "PUT", .url = server.url(), .body = body});
          }) == own.what());
    const net::Body liar{.size = 5, .write = [](const net::BodySink& sink) {
                             sink(std::as_bytes(std::span{std::string_view{"abc"}}));
                         }};
    CHECK(contains(
        error_of([&] { send(transport, {.method = "PUT", .url = server.url(), .body = liar}); }),
        "shorter"));
    CHECK(send(transport, {.url = server.url()}).status == 200);
}

TEST_CASE("fault 21: answers are capped") {
    HttpServer server{[&](Peer& peer) {
        const std::string head = peer.head();
        const std::string mebibyte(1 << 20, 'x');
        peer.say(std::string{"HTTP/1.1 "} + (contains(head, "/good") ? "200 OK" : "500 Oh") +
                 "\r\nContent-Length: 104857600\r\n\r\n");
        for (int i = 0; i < 100 && peer.say(mebibyte); ++i) {
        }
    }};
    net::HttplibTransport transport;
    CHECK(contains(error_of([&] { send(transport, {.url = server.url("/good")}); }),
                   "more than 4194304 bytes"));
    const net::Response error = send(transport, {.url = server.url("/bad")});
    CHECK(error.status == 500);
    CHECK(error.body.size() == 65536);
}

TEST_CASE("fault 31: answers whose end is not certain") {
    // A status line is read by std::regex, frame by frame; ThreadSanitizer's own stack ends at
    // 65,536.
    constexpr std::size_t long_reason = FAIRING_TEST_TSAN ? 1000 : 32000;
    const auto fails = [](const std::string& answer) {
        HttpServer server{says(answer)};
        net::HttplibTransport transport;
        const std::string what = error_of([&] { send(transport, {.url = server.url()}); });
        CHECK(contains(what, server.url("")));
        return what;
    };
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"), "closed before"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel"),
                   "closed before"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"),
                   "closed before"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\n\r\nhello"), "neither"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\nhello"), "not a number"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nhello"), "not a number"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello"),
                   "not a number"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
                   "stated twice"));
    CHECK(contains(
        fails("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello"),
        "stated twice"));
    CHECK(contains(fails("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"), "unknown"));
    CHECK(fails("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello") != "");
    CHECK(fails("not http at all\r\n\r\n") != "");
    CHECK(fails("") != "");
    CHECK(fails("HTTP/1.1 200 OK\r\nX: " + std::string(100000, 'x') + "\r\n\r\n") != "");
    CHECK(fails("HTTP/1.1 200 " + std::string(long_reason, 'x') + "\r\n\r\n") != "");
}

TEST_CASE("fault 32: a compressed answer is not expanded") {
    HttpServer server{says(
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08y")};
    net::HttplibTransport transport;
    CHECK(send(transport, {.url = server.url()}).body == "\x1f\x8b\x08y");
}

TEST_CASE("fault 2: a reset is named") {
    HttpServer server{[](Peer& peer) {
        peer.head();
        peer.body(1000);
        peer.reset();
    }};
    net::HttplibTransport transport;
    const net::Request put{
        .method = "PUT", .url = server.url(), .body = net::Body::of(std::string(10 << 20, 'x'))};
    CHECK(contains(error_of([&] { send(transport, put); }), "connection reset"));
    const net::ExchangeOptions options{
        .attempted = "upload", .subject = "it", .retry = {.first_delay = 1ms}};
    CHECK(error_of([&] { (void)net::exchange(std::ref(transport), put, options, {}); }) ==
          "cannot upload it after 5 attempts: connection reset (" + server.url("") + ")");
    CHECK(server.connections() == 6);
}

TEST_CASE("nobody listens") {
    // A port that is ours, and on which we do not listen.
    const UniqueFd taken{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_in address = support::loopback(0);
    socklen_t size = sizeof address;
    REQUIRE(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    ::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size);
    net::HttplibTransport transport;
    const std::string url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/";
    CHECK(contains(error_of([&] { send(transport, {.url = url}); }), "refused"));
    CHECK(contains(error_of([&] { send(transport, {.url = "http+unix://%2Fno%2Fsuch.sock/"}); }),
                   "%2Fno%2Fsuch.sock: No such file"));
}

TEST_CASE("an answer before the end of the request is heard") {
    HttpServer server{[](Peer& peer) {
        peer.head();
        peer.answer("401 Unauthorized", "", "WWW-Authenticate: Bearer realm=\"x\"\r\n");
        peer.reset();
        peer.pause(100ms);
    }};
    net::HttplibTransport transport;
    const net::Response response = send(
        transport,
        {.method = "PUT", .url = server.url(), .body = net::Body::of(std::string(30 << 20, 'x'))});
    CHECK(response.status == 401);
    CHECK(net::header(response.headers, "www-authenticate") == "Bearer realm=\"x\"");
}

TEST_CASE("fault 29: silence and slowness end") {
    HttpServer server{[](Peer& peer) {
        if (contains(peer.head(), "/slow")) {
            peer.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            for (int i = 0; i < 1000 && peer.say("x"); ++i) {
                peer.pause(20ms);
            }
        }
        peer.pause(10min);
    }};
    net::HttplibTransport transport;
    const auto begin = std::chrono::steady_clock::now();
    CHECK(contains(
        error_of([&] { send(transport, {.url = server.url("/dead"), .idle_timeout = 200ms}); }),
        "for 200 ms"));
    CHECK(contains(
        error_of([&] { send(transport, {.url = server.url("/slow"), .deadline = 300ms}); }),
        "within 300 ms"));
    CHECK(contains(
        error_of([&] { send(transport, {.url = server.url("/dead"), .deadline = 300ms}); }),
        "within 300 ms"));
    const net::Request stalled{.method = "PUT",
                               .url = server.url("/dead"),
                               .body = net::Body::of(std::string(64 << 20, 'x')),
                               .deadline = 300ms};
    CHECK(contains(error_of([&] { send(transport, stalled); }), "within 300 ms"));
    CHECK(std::chrono::steady_clock::now() - begin < 2min);
}

TEST_CASE("a stop closes the connection at once") {
    std::stop_source source;
    HttpServer server{[&](Peer& peer) {
        peer.head();
        source.request_stop();
        peer.pause(10min);
    }};
    net::HttplibTransport transport;
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THROWS_AS(send(transport, {.url = server.url()}, {}, source.get_token()), Cancelled);
    CHECK_THROWS_AS(send(transport, {.url = server.url()}, {}, source.get_token()), Cancelled);
    CHECK(std::chrono::steady_clock::now() - begin < 2min);
    CHECK(server.connections() == 1);
}

TEST_CASE("fault 11: refused addresses are not contacted") {
    net::HttplibTransport transport;
    for (const char* host : {"169.254.169.254", "0.0.0.0", "[::]", "[::ffff:169.254.169.254]",
                             "2852039166", "0xa9fea9fe", "0"}) {
        CHECK(contains(
            error_of([&] { send(transport, {.url = std::string{"http://"} + host + "/"}); }),
            "refused address"));
    }
}

TEST_CASE("fault 11: a name that leads to a refused address is not contacted, by a proxy neither") {
    HttpServer server{says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")};
    std::vector<std::string> addresses = {"169.254.169.254", "::ffff:169.254.169.254"};
    net::HttplibTransport transport{{.resolve = [&](const std::string& host) {
        CHECK(host == "r.example");
        return addresses;
    }}};
    const std::string url = "http://r.example:" + std::to_string(server.port()) + "/";
    CHECK(contains(
        error_of([&] { send(transport, {.url = url}); }),
        "cannot reach " + url.substr(0, url.size() - 1) + ": refused address 169.254.169.254"));
    CHECK(server.connections() == 0);
    addresses.emplace_back("127.0.0.1");  // then only the one that is not refused is taken
    CHECK(send(transport, {.url = url}).body == "ok");
    CHECK(server.connections() == 1);

    net::HttplibTransport through{{.proxy = Secret{server.url()}}};
    CHECK(contains(error_of([&] { send(through, {.url = "http://169.254.169.254/x"}); }),
                   "refused address 169.254.169.254"));
    CHECK(server.connections() == 1);
}

TEST_CASE("status and headers are shown before the body, and may end the exchange") {
    HttpServer server{says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\n\r\nok")};
    net::HttplibTransport transport;
    std::string order;
    const net::BodySink sink = [&](std::span<const std::byte>) { order += "body"; };
    send(transport,
         {.url = server.url(),
          .on_head =
              [&](const net::Response& head) {
                  order += std::to_string(head.status) + net::header(head.headers, "x-a") + ' ';
              }},
         sink);
    CHECK(order == "200b body");
    net::HttplibTransport another;  // the server closes after each answer, at its leisure
    CHECK(error_of([&] {
              send(another,
                   {.url = server.url(),
                    .on_head =
                        [](const net::Response&) {
                            throw Error{ErrorCode::unavailable, {.attempted = "take it"}};
                        }},
                   sink);
          }) == "cannot take it");
    CHECK(order == "200b body");
}

TEST_CASE("a socket in the file system") {
    const TemporaryDirectory directory;
    const std::string path = (directory.path() / "engine.sock").string();
    std::string head;
    HttpServer server{path, [&](Peer& peer) {
                          head = peer.head();
                          peer.answer("200 OK", "pong");
                      }};
    net::HttplibTransport transport;
    CHECK(send(transport, {.url = "http+unix://" + net::percent_encode(path) + "/_ping"}).body ==
          "pong");
    CHECK(head.starts_with("GET /_ping HTTP/1.1\r\nHost: localhost\r\n"));
}

TEST_CASE("several threads share one transport, and nothing is left open") {
    const support::NothingLeft check;
    HttpServer server{[](Peer& peer) {
        int served = 0;
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            if (++served == 7) {
                return peer.reset();  // without an answer
            }
            peer.answer("200 OK", head.substr(4, head.find(' ', 4) - 4));
        }
    }};
    net::HttplibTransport transport;
    std::atomic<int> right = 0;
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 8; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 25; ++i) {
                    const std::string target = "/" + std::to_string(t) + "/" + std::to_string(i);
                    const net::ExchangeOptions options{
                        .retry = {.attempts = 50, .first_delay = 1ms}};
                    right +=
                        net::exchange(std::ref(transport),
                                      {.url = server.url(target), .deadline = 2min}, options, {})
                            .body == target;
                }
            });
        }
    }
    CHECK(right == 200);
}

TEST_CASE("a kept connection that the peer has closed is not used") {
    HttpServer server{[](Peer& peer) {
        peer.head();
        peer.answer("200 OK", "once");  // and closes without having said so
    }};
    net::HttplibTransport transport;
    for (int i = 0; i < 5; ++i) {
        CHECK(send(transport, {.method = "POST", .url = server.url()}).body == "once");
        REQUIRE(support::eventually([&] { return server.open() == 0; }));
    }
    CHECK(server.connections() == 5);
}

TEST_CASE("a connection that was idle for too long is closed, whichever origin is asked next") {
    std::atomic<bool> is_closed = false;
    const auto serve = [](Peer& peer) {
        while (!peer.head().empty()) {
            peer.answer("200 OK", "a");
        }
    };
    HttpServer first{[&](Peer& peer) {
        serve(peer);
        is_closed = true;
    }};
    HttpServer second{serve};
    net::HttplibTransport transport{{.idle_lifetime = 10ms}};
    CHECK(send(transport, {.url = first.url()}).body == "a");
    std::this_thread::sleep_for(20ms);
    CHECK_FALSE(is_closed);
    CHECK(send(transport, {.url = second.url()}).body == "a");
    const auto end = std::chrono::steady_clock::now() + 60s;
    while (!is_closed && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(5ms);
    }
    CHECK(is_closed);
}

TEST_CASE("http goes through a proxy in absolute form, with the proxy's own credentials") {
    std::mutex mutex;
    std::string head;
    HttpServer proxy{[&](Peer& peer) {
        std::string got = peer.head();
        {
            const std::lock_guard lock{mutex};
            head = std::move(got);
        }
        peer.answer("200 OK", "from afar");  // last: the client goes on
    }};
    net::HttplibTransport transport{
        {.proxy = Secret{"http://me@127.0.0.1:" + std::to_string(proxy.port())}}};
    CHECK(send(transport, {.url = "http://far.example/a?b"}).body == "from afar");
    {
        const std::lock_guard lock{mutex};
        CHECK(
            head.starts_with("GET http://far.example/a?b HTTP/1.1\r\n"
                             "Proxy-Authorization: Basic bWU6\r\nHost: far.example\r\n"));
    }
    net::HttplibTransport chosen{
        {.proxies = {.http = Secret{"127.0.0.1:" + std::to_string(proxy.port())},
                     .exceptions = "near.example"},
         .resolve = [](const std::string&) { return std::vector<std::string>{"127.0.0.1"}; }}};
    CHECK(send(chosen, {.url = "http://far.example/"}).body == "from afar");
    CHECK(proxy.connections() == 2);
    HttpServer near{says("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnear")};
    CHECK(send(chosen, {.url = "http://near.example:" + std::to_string(near.port()) + "/"}).body ==
          "near");
    for (const char* wrong : {"https://p", "p:1", "socks5://u:hidden@p", "http://", "http"}) {
        CAPTURE(wrong);
        const std::string what = error_of([&] { net::HttplibTransport{{.proxy = Secret{wrong}}}; });
        CHECK(what != "");
        CHECK_FALSE(contains(what, "hidden"));
    }
}

#if FAIRING_TLS

namespace {

/// openssl s_server as a peer that speaks TLS and answers nothing that we take.
struct TlsServer {
    TlsServer(const Certificates& certificates, const std::string& certificate,
              std::vector<std::string> more = {})
        : port(test::free_port()) {
        std::vector<std::string> arguments = {"openssl", "s_server",
                                              "-accept", "127.0.0.1:" + std::to_string(port),
                                              "-cert",   certificates.path(certificate),
                                              "-key",    certificates.path("key.pem"),
                                              "-www"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        process = std::make_unique<test::ChildProcess>(arguments, certificates.path("log"));
        REQUIRE(process->listens(port));
    }
    [[nodiscard]] std::string url() const {
        return "https://127.0.0.1:" + std::to_string(port) + "/";
    }

    int port;
    std::unique_ptr<test::ChildProcess> process = {};
};

/// Else it closes a connection after five seconds in which a loaded machine did nothing.
void be_patient(httplib::Server& server) {
    server.set_keep_alive_timeout(600);
    server.set_read_timeout(600);
    server.set_write_timeout(600);
}

}  // namespace

TEST_CASE("fault 30: a TLS peer that can not be trusted is refused by name") {
    const Certificates certificates;
    if (!certificates.made) {
        MESSAGE("skipped: the openssl program is missing");
        return;
    }
    net::HttplibTransport transport{{.ca_file = certificates.path("ca.pem")}};
    const auto refusal = [&](const std::string& certificate, std::vector<std::string> more = {}) {
        const TlsServer server{certificates, certificate, std::move(more)};
        const std::string what = error_of([&] { send(transport, {.url = server.url()}); });
        CHECK(contains(what, "https://127.0.0.1:" + std::to_string(server.port)));
        return what;
    };
    CHECK(contains(refusal("other.pem"), "TLS: the certificate is not for this host"));
    CHECK(contains(refusal("self.pem"), "TLS: self"));
    CHECK(
        contains(refusal("good.pem", {"-tls1", "-cipher", "ALL:@SECLEVEL=0"}), "protocol version"));
    // Trusted: the answer of s_server is HTTP/1.0 without a length, so it gets as far as that.
    CHECK(contains(refusal("good.pem"), "neither Content-Length"));
    CHECK(contains(refusal("expired.pem"), "TLS: certificate has expired"));

    const TlsServer good{certificates, "good.pem"};
    net::HttplibTransport system_roots;
    CHECK(contains(error_of([&] { send(system_roots, {.url = good.url()}); }), "TLS: "));
    net::HttplibTransport no_file{{.ca_file = "/no/such/file"}};
    CHECK(contains(error_of([&] { send(no_file, {.url = good.url()}); }), "CA file"));
    net::HttplibTransport unchecked{{.verification = net::Verification::off}};
    CHECK(contains(error_of([&] { send(unchecked, {.url = good.url()}); }),
                   "neither Content-Length"));
}

TEST_CASE("https: kept alive, large both ways, and a plain peer is no TLS peer") {
    const Certificates certificates;
    if (!certificates.made) {
        MESSAGE("skipped: the openssl program is missing");
        return;
    }
    httplib::SSLServer server{certificates.path("good.pem").c_str(),
                              certificates.path("key.pem").c_str()};
    std::atomic<int> connections = 0;
    server.set_pre_routing_handler([&](const httplib::Request& request, httplib::Response&) {
        static std::atomic<int> last_port = 0;
        connections += last_port.exchange(request.remote_port) != request.remote_port;
        return httplib::Server::HandlerResponse::Unhandled;
    });
    be_patient(server);
    server.Put("/x", [](const httplib::Request& request, httplib::Response& response) {
        response.set_content(request.body, "a/b");
    });
    const int port = server.bind_to_any_port("127.0.0.1");
    const std::jthread thread{[&] { server.listen_after_bind(); }};
    server.wait_until_ready();
    net::HttplibTransport transport{{.ca_file = certificates.path("ca.pem")}};
    const std::string large(3 << 20, 'x');
    for (int i = 0; i < 3; ++i) {
        const net::Response response =
            send(transport, {.method = "PUT",
                             .url = "https://127.0.0.1:" + std::to_string(port) + "/x",
                             .body = net::Body::of(large)});
        CHECK(response.status == 200);
        CHECK(response.body == large);
    }
    CHECK(connections == 1);
    server.stop();

    HttpServer plain{[](Peer& peer) {
        peer.answer("400 Bad Request", "no TLS here");
        peer.pause(100ms);
    }};
    const std::string url = "https://127.0.0.1:" + std::to_string(plain.port());
    CHECK(contains(error_of([&] { send(transport, {.url = url}); }), "TLS: wrong version number"));
    HttpServer closing{[](Peer&) {}};
    try {
        send(transport, {.url = "https://127.0.0.1:" + std::to_string(closing.port())});
        FAIL("answered");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::unavailable);  // so it is tried again
    }
}

TEST_CASE("a client certificate is shown with its chain, and each has its own connections") {
    const Certificates certificates;
    const std::string script =
        "cd '" + certificates.directory.path().string() +
        "' && exec >/dev/null 2>&1 && echo basicConstraints=critical,CA:TRUE >ca.ext"
        " && request() { openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes"
        " -keyout $1.key -out $1.csr -subj /CN=$1; }"
        " && request mid && openssl x509 -req -in mid.csr -CA ca.pem -CAkey ca.key"
        " -CAcreateserial -days 30 -extfile ca.ext -out mid.pem"
        " && for who in one two; do request $who && openssl x509 -req -in $who.csr -CA mid.pem"
        " -CAkey mid.key -CAcreateserial -days 30 -out $who.leaf && cat $who.leaf mid.pem"
        " >$who.pem; done";
    if (!certificates.made || std::system(script.c_str()) != 0) {
        MESSAGE("skipped: the openssl program is missing");
        return;
    }
    httplib::SSLServer server{certificates.path("good.pem").c_str(),
                              certificates.path("key.pem").c_str(),
                              certificates.path("ca.pem").c_str()};
    be_patient(server);
    server.Get("/port", [](const httplib::Request& request, httplib::Response& response) {
        response.set_content(std::to_string(request.remote_port), "text/plain");
    });
    const int port = server.bind_to_any_port("127.0.0.1");
    const std::jthread thread{[&] { server.listen_after_bind(); }};
    server.wait_until_ready();
    std::string who = "one";
    net::HttplibTransport transport{
        {.ca_pem = read_file(certificates.path("ca.pem")),
         .certificate = [&](const std::stop_token&) -> std::optional<net::ClientCertificate> {
             return net::ClientCertificate{read_file(certificates.path(who + ".pem")),
                                           Secret{read_file(certificates.path(who + ".key"))}};
         }}};
    const net::Request request{.url = "https://127.0.0.1:" + std::to_string(port) + "/port"};
    const std::string first = send(transport, request).body;
    CHECK(send(transport, request).body == first);
    who = "two";
    CHECK(send(transport, request).body != first);
    who = "one";
    CHECK(send(transport, request).body == first);

    net::HttplibTransport anonymous{{.ca_file = certificates.path("ca.pem")}};
    CHECK(contains(error_of([&] { send(anonymous, request); }), "cannot reach https://127.0.0.1"));
    net::HttplibTransport wrong{
        {.ca_file = certificates.path("ca.pem"),
         .certificate = [&](const std::stop_token&) -> std::optional<net::ClientCertificate> {
             return net::ClientCertificate{read_file(certificates.path("one.pem")),
                                           Secret{read_file(certificates.path("two.key"))}};
         }}};
    const std::string mismatch = error_of([&] { send(wrong, request); });
    CHECK(contains(mismatch, "the client certificate and its key can not be used"));
    CHECK_FALSE(contains(mismatch, "BEGIN"));
    server.stop();
}

TEST_CASE("another name may be expected in the certificate") {
    const Certificates certificates;
    if (!certificates.made) {
        MESSAGE("skipped: the openssl program is missing");
        return;
    }
    const TlsServer server{certificates, "other.pem"};
    net::HttplibTransport transport{
        {.ca_pem = read_file(certificates.path("ca.pem")), .tls_server_name = "elsewhere.example"}};
    // Trusted: as far as the answer of s_server, which has no length.
    CHECK(contains(error_of([&] { send(transport, {.url = server.url()}); }),
                   "neither Content-Length"));
    net::HttplibTransport other{
        {.ca_pem = read_file(certificates.path("ca.pem")), .tls_server_name = "x.example"}};
    CHECK(contains(error_of([&] { send(other, {.url = server.url()}); }), "not for this host"));
}

TEST_CASE("https goes through a proxy by a tunnel, and the proxy's refusal is told") {
    std::mutex mutex;
    std::string head, first;
    HttpServer proxy{[&](Peer& peer) {
        std::string got = peer.head();
        peer.say("HTTP/1.1 200 Connection established\r\n\r\n");
        std::string hello = peer.body(1);
        const std::lock_guard lock{mutex};
        head = std::move(got);
        first = std::move(hello);
    }};
    const std::string host = "127.0.0.1:" + std::to_string(proxy.port());
    net::HttplibTransport transport{{.proxy = Secret{"http://me:p%40ss@" + host}}};
    const std::string what = error_of([&] { send(transport, {.url = "https://api.example/x"}); });
    CHECK(contains(what, "https://api.example through proxy http://" + host));
    CHECK_FALSE(contains(what, "ss@"));
    {
        const std::lock_guard lock{mutex};
        CHECK(head ==
              "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n"
              "Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n");
        CHECK(first == "\x16");  // the first byte of a TLS handshake
    }
    HttpServer refusing{
        says("HTTP/1.1 407 Proxy Authentication Required\r\n"
             "Content-Length: 0\r\n\r\n")};
    net::HttplibTransport refused{{.proxy = Secret{refusing.url()}}};
    CHECK(contains(error_of([&] { send(refused, {.url = "https://api.example/x"}); }),
                   "the proxy refused the connection: 407"));
}

#endif
