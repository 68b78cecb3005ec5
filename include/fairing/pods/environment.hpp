// fairing/pods/environment.hpp - variables of the main container.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "../core/error.hpp"
#include "../kube/names.hpp"
#include "../stage/session.hpp"
#include "labels.hpp"
#include "mutator.hpp"

namespace fairing {

/// Sets variables, in the order of their names; one that is there already is replaced. A value goes
/// as it is: "$(NAME)" in it is not taken for another variable.
[[nodiscard]] inline PodSpecMutator add_env(Labels variables) {
    for (const auto& [name, value] : variables) {
        const bool printable = std::all_of(name.begin(), name.end(),
                                           [](char c) { return c > ' ' && c < 0x7f && c != '='; });
        if (name.empty() || !printable || value.find('\0') != std::string::npos) {
            throw Error{ErrorCode::usage,
                        {.attempted = "use variable",
                         .subject = kube::detail::quoted(name),
                         .answer = "not a name and a value of the environment"}};
        }
    }
    return [variables = std::move(variables)](PodSpec& pod, PodContext& /*context*/) {
        for (const auto& [name, value] : variables) {
            pod.set_env(name, literal_text(value));
        }
    };
}

}  // namespace fairing
