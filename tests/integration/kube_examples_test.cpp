// Fairing's own examples as programs of examples/, on a real API server: a Job, an indexed Job, and
// Kubeflow's training operator, whose pods are processes of the test kubelet that find each other.
#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../support/example_program.hpp"
#include "../support/job_site.hpp"
#include "../support/lightgbm_program.hpp"
#include "../support/operators.hpp"
#include "../support/seldon_double.hpp"
#include "../support/site.hpp"

using namespace fairing;
using support::contains;
using support::count;
using support::JobSite;
using support::launch_example;
using support::Launched;

namespace {

/// null, and the reason as a message, where something is missing.
std::unique_ptr<JobSite> example_site() {
    return support::missing_examples() ? nullptr : JobSite::make();
}

/// The same with the training operator.
std::unique_ptr<JobSite> operator_site() {
    auto site = example_site();
    support::Operators* operators = site ? support::Operators::get(site->kube) : nullptr;
    if (operators == nullptr) {
        return nullptr;
    }
    operators->start_training();
    return site;
}

/// Every epoch's loss was said by that many ranks, and is the same for all of them.
void check_losses(const std::string& output, std::size_t ranks) {
    for (int epoch = 1; epoch <= 20; ++epoch) {
        const std::string start = "epoch " + std::to_string(epoch) + " loss ";
        const std::size_t at = output.find(start);
        REQUIRE(at != std::string::npos);
        CHECK(count(output, start) == ranks);
        CHECK(count(output, output.substr(at, output.find('\n', at) + 1 - at)) == ranks);
    }
}

}  // namespace

TEST_CASE("Fairing's notebook/fairing-kubeflow-gke.ipynb: a Job with limits and a volume") {
    const auto site = example_site();
    if (!site) {
        return;
    }
    site->kube.make_claim(site->space, "datasets");
    const Launched ran = launch_example("07_job", site->variables() + " CLAIM=datasets");
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 0);
    CHECK(count(ran.output, " loss ") == 2 * 5);
    CHECK(site->is_clean());
}

TEST_CASE("an Indexed Job of four ranks runs examples/08_distributed.cpp") {
    const auto site = example_site();
    if (!site) {
        return;
    }
    const support::ShellResult ran = site->run(support::example_program("08_distributed"),
                                               "--input examples/data --workers 4 --main-port " +
                                                   std::to_string(fairing::test::free_port()));
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    for (const std::string rank : {"0", "1", "2", "3"}) {
        CHECK(contains(ran.output, "worker-" + rank + " | rank " + rank + " of 4: 60 rows"));
    }
    const std::string last = " | epoch 20 loss ";
    const std::size_t at = ran.output.find(last);
    REQUIRE(at != std::string::npos);
    CHECK(count(ran.output, ran.output.substr(at, ran.output.find('\n', at) + 1 - at)) == 4);
    CHECK(site->is_clean());
    CHECK(site->count("/api/v1/namespaces/" + site->space + "/services") == 0);
}

TEST_CASE("Fairing's distributed-training/main.py and mnist: a TFJob trains over TCP") {
    const auto site = operator_site();
    if (!site) {
        return;
    }
    site->kube.make_claim(site->space, "models");
    const Launched ran = launch_example("09_tfjob", site->variables());
    CAPTURE(ran.said);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    for (const std::string rank : {"0", "1", "2"}) {
        CHECK(contains(ran.output, "rank " + rank + " of 3: 80 of 240 rows\n"));
    }
    CHECK(contains(ran.output, "averages for 3 ranks\n"));
    CHECK(contains(ran.output, "model written to "));
    check_losses(ran.output, 3);
    CHECK(site->is_clean());
}

TEST_CASE("Fairing's pytorch/mnist/mnist.ipynb: a function trains as a PyTorchJob over TCP") {
    const auto site = operator_site();
    if (!site) {
        return;
    }
    const Launched ran = launch_example("10_pytorchjob", site->variables());
    CAPTURE(ran.said);
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    check_losses(ran.output, 3);
    CHECK(site->is_clean());
}

