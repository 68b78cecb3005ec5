// tests/support/example_program.hpp - runs the programs of examples/, which tools/test has built.
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "fairing/core/env.hpp"
#include "fairing/core/files.hpp"
#include "shell.hpp"
#include "workspace.hpp"

namespace support {

inline bool missing_examples() {
    if (fairing::env("FAIRING_EXAMPLES") && fairing::env("FAIRING_SOURCE_ROOT")) {
        return false;
    }
    MESSAGE("skipped: FAIRING_EXAMPLES or FAIRING_SOURCE_ROOT is not set");
    return true;
}

inline std::string example_program(const std::string& name) {
    return *fairing::env("FAIRING_EXAMPLES") + '/' + name;
}

/// How a launcher ended, what the workload said, and what the launcher said of it.
struct Launched {
    int exit_code = -1;
    std::string output = {}, said = {};

    /// The image that it made, by its digest.
    [[nodiscard]] std::string image() const {
        const std::string lines = '\n' + said, start = "\nimage ";
        const std::size_t begin = lines.find(start);
        REQUIRE_MESSAGE(begin != std::string::npos, said);
        const std::size_t end = lines.find_first_of(" \n", begin + start.size());
        std::string reference = lines.substr(begin + start.size(), end - begin - start.size());
        if (reference.ends_with(':')) {
            reference.pop_back();
        }
        return reference;
    }
};

/// Runs `command` where the tree's examples/ lie, with `variables` ("BASE=… REGISTRY=…").
inline Launched launch(const std::string& command, const std::string& variables) {
    const Workspace space;
    const ShellResult ran = run("cd " + *fairing::env("FAIRING_SOURCE_ROOT") + " && env " +
                                variables + " timeout 300 " + command + " 2>" + (space / "said"));
    return {.exit_code = ran.exit_code,
            .output = ran.output,
            .said = fairing::read_file(space / "said")};
}
/// The same for examples/`name`.cpp, with arguments.
inline Launched launch_example(const std::string& name, const std::string& variables,
                               const std::string& arguments = {}) {
    return launch(example_program(name) + ' ' + arguments, variables);
}

}  // namespace support
