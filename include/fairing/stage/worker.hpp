// fairing/stage/worker.hpp - which of the job's processes this one is, from the variables that each
// launcher sets.
#pragma once

#include <charconv>
#include <cstdint>
#include <initializer_list>
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

[[nodiscard]] inline std::optional<int> number_in(std::initializer_list<const char*> variables) {
    for (const char* variable : variables) {
        if (const auto value = number_from<int>(env(variable, "")); value && *value >= 0) {
            return value;
        }
    }
    return std::nullopt;
}

inline void set_main_address(Worker& worker, const std::string& host_and_port) {
    const std::size_t colon = host_and_port.rfind(':');
    worker.main_address = host_and_port.substr(0, colon);
    if (colon != std::string::npos) {
        worker.main_port = number_from<std::uint16_t>(host_and_port.substr(colon + 1)).value_or(0);
    }
}

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

/// This process's place: RANK and WORLD_SIZE with MASTER_ADDR and MASTER_PORT (PyTorchJob and
/// others), else TF_CONFIG, else Open MPI's and PMI's variables, else DMLC_* , else
/// JOB_COMPLETION_INDEX of an Indexed Job.
[[nodiscard]] inline Worker worker_from_environment() {
    Worker worker;
    worker.main_address = env("MASTER_ADDR", env("DMLC_PS_ROOT_URI", ""));
    worker.main_port =
        detail::number_from<std::uint16_t>(env("MASTER_PORT", env("DMLC_PS_ROOT_PORT", "")))
            .value_or(0);
    worker.role = env("DMLC_ROLE", "");
    const auto rank = detail::number_in({"RANK"});
    if (!rank && detail::read_tf_config(worker)) {
        return worker;
    }
    const auto other = detail::number_in({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "DMLC_WORKER_ID",
                                          "DMLC_TASK_ID", "JOB_COMPLETION_INDEX"});
    worker.rank = rank.value_or(other.value_or(0));
    worker.world_size =
        detail::number_in({"WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "DMLC_NUM_WORKER"})
            .value_or(worker.rank + 1);
    return worker;
}

}  // namespace fairing
