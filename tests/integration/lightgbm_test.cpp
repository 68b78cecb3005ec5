// LightGBM trains and predicts: what fairing puts into the job, with the library out of PyPI, on
// one machine through the whole pipeline and on three ranks that are processes here.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../support/child_process.hpp"
#include "../support/lightgbm_program.hpp"
#include "../support/shell.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/files.hpp"
#include "fairing/deployers/local.hpp"
#include "fairing/frameworks/lightgbm.hpp"

using namespace fairing;
using support::contains;
using support::lightgbm_program;
using support::run;
using support::Workspace;

namespace {

/// y, and two columns that it depends on.
std::string table(int begin, int end) {
    std::string text;
    for (int i = begin; i < end; ++i) {
        const int a = i * 37 % 101;
        const int b = i * 53 % 89;
        text += std::to_string(2 * a + 3 * b) + ',' + std::to_string(a) + ',' + std::to_string(b) +
                '\n';
    }
    return text;
}

const lightgbm::Parameters small = {{"objective", "regression"},
                                    {"num_leaves", "7"},
                                    {"min_data_in_leaf", "5"},
                                    {"num_threads", "1"},
                                    {"verbosity", "-1"}};

}  // namespace

TEST_CASE("LightGBM trains through the pipeline, and predicts from that model") {
    const Workspace space;
    const auto program = lightgbm_program(space);
    if (!program) {
        return;
    }
    space.file("train.csv", table(0, 400));
    space.file("new.csv", table(400, 410));
    LightGBM stage{.parameters = small, .program = *program};
    const auto run_it = [&] {
        std::string log;
        Fairing{stage,
                AppendBuilder{.base_image = "scratch", .registry = "oci:" + (space / "image")},
                LocalDeployer{.isolation = Isolation::process}}
            .run({.output = [&](const OutputLine& line) { log += line.text + '\n'; }});
        return log;
    };
    space.file("train.conf", "data = " + (space / "train.csv") +
                                 "\nmodel_out = " + (space / "model.txt") + "\nnum_trees = 20\n");
    stage.config_file = space / "train.conf";
    CHECK(contains(run_it(), "20 trees in " + (space / "model.txt")));

    stage.config_file.clear();
    stage.parameters = {{"task", "predict"},
                        {"data", space / "new.csv"},
                        {"input_model", space / "model.txt"},
                        {"predict_result", space / "answers.txt"}};
    run_it();
    const std::string answers = read_file(space / "answers.txt");
    CHECK(std::count(answers.begin(), answers.end(), '\n') == 10);
    CHECK(std::stod(answers) == doctest::Approx(std::stod(table(400, 401))).epsilon(0.5));
}

TEST_CASE("three ranks train one model on data of their own, and a missing machine is named") {
    const Workspace space;
    const auto program = lightgbm_program(space);
    if (!program) {
        return;
    }
    lightgbm::Parameters parameters = small;
    parameters.merge(lightgbm::Parameters{{"tree_learner", "data"},
                                          {"num_machines", "3"},
                                          {"pre_partition", "true"},
                                          {"output_model", "model.txt"}});
    for (int rank = 0; rank < 3; ++rank) {
        const std::string name = "part" + std::to_string(rank) + ".csv";
        space.file(name, table(rank * 300, rank * 300 + 300));
        parameters["data"] += (rank == 0 ? "" : ",") + (space / name);
    }
    const Context context = LightGBM{.parameters = parameters, .program = *program}.prepare({});

    // Each rank has a folder as its pod would have /app, and the variable of TFJob's operator.
    const auto port = [] { return std::to_string(fairing::test::free_port()); };
    const std::string cluster = R"({"chief":["127.0.0.1:)" + port() +
                                R"("],"worker":["127.0.0.1:)" + port() + R"(","127.0.0.1:)" +
                                port() + R"("]})";
    std::string commands;
    for (int rank = 0; rank < 3; ++rank) {
        const std::string folder = "rank" + std::to_string(rank);
        for (const ContextFile& file : context.files) {
            space.file(folder + file.destination, read_file(file.source));
        }
        const std::string task =
            rank == 0 ? R"({"type":"chief","index":0})"
                      : R"({"type":"worker","index":)" + std::to_string(rank - 1) + '}';
        // The last one is told as TFJob's operator once did.
        commands += "(cd " + (space / folder) + "/app && " +
                    (rank == 2 ? "CLUSTER_SPEC" : "TF_CONFIG") + "='{\"cluster\":" + cluster +
                    ",\"task\":" + task + "}' timeout 600 python3 .fairing/lightgbm.py) 2>&1 & ";
    }
    const support::ShellResult done = run(commands + "wait");
    CAPTURE(done.output);
    CHECK(contains(done.output, "machine 2 of 3"));
    const std::string model = read_file(space / "rank0/app/model.txt");
    CHECK(contains(model, "Tree=9"));
    const auto trees = [](const std::string& text) {
        return text.substr(0, text.find("parameters:"));
    };
    CHECK(trees(read_file(space / "rank2/app/model.txt")) == trees(model));

    const support::ShellResult lost = run(
        "cd " + (space / "rank0/app") + R"( && TF_CONFIG='{"cluster":{"chief":["127.0.0.1:1"]},)" +
        R"("task":{"type":"chief","index":0}}' python3 .fairing/lightgbm.py 2>&1)");
    CHECK(lost.exit_code == 65);
    CHECK(lost.output == "lightgbm: 3 machines are wanted, and 1 are there\n");
}
