// fairing/core/secret.hpp - a text that neither prints nor converts.
#pragma once

#include <string>
#include <utility>

namespace fairing {

/// Has no operator<<, no conversion and no comparison: reveal() is the one way out, and easy to
/// search for.
class Secret {
public:
    Secret() = default;
    explicit Secret(std::string value) : value_(std::move(value)) {}
    [[nodiscard]] const std::string& reveal() const noexcept { return value_; }
    [[nodiscard]] bool empty() const noexcept { return value_.empty(); }

private:
    std::string value_ = {};
};

}  // namespace fairing
