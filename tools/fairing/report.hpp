// tools/fairing/report.hpp - what a run did and how long it took, for --report and for the closing
// lines.
#pragma once

#include <chrono>
#include <fairing/core/figures.hpp>
#include <fairing/stage/any.hpp>
#include <optional>
#include <string>

namespace command {

using fairing::human_bytes;
using fairing::human_seconds;

/// Filled in by the timed stages below; json() may be asked for at any time, also after a failure.
class Report {
public:
    using Clock = std::chrono::steady_clock;

    void prepared(const fairing::Context& context, double seconds);
    void built(const fairing::Image& image);
    void deployed(const fairing::ObjectName& object, double seconds) {
        object_ = object;
        deploy_seconds_ = seconds;
    }
    void first_line() {
        if (!first_log_seconds_) {
            first_log_seconds_ = elapsed();
        }
    }
    [[nodiscard]] bool has_first_line() const { return first_log_seconds_.has_value(); }
    void ended(const fairing::Outcome& outcome) { outcome_ = outcome; }

    [[nodiscard]] double elapsed() const {
        return std::chrono::duration<double>(Clock::now() - start_).count();
    }
    [[nodiscard]] fairing::Json json() const;
    /// Throws Error{usage} unless `file` can be written, so that a long run does not end with that
    /// surprise.
    static void check(const std::string& file);
    /// Writes json() to `file` in one step; an empty name writes nothing.
    void write(const std::string& file) const;

private:
    Clock::time_point start_ = Clock::now();
    std::uint64_t context_files_ = 0, context_bytes_ = 0;
    double prepare_seconds_ = 0, deploy_seconds_ = 0;
    std::optional<double> first_log_seconds_ = {};
    fairing::Image image_ = {};
    fairing::ObjectName object_ = {};
    std::optional<fairing::Outcome> outcome_ = {};
};

/// {"api_version", "kind", "namespace", "name", "state", "exit_code", "reason"}.
[[nodiscard]] fairing::Json workload_json(const fairing::ObjectName& object,
                                          const fairing::Outcome& outcome);
/// "succeeded", "failed", …
[[nodiscard]] std::string state_name(fairing::State state);
/// The user's preprocessor, measured, with the program's arguments behind its command.
struct TimedPreprocessor {
    fairing::AnyPreprocessor stage;
    std::vector<std::string> arguments;
    Report* report;
    [[nodiscard]] fairing::Context prepare(const fairing::Session& session) const;
};
/// The user's builder, measured.
struct TimedBuilder {
    fairing::AnyBuilder stage;
    Report* report;
    [[nodiscard]] fairing::Image build(const fairing::Context& context,
                                       const fairing::Session& session) const;
};
/// The user's deployer, measured.
struct TimedDeployer {
    fairing::AnyDeployer stage;
    Report* report;
    void check() const { stage.check(); }
    [[nodiscard]] fairing::Workload deploy(const fairing::Image& image,
                                           const fairing::Session& session) const;
};

}  // namespace command
