// fairing/preprocessors/requirements.hpp - the packages of a requirements file as a layer of the
// image: resolved and unpacked by this machine's pip, kept in the cache, without Docker.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../codec/sha256.hpp"
#include "../core/command.hpp"
#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/process.hpp"
#include "../oci/platform.hpp"
#include "../packaging/text.hpp"
#include "../stage/session.hpp"
#include "payload.hpp"
#include "runtime_shim.hpp"

namespace fairing::requirements {

/// What the packages are for.
struct Target {
    std::string python_version = {};  ///< "3.11"; empty: this machine's python3
    std::string platform = {};        ///< "linux/amd64"; empty: this machine's processor
};

namespace detail {

[[nodiscard]] inline Error failure(ErrorCode code, const std::string& subject, std::string answer,
                                   std::string advice) {
    return Error{code,
                 {.attempted = "package the requirements of",
                  .subject = packaging::escaped(subject),
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// "3.11" of this machine's python3, or "".
[[nodiscard]] inline std::string host_python(const Session& session) {
    return find_program("python3")
               ? run({.arguments = {"python3", "-c",
                                    "import sys; print('%d.%d' % sys.version_info[:2], end='')"}},
                     {}, session.stop)
                     .output
               : std::string{};
}

/// The text with what its -r and -c lines name, for the cache's key.
[[nodiscard]] inline std::string with_included(const std::filesystem::path& file, int depth = 0) {
    const std::string text = read_file(file);
    std::string all = text;
    std::istringstream lines{text};
    for (std::string line; depth < 8 && std::getline(lines, line);) {
        std::istringstream words{line};
        std::string option, name;
        words >> option >> name;
        if (!name.empty() && (option == "-r" || option == "--requirement" || option == "-c" ||
                              option == "--constraint")) {
            all += with_included(file.parent_path() / name, depth + 1);
        }
    }
    return all;
}

/// pip's names for a processor; nothing newer than what Debian 10 runs.
[[nodiscard]] inline std::vector<std::string> wheel_platforms(const std::string& platform) {
    const std::string architecture = platform.substr(platform.find('/') + 1);
    const std::string machine = architecture == "amd64"   ? "x86_64"
                                : architecture == "arm64" ? "aarch64"
                                                          : architecture;
    std::vector<std::string> names;
    for (const char* level :
         {"manylinux_2_28_", "manylinux_2_27_", "manylinux_2_26_", "manylinux_2_24_",
          "manylinux_2_17_", "manylinux2014_", "manylinux_2_12_", "manylinux2010_",
          "manylinux_2_5_", "manylinux1_", "linux_"}) {
        names.push_back(level + machine);
    }
    return names;
}

[[nodiscard]] inline std::filesystem::path cache_root(const Session& session) {
    if (!session.cache_directory.empty()) {
        return session.cache_directory;
    }
    const std::string home = env("HOME", "/root");
    return env("FAIRING_CACHE", env("XDG_CACHE_HOME", home + "/.cache") + "/fairing");
}

[[nodiscard]] inline std::vector<std::string> pip_program() {
    if (find_program("python3") &&
        run({.arguments = {"python3", "-m", "pip", "--version"}}).exit_code == 0) {
        return {"python3", "-m", "pip"};
    }
    return find_program("pip3") ? std::vector<std::string>{"pip3"} : std::vector<std::string>{};
}

/// The last line of pip's that says what is wrong.
[[nodiscard]] inline std::string reason_of(const CommandResult& result) {
    std::istringstream lines{result.errors};
    std::string reason = result.reason();
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with("ERROR: ")) {
            reason = line.substr(7);
        }
    }
    return packaging::escaped(reason);
}

inline void install(const std::filesystem::path& file, const std::filesystem::path& folder,
                    const Target& target, const Session& session) {
    std::vector<std::string> command = pip_program();
    if (command.empty()) {
        throw failure(ErrorCode::not_found, file.string(), "pip is not on this machine",
                      "install it (python3-pip on Debian), or take a base image that has the "
                      "packages");
    }
    command.insert(
        command.end(),
        {"install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-compile",
         "--only-binary=:all:", "--implementation", "cp", "--python-version", target.python_version,
         "--target", folder.string(), "-r", file.string()});
    for (std::string& platform : wheel_platforms(target.platform)) {
        command.insert(command.end(), {"--platform", std::move(platform)});
    }
    const CommandResult result =
        run({.arguments = std::move(command), .unset = {"PIP_TARGET", "PIP_USER"}},
            {.time_limit = std::chrono::hours{1}}, session.stop);
    if (result.exit_code != 0) {
        throw failure(ErrorCode::unavailable, file.string(), "pip says: " + reason_of(result),
                      "only wheels for Python " + target.python_version + " on " + target.platform +
                          " are taken; another version goes into that file");
    }
    // Scripts that name this machine's interpreter.
    std::error_code ignored;
    std::filesystem::remove_all(folder / "bin", ignored);
}

inline void add_tree(Context& context, const std::filesystem::path& folder,
                     const std::string& destination) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator{folder}) {
        struct stat status {};
        if (::lstat(entry.path().c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
            const std::string place = packaging::join(
                destination, entry.path().lexically_relative(folder).generic_string());
            packaging::check_destination(place, entry.path().native());
            context.files.push_back({.source = entry.path(),
                                     .destination = place,
                                     .mode = status.st_mode & 0777U,
                                     .size = static_cast<std::uint64_t>(status.st_size),
                                     .layer = "requirements"});
        }
    }
    packaging::arrange(context.files);
}

}  // namespace detail

/// Adds the packages of `file` below the path prefix, and PYTHONPATH. What was installed once for
/// the same file, Python and processor comes from the cache. Throws Error: not_found for the file
/// or pip, unavailable for what pip can not get, with pip's own words.
inline void add(Context& context, const std::filesystem::path& file, Target target,
                const std::string& path_prefix, const Session& session) {
    if (target.python_version.empty()) {
        target.python_version = detail::host_python(session);
    }
    if (target.python_version.empty()) {
        throw detail::failure(ErrorCode::usage, file.string(),
                              "the image's Python version is not known",
                              "name it with --python-version");
    }
    target.platform = target.platform.empty() ? oci::host_platform().text() : target.platform;
    codec::Sha256 hash;
    hash.update("1\n" + target.python_version + '\n' + target.platform + '\n' +
                detail::with_included(file));
    const std::filesystem::path packages =
        detail::cache_root(session) / "requirements" / codec::hex(hash.finish()).substr(0, 32);
    if (!std::filesystem::exists(packages)) {
        session.control().say(Level::info, "installing " + packaging::escaped(file.native()) +
                                               " for Python " + target.python_version + " on " +
                                               target.platform);
        std::filesystem::create_directories(packages.parent_path());
        const std::filesystem::path fresh = packages.string() + '.' + std::to_string(::getpid());
        std::error_code ignored;
        std::filesystem::remove_all(fresh, ignored);
        try {
            detail::install(file, fresh, target, session);
            std::filesystem::create_directories(fresh);         // nothing was asked for
            std::filesystem::rename(fresh, packages, ignored);  // another one may have been faster
            std::filesystem::remove_all(fresh, ignored);
        } catch (...) {
            std::filesystem::remove_all(fresh, ignored);
            throw;
        }
    }
    const std::string folder = payload::own_folder(path_prefix) + "site-packages";
    detail::add_tree(context, packages, folder);
    payload::add_search_path(context, "PYTHONPATH", folder);
}

}  // namespace fairing::requirements
