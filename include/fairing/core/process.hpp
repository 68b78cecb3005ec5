// fairing/core/process.hpp - child processes without a shell (POSIX and Linux's subreapers): their
// lines, their end, and nothing of them left behind.
#pragma once

#include <sys/eventfd.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "command.hpp"
#include "error.hpp"
#include "files.hpp"
#include "line_splitter.hpp"
#include "pipe.hpp"
#include "process_end.hpp"
#include "supervisor.hpp"

namespace fairing {

enum class Stream { output, errors };

/// A running program in a session of its own. A small supervisor process stands between it and us:
/// it adopts every descendant, also one that daemonizes, and kills them all when the program ends,
/// when this object goes, and when we die, however we die. Signal mask and dispositions of the
/// program are the standard ones, and it inherits no descriptor but its three streams. Not movable;
/// one thread at a time reads, terminate() may come from any.
class Process {
public:
    using ByteSink = std::function<void(Stream, std::span<const std::byte>)>;
    using LineSink = std::function<void(Stream, std::string)>;

    /// Starts it; `input` is what it reads on its standard input (kept in memory, never in a file
    /// with a name). Throws Error that names the program when it can not be started: not_found,
    /// denied, …
    explicit Process(const Command& command, std::string_view input = {}) {
        const detail::PreparedCommand prepared{command};
        const UniqueFd input_file = open_input(input);
        detail::Ends output = detail::make_pipe();
        detail::Ends errors = detail::make_pipe();
        detail::Ends failure = detail::make_pipe();
        detail::Ends control = detail::make_sockets();
        wake_ = detail::above_standard_streams(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        constexpr std::size_t most_processes = 32768;
        const auto table = std::make_unique_for_overwrite<detail::ProcessEntry[]>(most_processes);
        const std::string directory = command.directory.string();
        supervisor_ = fork_supervisor({.arguments = prepared.arguments(),
                                       .environment = prepared.environment(),
                                       .candidates = prepared.candidates(),
                                       .directory = directory.empty() ? nullptr : directory.c_str(),
                                       .if_we_die = prepared.if_we_die(),
                                       .input = input_file.get(),
                                       .output = output.theirs.get(),
                                       .errors = errors.theirs.get(),
                                       .control = control.theirs.get(),
                                       .failure = failure.theirs.get(),
                                       .table = table.get(),
                                       .table_size = most_processes},
                                      command.arguments.front());
        output.theirs.reset();
        errors.theirs.reset();
        failure.theirs.reset();
        control.theirs.reset();
        control_ = std::move(control.ours);
        detail::StartFailure reason;
        const std::size_t got =
            read_some(failure.ours.get(), std::as_writable_bytes(std::span{&reason, 1}),
                      command.arguments.front());
        if (got != 0) {
            release();
            throw start_error(command, reason);
        }
        output_ = std::move(output.ours);
        errors_ = std::move(errors.ours);
        for (const int fd : {output_.get(), errors_.get()}) {
            ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
        }
    }
    Process(Process&&) = delete;
    Process& operator=(Process&&) = delete;
    /// Kills what still runs and waits until it is gone.
    ~Process() { release(); }

    /// Gives every byte to `sink`, each stream in its order, on this thread, until the program has
    /// ended and nothing of it is left. Throws Cancelled on a stop, Error{timeout} when `deadline`
    /// passes first; both leave it running, as does a throw of the sink. After the end: gives the
    /// end again.
    ProcessEnd read(const ByteSink& sink, const std::stop_token& stop = {},
                    std::optional<std::chrono::steady_clock::time_point> deadline = {}) {
        const std::stop_callback on_stop{stop, [this] { wake(); }};
        while (output_ || errors_ || !end_) {
            if (stop.stop_requested()) {
                throw Cancelled{
                    ErrorCode::cancelled,
                    {.attempted = "wait for a program", .answer = "stopped on request"}};
            }
            const auto now = std::chrono::steady_clock::now();
            if (deadline && now >= *deadline) {
                throw Error{ErrorCode::timeout,
                            {.attempted = "wait for a program", .answer = "its time is over"}};
            }
            step(sink, earlier(deadline, give_up_), now);
        }
        return *end_;
    }

    /// The same by lines, as LineSplitter cuts them.
    ProcessEnd follow(const LineSink& sink, const std::stop_token& stop = {}) {
        const auto line_of = [&sink](Stream stream) {
            return [&sink, stream](std::string line) {
                if (sink) {
                    sink(stream, std::move(line));
                }
            };
        };
        const ProcessEnd end = read(
            [&](Stream stream, std::span<const std::byte> bytes) {
                (stream == Stream::output ? output_lines_ : error_lines_)
                    .write(bytes, line_of(stream));
            },
            stop);
        output_lines_.finish(line_of(Stream::output));
        error_lines_.finish(line_of(Stream::errors));
        return end;
    }

    /// Until the end; what it writes meanwhile is dropped.
    ProcessEnd wait(const std::stop_token& stop = {}) {
        return read([](Stream, std::span<const std::byte>) {}, stop);
    }

    /// Sends SIGTERM to every descendant now and SIGKILL after `grace`; does not wait. The first
    /// call decides who gets SIGTERM, the earliest deadline counts.
    void terminate(std::chrono::milliseconds grace) noexcept {
        const auto limited = std::clamp<std::chrono::milliseconds::rep>(grace.count(), 0, 86400000);
        const detail::SupervisorMessage message{.kind = detail::SupervisorMessage::Kind::terminate,
                                                .value = static_cast<int>(limited)};
        ::send(control_.get(), &message, sizeof message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }

private:
    using TimePoint = std::chrono::steady_clock::time_point;

    static UniqueFd open_input(std::string_view input) {
        if (input.empty()) {
            return detail::above_standard_streams(::open("/dev/null", O_RDONLY | O_CLOEXEC));
        }
        UniqueFd file =
            detail::above_standard_streams(::memfd_create("fairing-input", MFD_CLOEXEC));
        write_all(file.get(), std::as_bytes(std::span{input}), "a program's input");
        ::lseek(file.get(), 0, SEEK_SET);
        return file;
    }

    /// Forks with all signals blocked, so that no handler of ours runs in the child.
    static pid_t fork_supervisor(const detail::ChildPlan& plan, const std::string& program) {
        sigset_t all;
        sigset_t before;
        ::sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before);
        const pid_t child = ::fork();
        if (child == 0) {
            detail::supervise(plan);
        }
        const int number = errno;
        ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
        if (child < 0) {
            throw system_error(number, "run", program, ErrorCode::unavailable);
        }
        return child;
    }

    static Error start_error(const Command& command, const detail::StartFailure& failure) {
        const std::string& program = command.arguments.front();
        const Error plain = system_error(failure.number, "run", program, ErrorCode::unavailable);
        Error::Details details = plain.details();
        if (failure.step == detail::StartFailure::Step::directory) {
            details.answer = command.directory.string() + ": " + details.answer;
        } else if (failure.step == detail::StartFailure::Step::program) {
            const bool there = program.find('/') != std::string::npos &&
                               ::access((command.directory / program).c_str(), F_OK) == 0;
            details.advice = failure.number != ENOENT
                                 ? "check that it is an executable for this machine"
                             : there ? "the interpreter or loader that it names is missing"
                                     : "install it, or give its path";
        }
        return Error{plain.code(), std::move(details)};
    }

    static std::optional<TimePoint> earlier(const std::optional<TimePoint>& a,
                                            const std::optional<TimePoint>& b) {
        return a && b ? std::min(*a, *b) : a ? a : b;
    }

    void wake() const noexcept {
        const std::uint64_t one = 1;
        [[maybe_unused]] const ssize_t put = ::write(wake_.get(), &one, sizeof one);
    }

    /// Waits for something to happen and handles it.
    void step(const ByteSink& sink, const std::optional<TimePoint>& until, TimePoint now) {
        std::array<pollfd, 4> events{
            {{.fd = output_.get(), .events = POLLIN, .revents = 0},
             {.fd = errors_.get(), .events = POLLIN, .revents = 0},
             {.fd = end_ ? -1 : control_.get(), .events = POLLIN, .revents = 0},
             {.fd = wake_.get(), .events = POLLIN, .revents = 0}}};
        int timeout = -1;
        if (until) {
            const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - now).count();
            timeout = static_cast<int>(std::clamp<std::int64_t>(left, 0, 3600000));
        }
        if (::poll(events.data(), events.size(), timeout) < 0) {
            return;  // a signal: nobody knows what there is to read
        }
        if (events[3].revents != 0) {
            std::uint64_t count = 0;
            [[maybe_unused]] const ssize_t got = ::read(wake_.get(), &count, sizeof count);
        }
        if (events[2].revents != 0) {
            receive_end();
        }
        if (events[0].revents != 0) {
            drain(output_, Stream::output, sink);
        }
        if (events[1].revents != 0) {
            drain(errors_, Stream::errors, sink);
        }
        if (give_up_ && now >= *give_up_ && (events[0].revents | events[1].revents) == 0) {
            // Somebody who is no descendant holds a stream open: what comes now is not the
            // program's.
            output_.reset();
            errors_.reset();
        }
    }

