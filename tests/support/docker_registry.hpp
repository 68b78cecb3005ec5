// tests/support/docker_registry.hpp - Debian's docker-registry and dockerd on private folders, for
// one test.
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

/// docker-registry on a free loopback port, over a directory of its own.
class DockerRegistry {
public:
    /// What it asks clients for: nothing, or user "me" with password "s3cret".
    enum class Users { none, htpasswd };

    /// `auth` is further configuration, in lines. `program` is how it is started by sh;
    /// distribution v3 takes the same configuration.
    explicit DockerRegistry(Users users = Users::none, const std::string& auth = {},
                            const std::string& program = "exec docker-registry")
        : port_(fairing::test::free_port()) {
        const std::string root = directory_.path().string();
        std::string config =
            "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: " +
            root + "/data\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:" +
            std::to_string(port_) + "\n";
        if (users == Users::htpasswd) {
            fairing::write_file(
                directory_.path() / "htpasswd",
                std::string_view{
                    "me:$2y$05$abcdefghijklmnopqrstuuLK7U1u6pVRmL7L1BBM2aS35PSZnDXlK\n"});
            config += "auth:\n  htpasswd:\n    realm: test\n    path: " + root + "/htpasswd\n";
        }
        fairing::write_file(directory_.path() / "config.yml", config + auth);
        process_ = std::make_unique<fairing::test::ChildProcess>(
            std::vector<std::string>{"sh", "-c", program + " serve " + root + "/config.yml"},
            log().string());
        running_ = process_->listens(port_);
    }
    [[nodiscard]] bool running() const { return running_; }
    [[nodiscard]] int port() const noexcept { return port_; }
    [[nodiscard]] std::string host() const { return "localhost:" + std::to_string(port_); }
    [[nodiscard]] std::filesystem::path data() const { return directory_.path() / "data"; }
    [[nodiscard]] std::filesystem::path log() const { return directory_.path() / "log"; }

private:
    fairing::TemporaryDirectory directory_ = fairing::TemporaryDirectory{};
    int port_;
    std::unique_ptr<fairing::test::ChildProcess> process_ = {};
    bool running_ = false;
};

/// dockerd with everything below `folder`, also the stacks that its containerd writes down when it
/// answers late, without a network of its own. Ends, with its children, by SIGTERM.
class DockerEngine {
public:
    /// `more` are further options of dockerd.
    explicit DockerEngine(const std::filesystem::path& folder, const std::string& more = {})
        : folder_(folder.string()) {
        const std::string pid =
            run("TMPDIR=" + folder_ + " dockerd --data-root " + folder_ + "/data --exec-root " +
                folder_ + "/exec --pidfile " + folder_ + "/pid -H unix://" + folder_ +
                "/docker.sock --iptables=false --ip6tables=false --bridge=none " + more + " > " +
                folder_ + "/dockerd.log 2>&1 & echo $!")
                .output;
        for (int i = 0; i < 1200 && !running_ && ::kill(std::stoi(pid), 0) == 0; ++i) {
            running_ = docker("version").exit_code == 0;
            if (!running_) {
                std::this_thread::sleep_for(std::chrono::milliseconds{100});
            }
        }
    }
    DockerEngine(DockerEngine&&) = delete;
    DockerEngine& operator=(DockerEngine&&) = delete;
    ~DockerEngine() {
        static_cast<void>(run("pid=$(cat " + folder_ +
                              "/pid 2>/dev/null) && kill $pid && for i in $(seq 600); do " +
                              "kill -0 $pid 2>/dev/null || break; sleep 0.1; done; umount " +
                              folder_ + "/exec/netns/default 2>/dev/null"));
    }
    [[nodiscard]] bool running() const { return running_; }
    [[nodiscard]] std::string socket() const { return folder_ + "/docker.sock"; }
    [[nodiscard]] std::string client() const { return "docker -H unix://" + socket(); }
    [[nodiscard]] ShellResult docker(const std::string& arguments) const {
        return run("(" + client() + ' ' + arguments + ") 2>&1");
    }
    /// What the image's program prints, and nothing of Docker's own.
    [[nodiscard]] ShellResult run_image(const std::string& image,
                                        const std::string& options = {}) const {
        ShellResult pulled = docker("pull -q " + image);
        return pulled.exit_code != 0 ? std::move(pulled)
                                     : docker("run --rm --network host " + options + ' ' + image);
    }

private:
    std::string folder_;
    bool running_ = false;
};

}  // namespace support
