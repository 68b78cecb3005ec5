#include "fairing/pods/leftovers.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace fairing;

namespace {

std::vector<std::string> said_of(const Json& template_) {
    std::vector<std::string> said;
    say_leftovers(template_, "A task", {.log = [&said](const LogRecord& record) {
                      CHECK(record.level == Level::warning);
                      said.push_back(record.text);
                  }});
    return said;
}

}  // namespace

TEST_CASE("what every template has, and the run's own labels, are no leftovers") {
    CHECK(said_of(Json::parse(R"({
        "metadata": {"labels": {"fairing-id": "abc", "fairing-deployer": "pipeline"},
                     "annotations": {"sidecar.istio.io/inject": "false"}},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "main"}]}})"))
              .empty());
    CHECK(said_of(Json::parse(R"({"spec": {"containers": [{}]}})")).empty());
}

TEST_CASE("each thing that is left is a warning of its own") {
    const auto left_out = [](const std::string& what) {
        return "A task can not express " + what + " of its pods: it is left out";
    };
    CHECK(said_of(Json::parse(R"({
        "metadata": {"labels": {"team": "vision"}, "annotations": {"note": "x"}},
        "spec": {"volumes": [], "nodeSelector": {},
                 "containers": [{"name": "main", "env": []}, {"name": "b"}, {"name": "c"}]}})")) ==
          std::vector<std::string>{left_out("nodeSelector"), left_out("volumes"),
                                   left_out("a second container"), left_out("a second container"),
                                   left_out("env"), left_out("the label team"),
                                   left_out("the annotation note")});
}

TEST_CASE("what the image says itself need not be expressed, unless it was changed") {
    const Image image{.working_directory = "/app/"};
    Json same{{"name", "main"}, {"workingDir", "/app/"}, {"securityContext", {{"runAsUser", 0}}}};
    erase_image_settings(same, image);
    CHECK(same == Json{{"name", "main"}});
    const Json changed{{"workingDir", "/data"},
                       {"securityContext", {{"runAsUser", 0}, {"privileged", true}}}};
    Json kept = changed;
    erase_image_settings(kept, image);
    CHECK(kept == changed);
}
