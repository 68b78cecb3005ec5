// The faults of registries, of what stands before them and of the network, with real peers:
// Debian's docker-registry, distribution v3 (`registry`), nginx, a token server, and proxies that
// break.
#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "../support/certificates.hpp"
#include "../support/http_server.hpp"
#include "../support/nginx.hpp"
#include "../support/nothing_left.hpp"
#include "../support/registry_site.hpp"
#include "../support/site.hpp"
#include "../support/tcp_proxy.hpp"
#include "../support/token_server.hpp"

using namespace fairing;
using namespace std::chrono_literals;
using registry::Upload;
using support::client_at;
using support::config;
using support::contains;
using support::Content;
using support::error_of;
using support::manifest_of;
using support::missing_nginx;
using support::missing_registry;
using support::Nginx;
using support::push;
using support::random_bytes;
using support::read;
using support::Registry;
using support::TcpProxy;
using support::user;
using support::Way;
using test::HttpServer;
using test::Peer;

namespace {

using registry::Client;

Client client_through(const TcpProxy& proxy, Upload upload) {
    return client_at("localhost:" + std::to_string(proxy.port()),
                     support::client_options({}, upload));
}

/// As a blob that is being made, in pieces; `pause` comes behind the first.
oci::Transfer push_new(
    Client& client, const Content& content, const std::function<void()>& pause = [] {}) {
    return client.write_new_blob(
        [&](const net::BodySink& sink) {
            const auto bytes = std::as_bytes(std::span{content.bytes});
            constexpr std::size_t piece = 600'000;
            for (std::size_t at = 0; sink && at < bytes.size(); at += piece) {
                sink(bytes.subspan(at, std::min(piece, bytes.size() - at)));
                if (at == 0) {
                    pause();
                }
            }
            return content.descriptor;
        },
        [&] { return net::Body::of(content.bytes); }, content.bytes.size());
}

/// docker-registry 2.8, and distribution v3 where it is there.
std::vector<std::string> registries() {
    if (test::has_program("registry")) {
        return {"exec docker-registry", "exec registry"};
    }
    MESSAGE("skipped: distribution v3 (registry) is not installed");
    return {"exec docker-registry"};
}

const Content large{random_bytes(4 << 20, 1)};

}  // namespace

TEST_CASE("fault 1: a PUT that is reset half way is sent again, once") {
    const support::NothingLeft check;
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    TcpProxy proxy{registry.port()};
    Client client = client_through(proxy, Upload::automatic);
    proxy.cut_after(large.bytes.size() / 2, 1, Way::to_server);
    CHECK(push(client, large) == oci::Transfer::uploaded);
    CHECK(proxy.cuts_left() == 0);
    CHECK(client.requests() == 7);  // HEAD POST PUT DELETE, HEAD POST PUT
    CHECK(read(client, large.descriptor) == large.bytes);

    // The same while it is made, and while it is read.
    const Content other{random_bytes(4 << 20, 1) + "x"};
    proxy.cut_after(large.bytes.size() / 2, 1, Way::to_server);
    CHECK(push_new(client, other) == oci::Transfer::uploaded);
    proxy.cut_after(large.bytes.size() / 2, 1, Way::to_client);
    CHECK(read(client, other.descriptor) == other.bytes);
    CHECK(proxy.cuts_left() == 0);
}

TEST_CASE("fault 2: an upload that is reset every time ends after five attempts") {
    const support::NothingLeft check;
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    TcpProxy proxy{registry.port()};
    Client client = client_through(proxy, Upload::automatic);
    proxy.cut_after(large.bytes.size() / 2, 1000, Way::to_server);
    const std::string what = error_of([&] { (void)push(client, large); });
    CHECK(contains(what, "cannot upload blob " + large.descriptor.digest +
                             " to localhost:" + std::to_string(proxy.port()) +
                             "/team/job after 5 attempts: connection reset"));
    CHECK(proxy.cuts_left() == 995);
    CHECK_FALSE(client.find_manifest("v1"));
    proxy.cut_after(0, 0);
    CHECK(push(client, large) == oci::Transfer::uploaded);
}

