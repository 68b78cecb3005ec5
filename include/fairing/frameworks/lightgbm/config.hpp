// fairing/frameworks/lightgbm/config.hpp - LightGBM's configuration: its file format, the names
// that mean the same, and what a job needs of it (LightGBM's Parameters.rst). Pure.
#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "../../core/error.hpp"

namespace fairing::lightgbm {

/// By the names that LightGBM's documentation lists first.
using Parameters = std::map<std::string, std::string>;

namespace detail {

/// A parameter that a job has to know, and its other names.
struct Aliases {
    std::string_view name;
    std::array<std::string_view, 6> others;
};
inline constexpr std::array<Aliases, 11> aliases{{
    {"data", {"train", "train_data", "train_data_file", "data_filename"}},
    {"valid",
     {"test", "valid_data", "valid_data_file", "test_data", "test_data_file", "valid_filenames"}},
    {"input_model", {"model_input", "model_in"}},
    {"output_model", {"model_output", "model_out"}},
    {"output_result",
     {"predict_result", "prediction_result", "predict_name", "prediction_name", "pred_name",
      "name_pred"}},
    {"num_machines", {"num_machine"}},
    {"tree_learner", {"tree", "tree_type", "tree_learner_type"}},
    {"local_listen_port", {"local_port", "port"}},
    {"machine_list_filename", {"machine_list_file", "machine_list", "mlist"}},
    {"machines", {"workers", "nodes"}},
    {"pre_partition", {"is_pre_partition"}},
}};

[[nodiscard]] inline Error bad_config(std::string subject, std::string answer,
                                      std::string advice = {}) {
    return Error{ErrorCode::input,
                 {.attempted = "use LightGBM's configuration",
                  .subject = std::move(subject),
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// Without blanks around it, and without quotes around that.
[[nodiscard]] inline std::string_view bare(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n";
    const std::size_t begin = std::min(text.find_first_not_of(blanks), text.size());
    text = text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
    const bool is_quoted = text.size() > 1 && text.front() == text.back() &&
                           (text.front() == '"' || text.front() == '\'');
    return is_quoted ? text.substr(1, text.size() - 2) : text;
}

[[nodiscard]] inline std::string canonical(std::string_view name) {
    for (const Aliases& each : aliases) {
        if (std::find(each.others.begin(), each.others.end(), name) != each.others.end()) {
            return std::string{each.name};
        }
    }
    return std::string{name};
}

}  // namespace detail

/// The text of a config file: "key = value" a line, # begins a comment. Throws Error{input} that
/// names `subject` for a line without =, and for a parameter that is set twice under whatever
/// names.
[[nodiscard]] inline Parameters parse_config(std::string_view text, const std::string& subject) {
    Parameters result;
    std::map<std::string, std::string> written;  // as the file names it
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t end = std::min(text.find('\n', at), text.size());
        const std::string_view line =
            detail::bare(text.substr(at, end - at).substr(0, text.substr(at, end - at).find('#')));
        at = end + 1;
        if (line.empty()) {
            continue;
        }
        const std::size_t equals = line.find('=');
        if (equals == std::string_view::npos || equals == 0) {
            throw detail::bad_config(subject, "a line is not key = value: " + std::string{line});
        }
        const std::string key{detail::bare(line.substr(0, equals))};
        const std::string name = detail::canonical(key);
        if (const auto [known, is_new] = written.emplace(name, key); !is_new) {
            throw detail::bad_config(subject, known->second == key ? key + " is set twice"
                                                                   : known->second + " and " + key +
                                                                         " are the same parameter");
        }
        result[name] = detail::bare(line.substr(equals + 1));
    }
    return result;
}

/// `parameters` over those of a file; both may use any name. Throws like parse_config().
inline void override_with(Parameters& config, const Parameters& parameters) {
    Parameters own;
    for (const auto& [key, value] : parameters) {
        if (!own.emplace(detail::canonical(key), value).second) {
            throw detail::bad_config("parameters", key + " is set under two names");
        }
    }
    for (auto& [name, value] : own) {
        config[name] = value;
    }
}

/// The value; "" when it is not set.
[[nodiscard]] inline std::string value_of(const Parameters& config, const std::string& name) {
    const auto found = config.find(name);
    return found == config.end() ? "" : found->second;
}

/// A list of paths, separated by commas.
[[nodiscard]] inline std::vector<std::string> paths_of(const Parameters& config,
                                                       const std::string& name) {
    std::vector<std::string> paths;
    const std::string list = value_of(config, name);
    for (std::size_t at = 0; at < list.size();) {
        const std::size_t end = std::min(list.find(',', at), list.size());
        if (const std::string_view path = detail::bare(std::string_view{list}.substr(at, end - at));
            !path.empty()) {
            paths.emplace_back(path);
        }
        at = end + 1;
    }
    return paths;
}

/// num_machines, 1 when it is not set. Throws Error{input} for what is no such number.
[[nodiscard]] inline int machines_of(const Parameters& config) {
    const std::string text = value_of(config, "num_machines");
    int machines = text.empty() ? 1 : 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), machines);
    if (!text.empty() && (failure != std::errc{} || end != text.data() + text.size())) {
        machines = 0;
    }
    if (machines < 1) {
        throw detail::bad_config("num_machines", text + " is not a whole number of 1 or more");
    }
    return machines;
}

/// Whether each machine trains on data of its own (LightGBM's Parallel-Learning-Guide.rst).
[[nodiscard]] inline bool splits_data(const Parameters& config) {
    std::string learner = value_of(config, "tree_learner");
    std::transform(learner.begin(), learner.end(), learner.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return learner == "data" || learner == "voting" || learner == "data_parallel" ||
           learner == "voting_parallel";
}

/// Whether a path in the configuration begins with `scheme`.
[[nodiscard]] inline bool uses_store(const Parameters& config, const std::string& scheme) {
    for (const char* name : {"data", "valid", "input_model", "output_model", "output_result"}) {
        for (const std::string& path : paths_of(config, name)) {
            if (path.starts_with(scheme)) {
                return true;
            }
        }
    }
    return false;
}

/// "gs://bucket/a" is; "a", "/a" and "C:/a" are not.
[[nodiscard]] inline bool is_remote(std::string_view path) {
    return path.find("://") != std::string_view::npos;
}

}  // namespace fairing::lightgbm
