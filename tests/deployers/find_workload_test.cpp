#include "fairing/deployers/find_workload.hpp"

#include <doctest/doctest.h>

#include "../support/memory_site.hpp"

using namespace fairing;

namespace {

struct Cluster : support::MemorySite {
    Cluster() {
        add("fairing-job-1", "run-1", "2026-01-01T00:00:02Z",
            R"({"conditions": [{"type": "Complete", "status": "True"}]})");
        add("mine", "run-2", "2026-01-01T00:00:01Z", R"({"active": 1})");
        add("foreign", "", "2026-01-01T00:00:00Z", "{}");
    }
    void add(const char* name, const char* run_id, const char* created, const char* status) {
        Json job{
            {"apiVersion", "batch/v1"},
            {"kind", "Job"},
            {"metadata", {{"name", name}, {"namespace", "team"}, {"creationTimestamp", created}}},
            {"status", Json::parse(status)}};
        if (*run_id != '\0') {
            job["metadata"]["labels"] = {{"fairing-id", run_id}, {"fairing-deployer", "job"}};
        }
        api.put(job);
    }
    [[nodiscard]] FindOptions options() const { return {.config_file = place / "kubeconfig"}; }
    [[nodiscard]] Workload find(const std::string& name) {
        return find_workload(name, options(), session());
    }
};

}  // namespace

TEST_CASE("what we created is listed, the oldest first, with its state") {
    Cluster cluster;
    const auto runs = list_workloads(cluster.options(), cluster.session());
    REQUIRE(runs.size() == 2);
    CHECK(runs[0].object.name == "mine");
    CHECK(runs[0].state == State::running);
    CHECK(runs[0].reason.empty());
    CHECK(runs[1].object.name == "fairing-job-1");
    CHECK(runs[1].state == State::succeeded);
    CHECK(runs[1].run_id == "run-1");
}

TEST_CASE("a run is found by its name or by its run id") {
    Cluster cluster;
    CHECK(cluster.find("mine").object().name == "mine");
    CHECK(cluster.find("run-1").object().name == "fairing-job-1");
    CHECK(cluster.find("run-1").status().state == State::succeeded);
    const Workload found = cluster.find("mine");
    found.remove();
    CHECK_FALSE(cluster.api.get("Job", "mine"));
    CHECK(found.status().state == State::removed);
    CHECK_NOTHROW(found.remove());
}

TEST_CASE("what we did not create is not found") {
    Cluster cluster;
    for (const char* name : {"foreign", "nothing"}) {
        CHECK(support::contains(support::error_of([&] { (void)cluster.find(name); }),
                                "the namespace team holds no run of that name or run id"));
    }
    CHECK(support::contains(support::error_of([&] { (void)cluster.find("../x"); }),
                            "cannot use name"));
}
