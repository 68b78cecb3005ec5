// tests/support/docker_site.hpp - the site (site.hpp) with a dockerd that pulls from its registry:
// what the tests of jobs in containers start from.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "docker_registry.hpp"
#include "shell.hpp"
#include "site.hpp"
#include "workspace.hpp"

namespace support {

/// Both, made once for the program.
class DockerSite {
public:
    /// nullptr where they can not be; the reason is a message then.
    static const DockerSite* get() {
        const Site* site = Site::get();
        if (site == nullptr || missing("dockerd")) {
            return nullptr;
        }
        static const DockerSite made{*site};
        if (!made.engine_.running()) {
            MESSAGE("skipped: dockerd does not start here");
            return nullptr;
        }
        return &made;
    }
    DockerSite(DockerSite&&) = delete;
    DockerSite& operator=(DockerSite&&) = delete;
    ~DockerSite() = default;

    [[nodiscard]] const Site& site() const noexcept { return site_; }
    [[nodiscard]] const DockerEngine& engine() const noexcept { return engine_; }

    /// Runs what `fairing build ARGUMENTS` makes.
    [[nodiscard]] ShellResult run_job(const std::string& arguments) const {
        return engine_.run_image(site_.build_job(arguments));
    }
    /// "3.11": the Python of the base image.
    [[nodiscard]] std::string base_python() const {
        const ShellResult said = engine_.docker(
            "pull -q " + site_.base() + " >/dev/null && " + engine_.client() +
            " run --rm --network host " + site_.base() +
            " python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2], end=\"\")'");
        REQUIRE_MESSAGE(said.exit_code == 0, said.output);
        return said.output;
    }

private:
    explicit DockerSite(const Site& site) : site_(site) {}

    const Site& site_;
    Workspace space_ = {};
    DockerEngine engine_ = DockerEngine{space_.path()};
};

/// The options that package SPACE/NAME as /app/NAME, and the examples' data.
inline std::string with_data(const Workspace& space, const std::string& name) {
    return " --input examples/data --map " + (space / name) + "=/app/" + name + ' ';
}

}  // namespace support
