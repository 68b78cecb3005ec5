#include "fairing/kube/pod_state.hpp"

#include <doctest/doctest.h>

#include "../support/pod_documents.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using kube::Cause;
using kube::Phase;
using test::ended_pod;
using test::pod_document;
using test::waiting_pod;

TEST_CASE("a pod that starts, runs or succeeded needs no explanation") {
    CHECK(kube::diagnose_pod(pod_document(R"({"phase": "Pending"})")).cause == Cause::starting);
    CHECK(kube::diagnose_pod(waiting_pod("ContainerCreating")).cause == Cause::starting);
    CHECK(kube::diagnose_pod(pod_document("{}")).phase == Phase::pending);
    const auto running = kube::diagnose_pod(pod_document(R"({"phase": "Running"})"));
    CHECK(running.phase == Phase::running);
    CHECK(running.reason.empty());
    CHECK(kube::diagnose_pod(pod_document(R"({"phase": "Succeeded"})")).phase == Phase::succeeded);
}

TEST_CASE("the scheduler's own words tell why no node takes a pod") {
    const auto found = kube::diagnose_pod(pod_document(
        R"({"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."}]})"));
    CHECK(found.cause == Cause::unschedulable);
    CHECK(found.phase == Phase::pending);
    CHECK(found.reason ==
          "no node takes pod p: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.");
    CHECK(
        kube::diagnose_pod(
            pod_document(
                R"({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]})"))
            .cause == Cause::suspended);
}

TEST_CASE(
    "every waiting reason has its cause, and names the container and the words of the kubelet") {
    const std::vector<std::pair<const char*, Cause>> table = {
        {"ErrImagePull", Cause::image_pull},
        {"ImagePullBackOff", Cause::image_pull},
        {"InvalidImageName", Cause::image_name},
        {"ErrImageNeverPull", Cause::image_never_pull},
        {"CreateContainerConfigError", Cause::container_config},
        {"CreateContainerError", Cause::container_create},
        {"CrashLoopBackOff", Cause::restarting}};
    for (const auto& row : table) {
        const std::string reason = row.first;
        CAPTURE(reason);
        const auto found = kube::diagnose_pod(waiting_pod(reason, "some words"));
        CHECK(found.cause == row.second);
        CHECK(found.phase == Phase::pending);
        CHECK(found.container == "fairing-job");
        CHECK(support::contains(found.reason, reason));
    }
    CHECK(kube::diagnose_pod(waiting_pod("ImagePullBackOff", "Back-off pulling")).reason ==
          "container fairing-job of pod p does not start: ImagePullBackOff: image r.example/a:1: "
          "Back-off pulling");
    CHECK(support::contains(
        kube::diagnose_pod(waiting_pod("ErrImagePull", "", "initContainerStatuses")).reason,
        "init container fairing-job of pod p does not start: ErrImagePull"));
}

TEST_CASE("a container's end gives its exit code and its cause") {
    const auto failed = kube::diagnose_pod(ended_pod(7, "Error"));
    CHECK(failed.phase == Phase::failed);
    CHECK(failed.cause == Cause::container_failed);
    CHECK(failed.exit_code == 7);
    CHECK(failed.reason == "container fairing-job of pod p exited with code 7");
    const auto killed = kube::diagnose_pod(ended_pod(137, "OOMKilled"));
    CHECK(killed.cause == Cause::out_of_memory);
    CHECK(killed.exit_code == 137);
    CHECK(support::contains(killed.reason, "OOMKilled"));
    const auto unstartable = kube::diagnose_pod(ended_pod(128, "StartError"));
    CHECK(unstartable.reason == "container fairing-job of pod p exited with code 128 (StartError)");
    const auto init = kube::diagnose_pod(ended_pod(3, "Error", "initContainerStatuses"));
    CHECK(init.cause == Cause::init_failed);
    CHECK(init.exit_code == 3);
    CHECK(init.reason == "init container fairing-job of pod p exited with code 3");
    CHECK(kube::diagnose_pod(ended_pod(70000, "Error")).exit_code == 255);
}

TEST_CASE("a pod can fail without a container's end") {
    const auto evicted = kube::diagnose_pod(pod_document(
        R"({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})"));
    CHECK(evicted.cause == Cause::evicted);
    CHECK(evicted.reason == "pod p was evicted: The node was low on resource: memory.");
    const auto preempted = kube::diagnose_pod(pod_document(
        R"({"phase": "Failed", "conditions": [{"type": "DisruptionTarget", "status": "True",
            "reason": "PreemptionByScheduler", "message": "preempted by x"}]})"));
    CHECK(preempted.reason == "pod p was evicted: PreemptionByScheduler: preempted by x");
    CHECK(kube::diagnose_pod(
              pod_document(R"({"phase": "Failed", "reason": "DeadlineExceeded", "message": "m"})"))
              .cause == Cause::deadline_exceeded);
    CHECK(kube::diagnose_pod(pod_document(R"({"phase": "Failed", "reason": "NodeLost"})")).reason ==
          "pod p failed: NodeLost");
}

TEST_CASE("of several pods the one that failed first speaks") {
    Json later = ended_pod(9, "Error");
    later["metadata"]["name"] = "later";
    later["status"]["containerStatuses"][0]["state"]["terminated"]["finishedAt"] =
        "2026-01-01T00:00:09Z";
    const std::vector<Json> pods = {pod_document(R"({"phase": "Running"})"), later,
                                    ended_pod(7, "Error"), waiting_pod("ErrImagePull")};
    CHECK(kube::diagnose_pods(pods).exit_code == 7);
    CHECK(kube::diagnose_pods({pods[0], pods[3]}).cause == Cause::image_pull);
    CHECK(kube::diagnose_pods({pods[0], pod_document(R"({"phase": "Succeeded"})")}).phase ==
          Phase::running);
    CHECK(kube::diagnose_pods({}).phase == Phase::pending);
}

TEST_CASE("a pull is given up after three sightings, a bad name at once") {
    kube::Sightings sightings;
    const kube::Sightings::Time start{};
    Json pod = waiting_pod("ErrImagePull");
    CHECK_FALSE(sightings.see(pod, start));
    CHECK_FALSE(sightings.see(pod, start));  // the same version, no time passed
    pod["metadata"]["resourceVersion"] = "2";
    CHECK_FALSE(sightings.see(pod, start));
    CHECK(sightings.see(pod, start + std::chrono::seconds{6}));

    kube::Sightings others;
    CHECK(others.see(waiting_pod("InvalidImageName"), start));
    CHECK(others.see(waiting_pod("CreateContainerConfigError"), start));
    CHECK_FALSE(others.see(pod_document(R"({"phase": "Running"})"), start));
}
