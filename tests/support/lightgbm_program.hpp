// tests/support/lightgbm_program.hpp - LightGBM's command line for the tests, over its library out
// of PyPI.
#pragma once

#include <doctest/doctest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "fairing/core/env.hpp"
#include "shell.hpp"
#include "workspace.hpp"

namespace support {

/// The program `lightgbm` over the library; nullopt where PyPI can not be reached. The packages
/// stay in the user's own cache.
inline std::optional<std::string> lightgbm_program(const Workspace& space) {
    const std::optional<std::string> source = fairing::env("FAIRING_SOURCE_ROOT");
    if (!source) {
        MESSAGE("skipped: FAIRING_SOURCE_ROOT is not set");
        return std::nullopt;
    }
    const std::string tests = *source + "/tests";
    const std::string cache =
        fairing::env("XDG_CACHE_HOME", fairing::env("HOME", "/tmp") + "/.cache") +
        "/fairing/lightgbm-4.5.0";
    const auto works = [&] {
        return run("PYTHONPATH=" + cache + " python3 -c 'import lightgbm' 2>&1").exit_code == 0;
    };
    if (!works()) {
        std::filesystem::create_directories(cache);
        const auto got =
            run("python3 -m pip install --quiet --disable-pip-version-check --no-input "
                "--target " +
                cache + " -r " + tests + "/support/lightgbm.txt 2>&1");
        if (got.exit_code != 0 || !works()) {
            MESSAGE("skipped: LightGBM can not be had from PyPI: " << got.output);
            return std::nullopt;
        }
    }
    space.file("lightgbm", "#!/bin/sh\nPYTHONPATH=" + cache + " exec python3 " + tests +
                               "/support/lightgbm_command.py \"$@\"\n");
    std::filesystem::permissions(space / "lightgbm", std::filesystem::perms::owner_all);
    return space / "lightgbm";
}

}  // namespace support