TEST_CASE("fault 7, 8: chunks to docker-registry and distribution v3, whole and broken") {
    const support::NothingLeft check;
    if (missing_registry()) {
        return;
    }
    for (const std::string& program : registries()) {
        CAPTURE(program);
        const Registry registry{Registry::Users::none, "", program};
        REQUIRE(registry.running());
        TcpProxy proxy{registry.port()};
        {
            Client client = client_through(proxy, Upload::chunked);
            CHECK(push(client, large) == oci::Transfer::uploaded);
            CHECK(client.requests() == 11);  // HEAD POST 8 x PATCH, PUT
            CHECK(read(client, large.descriptor) == large.bytes);
            const Content made{"made " + large.bytes};
            CHECK(push_new(client, made) == oci::Transfer::uploaded);
            CHECK(read(client, made.descriptor) == made.bytes);
        }
        for (const bool fresh : {false, true}) {
            Client client = client_through(proxy, Upload::chunked);
            const Content broken{std::string{"broken "} + (fresh ? "new " : "") + large.bytes};
            proxy.cut_after(large.bytes.size() / 2 + 100'000, 1, Way::to_server);
            CHECK((fresh ? push_new(client, broken) : push(client, broken)) ==
                  oci::Transfer::uploaded);
            CHECK(proxy.cuts_left() == 0);
            CHECK(read(client, broken.descriptor) == broken.bytes);
            // Of eight chunks the fifth is broken: distribution v3 goes on there, docker-registry,
            // which has lost its way, is sent everything again.
            CHECK((client.requests() < 17) == (program == "exec registry"));
        }
    }
}

TEST_CASE("fault 13: a blob on another port is read there, without credentials or cookies") {
    const support::NothingLeft check;
    std::mutex mutex;
    std::string seen;
    HttpServer store{[&](Peer& peer) {
        std::string head = peer.head();
        {
            const std::lock_guard lock{mutex};
            seen = std::move(head);
        }
        peer.answer("200 OK", "the blob");  // last: the client goes on
    }};
    HttpServer front{[&](Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            const bool known = head.find("Authorization: Basic bWU6czNjcmV0") != std::string::npos;
            known ? peer.answer("307 Temporary Redirect", "",
                                "Location: " + store.url("/b?sig=x") + "\r\nSet-Cookie: a=b\r\n")
                  : peer.answer("401 Unauthorized", "", "WWW-Authenticate: Basic realm=x\r\n");
        }
    }};
    Client client = client_at("127.0.0.1:" + std::to_string(front.port()),
                              support::client_options(user("me", "s3cret")));
    const Content blob{"the blob"};
    CHECK(read(client, blob.descriptor) == "the blob");
    const std::lock_guard lock{mutex};
    CHECK(seen.starts_with("GET /b?sig=x HTTP/1.1\r\n"));
    CHECK_FALSE(contains(seen, "Authorization"));
    CHECK_FALSE(contains(seen, "Cookie"));
}

TEST_CASE("fault 15, 21: a token of 2 MiB, a manifest of more than 4 MiB, a refusal of 100 MB") {
    const support::NothingLeft check;
    HttpServer server{[&](Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            if (head.starts_with("GET /token")) {
                peer.answer("200 OK", R"({"token":")" + std::string(2 << 20, 'x') + "\"}");
            } else if (contains(head, "/private/")) {
                peer.answer("401 Unauthorized", "",
                            "WWW-Authenticate: Bearer realm=\"" + server.url("/token") + "\"\r\n");
            } else if (contains(head, "/manifests/refused")) {
                peer.answer("400 Bad Request", std::string(100'000'000, 'x'));
            } else {
                peer.answer("200 OK", std::string((4 << 20) + 1, ' '),
                            "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n");
            }
        }
    }};
    const std::string host = "127.0.0.1:" + std::to_string(server.port());
    Client client = client_at(host);
    CHECK(contains(error_of([&] { (void)client.find_manifest("v1"); }), "more than 4194304 bytes"));
    CHECK(contains(error_of([&] { (void)client.find_manifest("refused"); }), "400 Bad Request"));
    registry::Client locked{
        oci::parse_reference(host + "/private/job"), support::client_options(), {}};
    const std::string what = error_of([&] { (void)locked.find_manifest("v1"); });
    CHECK(contains(what, "cannot get a token for " + host));
    CHECK(contains(what, "more than 1048576 bytes"));
}

TEST_CASE("fault 28: a registry without room says so five times") {
    const support::NothingLeft check;
    if (missing_registry()) {
        return;
    }
    // No file of it may be longer than 1 MB (POSIX: blocks of 512 bytes).
    const Registry registry{Registry::Users::none, "", "ulimit -f 2000; exec docker-registry"};
    REQUIRE(registry.running());
    Client client = client_at(registry.host());
    const std::string what = error_of([&] { (void)push(client, large); });
    CHECK(contains(what, "after 5 attempts: 500 Internal Server Error"));
    CHECK(push(client, Content{"a small one"}) == oci::Transfer::uploaded);
}

