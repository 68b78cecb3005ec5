#include "fairing/deployers/google/vertex_names.hpp"

#include <doctest/doctest.h>

#include "../../support/google_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

TEST_CASE("a resource name has six parts, and says where it is") {
    const auto name =
        detail::parse_vertex_name("projects/p-1/locations/europe-west4/models/m_1", "models");
    CHECK(name.project == "p-1");
    CHECK(name.region == "europe-west4");
    CHECK(name.id == "m_1");
    for (const char* wrong :
         {"", "m_1", "projects/p/locations/l/endpoints/1", "projects/p/locations/l/models/",
          "projects/p/locations/l/models/1/2", "projects/p/locations/evil.example%2F/models/1",
          "projects/p/locations/l/models/../x", "projects/P/locations/l/models/1"}) {
        CAPTURE(wrong);
        CHECK(contains(error_of([&] { (void)detail::parse_vertex_name(wrong, "models"); }),
                       "cannot use "));
    }
    GoogleSite site;
    GoogleOptions options = GoogleSite::options();
    options.region = "elsewhere1";
    CHECK(detail::vertex_endpoint(detail::client_for(name, options, site.session()).options()) ==
          "https://europe-west4-aiplatform.googleapis.com");
    options.endpoint = "http://127.0.0.1:1/";
    CHECK(detail::vertex_endpoint(options) == "http://127.0.0.1:1");
    CHECK(detail::vertex_place("p", options) == "projects/p/locations/elsewhere1");
}