    void receive_end() {
        detail::SupervisorMessage message;
        const ssize_t got = ::recv(control_.get(), &message, sizeof message, MSG_DONTWAIT);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        // Without a word from it the supervisor was killed, and the program with it.
        const int status = got == static_cast<ssize_t>(sizeof message) ? message.value : SIGKILL;
        end_ = WIFSIGNALED(status)
                   ? ProcessEnd{.exit_code = 128 + WTERMSIG(status), .signal = WTERMSIG(status)}
                   : ProcessEnd{.exit_code = WEXITSTATUS(status), .signal = 0};
        give_up_ = std::chrono::steady_clock::now() + std::chrono::seconds{1};
    }

    /// One read, so that neither stream starves the other.
    void drain(UniqueFd& stream, Stream which, const ByteSink& sink) {
        const ssize_t got = ::read(stream.get(), buffer_.data(), buffer_.size());
        if (got > 0) {
            sink(which, std::span{buffer_}.first(static_cast<std::size_t>(got)));
        } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
            stream.reset();
        }
    }

    /// Ends and collects everything; the supervisor itself gives up after ten seconds.
    void release() noexcept {
        if (supervisor_ <= 0) {
            return;
        }
        terminate(std::chrono::milliseconds{0});
        const std::int64_t deadline = detail::monotonic_milliseconds() + 12000;
        for (;;) {
            const std::int64_t left = deadline - detail::monotonic_milliseconds();
            detail::SupervisorMessage message;
            pollfd event{.fd = control_.get(), .events = POLLIN, .revents = 0};
            if (left <= 0) {
                break;
            }
            ::poll(&event, 1, static_cast<int>(left));
            const ssize_t got = ::recv(control_.get(), &message, sizeof message, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
                while (::waitpid(supervisor_, nullptr, 0) < 0 && errno == EINTR) {
                }
                break;
            }
        }
        supervisor_ = -1;
        control_.reset();
    }

