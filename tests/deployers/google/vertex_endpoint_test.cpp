#include "fairing/deployers/google/vertex_endpoint.hpp"

#include <doctest/doctest.h>

#include "../../support/google_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

namespace {

const std::string& root = GoogleSite::root;
const std::string& place = GoogleSite::place;

}  // namespace

TEST_CASE("the lines of an endpoint, or of one model on it") {
    CHECK(detail::endpoint_log(place + "/endpoints/e") ==
          "resource.type=\"aiplatform.googleapis.com/Endpoint\" AND "
          "resource.labels.endpoint_id=\"e\"");
    CHECK(detail::endpoint_log(place + "/endpoints/e", "7")
              .ends_with(" AND labels.deployed_model_id=\"7\""));
}

TEST_CASE("what is not there is undeployed and removed already") {
    GoogleSite site;
    const google::Client client = site.client();
    const std::string endpoint = place + "/endpoints/e", model = place + "/models/m";
    detail::undeploy(client, root, endpoint, model);
    detail::delete_endpoint(client, root, endpoint);
    detail::delete_resource(client, root, model);
    detail::remove_ours(client, root, endpoint);
    CHECK(site.server.count("POST", "") == 0);
    site.server.resources[endpoint] = {{"deployedModels", Json::array({{{"model", "other"}}})}};
    CHECK(detail::is_deployed(site.server.resources[endpoint], "other"));
    CHECK_FALSE(detail::is_deployed(site.server.resources[endpoint], model));
    detail::undeploy(client, root, endpoint, model);
    detail::delete_endpoint(client, root, endpoint);  // somebody else's model is on it
    CHECK(site.server.resources.contains(endpoint));
    CHECK(contains(error_of([&] { detail::remove_ours(client, root, endpoint); }),
                   "fairing has made neither it nor a model on it"));
}
