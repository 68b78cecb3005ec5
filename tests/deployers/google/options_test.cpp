#include "fairing/deployers/google/options.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

TEST_CASE("documents are put over others: members, elements, the rest as a whole") {
    const Json base{
        {"a", {{"b", 1}, {"c", 2}}}, {"pools", {{{"n", 1}}, {{"n", 2}}}}, {"l", {1, 2}}};
    CHECK(google::merged(base, Json::object()) == base);
    CHECK(google::merged(base, {{"a", {{"b", 9}}}})["a"] == Json{{"b", 9}, {"c", 2}});
    CHECK(google::merged(base, {{"pools", {Json::object(), {{"x", 1}}, {{"n", 3}}}}})["pools"] ==
          Json::array({{{"n", 1}}, {{"n", 2}, {"x", 1}}, {{"n", 3}}}));
    CHECK(google::merged(base, {{"l", {3}}})["l"] == Json{3});
    CHECK(google::merged(base, {{"a", "text"}})["a"] == "text");
}

TEST_CASE("an image goes by its digest alone") {
    const auto uri = [](const char* reference) {
        return google::image_uri({.reference = reference});
    };
    CHECK(uri("a.pkg.dev/p/r:tag@sha256:1") == "a.pkg.dev/p/r@sha256:1");
    CHECK(uri("a.example:5000/p/r@sha256:1") == "a.example:5000/p/r@sha256:1");
    CHECK(uri("a.example:5000/p/r:tag") == "a.example:5000/p/r:tag");
}

TEST_CASE("options that no service of Google takes") {
    const auto refused = [](auto change) {
        GoogleOptions options;
        change(options);
        return error_of([&] { google::check_options(options); });
    };
    CHECK(refused([](auto&) {}).empty());
    CHECK(contains(refused([](auto& o) { o.run_id.assign(47, 'r'); }), "longer than 46"));
    CHECK(contains(refused([](auto& o) { o.run_id = "r-"; }), "ends with -"));
    CHECK(contains(refused([](auto& o) { o.run_id = "R"; }), "small letters"));
    CHECK(contains(refused([](auto& o) { o.region = ""; }), "it is empty"));
    CHECK(contains(refused([](auto& o) { o.poll_milliseconds = 0; }), "less than 1"));
    CHECK(contains(refused([](auto& o) {
                       o.labels = {{"a", std::string(64, 'v')}};
                   }),
                   "longer than 63"));
    CHECK(contains(refused([](auto& o) { o.labels = {{"1a", "v"}}; }), "begins with a letter"));
}
