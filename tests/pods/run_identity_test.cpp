#include "fairing/pods/run_identity.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("a run id is drawn once, or follows from the image") {
    CHECK(draw_run_id().size() == 12);
    CHECK(draw_run_id() != draw_run_id());
    CHECK(kube::is_dns_label(draw_run_id()));
    const Image image{.reference = "r.example/a:1@sha256:0"};
    CHECK(derive_run_id(image) == derive_run_id(image));
    CHECK(derive_run_id(image) != derive_run_id(Image{.reference = "r.example/a:2"}));
}

TEST_CASE("a name is the prefix and the run id, or the user's; Kubernetes must take it") {
    CHECK(run_identity({}, "abc", "fairing-job-", "job").name == "fairing-job-abc");
    CHECK(run_identity({.name = "mine"}, "abc", "fairing-job-", "job").name == "mine");
    const auto refusal = [](const std::string& name, const std::string& run_id) {
        return support::error_of(
            [&] { (void)run_identity({.name = name}, run_id, "fairing-job-", "job"); });
    };
    CHECK(refusal(std::string(63, 'a'), "x").empty());
    CHECK(support::contains(refusal(std::string(64, 'a'), "x"), "64 characters"));
    CHECK(support::contains(refusal("Upper", "x"), "cannot use name \"Upper\""));
    CHECK(support::contains(refusal("a\r\nX: y", "x"), "cannot use name \"a\\x0d\\x0aX: y\""));
    CHECK(support::contains(refusal("", "Run 1"), "cannot use run id"));
    // The prefix counts.
    CHECK(support::contains(refusal("", std::string(60, 'a')), "72 characters"));
}

TEST_CASE("our labels can not be replaced, bad ones are refused") {
    const RunIdentity identity{.run_id = "abc", .name = "n", .deployer = "job"};
    const Labels labels =
        run_labels({.labels = {{"team", "vision"}, {"fairing-id", "other"}}}, identity);
    CHECK(labels == Labels{{"fairing-deployer", "job"}, {"fairing-id", "abc"}, {"team", "vision"}});
    CHECK(support::contains(support::error_of([&] {
                                (void)run_labels({.labels = {{"team", "a b"}}}, identity);
                            }),
                            "cannot use label team"));
    CHECK(run_annotations({}).at("sidecar.istio.io/inject") == "false");
    CHECK(run_annotations({.annotations = {{"sidecar.istio.io/inject", "true"}}})
              .at("sidecar.istio.io/inject") == "true");
    CHECK(support::contains(support::error_of([] {
                                (void)run_annotations({.annotations = {{"a b", "c"}}});
                            }),
                            "cannot use annotation"));
}
