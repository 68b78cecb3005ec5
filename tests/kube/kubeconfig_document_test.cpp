#include "fairing/kube/kubeconfig_document.hpp"

#include <doctest/doctest.h>

using namespace fairing;

namespace {

/// A list of one entry.
Json named(const char* kind, const std::string& name, const Json& content) {
    return Json::array({{{"name", name}, {kind, content}}});
}

}  // namespace

TEST_CASE("JSON always, an empty file is an empty kubeconfig, and other documents are none") {
    CHECK(kube::parse_kubeconfig(" \n", "f") == Json::object());
    CHECK(kube::parse_kubeconfig(" {\"users\": []}", "f") == Json{{"users", Json::array()}});
    CHECK_THROWS_WITH_AS(static_cast<void>(kube::parse_kubeconfig("{\"kind\": \"Pod\"}", "f")),
                         "cannot use kubeconfig f: its kind is not Config", Error);
}

TEST_CASE("YAML that can not be read is not quoted") {
    const auto read = [] { static_cast<void>(kube::parse_kubeconfig("a: [hidden", "f")); };
#if FAIRING_YAML
    CHECK_THROWS_WITH_AS(read(), doctest::Contains("cannot read f: not valid YAML (line 1"), Error);
#else
    CHECK_THROWS_WITH_AS(read(), doctest::Contains("kubectl config view --raw -o json"), Error);
#endif
}

TEST_CASE("fault 54: merged, the first entry of a name wins as a whole, with its own paths") {
    const Json first = {{"clusters", named("cluster", "c", {{"server", "https://one"}})}};
    const Json second = {
        {"current-context", "lab"},
        {"clusters", named("cluster", "c", {{"certificate-authority", "two.pem"}})},
        {"users", named("user", "u", {{"exec", {{"command", "bin/login"}}}, {"tokenFile", "t"}})}};
    const Json merged = kube::merge_kubeconfigs({{"/a/config", first}, {"/b/config", second}});
    CHECK(merged["clusters"] == first["clusters"]);
    CHECK(merged["current-context"] == "lab");
    CHECK(merged["users"][0]["user"]["exec"]["command"] == "/b/bin/login");
    CHECK(merged["users"][0]["user"]["tokenFile"] == "/b/t");
    CHECK(kube::merge_kubeconfigs({{"/c/config", merged}}) == merged);
}

TEST_CASE("cut down to one context, without what others use") {
    Json merged = kube::merge_kubeconfigs(
        {{"/a/config",
          {{"current-context", "lab"},
           {"clusters", named("cluster", "c", {{"server", "https://one"}})},
           {"users", named("user", "u", {{"token", "t"}})},
           {"contexts", named("context", "lab", {{"cluster", "c"}, {"user", "u"}})}}}});
    const Json small = merged;
    merged["users"].push_back({{"name", "other"}, {"user", {{"token", "x"}}}});
    merged["contexts"].push_back({{"name", "far"}, {"context", {{"cluster", ""}}}});
    CHECK(kube::minify_kubeconfig(merged) == small);
    CHECK(kube::minify_kubeconfig(merged, "lab") == small);
    CHECK_THROWS_WITH_AS(static_cast<void>(kube::minify_kubeconfig(merged, "far")),
                         "cannot use kubeconfig context \"far\": it names no cluster", Error);
}
