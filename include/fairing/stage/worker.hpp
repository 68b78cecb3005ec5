// fairing/stage/worker.hpp - which of the job's processes this one is, from the variables that each
// launcher sets.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../core/env.hpp"
#include "../core/json.hpp"

namespace fairing {

/// What a job function learns of its place. Alone: rank 0 of 1.
struct Worker {
    std::vector<std::string> arguments = {};
    int rank = 0, world_size = 1;
    std::string role = {};          ///< as the operator names it: "worker", "chief", "ps", …
    std::string main_address = {};  ///< of rank 0, when it is known
    std::uint16_t main_port = 0;
};

namespace detail {

template <class Number>
[[nodiscard]] std::optional<Number> number_from(const std::string& text) {
    Number value{};
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    return failure == std::errc{} && end == text.data() + text.size() && !text.empty()
               ? std::optional<Number>{value}
               : std::nullopt;
}

/// The number in a variable, when it is none below 0.
[[nodiscard]] inline std::optional<int> number_in(const char* variable) {
    const auto value = number_from<int>(env(variable, ""));
    return value && *value >= 0 ? value : std::nullopt;
}

inline void set_main_address(Worker& worker, const std::string& host_and_port) {
    const std::size_t colon = host_and_port.rfind(':');
    worker.main_address = host_and_port.substr(0, colon);
    if (colon != std::string::npos) {
        worker.main_port = number_from<std::uint16_t>(host_and_port.substr(colon + 1)).value_or(0);
    }
}

/// How one launcher tells a process its place; "" where it tells nothing. An address may end with
/// a port.
struct LauncherVariables {
    const char *rank, *size, *address, *port = "", *role = "";
};
inline constexpr std::array<LauncherVariables, 11> launchers{
    {{"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"},
     {"OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", ""},
     {"PMIX_RANK", "PMIX_SIZE", ""},
     {"PMI_RANK", "PMI_SIZE", ""},
     {"PROCESS_ID", "NUM_PROCESSES", "COORDINATOR_ADDRESS", "COORDINATOR_PORT"},
     {"PADDLE_TRAINER_ID", "PADDLE_TRAINERS_NUM", "PADDLE_MASTER"},
     {"PADDLE_RANK", "PADDLE_NNODES", "PADDLE_MASTER"},
     {"DMLC_WORKER_ID", "DMLC_NUM_WORKER", "DMLC_PS_ROOT_URI", "DMLC_PS_ROOT_PORT", "DMLC_ROLE"},
     {"DMLC_TASK_ID", "DMLC_NUM_WORKER", "DMLC_TRACKER_URI", "DMLC_TRACKER_PORT", "DMLC_ROLE"},
     {"PET_NODE_RANK", "PET_NNODES", "PET_MASTER_ADDR", "PET_MASTER_PORT"},
     {"JOB_COMPLETION_INDEX", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"}}};

/// TF_CONFIG (TensorFlow's cluster description): ranks count the chief or master, then the workers,
/// then the parameter servers, then evaluators, each in the order of its list.
inline bool read_tf_config(Worker& worker) {
    const Json config = Json::parse(env("TF_CONFIG", ""), nullptr, false);
    if (!config.is_object() || !config.value("cluster", Json()).is_object() ||
        !config.value("task", Json()).is_object()) {
        return false;
    }
    const Json& task = config["task"];
    if (!task.value("type", Json()).is_string() ||
        !task.value("index", Json()).is_number_integer()) {
        return false;
    }
    worker.role = task["type"];
    worker.world_size = 0;
    for (const char* role : {"chief", "master", "worker", "ps", "evaluator"}) {
        const Json hosts = config["cluster"].value(role, Json::array());
        if (worker.world_size == 0 && !hosts.empty() && hosts[0].is_string()) {
            set_main_address(worker, hosts[0]);
        }
        if (worker.role == role) {
            worker.rank = worker.world_size + task["index"].get<int>();
        }
        worker.world_size += static_cast<int>(hosts.size());
    }
    worker.world_size = std::max(worker.world_size, 1);
    return true;
}

}  // namespace detail

/// This process's place, from the first launcher that has set its variables: PyTorch's RANK,
/// WORLD_SIZE, MASTER_ADDR and MASTER_PORT (PyTorchJob, XGBoostJob, several workers of a Job, and
/// torchrun), TF_CONFIG (TFJob), MPI's (MPIJob), JAX's (JAXJob), PADDLE_* (PaddleJob), DMLC_*
/// (MXNet, XGBoost in a TrainJob), PET_* of a node (TrainJob), else JOB_COMPLETION_INDEX of an
/// Indexed Job.
[[nodiscard]] inline Worker worker_from_environment() {
    Worker worker;
    for (const detail::LauncherVariables& each : detail::launchers) {
        const auto rank = detail::number_in(each.rank);
        if (!rank) {
            // More telling than what comes behind PyTorch's.
            if (&each == &detail::launchers.front() && detail::read_tf_config(worker)) {
                return worker;
            }
            continue;
        }
        worker.rank = *rank;
        worker.world_size = detail::number_in(each.size).value_or(worker.rank + 1);
        detail::set_main_address(worker, env(each.address, ""));
        worker.main_port =
            detail::number_from<std::uint16_t>(env(each.port, "")).value_or(worker.main_port);
        worker.role = env(each.role, "");
        break;
    }
    return worker;
}

}  // namespace fairing