    pid_t supervisor_ = -1;
    UniqueFd control_ = {}, wake_ = {}, output_ = {}, errors_ = {};
    std::optional<ProcessEnd> end_ = {};
    std::optional<TimePoint> give_up_ = {};
    std::vector<std::byte> buffer_ = std::vector<std::byte>(std::size_t{64} << 10);
    LineSplitter output_lines_{}, error_lines_{};
};

struct RunOptions {
    std::string_view input = {};
    std::chrono::milliseconds time_limit = std::chrono::seconds{60};
    std::size_t output_limit = std::size_t{1} << 20;  ///< bytes of both streams together
};

/// How it ended and what it wrote.
struct CommandResult : ProcessEnd {
    std::string output = {}, errors = {};
};

/// Runs a short program to its end. Throws Error{timeout} or Error{input} when it takes or writes
/// more than it may, Cancelled on a stop; it is dead then. A program that fails is a result, not an
/// error.
[[nodiscard]] inline CommandResult run(const Command& command, const RunOptions& options = {},
                                       const std::stop_token& stop = {}) {
    Process process{command, options.input};
    CommandResult result;
    try {
        static_cast<ProcessEnd&>(result) = process.read(
            [&](Stream stream, std::span<const std::byte> bytes) {
                if (result.output.size() + result.errors.size() + bytes.size() >
                    options.output_limit) {
                    throw Error{ErrorCode::input,
                                {.attempted = "run",
                                 .subject = command.arguments.front(),
                                 .answer = "it wrote more than " +
                                           std::to_string(options.output_limit) + " bytes"}};
                }
                (stream == Stream::output ? result.output : result.errors)
                    .append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            },
            stop, std::chrono::steady_clock::now() + options.time_limit);
    } catch (const Cancelled&) {
        throw Cancelled{ErrorCode::cancelled,
                        {.attempted = "run",
                         .subject = command.arguments.front(),
                         .answer = "stopped on request"}};
    } catch (const Error& error) {
        if (error.code() != ErrorCode::timeout) {
            throw;
        }
        throw Error{ErrorCode::timeout,
                    {.attempted = "run",
                     .subject = command.arguments.front(),
                     .answer = "it did not end within " +
                               std::to_string(options.time_limit.count()) + " ms"}};
    }
    return result;
}

}  // namespace fairing
