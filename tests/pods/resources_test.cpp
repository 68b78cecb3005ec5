#include "fairing/pods/resources.hpp"

#include <doctest/doctest.h>

#include <limits>

#include "../support/mutated.hpp"
#include "../support/workspace.hpp"

using namespace fairing;

TEST_CASE("limits follow Fairing's rule for memory, and name the vendor's GPUs") {
    support::Mutated one;
    one.apply(resources({.cpu = 1.5, .memory_gb = 5, .gpu = 2}));
    CHECK(
        one.container()["resources"] ==
        Json::parse(R"({"limits": {"cpu": "1500m", "memory": "4.66Gi", "nvidia.com/gpu": "2"}})"));
    one.apply(resources({.gpu = 1, .gpu_vendor = GpuVendor::amd}));
    CHECK(one.container()["resources"]["limits"]["amd.com/gpu"] == "1");
    CHECK(one.container()["resources"]["limits"]["cpu"] == "1500m");
    CHECK_FALSE(support::Mutated{}.apply(resources({})).container().contains("resources"));
}

TEST_CASE("memory in Gi has two places, without zeros at their end, and cpu is in thousandths") {
    const std::vector<std::pair<double, const char*>> memory = {
        {1.073741824, "1Gi"}, {16, "14.9Gi"}, {1, "0.93Gi"},    {0.1, "0.09Gi"},
        {2, "1.86Gi"},        {8, "7.45Gi"},  {0.011, "0.01Gi"}};
    for (const auto& [gigabytes, text] : memory) {
        CHECK(fairing::detail::memory_quantity(gigabytes) == text);
    }
    CHECK(fairing::detail::cpu_quantity(2) == "2");
    CHECK(fairing::detail::cpu_quantity(0.1) == "100m");
    CHECK(fairing::detail::cpu_quantity(0.0001) == "1m");
}

TEST_CASE("what is no amount is refused when it is given") {
    for (const double bad : {0.0, -1.0, 1e12, std::numeric_limits<double>::quiet_NaN()}) {
        CHECK(support::contains(support::error_of([&] { (void)resources({.cpu = bad}); }),
                                "cannot use cpu"));
        CHECK(support::contains(support::error_of([&] { (void)resources({.memory_gb = bad}); }),
                                "cannot use memory"));
    }
    CHECK(support::contains(support::error_of([] { (void)resources({.memory_gb = 0.001}); }),
                            "the unit is GB"));
    CHECK(support::contains(support::error_of([] { (void)resources({.gpu = -1}); }), "negative"));
}
