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

TEST_CASE("every launcher's own variables") {
    struct Launcher {
        std::map<std::string, std::string> variables;
        int rank, size;
        const char* address = "";
        int port = 0;
    };
    for (const Launcher& each :
         {Launcher{{{"PROCESS_ID", "1"},
                    {"NUM_PROCESSES", "2"},
                    {"COORDINATOR_ADDRESS", "j-worker-0"},
                    {"COORDINATOR_PORT", "6666"}},
                   1,
                   2,
                   "j-worker-0",
                   6666},
          Launcher{
              {{"PADDLE_RANK", "1"}, {"PADDLE_NNODES", "2"}, {"PADDLE_MASTER", "p-worker-0:36543"}},
              1,
              2,
              "p-worker-0",
              36543},
          Launcher{{{"PADDLE_TRAINER_ID", "3"}, {"PADDLE_TRAINERS_NUM", "4"}}, 3, 4},
          Launcher{{{"DMLC_TASK_ID", "1"},
                    {"DMLC_NUM_WORKER", "3"},
                    {"DMLC_TRACKER_URI", "t"},
                    {"DMLC_TRACKER_PORT", "29500"}},
                   1,
                   3,
                   "t",
                   29500},
          Launcher{{{"PET_NODE_RANK", "2"},
                    {"PET_NNODES", "3"},
                    {"PET_MASTER_ADDR", "n-0"},
                    {"PET_MASTER_PORT", "29400"}},
                   2,
                   3,
                   "n-0",
                   29400},
          Launcher{{{"PMI_RANK", "1"}, {"PMI_SIZE", "2"}}, 1, 2}}) {
        const Environment set{each.variables};
        const Worker worker = worker_from_environment();
        CAPTURE(each.variables.begin()->first);
        CHECK(worker.rank == each.rank);
        CHECK(worker.world_size == each.size);
        CHECK(worker.main_address == each.address);
        CHECK(worker.main_port == each.port);
    }
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
        const Environment size{{{"JOB_COMPLETION_INDEX", "5"}, {"WORLD_SIZE", "8"}}};
        CHECK(worker_from_environment().world_size == 8);
    }
    {
        const Environment set{{{"RANK", "x"}, {"WORLD_SIZE", "-1"}, {"TF_CONFIG", "{"}}};
        CHECK(worker_from_environment().rank == 0);
        CHECK(worker_from_environment().world_size == 1);
    }
}
