#include "fairing/cloud/gcp/external_account.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

TEST_CASE("another identity's token is in a file or behind a url, as text or in JSON") {
    support::CloudSite site;
    site.home.file("jwt", "a.b.c\n");
    site.home.file("jwt.json", R"({"id_token": "d.e.f"})");
    const auto token = [&](const Json& source) {
        return gcp::subject_token(site.connection(), {{"credential_source", source}}, "key.json")
            .reveal();
    };
    const auto failure = [&](const Json& source) { return error_of([&] { (void)token(source); }); };
    const Json json{{"type", "json"}, {"subject_token_field_name", "id_token"}};
    CHECK(token({{"file", site.home / "jwt"}}) == "a.b.c");
    CHECK(token({{"file", site.home / "jwt.json"}, {"format", json}}) == "d.e.f");
    const std::string url = "http://169.254.169.254/metadata/identity";
    site.metadata.expect("GET", url, answer(200, R"({"id_token": "g.h.i"})"));
    CHECK(token({{"url", url}, {"headers", {{"Metadata", "True"}}}, {"format", json}}) == "g.h.i");
    CHECK(site.metadata.recorded().at(0).header("Metadata") == "True");
    site.metadata.expect("GET", url, answer(404));
    CHECK(contains(failure({{"url", url}}), "key.json: its credential_source " + url + ": 404"));

    CHECK(contains(failure({{"file", site.home / "jwt"}, {"format", json}}), "not valid JSON"));
    CHECK(contains(failure({{"file", site.home / "none"}}), "No such file"));
    site.home.file("empty", "\n");
    CHECK(contains(failure({{"file", site.home / "empty"}}), "holds no token"));
    for (const Json& other : {Json{{"executable", {{"command", "x"}}}},
                              Json{{"environment_id", "aws1"}}, Json("geheim"), Json()}) {
        const std::string error = failure(other);
        CHECK(contains(error, "is neither a file nor a url"));
        CHECK_FALSE(contains(error, "geheim"));
    }
}
