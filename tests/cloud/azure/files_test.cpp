#include "fairing/cloud/azure/files.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

namespace {

const std::string share_url = "https://acct.file.core.windows.net/share/";

}  // namespace

TEST_CASE("a file of a share is made in its length, and filled") {
    support::CloudSite site;
    const azure::FileShare share{site.connection(), support::azure_account(), "share"};
    const std::string directory = share_url + "build_1?restype=directory";
    site.script.expect("PUT", directory, answer(201));
    site.script.expect("PUT", share_url + "build_1/x?restype=directory",
                       answer(409, "", {{"x-ms-error-code", "ResourceAlreadyExists"}}));
    share.make_directory("build_1/x");
    site.script.expect("PUT", share_url + "build_1/f", answer(201));
    site.script.expect("PUT", share_url + "build_1/f?comp=range", answer(201));
    site.script.expect("PUT", share_url + "build_1/f?comp=range", answer(201));
    share.put("build_1/f", Content::of(std::string((4 << 20) + 1, 'x')));
    CHECK(site.script.recorded().at(2).header("x-ms-content-length") == "4194305");
    CHECK(site.script.recorded().at(3).header("x-ms-range") == "bytes=0-4194303");
    CHECK(site.script.recorded().at(4).header("x-ms-range") == "bytes=4194304-4194304");
    SUBCASE("half a file is not left behind") {
        site.script.expect("PUT", share_url + "f", answer(201));
        site.script.expect("PUT", share_url + "f?comp=range", answer(413));
        site.script.expect("DELETE", share_url + "f", answer(202));
        CHECK(contains(error_of([&] { share.put("f", Content::of("x")); }),
                       "cannot upload bytes=0-0 of " + share_url + "f: 413"));
    }
    SUBCASE("a folder goes with all that is in it") {
        const support::Workspace place;
        place.file("b/c", "");
        place.file("a", "");
        site.script.expect("PUT", share_url + "d?restype=directory", answer(201));
        site.script.expect("PUT", share_url + "d/a", answer(201));
        site.script.expect("PUT", share_url + "d/b?restype=directory", answer(201));
        site.script.expect("PUT", share_url + "d/b/c", answer(201));
        share.put_directory(place.path(), "d");
        place.link("z", "a");
        CHECK(contains(error_of([&] {
                           site.script.expect("PUT", "", answer(201))
                               .expect("PUT", "", answer(201))
                               .expect("PUT", "", answer(201))
                               .expect("PUT", "", answer(201));
                           share.put_directory(place.path(), "d");
                       }),
                       "it is a link"));
    }
    CHECK(site.script.complaint() == "");
}
