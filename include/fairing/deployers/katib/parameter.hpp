// fairing/deployers/katib/parameter.hpp - a parameter that Katib searches: its name, its type, and
// the values that it may have (kubeflow.org/v1beta1 ParameterSpec).
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "../../core/json.hpp"
#include "../../stage/fields.hpp"

namespace fairing {

/// Written as a text: "lr=double:0.01..0.1", "units=int:16..128/16" with a step,
/// "lr=double:1e-5..0.1:logUniform" with a distribution, "optimizer=categorical:sgd,adam",
/// "batch=discrete:16,32,64". Numbers are texts, as they are to Katib.
struct SearchParameter {
    std::string name = {};
    std::string type = {};  ///< "double", "int", "categorical", "discrete"
    std::string min = {}, max = {}, step = {};
    std::vector<std::string> list = {};
    std::string distribution = {};  ///< "uniform", "logUniform", "normal", "logNormal"

    SearchParameter() = default;
    /// Throws Error{usage} for a text of another form; what is in it is judged by check().
    SearchParameter(const std::string& text);
    SearchParameter(const char* text) : SearchParameter(std::string{text}) {}

    /// Throws Error{usage} for what Katib, or the algorithm, would refuse.
    void check(const std::string& algorithm) const;
    /// An entry of the Experiment's `parameters`.
    [[nodiscard]] Json json() const;

private:
    [[nodiscard]] Error error(std::string answer, std::string advice = {}) const {
        return Error{ErrorCode::usage,
                     {.attempted = "search parameter",
                      .subject = name,
                      .answer = std::move(answer),
                      .advice = std::move(advice)}};
    }
    [[nodiscard]] bool is_range() const { return type == "double" || type == "int"; }
    [[nodiscard]] double number(const std::string& what, const std::string& text) const;
    void check_range(const std::string& algorithm) const;
    void check_list() const;
};

inline SearchParameter::SearchParameter(const std::string& text) {
    const std::size_t equals = text.find('=');
    const std::size_t colon = text.find(':', equals);
    name = text.substr(0, equals);
    if (equals == 0 || colon == std::string::npos) {
        throw Error{ErrorCode::usage,
                    {.attempted = "read parameter",
                     .subject = text,
                     .answer = "it is not NAME=TYPE:VALUES",
                     .advice = "write lr=double:0.01..0.1, units=int:16..128/16 or "
                               "optimizer=categorical:sgd,adam"}};
    }
    type = text.substr(equals + 1, colon - equals - 1);
    std::string values = text.substr(colon + 1);
    if (!is_range()) {
        for (std::size_t start = 0; start <= values.size();) {
            const std::size_t comma = std::min(values.find(',', start), values.size());
            list.push_back(values.substr(start, comma - start));
            start = comma + 1;
        }
        return;
    }
    const auto cut = [&values](const std::string& separator) {
        const std::size_t at = values.find(separator);
        std::string rest =
            at == std::string::npos ? std::string{} : values.substr(at + separator.size());
        values.erase(std::min(at, values.size()));
        return rest;
    };
    distribution = cut(":");
    step = cut("/");
    max = cut("..");
    min = values;
}

inline double SearchParameter::number(const std::string& what, const std::string& text) const {
    const char* const end = text.data() + text.size();
    std::from_chars_result read{};
    double value = 0;
    if (type == "int") {
        std::int64_t whole = 0;
        read = std::from_chars(text.data(), end, whole);
        value = static_cast<double>(whole);
    } else {
        read = std::from_chars(text.data(), end, value);
    }
    if (text.empty() || read.ec != std::errc{} || read.ptr != end || !std::isfinite(value)) {
        throw error(what + " \"" + text + "\" is no " + (type == "int" ? "whole number" : "number"),
                    is_range() ? "write " + name + '=' + type + ":MIN..MAX" : "");
    }
    return value;
}

inline void SearchParameter::check_range(const std::string& algorithm) const {
    if (!list.empty()) {
        throw error("of type " + type + " it has a min and a max, and no list");
    }
    const double least = number("its min", min);
    if (number("its max", max) < least) {
        throw error("its max " + max + " is less than its min " + min);
    }
    if (!step.empty() && number("its step", step) <= 0) {
        throw error("its step " + step + " is not positive");
    }
    if (algorithm == "grid" && type == "double" && step.empty()) {
        throw error("the algorithm grid wants a step",
                    "write " + name + "=double:" + min + ".." + max + "/STEP");
    }
    const std::vector<std::string> known{"uniform", "logUniform", "normal", "logNormal"};
    if (!distribution.empty() &&
        std::find(known.begin(), known.end(), distribution) == known.end()) {
        throw unknown_name("choose", "the distribution of parameter " + name, distribution, known);
    }
    if (distribution.starts_with("log") && least <= 0) {
        throw error("its min " + min + " has no logarithm");
    }
}

inline void SearchParameter::check_list() const {
    if (!min.empty() || !max.empty() || !step.empty()) {
        throw error("of type " + type + " it has a list, and no min, max and step");
    }
    for (std::size_t i = 0; i < list.size(); ++i) {
        const std::string& value = list[i];
        if (value.empty()) {
            throw error("a value of its list is empty");
        }
        if (type == "discrete") {
            static_cast<void>(number("its value", value));
        }
        // Katib puts it as it is into a document, and that into a shell's line.
        if (std::any_of(value.begin(), value.end(), [](char c) {
                return c == '"' || c == '\\' || c == '\'' || c == '$' ||
                       static_cast<unsigned char>(c) < 0x20;
            })) {
            throw error("Katib can not hand its value " + Json(value).dump() + " to a program",
                        "use no quotes, backslashes or dollar signs");
        }
        if (std::find(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(i), value) !=
            list.begin() + static_cast<std::ptrdiff_t>(i)) {
            throw error("its value " + value + " is there twice");
        }
    }
}

inline void SearchParameter::check(const std::string& algorithm) const {
    // It is part of a command, of a variable's name, and of a placeholder.
    const bool is_fine = !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    });
    if (!is_fine) {
        throw error("its name takes letters, digits, '-', '_' and '.' only");
    }
    const std::vector<std::string> types{"double", "int", "categorical", "discrete"};
    if (std::find(types.begin(), types.end(), type) == types.end()) {
        throw unknown_name("choose", "the type of parameter " + name, type, types);
    }
    if (is_range()) {
        check_range(algorithm);
    } else if (list.empty()) {
        throw error("it has no values");
    } else {
        check_list();
    }
}

inline Json SearchParameter::json() const {
    Json space = Json::object();
    for (const auto& [key, value] : {std::pair{"min", &min},
                                     {"max", &max},
                                     {"step", &step},
                                     {"distribution", &distribution}}) {
        if (!value->empty()) {
            space[key] = *value;
        }
    }
    if (!list.empty()) {
        space["list"] = list;
    }
    return {{"name", name}, {"parameterType", type}, {"feasibleSpace", std::move(space)}};
}

}  // namespace fairing
