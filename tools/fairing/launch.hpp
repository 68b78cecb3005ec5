// tools/fairing/launch.hpp - what run, build and render share: options, session and report of one
// call.
#pragma once

#include <fairing/pipeline.hpp>
#include <fairing/run_main.hpp>
#include <memory>
#include <optional>

#include "console.hpp"
#include "options.hpp"
#include "report.hpp"

namespace command {

/// One call of a subcommand that makes an image. The report is written when the call ends, also by
/// an error.
class Launch {
public:
    Launch(const LaunchOptions& options, const fairing::StopOnSignal& signals)
        : file_(options.report()),
          session_(console(signals.token(),
                           options.quiet()     ? Verbosity::quiet
                           : options.verbose() ? Verbosity::verbose
                                               : Verbosity::normal,
                           &report_)),
          stages_(options.stages()),
          arguments_(options.arguments) {
        Report::check(file_);
        for (const std::string& note : stages_.notes) {
            session_.log({.level = fairing::Level::warning, .text = note});
        }
        session_.registries = options.registries();
    }
    Launch(Launch&&) = delete;
    Launch& operator=(Launch&&) = delete;

    [[nodiscard]] TimedPreprocessor preprocessor() {
        return {.stage = stages_.preprocessor, .arguments = arguments_, .report = &report_};
    }
    [[nodiscard]] TimedBuilder builder() { return {.stage = stages_.builder, .report = &report_}; }
    [[nodiscard]] TimedDeployer deployer() {
        return {.stage = stages_.deployer, .report = &report_};
    }
    [[nodiscard]] const fairing::Session& session() const { return session_; }
    [[nodiscard]] Report& report() { return report_; }

    /// Calls `body` and writes the report behind it, whether it throws or not.
    template <class Body>
    auto reported(Body&& body) {
        try {
            auto result = body();
            report_.write(file_);
            return result;
        } catch (const fairing::WorkloadError& error) {
            report_.ended(error.outcome());
            show_tail(error.outcome());
            write_after_failure();
            throw;
        } catch (...) {
            write_after_failure();
            throw;
        }
    }

private:
    /// The last lines, for a run whose log was not shown.
    void show_tail(const fairing::Outcome& outcome) const {
        if (!report_.has_first_line()) {
            for (const std::string& line : outcome.tail) {
                session_.log({.level = fairing::Level::error, .text = line});
            }
        }
    }
    /// The failure itself is what the user must see: that the report can not be written comes
    /// second.
    void write_after_failure() const {
        try {
            report_.write(file_);
        } catch (const fairing::Error& error) {
            session_.control().say(fairing::Level::error, error.what());
        }
    }

    std::string file_;
    Report report_ = {};
    fairing::Session session_;
    LaunchOptions::Stages stages_;
    std::vector<std::string> arguments_;
};

}  // namespace command
