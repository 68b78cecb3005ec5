// fairing/runs/patience.hpp - looks at a run of a service again and again until its end, and stands
// a service that is out of reach for a while.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "../stage/workload.hpp"

namespace fairing::detail {

/// Pauses that grow from the first to twenty times that.
class Pace {
public:
    explicit Pace(std::chrono::milliseconds first) : first_(first) {}

    [[nodiscard]] std::chrono::milliseconds next() {
        const std::chrono::milliseconds pause = pause_;
        pause_ = std::min(pause_ * 3 / 2 + std::chrono::milliseconds{1}, first_ * 20);
        return pause;
    }
    void restart() { pause_ = first_; }

private:
    std::chrono::milliseconds first_;
    std::chrono::milliseconds pause_ = first_;
};

[[nodiscard]] constexpr bool has_ended(State state) noexcept {
    return state == State::succeeded || state == State::failed || state == State::removed;
}

/// How a run is looked at.
struct Looking {
    std::string subject = {};  ///< "run 1234"
    std::chrono::milliseconds first_pause{1000};
    std::function<Outcome()> look = {};
    std::function<bool(State)> is_end = has_ended;
    /// Called after every look with what is known then; reads the lines.
    std::function<void(State)> meanwhile = {};
};

/// How often in a row a service may be out of reach, each time with all repetitions.
inline constexpr int most_looks_in_vain = 20;

/// Looks until `is_end` says so of the state. What may pass is said as a warning; it is thrown when
/// it comes too often in a row, and anything else at once.
[[nodiscard]] inline Outcome follow_patiently(const Control& control, const Looking& looking) {
    Outcome outcome;
    int in_vain = 0;
    for (Pace pace{looking.first_pause}; !looking.is_end(outcome.state);) {
        if (outcome.state != State::none) {
            control.sleep(pace.next());
            control.check("follow " + looking.subject);
        }
        try {
            Outcome now = looking.look();
            in_vain = 0;
            if (now.state != outcome.state) {
                pace.restart();
            }
            outcome = std::move(now);
        } catch (const Error& error) {
            const bool may_pass =
                error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
            if (!may_pass || ++in_vain == most_looks_in_vain) {
                throw;
            }
            control.say(Level::warning, error.what());
            outcome.state = outcome.state == State::none ? State::pending : outcome.state;
        }
        if (looking.meanwhile) {
            looking.meanwhile(outcome.state);
        }
    }
    return outcome;
}

}  // namespace fairing::detail
