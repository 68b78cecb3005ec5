// fairing/core/stopwatch.hpp - how long something takes, by a clock that nobody sets.
#pragma once

#include <chrono>

namespace fairing::detail {

/// Seconds since it was made.
class Stopwatch {
public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace fairing::detail
