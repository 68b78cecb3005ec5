// tests/support/readers.hpp - podman and containerd on private folders: who else must take the
// images that we make. Docker's is in docker_registry.hpp.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "child_process.hpp"
#include "fairing/core/files.hpp"
#include "shell.hpp"

namespace support {

/// podman without a daemon; everything that it stores goes with it.
class Podman {
public:
    Podman() = default;
    Podman(Podman&&) = delete;
    Podman& operator=(Podman&&) = delete;
    ~Podman() { static_cast<void>(podman("system reset --force")); }

    [[nodiscard]] ShellResult podman(const std::string& arguments) const {
        return run("podman --root " + root_.path().string() + " --runroot " +
                   runroot_.path().string() +
                   " --storage-driver vfs --cgroup-manager cgroupfs --runtime runc " + arguments +
                   " 2>&1");
    }
    /// What the image's program prints, and nothing of podman's own.
    [[nodiscard]] ShellResult run_image(const std::string& image) const {
        ShellResult pulled = podman("pull -q --tls-verify=false " + image);
        return pulled.exit_code != 0 ? std::move(pulled) : run_local(image);
    }
    /// The same for one that is here already.
    [[nodiscard]] ShellResult run_local(const std::string& image) const {
        return podman(
            "run --rm --network host --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 " + image);
    }

private:
    fairing::TemporaryDirectory root_ = fairing::TemporaryDirectory{};
    // podman takes no longer path for this one than 50 characters
    fairing::TemporaryDirectory runroot_ = fairing::TemporaryDirectory{"/tmp"};
};

/// containerd with everything below a folder of its own, without the plug-in for Kubernetes.
class Containerd {
public:
    Containerd() {
        const std::string config = "version = 2\nroot = \"" + path("root") + "\"\nstate = \"" +
                                   path("state") +
                                   "\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n"
                                   "[grpc]\n  address = \"" +
                                   path("sock") + "\"\n[debug]\n  level = \"warn\"\n";
        fairing::write_file(path("config.toml"), config);
        process_ = std::make_unique<fairing::test::ChildProcess>(
            std::vector<std::string>{"containerd", "-c", path("config.toml")}, path("log"));
        for (int i = 0; i < 1200 && !running_ && !process_->exit_code(); ++i) {
            running_ = ctr("version").exit_code == 0;
            if (!running_) {
                std::this_thread::sleep_for(std::chrono::milliseconds{100});
            }
        }
    }
    [[nodiscard]] bool running() const { return running_; }
    [[nodiscard]] ShellResult ctr(const std::string& arguments) const {
        return run("ctr -a " + path("sock") + ' ' + arguments + " 2>&1");
    }
    /// What the image's program prints.
    [[nodiscard]] ShellResult run_image(const std::string& image) const {
        ShellResult pulled = ctr("images pull --plain-http " + image);
        return pulled.exit_code != 0 ? std::move(pulled) : ctr("run --rm " + image + " job");
    }

private:
    [[nodiscard]] std::string path(const std::string& name) const { return folder_.path() / name; }

    // Short: a socket's path has at most 107 characters.
    fairing::TemporaryDirectory folder_ = fairing::TemporaryDirectory{"/tmp"};
    std::unique_ptr<fairing::test::ChildProcess> process_ = {};
    bool running_ = false;
};

}  // namespace support
