// tests/support/site.hpp - a registry with the real base image in it and the command fairing, for
// the tests against real peers. tools/test says where both are.
#pragma once

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string>

#include "child_process.hpp"
#include "docker_registry.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/files.hpp"
#include "shell.hpp"
#include "workspace.hpp"

namespace support {

inline std::string text_of(const std::filesystem::path& file) { return fairing::read_file(file); }

inline std::size_t count(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

/// The registry with the base image in it, the command, and a private folder; made once, since the
/// base is 36 MB.
class Site {
public:
    static Site* get() {
        static const std::unique_ptr<Site> site = make();
        if (!site) {
            MESSAGE("skipped: " << reason());
        }
        return site.get();
    }
    [[nodiscard]] std::string host() const { return registry_.host(); }
    [[nodiscard]] std::string base() const { return host() + "/base:latest"; }
    [[nodiscard]] std::string registry_log() const { return text_of(registry_.log()); }

    /// `fairing ARGUMENTS` from the source tree; stdout is the result, stderr goes to errors().
    /// `prefix` stands before the command: "env -u FAIRING_CACHE".
    [[nodiscard]] ShellResult fairing(const std::string& arguments,
                                      const std::string& prefix = {}) const {
        return run("cd " + source_ + " && " + prefix + ' ' + command_ + ' ' + arguments + " 2>" +
                   (space_ / "errors"));
    }
    /// `fairing build ARGUMENTS` into the registry; gives the reference by digest.
    [[nodiscard]] std::string build_job(const std::string& arguments,
                                        const std::string& other_base = {}) const {
        const ShellResult result =
            fairing("build " + arguments + " --registry " + host() + "/demo --base-image " +
                    (other_base.empty() ? base() : other_base));
        CAPTURE(errors());
        REQUIRE(result.exit_code == 0);
        REQUIRE(count(result.output, "\n") == 1);
        return result.output.substr(0, result.output.size() - 1);
    }
    [[nodiscard]] std::string errors() const { return text_of(space_ / "errors"); }
    /// Builds the example; gives the reference by digest.
    [[nodiscard]] std::string build(const std::string& more = {},
                                    const std::string& other_base = {}) const {
        return build_job("examples/train.py --input examples/data " + more, other_base);
    }
    /// "docker://host/repository@sha256:…": what skopeo takes.
    [[nodiscard]] static std::string docker_url(const std::string& reference) {
        const std::size_t at = reference.find('@');
        return "docker://" + reference.substr(0, reference.rfind(':', at)) + reference.substr(at);
    }
    [[nodiscard]] std::string file(const std::string& name) const { return space_ / name; }
    [[nodiscard]] const std::string& command() const { return command_; }
    [[nodiscard]] const std::string& source() const { return source_; }

private:
    Site() = default;

    static std::string& reason() {
        static std::string text;
        return text;
    }
    static std::unique_ptr<Site> make() {
        std::unique_ptr<Site> site{new Site};
        site->command_ = fairing::env("FAIRING_COMMAND", "");
        site->source_ = fairing::env("FAIRING_SOURCE_ROOT", "");
        const std::string layout = fairing::env("FAIRING_BASE_LAYOUT", "");
        reason() = site->command_.empty() || site->source_.empty() || layout.empty()
                       ? "FAIRING_COMMAND, FAIRING_SOURCE_ROOT or FAIRING_BASE_LAYOUT is not set"
                   : !fairing::test::has_program("docker-registry") ||
                           !fairing::test::has_program("skopeo")
                       ? "docker-registry or skopeo is not installed"
                   : !site->registry_.running() ? "docker-registry does not start here"
                                                : "";
        if (!reason().empty()) {
            return nullptr;
        }
        const ShellResult copied = run("skopeo copy -q --dest-tls-verify=false oci:" + layout +
                                       ":latest docker://" + site->base() + " 2>&1");
        REQUIRE_MESSAGE(copied.exit_code == 0, copied.output);
        return site;
    }

    Workspace space_ = {};
    DockerRegistry registry_ = DockerRegistry{};
    std::string command_ = {}, source_ = {};
};

inline bool missing(const std::string& program) {
    if (fairing::test::has_program(program) && ::geteuid() == 0) {
        return false;
    }
    MESSAGE("skipped: needs " << program << " and root");
    return true;
}

}  // namespace support
