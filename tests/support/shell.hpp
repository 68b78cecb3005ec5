// tests/support/shell.hpp - runs a shell command and gives its exit code and output; how tests ask
// other programs.
#pragma once

#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <ios>
#include <stdexcept>
#include <string>
#include <string_view>

namespace support {

struct ShellResult {
    int exit_code = -1;  ///< 128 + the signal when one ended it
    std::string output = {};
};

[[nodiscard]] inline bool has(const ShellResult& result, std::string_view text) {
    return result.output.find(text) != std::string::npos;
}

/// Runs `command` by sh, with the locale "C". The output is what goes to stdout; add "2>&1" for the
/// rest.
inline ShellResult run(const std::string& command) {
    std::FILE* const pipe = ::popen(("export LC_ALL=C; " + command).c_str(), "r");
    if (pipe == nullptr) {
        throw std::runtime_error("popen failed");
    }
    ShellResult result;
    std::array<char, 65536> buffer;
    while (const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
        result.output.append(buffer.data(), got);
    }
    const int status = ::pclose(pipe);
    result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}

/// Whether a program of this name is in PATH and starts.
inline bool has_program(const std::string& name) {
    return run(name + " --version >/dev/null 2>&1").exit_code == 0;
}

inline void write_bytes(const std::string& path, std::string_view bytes) {
    std::ofstream file{path, std::ios::binary};
    file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    if (!file.flush()) {
        throw std::runtime_error("cannot write " + path);
    }
}

}  // namespace support
