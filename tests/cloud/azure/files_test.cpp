#include "fairing/cloud/azure/files.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

namespace {

const std::string share_url = "https://acct.file.core.windows.net/share/";

struct ShareSite : CloudSite {
    azure::FileShare share{connection(), azure_account(), "share"};

    /// What is put there is taken.
    void takes(const std::string& place) { script.expect("PUT", share_url + place, answer(201)); }
};

}  // namespace

TEST_CASE("a file of a share is made in its length, and filled") {
    ShareSite site;
    site.takes("build_1?restype=directory");
    site.script.expect("PUT", share_url + "build_1/x?restype=directory",
                       azure_conflict("ResourceAlreadyExists"));
    site.share.make_directory("build_1/x");
    site.takes("build_1/f");
    site.takes("build_1/f?comp=range");
    site.takes("build_1/f?comp=range");
    site.share.put("build_1/f", Content::of(std::string((4 << 20) + 1, 'x')));
    CHECK(site.script.recorded().at(2).header("x-ms-content-length") == "4194305");
    CHECK(site.script.recorded().at(3).header("x-ms-range") == "bytes=0-4194303");
    CHECK(site.script.recorded().at(4).header("x-ms-range") == "bytes=4194304-4194304");
    SUBCASE("half a file is not left behind") {
        site.takes("f");
        site.script.expect("PUT", share_url + "f?comp=range", answer(413));
        site.script.expect("DELETE", share_url + "f", answer(202));
        CHECK(contains(error_of([&] { site.share.put("f", Content::of("x")); }),
                       "cannot upload bytes=0-0 of " + share_url + "f: 413"));
    }
    SUBCASE("a folder goes with all that is in it") {
        const Workspace place;
        place.file("b/c", "");
        place.file("a", "");
        const auto put = [&] {
            for (const char* each :
                 {"d?restype=directory", "d/a", "d/b?restype=directory", "d/b/c"}) {
                site.takes(each);
            }
            site.share.put_directory(place.path(), "d");
        };
        put();
        place.link("z", "a");
        CHECK(contains(error_of(put), "it is a link"));
    }
    CHECK(site.script.complaint() == "");
}
