// fairing/builders/engine/progress.hpp - what a container engine says of a build or a push, as log
// lines and progress.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "../../core/control.hpp"
#include "../../core/error.hpp"
#include "../../core/json.hpp"
#include "../../core/json_text.hpp"

namespace fairing::detail {

/// Takes the events of one stream. Steps are said at level info, what they print at debug; the last
/// lines are kept for the error.
class EngineProgress {
public:
    /// `step` is what Progress calls it: "build", "push".
    EngineProgress(std::string step, Control control)
        : step_(std::move(step)), control_(std::move(control)) {}

    void operator()(const Json& event) {
        control_.check(step_ + " image");
        show_transfer(event);
        std::string line = text_or(event, "stream");
        line.resize(line.find_last_not_of(" \r\n") + 1);
        if (line.empty()) {
            return;
        }
        const bool is_step = line.starts_with("Step ") || line.starts_with("STEP ");
        control_.say(is_step ? Level::info : Level::debug, line);
        if (is_step) {
            tail_.clear();  // what another step said explains nothing
        } else if (!line.starts_with(" ---> ") && !line.starts_with("Removing intermediate ")) {
            tail_.push_back(std::move(line));
            if (tail_.size() > longest_tail) {
                tail_.pop_front();
            }
        }
    }

    /// The error with the last lines behind its answer.
    [[nodiscard]] Error explained(const Error& error) const {
        Error::Details details = error.details();
        std::string lines;
        for (const std::string& line : tail_) {
            lines += (lines.empty() ? "" : "\n") + line;
        }
        if (!lines.empty()) {
            details.answer += "; its last words: " + lines;
        }
        return Error{error.code(), std::move(details)};
    }

private:
    static constexpr std::size_t longest_tail = 8;

    /// Layers come and go in parts: {"status": "Pushing", "id": …, "progressDetail": {…}}.
    void show_transfer(const Json& event) {
        const std::string item = text_or(event, "id");
        const std::string status = text_or(event, "status");
        const Json detail = event.value("progressDetail", Json());
        if (item.empty() || !detail.is_object()) {
            return;
        }
        const auto number = [&detail](const char* key) {
            const auto found = detail.find(key);
            return found != detail.end() && found->is_number_unsigned()
                       ? found->get<std::uint64_t>()
                       : std::uint64_t{0};
        };
        if (const std::uint64_t total = number("total"); total > 0) {
            totals_[item] = total;
            control_.show({.step = step_,
                           .item = item,
                           .done = std::min(number("current"), total),
                           .total = total});
        } else if (const auto known = totals_.find(item);
                   known != totals_.end() && (status == "Pushed" || status == "Pull complete")) {
            control_.show(
                {.step = step_, .item = item, .done = known->second, .total = known->second});
            totals_.erase(known);
        }
    }

    std::string step_;
    Control control_;
    std::deque<std::string> tail_ = {};
    std::map<std::string, std::uint64_t> totals_ = {};
};

}  // namespace fairing::detail
