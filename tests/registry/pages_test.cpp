#include "fairing/registry/pages.hpp"

#include <doctest/doctest.h>

#include "../support/scripted_transport.hpp"

using namespace fairing;

namespace {

net::Response page(const std::string& body, const std::string& link) {
    net::Response response{.status = 200, .body = body};
    if (!link.empty()) {
        response.headers.emplace("Link", link);
    }
    return response;
}

struct Fixture {
    test::ScriptedTransport script = {};
    std::string bodies = {};

    net::Answer read() {
        registry::Api api{oci::parse_reference("localhost:5000/team/job"),
                          {.transport = std::ref(script),
                           .retry = {.attempts = 1},
                           .files = std::vector<std::filesystem::path>{}}};
        const net::Answer other = registry::read_pages(
            api, {.url = api.url("tags/list"), .attempted = "list the tags of"}, {},
            [this](const net::Answer& answer) {
                bodies += answer.body;
                return answer.body != "stop";
            });
        CHECK(script.complaint().empty());
        return other;
    }
};
const std::string first = "http://localhost:5000/v2/team/job/tags/list";

}  // namespace

TEST_CASE("the next link, wherever it stands") {
    CHECK(registry::next_link("</a?n=1>; rel=\"next\"") == "/a?n=1");
    CHECK(registry::next_link("</p>; rel=\"prev\", </a>; rel=next") == "/a");
    CHECK(registry::next_link("</p>; rel=\"prev\"").empty());
    CHECK(registry::next_link("no link").empty());
    CHECK(registry::next_link("").empty());
}

TEST_CASE("pages follow each other, relative and absolute") {
    Fixture f;
    f.script.expect("GET", first, page("a", "</v2/team/job/tags/list?last=a%2Fb>; rel=\"next\""))
        .expect("GET", first + "?last=a%2Fb", page("b", '<' + first + "?last=b>; rel=\"next\""))
        .expect("GET", first + "?last=b", page("c", ""));
    CHECK(f.read().status == 0);
    CHECK(f.bodies == "abc");
}

TEST_CASE("an answer that is no page ends it and is given back") {
    Fixture f;
    f.script.expect("GET", first, {.status = 404});
    CHECK(f.read().status == 404);
    f.script.expect("GET", first, page("stop", "</other>; rel=\"next\""));
    CHECK(f.read().status == 200);
}

TEST_CASE("a next page at another origin, or one that was read, is refused") {
    Fixture f;
    f.script.expect("GET", first, page("a", "<http://other.example/v2/x>; rel=\"next\""));
    CHECK_THROWS_WITH_AS(static_cast<void>(f.read()), doctest::Contains("at another place"), Error);
    f.script.expect("GET", first, page("a", '<' + first + ">; rel=\"next\""));
    CHECK_THROWS_WITH_AS(static_cast<void>(f.read()), doctest::Contains("have no end"), Error);
}