TEST_CASE("fault 33: one tag and one blob pushed by two at once: both valid, the last tag wins") {
    if (missing_registry()) {
        return;
    }
    const Registry registry;
    REQUIRE(registry.running());
    std::vector<std::string> digests(2);
    {
        std::vector<std::jthread> threads;
        for (std::size_t i = 0; i < digests.size(); ++i) {
            threads.emplace_back([&, i] {
                Client client = client_at(registry.host());
                Content own = config();
                own = Content{own.bytes + std::string(i, '\n'), own.descriptor.media_type};
                push(client, large);
                push(client, own);
                const oci::RawManifest manifest = manifest_of(own, large);
                client.write_manifest(manifest, "v1");
                digests[i] = manifest.descriptor().digest;
            });
        }
    }
    Client client = client_at(registry.host());
    const auto tagged = client.find_manifest("v1");
    REQUIRE(tagged);
    CHECK((tagged->descriptor().digest == digests[0] || tagged->descriptor().digest == digests[1]));
    CHECK(digests[0] != digests[1]);
    for (const std::string& digest : digests) {
        CHECK(client.find_manifest(digest));
    }
    CHECK(read(client, large.descriptor) == large.bytes);
}

TEST_CASE("fault 6: nginx limits bodies: refused once, with what to do; chunks pass") {
    const support::NothingLeft check;
    if (missing_registry() || missing_nginx()) {
        return;
    }
    const Registry registry;
    const Nginx nginx{"", "client_max_body_size 1m;\n" + Nginx::pass_to(registry.port())};
    REQUIRE(nginx.running());
    Client whole = client_at(nginx.host());
    const std::string what = error_of([&] { (void)push(whole, large); });
    CHECK(contains(what, "to " + nginx.host() + "/team/job: 413 Content Too Large"));
    CHECK(contains(what, "--upload chunked"));
    CHECK(whole.requests() == 4);  // HEAD POST PUT DELETE
    Client chunked = client_at(nginx.host(), support::client_options({}, Upload::chunked));
    CHECK(push(chunked, large) == oci::Transfer::uploaded);
    CHECK(read(chunked, large.descriptor) == large.bytes);
}

TEST_CASE("fault 30: nginx as TLS before a registry: its CA, our certificate, no http instead") {
    const support::Certificates certificates;
    if (!certificates.made) {
        MESSAGE("skipped: the openssl program is missing");
        return;
    }
    if (missing_registry() || missing_nginx()) {
        return;
    }
    const Registry registry;
    const std::string tls = "ssl_certificate " + certificates.path("good.pem") +
                            ";\nssl_certificate_key " + certificates.path("key.pem") +
                            ";\nclient_max_body_size 0;\n" + Nginx::pass_to(registry.port());
    const Nginx open{"ssl", tls};
    const Nginx strict{"ssl", "ssl_verify_client on;\nssl_client_certificate " +
                                  certificates.path("ca.pem") + ";\n" + tls};
    REQUIRE(open.running());
    REQUIRE(strict.running());
    const auto with = [&](const std::string& ca, const support::ClientFiles& files = {}) {
        registry::ClientOptions options = support::client_options();
        options.transport = support::make_transport(ca, files);
        options.plain_http = registry::PlainHttp::never;
        return options;
    };
    const std::string ca = certificates.path("ca.pem");
    Client known = client_at(open.host(), with(ca));
    CHECK(push(known, large) == oci::Transfer::uploaded);
    CHECK(read(known, large.descriptor) == large.bytes);
    Client unknown = client_at(open.host(), with(""));
    const std::string what = error_of([&] { (void)push(unknown, large); });
    CHECK(contains(what, "https://" + open.host()));
    CHECK(contains(what, "TLS: "));
    CHECK(contains(what, "--ca-file"));
    CHECK(unknown.requests() == 1);

    Client shown =
        client_at(strict.host(),
                  with(ca, {certificates.path("client.pem"), certificates.path("client.key")}));
    CHECK(push(shown, large) == oci::Transfer::present);
    CHECK(read(shown, large.descriptor) == large.bytes);
    Client hidden = client_at(strict.host(), with(ca));
    CHECK(contains(error_of([&] { (void)hidden.find_manifest("v1"); }), "400 Bad Request"));
}

