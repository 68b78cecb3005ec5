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
    const Json several{{"trafficSplit", {{"2", 100}}},
                       {"deployedModels", Json::array({{{"id", "3"}, {"createTime", "c"}},
                                                       {{"id", "2"}, {"createTime", "d"}},
                                                       {{"id", "1"}, {"createTime", "a"}}})}};
    CHECK(google::traffic_without(several, "2") == TrafficSplit{{"3", 100}});  // the newest
}

TEST_CASE("shares that there can not be are none") {
    const Json endpoint{
        {"trafficSplit",
         {{"1", 2147483647}, {"2", 4294967396}, {"3", -5}, {"4", "9"}, {"5", 100}}}};
    CHECK(google::traffic_of(endpoint) == TrafficSplit{{"5", 100}});
}

TEST_CASE("the newest model gets a share, and the others the rest as they had it") {
    Json endpoint{{"trafficSplit", {{"1", 30}, {"2", 60}, {"3", 10}}},
                  {"deployedModels", Json::array({{{"id", "3"}, {"createTime", "c"}},
                                                  {{"id", "1"}, {"createTime", "a"}},
                                                  {{"id", "2"}, {"createTime", "b"}}})}};
    const auto shifted = [&](int percent) {
        return google::traffic_with_newest(endpoint, percent);
    };
    CHECK(shifted(40) == TrafficSplit{{"1", 20}, {"2", 40}, {"3", 40}});
    CHECK(shifted(100) == TrafficSplit{{"1", 0}, {"2", 0}, {"3", 100}});
    endpoint["trafficSplit"] = {{"3", 100}};
    CHECK(shifted(0) == TrafficSplit{{"2", 100}, {"3", 0}});  // the one before
    endpoint["deployedModels"] = Json::array({{{"id", "3"}}});
    CHECK(shifted(50).empty());
    CHECK(shifted(100) == TrafficSplit{{"3", 100}});
    CHECK(google::traffic_with_newest(Json::object(), 100).empty());
}
