// fairing/core/env.hpp - environment variables, and the one that tells both ends of a program
// apart.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace fairing {

/// An environment variable; nullopt when it is not set, never a null pointer.
[[nodiscard]] inline std::optional<std::string> env(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

/// An environment variable, or `fallback` when it is not set.
[[nodiscard]] inline std::string env(const char* name, std::string fallback) {
    return env(name).value_or(std::move(fallback));
}

/// Whether this program runs as the job: FAIRING_RUNTIME is set in every image that we build.
[[nodiscard]] inline bool in_job() { return env("FAIRING_RUNTIME").has_value(); }

}  // namespace fairing
