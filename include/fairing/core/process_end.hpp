// fairing/core/process_end.hpp - how a program ended, in numbers and in words.
#pragma once

#include <algorithm>
#include <array>
#include <csignal>
#include <string>
#include <utility>

namespace fairing {

/// The name of a signal with its number: "signal 9 (SIGKILL)".
[[nodiscard]] inline std::string signal_text(int number) {
    static constexpr std::array<std::pair<int, const char*>, 14> names{{{SIGHUP, "SIGHUP"},
                                                                        {SIGINT, "SIGINT"},
                                                                        {SIGQUIT, "SIGQUIT"},
                                                                        {SIGILL, "SIGILL"},
                                                                        {SIGTRAP, "SIGTRAP"},
                                                                        {SIGABRT, "SIGABRT"},
                                                                        {SIGBUS, "SIGBUS"},
                                                                        {SIGFPE, "SIGFPE"},
                                                                        {SIGKILL, "SIGKILL"},
                                                                        {SIGSEGV, "SIGSEGV"},
                                                                        {SIGPIPE, "SIGPIPE"},
                                                                        {SIGALRM, "SIGALRM"},
                                                                        {SIGTERM, "SIGTERM"},
                                                                        {SIGXCPU, "SIGXCPU"}}};
    const auto* const found = std::find_if(
        names.begin(), names.end(), [number](const auto& entry) { return entry.first == number; });
    return "signal " + std::to_string(number) +
           (found == names.end() ? std::string{} : std::string{" ("} + found->second + ')');
}

/// How a program ended.
struct ProcessEnd {
    int exit_code = 0;  ///< its own, or 128 + the signal that killed it
    int signal = 0;     ///< 0 when it ended by itself

    /// "exited with 3", "killed by signal 9 (SIGKILL)"; empty for success.
    [[nodiscard]] std::string reason() const {
        if (signal != 0) {
            return "killed by " + signal_text(signal);
        }
        return exit_code == 0 ? std::string{} : "exited with " + std::to_string(exit_code);
    }
};

}  // namespace fairing
