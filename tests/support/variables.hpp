// tests/support/variables.hpp - environment variables for a scope.
#pragma once

#include <cstdlib>
#include <map>
#include <optional>
#include <string>

#include "fairing/core/env.hpp"

namespace support {

/// Sets these; "" stands for one that is not there.
class Variables {
public:
    explicit Variables(const std::map<std::string, std::string>& values) {
        for (const auto& [name, value] : values) {
            before_[name] = fairing::env(name.c_str());
            set(name, value.empty() ? std::nullopt : std::optional{value});
        }
    }
    Variables(Variables&&) = delete;
    Variables& operator=(Variables&&) = delete;
    ~Variables() {
        for (const auto& [name, value] : before_) {
            set(name, value);
        }
    }

private:
    static void set(const std::string& name, const std::optional<std::string>& value) {
        if (value) {
            ::setenv(name.c_str(), value->c_str(), 1);
        } else {
            ::unsetenv(name.c_str());
        }
    }

    std::map<std::string, std::optional<std::string>> before_ = {};
};

}  // namespace support
