#include "fairing/kube/pod_view.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace fairing;

TEST_CASE("the story is told by the init containers and the main one") {
    Json pod = {
        {"spec",
         {{"initContainers", {{{"name", "a"}}, {{"name", "s"}, {"restartPolicy", "Always"}}}},
          {"containers", {{{"name", "m"}}, {{"name", "istio"}}}}}}};
    CHECK(kube::told_containers(pod) == std::vector<std::string>{"a", "m"});
    pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = "istio";
    CHECK(kube::told_containers(pod) == std::vector<std::string>{"a", "istio"});
    pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] = "gone";
    CHECK(kube::told_containers(pod) == std::vector<std::string>{"a", "m"});
    CHECK(kube::told_containers(Json()).empty());
}

TEST_CASE("stages of a container, and whether it runs again") {
    Json pod = {{"spec", {{"restartPolicy", "OnFailure"}}},
                {"status",
                 {{"containerStatuses",
                   {{{"name", "m"},
                     {"restartCount", 2},
                     {"state", {{"terminated", {{"exitCode", 7}}}}},
                     {"lastState", {{"terminated", {{"exitCode", 1}}}}}},
                    {{"name", "w"}, {"state", {{"waiting", {{"reason", "x"}}}}}}}}}}};
    const kube::ContainerView main = kube::container_view(pod, "m");
    CHECK(main.stage == kube::ContainerStage::terminated);
    CHECK(main.exit_code == 7);
    CHECK(main.restarts == 2);
    CHECK(main.has_previous);
    CHECK(kube::runs_again(pod, main));
    CHECK_FALSE(kube::container_view(pod, "w").has_log());
    CHECK(kube::container_view(pod, "none").stage == kube::ContainerStage::absent);
    pod["spec"]["restartPolicy"] = "Never";
    CHECK_FALSE(kube::runs_again(pod, main));
    pod["spec"]["restartPolicy"] = "Always";
    pod["metadata"]["deletionTimestamp"] = "2024-01-01T00:00:00Z";
    CHECK_FALSE(kube::runs_again(pod, main));
    for (const Json& odd : {Json(), Json(1), Json{{"status", {{"containerStatuses", {1, "x"}}}}}}) {
        CHECK(kube::container_view(odd, "m").stage == kube::ContainerStage::absent);
    }
}

TEST_CASE("labels of pods") {
    Json pod = {{"metadata", {{"name", "train-x"}}}};
    CHECK(kube::pod_label(pod) == "train-x");
    pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] = "2";
    CHECK(kube::pod_label(pod) == "worker-2");
    pod["metadata"]["labels"] = {{"training.kubeflow.org/replica-type", "ps"},
                                 {"training.kubeflow.org/replica-index", "1"}};
    CHECK(kube::pod_label(pod) == "ps-1");
    CHECK(kube::is_chosen(pod, ""));
    CHECK(kube::is_chosen(pod, "ps-1"));
    CHECK(kube::is_chosen(pod, "1"));
    CHECK(kube::is_chosen(pod, "train-x"));
    CHECK_FALSE(kube::is_chosen(pod, "0"));
    pod["metadata"]["labels"]["katib.kubeflow.org/trial"] = "tune-x";
    CHECK(kube::pod_label(pod) == "tune-x/ps-1");
    pod["metadata"] = {{"name", "tune-x-y"}, {"labels", {{"katib.kubeflow.org/trial", "tune-x"}}}};
    CHECK(kube::pod_label(pod) == "tune-x");
}
