#include "fairing/stage/worker.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>

using namespace fairing;

namespace {

/// Sets variables for one scope.
class Environment {
public:
    explicit Environment(std::map<std::string, std::string> variables)
        : variables_(std::move(variables)) {
        for (const auto& [name, value] : variables_) {
            ::setenv(name.c_str(), value.c_str(), 1);
        }
    }
    ~Environment() {
        for (const auto& [name, value] : variables_) {
            ::unsetenv(name.c_str());
        }
    }
    Environment(Environment&&) = delete;

private:
    std::map<std::string, std::string> variables_;
};

}  // namespace

TEST_CASE("alone: rank 0 of 1") {
    const Worker worker = worker_from_environment();
    CHECK(worker.rank == 0);
    CHECK(worker.world_size == 1);
}

TEST_CASE("PyTorch's variables") {
    const Environment set{
        {{"RANK", "2"}, {"WORLD_SIZE", "4"}, {"MASTER_ADDR", "m-0"}, {"MASTER_PORT", "23456"}}};
    const Worker worker = worker_from_environment();
    CHECK(worker.rank == 2);
    CHECK(worker.world_size == 4);
    CHECK(worker.main_address == "m-0");
    CHECK(worker.main_port == 23456);
}

TEST_CASE("TF_CONFIG counts the chief first") {
    const Environment set{
        {{"TF_CONFIG",
          R"({"cluster":{"worker":["w0:2222","w1:2222"],"chief":["c0:2222"],"ps":["p0:1"]},)"
          R"("task":{"type":"worker","index":1}})"}}};
    const Worker worker = worker_from_environment();
    CHECK(worker.rank == 2);
    CHECK(worker.world_size == 4);
    CHECK(worker.role == "worker");
    CHECK(worker.main_address == "c0");
    CHECK(worker.main_port == 2222);
}

TEST_CASE("MPI, DMLC and Indexed Jobs; nonsense is ignored") {
    {
        const Environment set{{{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "3"}}};
        CHECK(worker_from_environment().rank == 1);
        CHECK(worker_from_environment().world_size == 3);
    }
    {
        const Environment set{
            {{"DMLC_WORKER_ID", "1"}, {"DMLC_NUM_WORKER", "2"}, {"DMLC_ROLE", "worker"}}};
        CHECK(worker_from_environment().role == "worker");
        CHECK(worker_from_environment().world_size == 2);
    }
    {
        const Environment set{{{"JOB_COMPLETION_INDEX", "5"}}};
        CHECK(worker_from_environment().rank == 5);
    }
    {
        const Environment set{{{"RANK", "x"}, {"WORLD_SIZE", "-1"}, {"TF_CONFIG", "{"}}};
        CHECK(worker_from_environment().rank == 0);
        CHECK(worker_from_environment().world_size == 1);
    }
}
