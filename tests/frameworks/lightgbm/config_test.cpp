#include "fairing/frameworks/lightgbm/config.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using lightgbm::Parameters;
using support::contains;
using support::error_of;

TEST_CASE("a config file: comments, quotes, blanks, and every name of a parameter") {
    const Parameters config = lightgbm::parse_config(
        "# a comment\n task = train \r\n\ntrain_data = \"a b.csv\"  # which\n"
        "test=1.csv, 2.csv\ntree=voting\nnum_machine = 3\nmetric='l2,auc'",
        "train.conf");
    CHECK(config == Parameters{{"task", "train"},
                               {"data", "a b.csv"},
                               {"valid", "1.csv, 2.csv"},
                               {"tree_learner", "voting"},
                               {"num_machines", "3"},
                               {"metric", "l2,auc"}});
    CHECK(lightgbm::paths_of(config, "valid") == std::vector<std::string>{"1.csv", "2.csv"});
    CHECK(lightgbm::paths_of(config, "input_model").empty());
    CHECK(lightgbm::machines_of(config) == 3);
    CHECK(lightgbm::machines_of({}) == 1);
    CHECK(lightgbm::splits_data(config));
    CHECK_FALSE(lightgbm::splits_data({{"tree_learner", "feature"}}));
    CHECK(lightgbm::splits_data({{"tree_learner", "Data_Parallel"}}));
    CHECK(lightgbm::uses_store({{"valid", "a.csv, gs://b/c"}}, "gs://"));
    CHECK_FALSE(lightgbm::uses_store({{"data", "a.csv"}, {"metric", "gs://"}}, "gs://"));
}

TEST_CASE("what a config file says twice, or not at all, is refused by name") {
    const auto refused = [](const char* text) {
        return error_of([&] { static_cast<void>(lightgbm::parse_config(text, "x.conf")); });
    };
    CHECK(refused("data=a\ntrain=b\n") ==
          "cannot use LightGBM's configuration x.conf: data and train are the same parameter");
    CHECK(contains(refused("data=a\ndata=a\n"), "data is set twice"));
    CHECK(contains(refused("verbose\n"), "a line is not key = value: verbose"));
    for (const char* number : {"0", "-1", "two", "1.5", "3 "}) {
        CAPTURE(number);
        CHECK(contains(error_of([&] {
                           static_cast<void>(lightgbm::machines_of({{"num_machines", number}}));
                       }),
                       "is not a whole number"));
    }
}

TEST_CASE("parameters win over the file's, whatever they are called") {
    Parameters config = lightgbm::parse_config("data=a\nseed=1\n", "x");
    lightgbm::override_with(config, {{"train", "b"}, {"num_trees", "5"}});
    CHECK(config == Parameters{{"data", "b"}, {"seed", "1"}, {"num_trees", "5"}});
    CHECK(contains(error_of([&] {
                       lightgbm::override_with(config, {{"train", "b"}, {"train_data", "c"}});
                   }),
                   "train_data is set under two names"));
}
