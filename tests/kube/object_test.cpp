#include "fairing/kube/object.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fairing;

TEST_CASE("paths of collections, objects and subresources") {
    const kube::Resource jobs{.api_version = "batch/v1", .kind = "Job", .plural = "jobs"};
    const kube::Resource nodes{
        .api_version = "v1", .kind = "Node", .plural = "nodes", .is_namespaced = false};
    CHECK(kube::collection_path(jobs, "team") == "/apis/batch/v1/namespaces/team/jobs");
    CHECK(kube::collection_path(jobs, "") == "/apis/batch/v1/jobs");
    CHECK(kube::object_path(nodes, {.kind = "Node", .namespace_ = "team", .name = "n1"}) ==
          "/api/v1/nodes/n1");
    CHECK(kube::object_path(jobs, {.namespace_ = "team", .name = "a"}, "status") ==
          "/apis/batch/v1/namespaces/team/jobs/a/status");
    CHECK(kube::query_text({{"a", "b=c"}, {"empty", ""}, {"d", "e"}}) == "?a=b%3Dc&d=e");
}

TEST_CASE("fault 56: a name can not lead to another path") {
    const kube::Resource jobs{.api_version = "batch/v1", .kind = "Job", .plural = "jobs"};
    const auto path = [&](const std::string& namespace_, const std::string& name) {
        return kube::object_path(jobs, {.kind = "Job", .namespace_ = namespace_, .name = name});
    };
    CHECK(path("team", "a\r\nX: y?#") ==
          "/apis/batch/v1/namespaces/team/jobs/a%0D%0AX%3A%20y%3F%23");
    CHECK_THROWS_AS(path("team", ".."), Error);
    CHECK_THROWS_AS(path("..", "a"), Error);
    CHECK_THROWS_AS(path("team", "a/b"), Error);
    CHECK_THROWS_WITH_AS(path("team", ""), "cannot name Job team/: it has no name", Error);
    CHECK_THROWS_WITH_AS(path("", "a"), "cannot name Job a: it has no namespace", Error);
}

TEST_CASE("an object's key, labels and metadata, whatever it is") {
    const Json object = {{"apiVersion", "v1"},
                         {"kind", "Pod"},
                         {"metadata", {{"name", "a"}, {"uid", "u"}, {"labels", {{"x", "y"}}}}}};
    CHECK(kube::key_of(object, "team") ==
          kube::ObjectKey{.api_version = "v1", .kind = "Pod", .namespace_ = "team", .name = "a"});
    CHECK(kube::uid_of(object) == "u");
    CHECK(kube::label_of(object, "x") == "y");
    for (const Json& odd : {Json(), Json(1), Json::array(), Json{{"metadata", 1}},
                            Json{{"metadata", {{"labels", Json::array()}}}}}) {
        CHECK(kube::name_of(odd).empty());
        CHECK(kube::label_of(odd, "x").empty());
    }
}
