// A program that runs beside a test and ends with it, and the free port that it may listen on.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fairing/core/files.hpp"

extern char** environ;

namespace fairing::test {

/// Whether a program of that name is on the PATH.
inline bool has_program(const std::string& name) {
    return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

/// A port of 127.0.0.1 for a program that is to be started: nobody listens on it at this moment, no
/// connection gets it from the system (those have 32768 and above), and none of ours got it before.
inline int free_port() {
    constexpr unsigned first = 10000, count = 20000;
    static std::atomic<unsigned> next{static_cast<unsigned>(::getpid()) * 199U};
    for (unsigned tried = 0; tried < count; ++tried) {
        const auto port = static_cast<std::uint16_t>(first + next++ % count);
        const UniqueFd probe{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        if (::bind(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
            return port;
        }
    }
    throw system_error(errno, "find", "a free port");
}

/// Runs `arguments` without a shell, its output into `log`; killed and reaped by the destructor. It
/// can be interrupted whatever this program does about signals.
class ChildProcess {
public:
    ChildProcess(std::vector<std::string> arguments, const std::string& log) {
        std::vector<char*> pointers;
        for (std::string& argument : arguments) {
            pointers.push_back(argument.data());
        }
        pointers.push_back(nullptr);
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                           0600);
        ::posix_spawn_file_actions_adddup2(&actions, 1, 2);
        sigset_t ends;
        ::sigemptyset(&ends);
        posix_spawnattr_t attributes;
        ::posix_spawnattr_init(&attributes);
        ::posix_spawnattr_setsigmask(&attributes, &ends);
        for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
            ::sigaddset(&ends, number);
        }
        ::posix_spawnattr_setsigdefault(&attributes, &ends);
        ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
        if (::posix_spawnp(&pid_, pointers[0], &actions, &attributes, pointers.data(), environ) !=
            0) {
            pid_ = -1;
        }
        ::posix_spawnattr_destroy(&attributes);
        ::posix_spawn_file_actions_destroy(&actions);
    }
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;
    ~ChildProcess() {
        if (pid_ > 0) {
            ::kill(pid_, SIGKILL);
            ::waitpid(pid_, nullptr, 0);
        }
    }
    [[nodiscard]] bool started() const noexcept { return pid_ > 0; }
    void signal(int number) const {
        if (pid_ > 0) {
            ::kill(pid_, number);
        }
    }
    /// 128 + the signal when one ended it; nullopt while it runs.
    [[nodiscard]] std::optional<int> exit_code() {
        int status = 0;
        if (pid_ > 0 && ::waitpid(pid_, &status, WNOHANG) == pid_) {
            pid_ = -1;
            exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        return exit_code_;
    }
    /// Whether it accepts connections on that port within a time that a loaded machine keeps; false
    /// at once when it has ended.
    [[nodiscard]] bool listens(int port) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes{2};
        while (!exit_code() && started() && std::chrono::steady_clock::now() < deadline) {
            const UniqueFd probe{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_port = htons(static_cast<std::uint16_t>(port));
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
            if (::connect(probe.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) ==
                0) {
                return true;
            }
            std::this_thread::sleep_for(std::chrono::milliseconds{50});
        }
        return false;
    }

private:
    pid_t pid_ = -1;
    std::optional<int> exit_code_ = {};
};

}  // namespace fairing::test
