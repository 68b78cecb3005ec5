// fairing/deployers/katib/trial.hpp - how a trial's program is told its parameters, and how Katib's
// metrics collector gets at what it prints (katib, pkg/webhook/v1beta1/pod).
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "../../core/error.hpp"
#include "../../core/json_text.hpp"
#include "../../pods/mutator.hpp"
#include "parameter.hpp"

namespace fairing::katib {

/// What Katib replaces by a trial's value of the parameter.
[[nodiscard]] inline std::string placeholder(const std::string& name) {
    return "${trialParameters." + name + '}';
}

/// The variable that holds it: FAIRING_PARAMETER_LEARNING_RATE.
[[nodiscard]] inline std::string variable_of(const std::string& name) {
    std::string variable = "FAIRING_PARAMETER_" + name;
    for (char& c : variable) {
        if (c >= 'a' && c <= 'z') {
            c = static_cast<char>(c - 'a' + 'A');
        } else if (c == '-' || c == '.') {
            c = '_';
        }
    }
    return variable;
}

/// Whether a shell takes it for one word, as it is.
[[nodiscard]] inline bool is_plain_word(std::string_view word) {
    constexpr std::string_view others = "_@%+=:,./-";
    return !word.empty() && std::all_of(word.begin(), word.end(), [others](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               others.find(c) != std::string_view::npos;
    });
}

/// One word of a shell (POSIX, 2.2.2).
[[nodiscard]] inline std::string shell_quoted(const std::string& word) {
    std::string quoted = "'";
    for (const char c : word) {
        quoted += c == '\'' ? std::string{"'\\''"} : std::string{c};
    }
    return quoted + '\'';
}

/// A placeholder that the user wrote stands in the pod with a dollar sign too many.
[[nodiscard]] inline std::string with_placeholders(std::string text) {
    constexpr std::string_view doubled = "$${trialParameters.";
    for (std::size_t at = text.find(doubled); at != std::string::npos; at = text.find(doubled)) {
        text.erase(at, 1);
    }
    return text;
}

/// How the program is started.
struct Start {
    bool has_arguments = true;  ///< --NAME=VALUE for each parameter
    bool is_wrapped = true;     ///< the collector makes a shell's line out of the command
};

/// Katib joins the command's words by spaces, unless it is one line for a shell already. A value
/// has no quotes in it (SearchParameter::check()), so that it can stand between some.
[[nodiscard]] inline Json wrapped(const Json& command,
                                  const std::vector<SearchParameter>& parameters) {
    const auto is_plain = [&parameters](std::string word) {
        for (const SearchParameter& each : parameters) {
            const std::string mark = placeholder(each.name);
            const std::size_t at = word.find(mark);
            if (at != std::string::npos &&
                std::all_of(each.list.begin(), each.list.end(), is_plain_word)) {
                word.replace(at, mark.size(), "value");
            }
        }
        return is_plain_word(word);
    };
    std::string line;
    bool is_fine = true;
    for (const Json& each : command) {
        const auto& word = each.get_ref<const std::string&>();
        line += (line.empty() ? "" : " ") + (is_plain(word) ? word : shell_quoted(word));
        is_fine = is_fine && is_plain(word);
    }
    return is_fine ? command : Json{"sh", "-c", line};
}

/// Tells the program its parameters: in its environment, and as arguments.
[[nodiscard]] inline PodSpecMutator tell_parameters(std::vector<SearchParameter> parameters,
                                                    Start start) {
    return [parameters = std::move(parameters), start](PodSpec& pod, PodContext&) {
        Json& container = pod.container();
        for (const char* list : {"command", "args"}) {
            for (Json& word : container[list]) {
                word = with_placeholders(word.get<std::string>());
            }
        }
        for (Json& each : container["env"]) {
            if (each.contains("value")) {
                each["value"] = with_placeholders(each["value"].get<std::string>());
            }
        }
        // Without a command of its own the image's is meant, which takes its arguments from here.
        const bool has_command = !container["command"].empty();
        for (const SearchParameter& each : parameters) {
            pod.set_env(variable_of(each.name), placeholder(each.name));
            if (start.has_arguments) {
                container[has_command ? "command" : "args"].push_back("--" + each.name + '=' +
                                                                      placeholder(each.name));
            }
        }
        if (has_command && start.is_wrapped) {
            Json words = container["command"];
            words.insert(words.end(), container["args"].begin(), container["args"].end());
            container["command"] = wrapped(words, parameters);
            container.erase("args");
        }
        for (const char* list : {"command", "args"}) {
            if (container.contains(list) && container[list].empty()) {
                container.erase(list);
            }
        }
    };
}

/// Throws Error{usage} when the template names a parameter that is not searched.
inline void check_placeholders(const Json& trial, const std::vector<SearchParameter>& parameters) {
    const std::string text = dump_json(trial, "make", "a template of the trials");
    constexpr std::string_view begin = "${trialParameters.";
    std::vector<std::string> names;
    names.reserve(parameters.size());
    for (const SearchParameter& each : parameters) {
        names.push_back(each.name);
    }
    for (std::size_t at = text.find(begin); at != std::string::npos; at = text.find(begin, at)) {
        at += begin.size();
        const std::string name = text.substr(at, text.find('}', at) - at);
        if (std::find(names.begin(), names.end(), name) == names.end()) {
            throw unknown_name("use", "the placeholder " + placeholder(name), name, names);
        }
    }
}

}  // namespace fairing::katib
