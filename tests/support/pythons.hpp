// tests/support/pythons.hpp - the CPythons of this machine from 3.9 on, and virtual environments of
// theirs with cloudpickle.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "fairing/core/env.hpp"
#include "shell.hpp"
#include "workspace.hpp"

namespace support {

struct Python {
    std::string program = {};  ///< absolute
    int minor = 0;             ///< of version 3

    [[nodiscard]] std::string version() const { return "3." + std::to_string(minor); }
};

/// One of each minor version, oldest first: python3 and python3.9 to python3.20 of PATH, then what
/// pyenv has.
inline std::vector<Python> pythons() {
    std::vector<std::string> candidates{"python3", "/usr/bin/python3"};
    for (int minor = 9; minor <= 20; ++minor) {
        candidates.push_back("python3." + std::to_string(minor));
    }
    std::error_code ignored;
    const std::filesystem::path versions = fairing::env("HOME", "/root") + "/.pyenv/versions";
    for (const auto& entry : std::filesystem::directory_iterator{versions, ignored}) {
        candidates.push_back((entry.path() / "bin/python3").string());
    }
    std::vector<Python> found;
    for (const std::string& candidate : candidates) {
        const ShellResult said =
            run(candidate +
                " -c 'import sys; print(sys.implementation.name, sys.version_info[0], "
                "sys.version_info[1], sys.executable)' 2>/dev/null");
        std::istringstream words{said.output};
        std::string implementation;
        int major = 0;
        Python python;
        words >> implementation >> major >> python.minor >> python.program;
        const bool is_new = std::none_of(found.begin(), found.end(), [&](const Python& other) {
            return other.minor == python.minor;
        });
        if (said.exit_code == 0 && implementation == "cpython" && major == 3 && python.minor >= 9 &&
            is_new) {
            found.push_back(std::move(python));
        }
    }
    std::sort(found.begin(), found.end(),
              [](const Python& a, const Python& b) { return a.minor < b.minor; });
    return found;
}

/// Makes a virtual environment with cloudpickle out of PyPI in `folder`, and gives what went wrong;
/// "" when it is there. It has no pip of its own: that of `python` or of any of `others` installs.
inline std::string make_cloudpickle(const Python& python, const std::vector<Python>& others,
                                    const std::string& folder) {
    const ShellResult made = run(python.program + " -m venv --without-pip " + folder + " 2>&1");
    if (made.exit_code != 0) {
        return made.output;
    }
    std::vector<std::string> installers{python.program};
    for (const Python& other : others) {
        installers.push_back(other.program);
    }
    for (const std::string& installer : installers) {
        if (run(installer + " -m pip --version >/dev/null 2>&1").exit_code == 0) {
            const ShellResult installed =
                run(installer +
                    " -m pip install --quiet --no-input --disable-pip-version-check "
                    "--no-warn-script-location --target " +
                    folder + "/lib/python" + python.version() +
                    "/site-packages cloudpickle==3.1.1 2>&1");
            return installed.exit_code == 0 ? "" : installed.output + "pip failed";
        }
    }
    return "no Python here has pip";
}

}  // namespace support
