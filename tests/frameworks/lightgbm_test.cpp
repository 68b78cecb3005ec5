#include "fairing/frameworks/lightgbm.hpp"

#include <doctest/doctest.h>

#include <map>

#include "../support/workspace.hpp"
#include "fairing/core/files.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::Workspace;

namespace {

/// The plan that goes into the job.
Json plan_of(const Context& context) {
    for (const ContextFile& file : context.files) {
        if (file.destination == "/app/.fairing/lightgbm.json") {
            return Json::parse(read_file(file.source));
        }
    }
    return {};
}

std::string complaint(const LightGBM& stage) {
    return error_of([&] { static_cast<void>(stage.prepare({})); });
}

}  // namespace

TEST_CASE("files that are here go along, with what LightGBM finds beside them") {
    const Workspace space;
    space.file("in/train.csv", "1,2\n");
    space.file("in/train.csv.weight", "1\n");
    space.file("valid.csv", "1,2\n");
    space.file("old.txt", "tree\n");
    const LightGBM stage{.parameters = {{"train", space / "in/train.csv"},
                                        {"valid", space / "valid.csv"},
                                        {"model_in", space / "old.txt"},
                                        {"output_model", "/mnt/models/new.txt"},
                                        {"port", "12400"},
                                        {"num_trees", "7"}}};
    const Context context = stage.prepare({});
    CHECK(context.command == std::vector<std::string>{"python3", "/app/.fairing/lightgbm.py"});
    std::map<std::string, std::string> places;
    for (const ContextFile& file : context.files) {
        places[file.destination] = file.source.string();
    }
    CHECK(places.size() == 6);
    CHECK(places.at("/app/train.csv") == space / "in/train.csv");
    CHECK(places.at("/app/train.csv.weight") == space / "in/train.csv.weight");
    CHECK(places.contains("/app/old.txt"));
    const Json plan = plan_of(context);
    CHECK(plan["parameters"] == Json{{"data", "train.csv"},
                                     {"valid", "valid.csv"},
                                     {"input_model", "old.txt"},
                                     {"output_model", "/mnt/models/new.txt"},
                                     {"num_trees", "7"}});
    CHECK(plan["fetch"].empty());
    CHECK(plan["store"].empty());
}

TEST_CASE("remote files are fetched and stored by the job; each machine gets its part") {
    const LightGBM stage{.parameters = {{"data", "gs://b/0.csv,gs://b/1.csv"},
                                        {"valid", "s3://b/v.csv"},
                                        {"output_model", "gs://b/out/model.txt"},
                                        {"tree_learner", "data"},
                                        {"num_machines", "2"}}};
    const Json plan = plan_of(stage.prepare({}));
    REQUIRE(plan["partitions"].size() == 2);
    CHECK(plan["parameters"]["pre_partition"] == "true");
    CHECK(plan["partitions"][1]["data"] == "1.csv");
    CHECK(plan["partitions"][1]["fetch"][0] == Json{"gs://b/1.csv", "1.csv", false});
    CHECK(plan["partitions"][1]["fetch"][1] == Json{"gs://b/1.csv.weight", "1.csv.weight", true});
    CHECK(plan["fetch"][0] == Json{"s3://b/v.csv", "v.csv", false});
    CHECK(plan["store"] == Json::array({{"model.txt", "gs://b/out/model.txt"}}));
}

TEST_CASE("one machine is a Job, several are a TFJob of a chief and workers") {
    const Image image{.reference = "registry.example/team/lightgbm:1@sha256:0",
                      .location = Location::registry,
                      .command = {"python3", "/app/.fairing/lightgbm.py"}};
    LightGBM stage{.parameters = {{"data", "gs://b/a.csv"}},
                   .base_image = "scratch",
                   .registry = "registry.example/team"};
    const auto main_of = [&] { return stage.fairing().manifests(image, {}).back(); };
    const Json alone = main_of();
    CHECK(alone["kind"] == "Job");
    CHECK(contains(alone.dump(), "user-gcp-sa"));  // for gs://
    CHECK_FALSE(contains(alone.dump(), "aws-secret"));
    stage.parameters["num_machines"] = "3";
    stage.parameters["output_model"] = "s3://b/model.txt";
    stage.kubernetes.pod_spec_mutators = {gcp_credentials("mine")};
    const Json job = main_of();
    CHECK(contains(job.dump(), "aws-secret"));
    CHECK(contains(job.dump(), "/etc/secrets/mine.json"));  // the caller knows better
    CHECK_FALSE(contains(job.dump(), "/etc/secrets/user-gcp-sa.json"));
    CHECK(job["kind"] == "TFJob");
    CHECK(job["spec"]["tfReplicaSpecs"]["Chief"]["replicas"] == 1);
    CHECK(job["spec"]["tfReplicaSpecs"]["Worker"]["replicas"] == 2);
}

TEST_CASE("what can not run is refused before anything is built") {
    const Workspace space;
    space.file("a/train.csv", "");
    space.file("b/train.csv", "");
    const std::string a = space / "a/train.csv";
    const std::string b = space / "b/train.csv";
    CHECK(contains(complaint({.parameters = {{"task", "train"}}}), "it names no data"));
    CHECK(contains(complaint({.parameters = {{"data", "none.csv"}}}), "none.csv is no file here"));
    CHECK(contains(complaint({.parameters = {{"data", "http://x/a"}}}),
                   "http://x/a is neither at gs:// nor at s3://"));
    for (const std::string place : {"gs://b", "s3://b/", "gs://b/models/"}) {
        CHECK(contains(complaint({.parameters = {{"data", place}}}),
                       place + " is a bucket or a folder"));
        CHECK(contains(complaint({.parameters = {{"data", a}, {"output_model", place}}}),
                       place + " is a bucket or a folder"));
    }
    CHECK(contains(complaint({.parameters = {{"data", a}, {"valid", b}}}),
                   "in the job it would have the name of " + a));
    CHECK(contains(complaint({.parameters = {{"data", a + ',' + b}}}), "it lists 2 files"));
    CHECK(contains(complaint({.parameters = {{"data", a + ',' + b},
                                             {"num_machines", "3"},
                                             {"tree_learner", "voting"}}}),
                   "it lists 2 files for 3 machines"));
    CHECK(contains(complaint({.config_file = space / "none.conf"}), "No such file"));
}
