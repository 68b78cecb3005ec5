// fairing/run_main.hpp - the main function of a launcher, and of a program that is launcher and job
// at once.
#pragma once

#include <pthread.h>

#include <atomic>
#include <concepts>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <stop_token>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/env.hpp"
#include "core/error.hpp"
#include "stage/fields.hpp"
#include "stage/session.hpp"
#include "stage/worker.hpp"
#include "stage/workload.hpp"

namespace fairing {

/// A function pointer and not a std::function: captures do not travel to the job.
using JobFunction = int (*)(const Worker&);
using JobFunctions = std::map<std::string, JobFunction>;

namespace detail {

/// Those of run_main(), from the moment when it launches.
[[nodiscard]] inline JobFunctions& job_functions() {
    static JobFunctions functions;
    return functions;
}

}  // namespace detail

/// What the job will call `function` by. Throws Error{usage} unless it is one of those that this
/// program's run_main() has: the job would not know it.
[[nodiscard]] inline std::string job_function_name(JobFunction function) {
    for (const auto& [name, known] : detail::job_functions()) {
        if (known == function) {
            return name;
        }
    }
    throw Error{ErrorCode::usage,
                {.attempted = "run a function as a job",
                 .answer = "it is none of those that run_main() was given",
                 .advice = "write run_main(argc, argv, function, launch), and launch it there"}};
}

/// Turns SIGINT, SIGTERM and SIGHUP into a stop for as long as it lives; a second one ends the
/// program at once. Nothing else in the library touches signals. Make it before the first thread:
/// it blocks them in the calling thread, and threads inherit that. No disposition is changed, so a
/// signal that was ignored stays ignored.
class StopOnSignal {
public:
    StopOnSignal() {
        sigemptyset(&signals_);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            struct sigaction current {};
            ::sigaction(number, nullptr, &current);
            // An ignored signal, such as SIGINT of a background job, would be delivered to
            // sigwait().
            if (current.sa_handler != SIG_IGN) {
                sigaddset(&signals_, number);
                wake_ = number;
            }
        }
        pthread_sigmask(SIG_BLOCK, &signals_, &previous_);
        if (wake_ != 0) {
            waiter_ = std::thread{[this] { wait(); }};
        }
    }
    StopOnSignal(StopOnSignal&&) = delete;
    StopOnSignal& operator=(StopOnSignal&&) = delete;
    ~StopOnSignal() {
        ended_ = true;
        if (waiter_.joinable()) {
            pthread_kill(waiter_.native_handle(), wake_);
            waiter_.join();
        }
        pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
    }
    [[nodiscard]] std::stop_token token() const noexcept { return stop_.get_token(); }

private:
    void wait() {
        for (int received = 0; sigwait(&signals_, &received) == 0 && !ended_;) {
            if (!stop_.request_stop()) {
                std::_Exit(128 + received);
            }
        }
    }

    sigset_t signals_ = {}, previous_ = {};
    std::stop_source stop_ = {};
    std::atomic<bool> ended_ = false;
    int wake_ = 0;  // one of signals_
    std::thread waiter_ = {};
};

/// Calls `body` and gives its exit code: the one place where an exception becomes a sentence on
/// stderr and an exit code (core/error.hpp; a failed workload's own code).
template <class Body>
int guarded(Body&& body) noexcept {
    try {
        return std::forward<Body>(body)();
    } catch (const WorkloadError& error) {
        std::cerr << "fairing: " << error.what() << '\n';
        const int code = error.outcome().exit_code;
        // Of an exit code the system keeps eight bits: 256 would be a success.
        return code % 256 != 0 ? code : exit_code(error.code());
    } catch (const Error& error) {
        std::cerr << "fairing: " << error.what() << '\n';
        return exit_code(error.code());
    } catch (const std::exception& error) {
        std::cerr << "fairing: " << error.what() << '\n';
        return exit_code(ErrorCode::internal);
    } catch (...) {
        std::cerr << "fairing: an exception of unknown type\n";
        return exit_code(ErrorCode::internal);
    }
}

/// Runs `launch` on a console session that SIGINT and SIGTERM stop. What it returns, if anything,
/// is the exit code.
template <std::invocable<const Session&> Launch>
int run_main(Launch&& launch) noexcept {
    return guarded([&] {
        const StopOnSignal signals;
        const Session session = console_session(signals.token());
        if constexpr (std::same_as<std::invoke_result_t<Launch, const Session&>, int>) {
            return std::invoke(launch, session);
        } else {
            std::invoke(launch, session);
            return 0;
        }
    });
}

/// The same program at both ends: in the job only the function that FAIRING_FUNCTION names runs,
/// with this program's arguments; elsewhere only `launch`.
template <std::invocable<const Session&> Launch>
int run_main(int argc, char** argv, const JobFunctions& functions, Launch&& launch) noexcept {
    if (!in_job()) {
        return run_main([&](const Session& session) {
            detail::job_functions() = functions;
            return std::invoke(launch, session);
        });
    }
    return guarded([&] {
        const std::string name = env("FAIRING_FUNCTION", "");
        const auto function = functions.find(name);
        if (function == functions.end()) {
            std::vector<std::string> names;
            for (const auto& [known, unused] : functions) {
                names.push_back(known);
            }
            throw unknown_name("call", "the job function of FAIRING_FUNCTION", name, names);
        }
        Worker worker = worker_from_environment();
        worker.arguments.assign(argv + (argc > 0 ? 1 : 0), argv + argc);
        return function->second(worker);
    });
}
template <std::invocable<const Session&> Launch>
int run_main(int argc, char** argv, JobFunction function, Launch&& launch) noexcept {
    return run_main(argc, argv, JobFunctions{{"", function}}, std::forward<Launch>(launch));
}

}  // namespace fairing
