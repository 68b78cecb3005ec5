// tests/support/nginx.hpp - nginx on a free loopback port, as what stands before registries.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "child_process.hpp"
#include "fairing/core/files.hpp"

namespace support {

class Nginx {
public:
    /// `listens`: what follows the port ("ssl"); `server`: the lines of its server block.
    Nginx(const std::string& listens, const std::string& server)
        : port_(fairing::test::free_port()) {
        const std::string root = directory_.path().string();
        std::string config = ::geteuid() == 0 ? "user root;\n" : "";
        config += "pid " + root + "/pid;\nerror_log " + root +
                  "/log;\nevents {}\nhttp {\naccess_log off;\n";
        for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
            config += std::string{kind} + "_temp_path " + root + "/" + kind + ";\n";
        }
        config += "server {\nlisten 127.0.0.1:" + std::to_string(port_) + ' ' + listens + ";\n" +
                  server + "}\n}\n";
        fairing::write_file(directory_.path() / "nginx.conf", config);
        process_ = std::make_unique<fairing::test::ChildProcess>(
            std::vector<std::string>{program(), "-c", root + "/nginx.conf", "-e", root + "/log",
                                     "-g", "daemon off; master_process off;"},
            root + "/log");
        running_ = process_->listens(port_);
    }
    /// Debian keeps it where only root's PATH leads; empty when it is not there.
    [[nodiscard]] static std::string program() {
        return fairing::test::has_program("nginx")          ? "nginx"
               : std::filesystem::exists("/usr/sbin/nginx") ? "/usr/sbin/nginx"
                                                            : "";
    }
    /// Everything goes on to that port, as if the client had asked there.
    [[nodiscard]] static std::string pass_to(int port) {
        return "location / {\nproxy_pass http://127.0.0.1:" + std::to_string(port) +
               ";\nproxy_set_header Host $http_host;\nproxy_set_header X-Forwarded-Proto $scheme;\n"
               "proxy_request_buffering off;\nproxy_http_version 1.1;\n}\n";
    }
    [[nodiscard]] bool running() const noexcept { return running_; }
    [[nodiscard]] std::string host() const { return "localhost:" + std::to_string(port_); }
    [[nodiscard]] std::string log() const { return fairing::read_file(directory_.path() / "log"); }

private:
    fairing::TemporaryDirectory directory_ = fairing::TemporaryDirectory{};
    int port_;
    std::unique_ptr<fairing::test::ChildProcess> process_ = {};
    bool running_ = false;
};

inline bool missing_nginx() {
    if (!Nginx::program().empty()) {
        return false;
    }
    MESSAGE("skipped: nginx is not installed");
    return true;
}

}  // namespace support
