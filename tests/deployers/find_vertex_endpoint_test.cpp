#include "fairing/deployers/find_vertex_endpoint.hpp"

#include <doctest/doctest.h>

#include "../support/google_site.hpp"
#include "fairing/deployers/vertex_serving.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

namespace {

const std::string& place = GoogleSite::place;

const VertexServingDeployer houses{.google = GoogleSite::options("houses")};

}  // namespace

TEST_CASE("an endpoint is found again by its resource name") {
    GoogleSite site;
    site.server.operation_looks = 3;
    const std::string name = site.deploy(houses).object().name;
    GoogleOptions options = GoogleSite::options();
    options.project = "";
    const auto find = [&](const std::string& which) {
        return find_vertex_endpoint(which, options, site.session());
    };
    const Endpoint endpoint = find(name);  // while the model is being deployed
    CHECK(endpoint.status().state == State::pending);
    CHECK(endpoint.wait().state == State::ready);
    CHECK(find(name).wait().state == State::ready);
    CHECK(endpoint.predict({{1}}) == Json{{"predictions", {2}}});
    CHECK(contains(error_of([&] { (void)find(name + "9"); }), "it is not there"));
    CHECK(contains(error_of([&] { (void)find("projects/p/locations/l/customJobs/1"); }),
                   "/endpoints/ID"));

    SUBCASE("its lines are read until it is removed") {
        site.server.entries.emplace(0, support::GoogleServer::endpoint_entry("a", "01", "asked"));
        int looks = 0;
        site.server.on_request = [&](const support::GoogleRequest& request) {
            if (request.method == "GET" && ++looks == 4) {
                site.server.resources.erase(name);
            }
        };
        CHECK(endpoint.follow(site.session().output).state == State::removed);
        CHECK(site.lines == std::vector<std::string>{"r1: asked"});
    }
    SUBCASE("without a model it has failed, and waiting removes nothing") {
        site.server.resources[name]["deployedModels"] = Json::array();
        CHECK(find(name).wait().reason == "no model is deployed to it");
        CHECK(site.left("models") + site.left("endpoints") == 2);
    }
    SUBCASE("and removed with what is ours") {
        endpoint.remove();
        CHECK(site.left("models") + site.left("endpoints") == 0);
        endpoint.remove();
        CHECK(site.server.count("POST", ":undeployModel") == 1);
    }
    SUBCASE("but what others have on it stays") {
        const std::string theirs = place + "/models/theirs";
        site.server.resources[theirs] = {{"name", theirs}};
        site.server.resources[name]["deployedModels"].push_back({{"id", "7"}, {"model", theirs}});
        endpoint.remove();
        CHECK(site.left("models") + site.left("endpoints") == 2);
        CHECK(site.server.resources[name]["trafficSplit"] == Json{{"7", 100}});
        site.server.resources[name].erase("labels");
        CHECK(contains(error_of([&] { find(name).remove(); }),
                       "fairing has made neither it nor a model on it"));
    }
}

TEST_CASE("requests are shifted to the newest model, and back") {
    GoogleSite site;
    const std::string name = site.deploy(houses).object().name;
    const auto shift = [&](int percent) {
        return shift_vertex_traffic(name, percent, GoogleSite::options(), site.session());
    };
    CHECK(contains(error_of([&] { (void)shift(10); }), "it has no models that could share them"));
    CHECK(find_vertex_endpoint(name, GoogleSite::options(), site.session()).wait().state ==
          State::ready);
    VertexServingDeployer canary = houses;
    canary.endpoint_name = "houses";
    canary.traffic_percent = 10;
    CHECK(site.deploy(canary).wait().state == State::ready);
    const Json& split = site.server.resources[name]["trafficSplit"];
    const auto shares = [&] {
        std::string text;
        for (const Json& deployed : site.server.resources[name]["deployedModels"]) {
            text += std::to_string(split[deployed["id"].get<std::string>()].get<int>()) + ' ';
        }
        return text;
    };
    CHECK(shares() == "90 10 ");
    CHECK(shift(100).status().state == State::ready);
    CHECK(shares() == "0 100 ");
    CHECK(shift(0).object().name == name);
    CHECK(shares() == "100 0 ");
    CHECK(contains(error_of([&] { (void)shift(101); }), "more than 100"));
}
