#include "fairing/deployers/google/traffic.hpp"

#include <doctest/doctest.h>

using namespace fairing;
using google::TrafficSplit;

TEST_CASE("a split is scaled, and adds up") {
    CHECK(google::shared_traffic({}, 50).empty());
    CHECK(google::shared_traffic({{"1", 100}}, 90) == TrafficSplit{{"1", 90}});
    CHECK(google::shared_traffic({{"1", 34}, {"2", 33}, {"3", 33}}, 50) ==
          TrafficSplit{{"1", 18}, {"2", 16}, {"3", 16}});
    CHECK(google::shared_traffic({{"1", 70}, {"2", 30}}, 0) == TrafficSplit{{"1", 0}, {"2", 0}});
}

TEST_CASE("who goes leaves its traffic to the others") {
    const Json endpoint{
        {"trafficSplit", {{"1", 20}, {"2", 20}, {"3", 60}}},
        {"deployedModels", Json::array({{{"id", "1"}}, {{"id", "2"}}, {{"id", "3"}}})}};
    CHECK(google::traffic_without(endpoint, "3") == TrafficSplit{{"1", 50}, {"2", 50}});
    const Json idle{{"trafficSplit", {{"2", 100}}},
                    {"deployedModels", Json::array({{{"id", "1"}}, {{"id", "2"}}})}};
    CHECK(google::traffic_without(idle, "2") == TrafficSplit{{"1", 100}});
    CHECK(google::traffic_without({{"trafficSplit", {{"1", 100}}}}, "1").empty());
}
