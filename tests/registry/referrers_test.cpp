#include "fairing/registry/referrers.hpp"

#include <doctest/doctest.h>

#include "../support/hand_made_image.hpp"
#include "../support/memory_registry.hpp"
#include "../support/scripted_transport.hpp"
#include "fairing/registry/client.hpp"

using namespace fairing;

namespace {

template <class Transport>
registry::Client client_of(Transport& transport) {
    return {oci::parse_reference("localhost:5000/team/job"),
            {.transport = std::ref(transport),
             .retry = {.attempts = 1},
             .files = std::vector<std::filesystem::path>{}},
            {}};
}

}  // namespace

TEST_CASE("attached and found, with the referrers API and by the tag where there is none") {
    for (const bool has_api : {true, false}) {
        CAPTURE(has_api);
        support::MemoryRegistry registry;
        registry.has_referrers_api = has_api;
        registry.page_size = 1;
        registry::Client client = client_of(registry);
        const Image image = support::HandMade{}.write(client, "x");
        CHECK(client.find_referrers(image.digest).empty());
        const oci::Descriptor subject = client.find_manifest(image.digest)->descriptor();
        const std::string first = oci::attach(client, subject, "a/one", "1").digest;
        const std::string second = oci::attach(client, subject, "a/two", "2").digest;
        oci::attach(client, subject, "a/two", "2");
        std::set<std::string> digests;
        for (const Json& each : client.find_referrers(image.digest)) {
            digests.insert(text_or(each, "digest") + text_or(each, "artifactType"));
        }
        CHECK(digests == std::set<std::string>{first + "a/one", second + "a/two"});
        CHECK(registry.repositories["team/job"].manifests.contains(
                  oci::referrers_tag(image.digest)) != has_api);
        CHECK(client.find_manifest(first).has_value());
    }
}

TEST_CASE("a server that answers everything with a page of its own has no API; a failure is one") {
    test::ScriptedTransport script;
    registry::Client client = client_of(script);
    const std::string digest = oci::digest_of("x");
    const std::string base = "http://localhost:5000/v2/team/job/";
    script
        .expect("GET", base + "referrers/" + digest,
                {.status = 200, .headers = {{"Content-Type", "text/html"}}, .body = "<html>"})
        .expect("GET", base + "manifests/" + oci::referrers_tag(digest), {.status = 404});
    CHECK(client.find_referrers(digest).empty());
    script.expect("GET", base + "referrers/" + digest, {.status = 500});
    CHECK_THROWS_WITH_AS(static_cast<void>(client.find_referrers(digest)),
                         doctest::Contains("cannot list the referrers of"), Error);
    CHECK(script.complaint().empty());
}
