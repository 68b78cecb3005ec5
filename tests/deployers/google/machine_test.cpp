#include "fairing/deployers/google/machine.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

TEST_CASE("a machine has as many accelerators as it says, one when it only names them") {
    CHECK(google::machine_spec({.machine_type = "n1"}) == Json{{"machineType", "n1"}});
    CHECK(google::machine_spec({.machine_type = "g2", .accelerator_type = "NVIDIA_L4"}) ==
          Json{{"machineType", "g2"}, {"acceleratorType", "NVIDIA_L4"}, {"acceleratorCount", 1}});
    CHECK(google::machine_spec({.machine_type = "g2",
                                .accelerator_type = "NVIDIA_L4",
                                .accelerator_count = 2})["acceleratorCount"] == 2);
}

TEST_CASE("accelerators are of a type, and not less than none") {
    CHECK_NOTHROW(google::check_machine({}));
    CHECK_NOTHROW(google::check_machine({.accelerator_type = "NVIDIA_L4"}));
    CHECK(contains(error_of([] { google::check_machine({.accelerator_count = -1}); }),
                   "less than 0"));
    CHECK(contains(error_of([] { google::check_machine({.accelerator_count = 1}); }),
                   "there is no accelerator_type"));
}