TEST_CASE("no secret of an authenticated push is in a log of everything, nor in an error") {
    const support::TokenServer tokens;
    if (!tokens.made()) {
        MESSAGE("skipped: the openssl program is missing");
        return;
    }
    if (missing_registry()) {
        return;
    }
    const Registry registry{Registry::Users::none, tokens.auth()};
    REQUIRE(registry.running());
    std::string log;
    std::mutex mutex;
    const Control control{.log = [&](LogRecord record) {
        const std::lock_guard lock{mutex};
        log += record.text + '\n';
    }};
    TcpProxy proxy{registry.port()};
    const std::string host = "localhost:" + std::to_string(proxy.port());
    const auto push_all = [&](const CredentialsProvider& credentials, Upload upload) {
        Client client = client_at(host, support::client_options(credentials, upload), control);
        const Content layer{std::to_string(tokens.tokens().size()) + large.bytes};
        proxy.cut_after(large.bytes.size() / 2, 1, Way::to_server);
        CHECK(push(client, layer) == oci::Transfer::uploaded);
        CHECK(push_new(client, Content{"new " + layer.bytes}) == oci::Transfer::uploaded);
        CHECK(push(client, config()) != oci::Transfer::none);
        client.write_manifest(manifest_of(config(), layer), "v1");
        CHECK(client.find_manifest("v1"));
        CHECK(read(client, layer.descriptor) == layer.bytes);
    };
    push_all(user("me", "s3cret"), Upload::automatic);
    push_all(user("me", "s3cret"), Upload::chunked);
    const std::vector<std::string> by_user = tokens.methods();
    CHECK(std::count(by_user.begin(), by_user.end(), "POST") == 0);
    push_all(user("<token>", "1dentity"), Upload::single);
    CHECK(tokens.methods().back() == "POST");

    for (const auto& wrong : {user("me", "guess-s3cret"), user("<token>", "guess-1dentity")}) {
        Client client = client_at(host, support::client_options(wrong), control);
        const std::string what = error_of([&] { (void)client.find_manifest("v1"); });
        CHECK(contains(what, "401 Unauthorized"));
        CHECK(contains(what, "check the credentials for " + host));
        log += what;
    }
    CHECK(support::count(log, "GET http://") > 5);  // it is the log of everything
    std::vector<std::string> secrets = {"s3cret", "1dentity", codec::base64_encode("me:s3cret"),
                                        "_state=e", "_state=A"};
    for (const std::string& token : tokens.tokens()) {
        secrets.push_back(token);
        secrets.push_back(token.substr(token.rfind('.') + 1));
    }
    CHECK(secrets.size() > 10);
    for (const std::string& secret : secrets) {
        CHECK_FALSE(contains(log, secret));
    }
}

TEST_CASE(
    "fault 14: a token that ends between two chunks is replaced once, and the upload goes on") {
    support::TokenServer tokens;
    if (!tokens.made()) {
        MESSAGE("skipped: the openssl program is missing");
        return;
    }
    if (missing_registry()) {
        return;
    }
    const Registry registry{Registry::Users::none, tokens.auth()};
    REQUIRE(registry.running());
    tokens.set_lifetime(-52);  // of the minute that the registry adds, eight seconds are left
    Client client =
        client_at(registry.host(), support::client_options(user("me", "s3cret"), Upload::chunked));
    const auto until_it_ends = [&] {
        std::this_thread::sleep_for(10s);
        tokens.set_lifetime(3600);
    };
    CHECK(push_new(client, large, until_it_ends) == oci::Transfer::uploaded);
    CHECK(tokens.tokens().size() == 2);
    CHECK(client.requests() == 14);  // POST 401, token, POST, 8 x PATCH and one 401, token, PUT
}

TEST_CASE(
    "fault 1, 33: 200 builds by 20 processes through a network that resets 5 % of connections") {
    const support::Site* site = support::Site::get();
    if (site == nullptr) {
        return;
    }
    const Registry registry;
    REQUIRE(registry.running());
    TcpProxy proxy{registry.port()};
    proxy.reset_every(8);
    const std::string host = "localhost:" + std::to_string(proxy.port());
    const support::ShellResult all = support::run(
        "cd " + site->source() + " && export FAIRING_CACHE=" + site->file("load-cache") +
        " && for p in $(seq 20); do mode=$(echo auto single chunked | "
        "cut -d' ' -f$((p % 3 + 1))); (for t in $(seq 10); do " +
        site->command() +
        " build examples/train.py --input examples/data --quiet --base-image oci:" +
        env("FAIRING_BASE_LAYOUT", "") + " --registry " + host +
        "/load --image-name p$p --tag t$t --upload $mode 2>&1; echo exit $?; done) & done; wait");
    CAPTURE(all.output);
    CHECK(support::count(all.output, "exit 0\n") == 200);
    CHECK(support::count(all.output, "exit ") == 200);
    const std::string digest = all.output.substr(all.output.find("@sha256:"), 72);
    CHECK(support::count(all.output, digest + "\n") == 200);
    MESSAGE(proxy.connections() << " connections, " << proxy.resets() << " of them reset");
    CHECK(proxy.resets() * 20 >= proxy.connections());
    // What the registry has is whole.
    for (const std::string repository : {"p1", "p20"}) {
        const support::ShellResult copied = support::run(
            "skopeo copy -q --src-tls-verify=false docker://" + registry.host() + "/load/" +
            repository + ":t10 oci:" + site->file("load-" + repository) + ":x 2>&1");
        CHECK_MESSAGE(copied.exit_code == 0, copied.output);
    }
}
