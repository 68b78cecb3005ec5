// fairing/deployers/google/machine.hpp - the machine that a job or a model of Google Cloud has.
#pragma once

#include <algorithm>
#include <string>
#include <tuple>

#include "options.hpp"

namespace fairing {

namespace google {

struct Machine {
    std::string machine_type = {};
    std::string accelerator_type = {};  ///< NVIDIA_TESLA_T4, …
    int accelerator_count = 0;          ///< 0: one when there is a type
};

}  // namespace google

template <>
inline constexpr auto fields<google::Machine> = std::tuple{
    field("machine_type", &google::Machine::machine_type, "machine: n1-standard-4, a2-highgpu-1g"),
    field("accelerator_type", &google::Machine::accelerator_type,
          "accelerator of the machine: NVIDIA_TESLA_T4"),
    field("accelerator_count", &google::Machine::accelerator_count,
          "accelerators of the machine (default: 1 when there is a type)"),
};

namespace google {

inline void check_machine(const Machine& machine) {
    check_least("accelerator_count", machine.accelerator_count, 0);
    if (machine.accelerator_count > 0 && machine.accelerator_type.empty()) {
        throw bad_option("accelerator_count", std::to_string(machine.accelerator_count),
                         "there is no accelerator_type");
    }
}

/// A MachineSpec of Vertex AI.
[[nodiscard]] inline Json machine_spec(const Machine& machine) {
    Json spec{{"machineType", machine.machine_type}};
    if (!machine.accelerator_type.empty()) {
        spec["acceleratorType"] = machine.accelerator_type;
        spec["acceleratorCount"] = std::max(1, machine.accelerator_count);
    }
    return spec;
}

}  // namespace google

}  // namespace fairing
