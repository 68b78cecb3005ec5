#include "fairing/deployers/google/endpoint_workload.hpp"

#include <doctest/doctest.h>

#include "../../support/google_site.hpp"
#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

TEST_CASE("what was made is undone in the reverse order, and a step that fails is said") {
    GoogleSite site;
    const google::Client client{GoogleSite::options(), site.session()};
    std::string done;
    const auto step = [&done](const char* name) {
        return [&done, name](const google::Client&) { done += name; };
    };
    {
        google::Undo undo{client};
        undo.add(step("a"));
        undo.add([](const google::Client&) {
            throw Error{ErrorCode::denied, {.attempted = "remove", .subject = "b"}};
        });
        undo.add(step("c"));
        undo.amend(step("C"));
    }
    CHECK(done == "Ca");
    CHECK(site.times_said("cannot remove b") == 1);
    {
        google::Undo undo{client};
        undo.add(step("kept"));
        CHECK(undo.keep().size() == 1);
    }
    CHECK(done == "Ca");
}

TEST_CASE("rows alone are instances") {
    CHECK(google::instances_of({{1, 37}}, "it") == Json{{"instances", {{1, 37}}}});
    const Json whole{{"instances", {1}}, {"parameters", {{"top", 3}}}};
    CHECK(google::instances_of(whole, "it") == whole);
    for (const Json& wrong : {Json{{"rows", 1}}, Json("text"), Json(7)}) {
        CHECK(contains(error_of([&] { (void)google::instances_of(wrong, "it"); }),
                       "cannot ask it: a request is an object with \"instances\""));
    }
}
