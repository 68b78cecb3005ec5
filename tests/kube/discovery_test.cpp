#include "fairing/kube/discovery.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

using namespace fairing;

namespace {

const Json resource_list = {
    {"kind", "APIResourceList"},
    {"resources",
     {{{"name", "pods"}, {"kind", "Pod"}, {"namespaced", true}, {"verbs", {"get", "list"}}},
      {{"name", "pods/log"}, {"kind", "Pod"}, {"namespaced", true}},
      {{"name", "nodes"}, {"kind", "Node"}, {"namespaced", false}},
      1}}};

}  // namespace

TEST_CASE("a list of resources: plurals, scopes and verbs, without subresources") {
    const auto found = kube::parse_resources(resource_list, "v1");
    REQUIRE(found.size() == 2);
    CHECK(found[0].plural == "pods");
    CHECK(found[0].verbs.size() == 2);
    CHECK_FALSE(found[1].is_namespaced);
    CHECK_THROWS_AS(static_cast<void>(kube::parse_resources(Json::object(), "v1")), Error);
}

TEST_CASE("each group version is asked for once; what is unknown is asked again") {
    kube::Discovery discovery;
    int asked = 0;
    const kube::Discovery::Ask ask =
        [&asked](const std::string& group_version) -> std::optional<Json> {
        ++asked;
        return group_version == "v1" ? std::optional<Json>{resource_list} : std::nullopt;
    };
    CHECK(discovery.find("v1", "Pod", ask).plural == "pods");
    CHECK(discovery.find("v1", "Node", ask).plural == "nodes");
    CHECK(asked == 1);
    CHECK_THROWS_WITH_AS(static_cast<void>(discovery.find("v1", "Pot", ask)),
                         "cannot use v1 Pot: the cluster does not know it: its v1 has no such kind",
                         Error);
    // An operator may have been installed meanwhile.
    CHECK(discovery.find("v1", "Pod", ask).plural == "pods");
    CHECK(asked == 2);
    CHECK_THROWS_AS(static_cast<void>(discovery.find("example.org/v1", "X", ask)), Error);
    CHECK_THROWS_AS(static_cast<void>(discovery.find("example.org/v1", "X", ask)), Error);
    CHECK(asked == 4);
}
