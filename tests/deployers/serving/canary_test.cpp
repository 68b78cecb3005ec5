#include "fairing/deployers/serving/canary.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

TEST_CASE("a canary by editing, promoted and taken back") {
    using kubernetes::with_canary;
    using kubernetes::with_traffic;
    const Json service{{"apiVersion", "serving.kserve.io/v1beta1"},
                       {"metadata", {{"name", "s"}}},
                       {"spec", {{"predictor", {{"model", {{"storageUri", "one"}}}}}}}};
    const Json canary = with_canary(
        service,
        {{"spec",
          {{"predictor", {{"model", {{"storageUri", "two"}}}, {"canaryTrafficPercent", 10}}}}}});
    CHECK(canary["spec"]["predictor"]["model"]["storageUri"] == "two");
    CHECK(canary["metadata"] == service["metadata"]);
    CHECK_FALSE(with_traffic(canary, 100)["spec"]["predictor"].contains("canaryTrafficPercent"));
    CHECK(with_traffic(canary, 0)["spec"]["predictor"]["canaryTrafficPercent"] == 0);
    CHECK_THROWS_AS((void)with_traffic(canary, 101), Error);
    for (const char* mode : {"Standard", "RawDeployment"}) {
        Json standing = service;
        standing["kind"] = "InferenceService";
        standing["status"]["deploymentMode"] = mode;
        const std::string said = error_of([&] { kubernetes::check_divides(standing); });
        CHECK(contains(said, "InferenceService"));
        CHECK(contains(said, std::string{"in the mode "} + mode));
    }
    CHECK_NOTHROW(kubernetes::check_divides(service));

    Json legacy{
        {"apiVersion", "serving.kubeflow.org/v1alpha2"},
        {"metadata", {{"name", "s"}}},
        {"spec",
         {{"default", "one"}, {"canary", {{"predictor", "two"}}}, {"canaryTrafficPercent", 10}}}};
    CHECK(with_traffic(legacy, 50)["spec"]["canaryTrafficPercent"] == 50);
    CHECK(with_traffic(legacy, 0)["spec"] == Json{{"default", "one"}});
    const Json promoted = with_traffic(legacy, 100)["spec"];
    CHECK(promoted == Json{{"default", {{"predictor", "two"}}}});
    legacy["spec"] = promoted;
    CHECK(contains(error_of([&] { (void)with_traffic(legacy, 10); }), "it has no canary"));
}