TEST_CASE("Fairing's lightgbm/simple-training.ipynb: one Job trains, another one predicts") {
    const auto site = example_site();
    const auto program = site ? support::lightgbm_program(site->folder) : std::nullopt;
    if (!program) {
        return;
    }
    const std::string variables = site->variables() + " LIGHTGBM=" + *program;
    const std::string model = site->folder / "model.txt", answers = site->folder / "answers.txt";
    const Launched trained = launch_example("11_lightgbm", variables, "output_model=" + model);
    CAPTURE(trained.said);
    CHECK(trained.exit_code == 0);
    CHECK(trained.output == "10 trees in " + model + '\n');
    const Launched predicted =
        launch_example("11_lightgbm", variables,
                       "task=predict input_model=" + model + " output_result=" + answers);
    CAPTURE(predicted.said);
    CHECK(predicted.exit_code == 0);
    CHECK(count(read_file(answers), "\n") == 240);
    CHECK(site->is_clean());
}

TEST_CASE("Fairing's lightgbm/distributed-training*.ipynb: three ranks of a TFJob train") {
    const auto site = operator_site();
    const auto program = site ? support::lightgbm_program(site->folder) : std::nullopt;
    if (!program) {
        return;
    }
    const std::string variables = site->variables() + " LIGHTGBM=" + *program;
    // Each rank has rows of its own. (By features, where all have all rows, the library of PyPI can
    // not train; LightGBM's program can.)
    const std::string rows = read_file(*env("FAIRING_SOURCE_ROOT") + "/examples/data/houses.csv");
    std::string parts;
    for (const char* part : {"a.csv", "b.csv", "c.csv"}) {
        site->folder.file(part, rows);
        parts += (parts.empty() ? " data=" : ",") + (site->folder / part);
    }
    for (const std::string learner : {"data", "voting"}) {
        CAPTURE(learner);
        const Launched ran =
            launch_example("11_lightgbm", variables,
                           "num_machines=3 pre_partition=true tree_learner=" + learner + parts);
        CAPTURE(ran.said);
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
        for (const std::string rank : {"0", "1", "2"}) {
            CHECK(contains(ran.output, "machine " + rank + " of 3\n"));
        }
        CHECK(contains(ran.output, "10 trees in model.txt\n"));
        CHECK(site->is_clean());
    }
}

TEST_CASE("Fairing's train_job_api/main.ipynb: TrainJob(...).submit() of a file and of functions") {
    const auto site = example_site();
    if (!site) {
        return;
    }
    for (const auto& [entry, said] : std::vector<std::pair<std::string, std::string>>{
             {"examples/train.py", "model written to model.txt\n"},
             {"examples/train_ranks.py:train", "rank 0 of 1: 240 of 240 rows\n"},
             {"function", "rank 0 of 1\n"}}) {
        CAPTURE(entry);
        const Launched ran = launch_example("14_tasks", site->variables(), entry);
        CAPTURE(ran.said);
        CHECK(ran.exit_code == 0);
        CHECK(contains(ran.output, said));
    }
    CHECK(site->is_clean());
}

TEST_CASE("Fairing's prediction/xgboost-high-level-apis.ipynb: a class is trained, then asked") {
    const auto site = example_site();
    if (!site || support::machine_address().empty() || support::is_seldon_port_taken()) {
        return;
    }
    support::write_seldon_double(site->kube.programs() / "seldon-core-microservice");
    const Launched ran = launch_example("14_tasks", site->variables());
    CAPTURE(ran.said);
    CHECK(ran.exit_code == 0);
    CHECK(ran.output.starts_with("240 houses: price = 3.448 * area + 19.852\n"));
    CHECK(contains(ran.output, "\n[[302.6],[551.1]]\n"));
    CHECK(site->is_clean());
}
