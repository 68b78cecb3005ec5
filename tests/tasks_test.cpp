#include "fairing/tasks.hpp"

#include <doctest/doctest.h>

#include "support/builder_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

int train(const Worker&) { return 0; }
int evaluate(const Worker&) { return 0; }
int unknown(const Worker&) { return 0; }

constexpr const char* one_notebook = R"({"cells": [], "nbformat": 4, "nbformat_minor": 5,
    "metadata": {"kernelspec": {"name": "python3", "language": "python"}}})";

struct Site : support::BuilderSite {
    [[nodiscard]] Context prepare(const EntryPoint& entry) const {
        return TrainJob{.entry_point = entry}.preprocessor().prepare({});
    }
};

}  // namespace

TEST_CASE("the entry point says how a training is packaged") {
    Site site;
    site.space.file("fit.py", "def fit():\n    pass\n");
    site.space.file("explore.ipynb", one_notebook);
    const auto command = [&site](const std::string& name) {
        std::string text;
        for (const std::string& word : site.prepare(site.space / name).command) {
            text += word + ' ';
        }
        return text;
    };
    CHECK(contains(command("train.py"), "train.py "));
    CHECK(contains(command("explore.ipynb"), "notebook.py "));  // papermill's, so as a whole
    CHECK(contains(command("fit.py:fit"), "--name fit"));
    CHECK(contains(error_of([&] { static_cast<void>(site.prepare(site.space / "fit.py:fot")); }),
                   "did you mean fit?"));
    CHECK(contains(error_of([&] { static_cast<void>(site.prepare(site.space / "none.exe")); }),
                   "there is no such file"));
}

TEST_CASE("a job function is known by the name that run_main() has for it") {
    Site site;
    char program[] = "p";
    char* argv[] = {program, nullptr};
    CHECK(run_main(1, argv, {{"train", train}, {"evaluate", evaluate}}, [&](const Session&) {
              CHECK(site.prepare(evaluate).environment.at("FAIRING_FUNCTION") == "evaluate");
              CHECK(contains(error_of([&] { static_cast<void>(site.prepare(unknown)); }),
                             "none of those that run_main() was given"));
          }) == 0);
    CHECK(run_main(1, argv, train, [&](const Session&) {
              const Context context = site.prepare(train);
              CHECK_FALSE(context.environment.contains("FAIRING_FUNCTION"));
              CHECK(context.command.size() == 1);
          }) == 0);
}

TEST_CASE("a training is packaged with its files, pushed, and stored as a Job of the backend") {
    Site site;
    site.space.file("data/a.csv", "1\n");
    const TrainJob job{.entry_point = site.space / "train.py",
                       .base_image = "scratch",
                       .registry = "r.example/team",
                       .input_files = {site.space / "data"},
                       .output_map = {{site.space / "data", "/data"}},
                       .kubernetes = {.config_file = site.space / "kubeconfig",
                                      .run_id = "abc",
                                      .environment = {{"EPOCHS", "10"}}},
                       .backend = {.platform = Platform::gke}};
    const Workload workload = job.start(site.session());
    CHECK(workload.object().name == "fairing-job-abc");
    const Json stored = site.api.get("Job", "fairing-job-abc").value_or(Json());
    const Json& container = stored["spec"]["template"]["spec"]["containers"][0];
    CHECK(container["image"].get<std::string>().starts_with("r.example/team/fairing-job:"));
    CHECK(contains(container["command"].dump(), "train.py"));
    CHECK(contains(container["env"].dump(), "EPOCHS"));
    CHECK(site.has_said("secret user-gcp-sa", Level::warning));  // the namespace has none
    CHECK(site.tags("team/fairing-job").size() == 1);
    const Context context = job.preprocessor().prepare({});
    CHECK(std::any_of(context.files.begin(), context.files.end(),
                      [](const ContextFile& file) { return file.destination == "/data/a.csv"; }));
    workload.remove();
    CHECK(site.api.size() == 0);
}

TEST_CASE("what the Job would be refused for is refused before anything is pushed") {
    Site site;
    const TrainJob job{.entry_point = site.space / "train.py",
                       .base_image = "scratch",
                       .registry = "r.example/team",
                       .kubernetes = {.labels = {{"team", "a b"}}}};
    CHECK(contains(error_of([&] { job.submit(site.session()); }), "a b"));
    CHECK(site.registry.requests.empty());
}

TEST_CASE("an endpoint is built by its backend's rules, as a server of its class") {
    Site site;
    site.space.file("HousingServe.py", "class HousingServe:\n    pass\n");
    PredictionEndpoint task{.model_class = "HousingServe",
                            .base_image = "scratch",
                            .registry = "r.example/team",
                            .input_files = {site.space / "HousingServe.py"},
                            .kubernetes = {.config_file = site.space / "kubeconfig"},
                            .backend = {.platform = Platform::azure}};
    const auto said = [&] {
        return error_of([&] { static_cast<void>(task.create(site.session())); });
    };
    CHECK(contains(said(), "it is no Azure Container Registry"));
    CHECK(site.registry.requests.empty());

    // This cluster knows no Deployments.
    task.backend.platform = Platform::kubernetes;
    CHECK(contains(said(), "Deployment"));
    CHECK(site.tags("team/fairing-endpoint").size() == 1);
}
