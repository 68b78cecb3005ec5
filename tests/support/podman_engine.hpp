// tests/support/podman_engine.hpp - podman's service on private folders, for one test.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "child_process.hpp"
#include "fairing/core/files.hpp"
#include "shell.hpp"

namespace support {

class PodmanEngine {
public:
    PodmanEngine() {
        // Podman raises limits beyond what a nested machine may.
        fairing::write_file(
            folder_.path() / "containers.conf",
            std::string_view{"[containers]\ndefault_ulimits = [\"nofile=1024:1024\", "
                             "\"nproc=1024:1024\"]\n"});
        std::filesystem::create_directory(path("tmp"));  // where it leaves what it does not finish
        std::vector<std::string> arguments{"env",
                                           "CONTAINERS_CONF=" + path("containers.conf"),
                                           "TMPDIR=" + path("tmp"),
                                           "podman",
                                           "--root",
                                           path("root"),
                                           "--runroot",
                                           path("run"),
                                           "--storage-driver",
                                           storage_driver(),
                                           "--cgroup-manager",
                                           "cgroupfs",
                                           "--events-backend",
                                           "file"};
        if (fairing::test::has_program("runc")) {
            arguments.insert(arguments.end(), {"--runtime", "runc"});
        }
        arguments.insert(arguments.end(), {"system", "service", "--time=0", "unix://" + socket()});
        process_ = std::make_unique<fairing::test::ChildProcess>(arguments, path("log"));
        for (int i = 0; i < 1200 && !process_->exit_code() && process_->started() && !running_;
             ++i) {
            running_ = run("podman --remote --url unix://" + socket() + " version >/dev/null 2>&1")
                           .exit_code == 0;
            if (!running_) {
                std::this_thread::sleep_for(std::chrono::milliseconds{100});
            }
        }
    }
    PodmanEngine(PodmanEngine&&) = delete;
    PodmanEngine& operator=(PodmanEngine&&) = delete;
    ~PodmanEngine() {
        process_->signal(SIGTERM);
        for (int i = 0; i < 600 && !process_->exit_code(); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{100});
        }
    }
    [[nodiscard]] bool running() const noexcept { return running_; }
    [[nodiscard]] std::string socket() const { return path("podman.sock"); }

private:
    /// vfs goes anywhere, and copies the whole image for every step.
    [[nodiscard]] std::string storage_driver() const {
        const ShellResult result = run("podman --root " + path("probe") + " --runroot " +
                                       path("probe-run") + " --storage-driver overlay info 2>&1");
        return result.exit_code == 0 ? "overlay" : "vfs";
    }
    [[nodiscard]] std::string path(const char* name) const {
        return (folder_.path() / name).string();
    }

    /// In /tmp: podman takes no longer runroot than 50 characters.
    fairing::TemporaryDirectory folder_ = fairing::TemporaryDirectory{"/tmp"};
    std::unique_ptr<fairing::test::ChildProcess> process_ = {};
    bool running_ = false;
};

}  // namespace support
