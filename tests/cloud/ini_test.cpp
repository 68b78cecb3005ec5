#include "fairing/cloud/ini.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("sections, comments, nested settings, line ends of Windows") {
    const auto ini = cloud::parse_ini(
        "stray = 1\n[default]\r\nregion = eu-west-1 \r\n# no = 1\n; no = 2\n[ profile a ]\nk=v=w\n"
        "s3 =\n  addressing_style = path\nno setting\nk2 =\n[default]\nregion = later");
    CHECK(cloud::setting(ini, "default", "region") == "later");
    CHECK(cloud::setting(ini, "profile a", "k") == "v=w");
    CHECK(cloud::setting(ini, "profile a", "addressing_style") == "");
    CHECK(cloud::setting(ini, "profile a", "k2") == "");
    CHECK(cloud::setting(ini, "default", "no") == "");
    CHECK(cloud::setting(ini, "gone", "k") == "");
}

TEST_CASE("a file that is not there holds nothing, one that can not be read is an error") {
    const support::Workspace place;
    CHECK(cloud::read_ini(place / "gone").empty());
    CHECK(cloud::read_ini("").empty());
    place.folder("folder");
    CHECK(support::contains(support::error_of([&] { (void)cloud::read_ini(place / "folder"); }),
                            "folder"));
}
