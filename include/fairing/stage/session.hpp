// fairing/stage/session.hpp - what a call may use of the world around it.
#pragma once

#include <filesystem>
#include <iostream>
#include <stop_token>
#include <utility>

#include "../core/control.hpp"
#include "../core/credential.hpp"
#include "../net/transport.hpp"
#include "registries.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// A cheap value, passed by const reference; {} is silent, can not be stopped, and uses our own
/// transport.
struct Session {
    std::stop_token stop = {};
    LogSink log = {};        ///< what we say
    OutputSink output = {};  ///< what the workload says
    ProgressSink progress = {};
    Clock clock = {};
    net::AnyTransport transport = {};
    CredentialsProvider credentials = {};
    /// Where builders remember what they made; empty: $FAIRING_CACHE, else $XDG_CACHE_HOME/fairing.
    std::filesystem::path cache_directory = {};
    Registries registries = {};  ///< what is special about some of them; fairing.json has it too

    /// The part that the lower levels use.
    [[nodiscard]] Control control() const {
        return {.stop = stop, .log = log, .progress = progress, .clock = clock};
    }
    /// The same session with every sink called by one thread at a time.
    [[nodiscard]] Session ordered() const {
        Session copy = *this;
        copy.log = serialized(copy.log);
        copy.output = serialized(copy.output);
        copy.progress = serialized(copy.progress);
        return copy;
    }
};

/// Prints: the workload's lines to stdout, our log (info and above) to stderr.
[[nodiscard]] inline Session console_session(std::stop_token stop = {}) {
    return {.stop = std::move(stop),
            .log =
                [](const LogRecord& record) {
                    if (record.level != Level::debug) {
                        std::cerr << record.text << '\n';
                    }
                },
            .output = [](const OutputLine& line) { std::cout << line.text << std::endl; }};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing
