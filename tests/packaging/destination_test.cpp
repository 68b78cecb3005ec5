#include <doctest/doctest.h>

#include <fairing/packaging/destination.hpp>
#include <string>

#include "../support/workspace.hpp"

using namespace fairing::packaging;
using support::contains;
using support::error_of;

TEST_CASE("places of an image are absolute and clean") {
    CHECK(image_path("/data/./x", "/app", "x") == "/data/x");
    CHECK(image_path("x/", "/app", "x") == "/app/x");
    CHECK(image_prefix("/app/") == "/app");
    CHECK(image_prefix("/") == "/");
}

TEST_CASE("42 .. in a destination is refused, and both names are said") {
    for (const char* path : {"..", "../x", "/app/../etc/passwd", "a/.."}) {
        CAPTURE(path);
        const std::string text = error_of([&] { (void)image_path(path, "/app", "train.py"); });
        CHECK(contains(text, "train.py as " + std::string{path}));
        CHECK(contains(text, "\"..\""));
    }
    CHECK(contains(error_of([] { (void)image_prefix("/a/../b"); }), ".."));
    CHECK(contains(error_of([] { (void)image_prefix("app"); }), "not absolute"));
    CHECK(contains(error_of([] { (void)image_path("", "/app", "x"); }), "empty"));
}

TEST_CASE("42 whiteouts and folders of the system are refused") {
    CHECK(contains(error_of([] { check_destination("/app/.wh.x", "a"); }), ".wh."));
    CHECK(contains(error_of([] { check_destination("/app/.wh.x/y", "a"); }), ".wh."));
    for (const char* path : {"/", "/usr", "/tmp", "/var", "/etc"}) {
        CAPTURE(path);
        CHECK(contains(error_of([&] { check_destination(path, "a"); }), "replace that folder"));
    }
    CHECK_NOTHROW(check_destination("/usr/x", "a"));
    CHECK_NOTHROW(check_destination("/app/x.wh.y", "a"));
}

TEST_CASE("38 names that are no UTF-8 or hold control characters are refused, escaped") {
    CHECK(contains(error_of([] { check_destination("/app/a\nb", "a\nb"); }),
                   "a\\x0ab as /app/a\\x0ab"));
    CHECK(contains(error_of([] { check_destination("/app/\xff", "\xff"); }), "not UTF-8"));
    CHECK(contains(error_of([] { check_destination("/app/\x7f", "d"); }), "control character"));
    CHECK_NOTHROW(check_destination("/app/gr\xc3\xbc\xc3\x9f e", "a"));
}
