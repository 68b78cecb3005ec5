// fairing/preprocessors/function/libraries.hpp - the shared libraries that a program needs, found
// as the dynamic linker finds them (ld.so(8), "DESCRIPTION"), without running it or ldd.
#pragma once

#include <glob.h>

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/env.hpp"
#include "../../core/error.hpp"
#include "../../core/files.hpp"
#include "../../packaging/elf_file.hpp"
#include "../../packaging/text.hpp"

namespace fairing::function {

/// Where a library was found; `name` is what the linker will look for.
struct Library {
    std::string name = {};
    std::filesystem::path path = {};
};

/// Folders of /etc/ld.so.conf, with its includes, and the linker's own.
[[nodiscard]] inline std::vector<std::string> system_folders(
    const std::filesystem::path& configuration = "/etc/ld.so.conf", int depth = 0) {
    std::vector<std::string> folders;
    std::string text;
    try {
        text = read_file(configuration);
    } catch (const Error&) {
        // there need not be one
    }
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        std::istringstream words{line.substr(0, line.find('#'))};
        std::string word;
        if (!(words >> word)) {
            continue;
        }
        if (word != "include") {
            folders.push_back(word);
            continue;
        }
        glob_t found{};
        if (words >> word && depth < 8 &&
            ::glob((configuration.parent_path() / word).c_str(), 0, nullptr, &found) == 0) {
            for (std::size_t i = 0; i < found.gl_pathc; ++i) {
                for (std::string& folder : system_folders(found.gl_pathv[i], depth + 1)) {
                    folders.push_back(std::move(folder));
                }
            }
        }
        ::globfree(&found);
    }
    if (depth == 0) {
        folders.insert(folders.end(), {"/lib64", "/usr/lib64", "/lib", "/usr/lib"});
    }
    return folders;
}

namespace detail {

class LibrarySearch {
public:
    explicit LibrarySearch(const std::filesystem::path& program)
        : elf_(packaging::read_elf_file(program)), program_(program) {
        follow(program, elf_, split(elf_.runpath.empty() ? elf_.rpath : "", program));
    }
    [[nodiscard]] std::vector<Library> take() {
        std::vector<Library> libraries;
        for (auto& [name, path] : found_) {
            libraries.push_back({.name = name, .path = path});
        }
        return libraries;
    }

private:
    /// A list of folders with $ORIGIN and $LIB filled in.
    static std::vector<std::string> split(const std::string& list,
                                          const std::filesystem::path& file) {
        std::vector<std::string> folders;
        std::istringstream parts{list};
        for (std::string part; std::getline(parts, part, ':');) {
            for (const char* name : {"${ORIGIN}", "$ORIGIN"}) {
                if (const std::size_t at = part.find(name); at != std::string::npos) {
                    part.replace(at, std::string_view{name}.size(), file.parent_path().string());
                }
            }
            for (const char* name : {"${LIB}", "$LIB"}) {
                if (const std::size_t at = part.find(name); at != std::string::npos) {
                    std::string wide = part;
                    folders.push_back(wide.replace(at, std::string_view{name}.size(), "lib64"));
                    part.replace(at, std::string_view{name}.size(), "lib");
                }
            }
            if (!part.empty()) {
                folders.push_back(part);
            }
        }
        return folders;
    }

    /// Takes in what `file` needs; `rpath` is what those that load it hand down.
    void follow(const std::filesystem::path& file, const codec::ElfFile& elf,
                const std::vector<std::string>& rpath) {
        for (const std::string& name : elf.needed) {
            if (packaging::is_library_of_the_base(name) || found_.contains(name)) {
                continue;
            }
            std::vector<std::string> folders =
                elf.runpath.empty() ? rpath : std::vector<std::string>{};
            for (const auto& list :
                 {split(env("LD_LIBRARY_PATH", ""), file), split(elf.runpath, file), system_}) {
                folders.insert(folders.end(), list.begin(), list.end());
            }
            auto [path, library] = find(name, folders, file);
            found_[name] = path;
            std::vector<std::string> handed =
                library.runpath.empty() ? split(library.rpath, path) : std::vector<std::string>{};
            handed.insert(handed.end(), rpath.begin(), rpath.end());
            follow(path, library, handed);
        }
    }

    [[nodiscard]] std::pair<std::filesystem::path, codec::ElfFile> find(
        const std::string& name, const std::vector<std::string>& folders,
        const std::filesystem::path& file) const {
        std::string other;
        for (const std::string& folder : folders) {
            const std::filesystem::path path = name.find('/') == std::string::npos
                                                   ? std::filesystem::path{folder} / name
                                                   : std::filesystem::path{name};
            std::error_code ignored;
            if (!std::filesystem::is_regular_file(path, ignored)) {
                continue;
            }
            codec::ElfFile library = packaging::read_elf_file(path);
            if (library.machine == elf_.machine && library.bits == elf_.bits) {
                return {path, std::move(library)};
            }
            other = packaging::escaped(path.native()) + " is for " + library.architecture();
        }
        throw Error{ErrorCode::not_found,
                    {.attempted = "package program",
                     .subject = packaging::escaped(program_.native()),
                     .answer = "the shared library " + packaging::escaped(name) + ", which " +
                               packaging::escaped(file.native()) + " needs, is " +
                               (other.empty() ? "not on this machine"
                                              : "only here for another "
                                                "processor: " +
                                                    other),
                     .advice = "install it, or name its folder in LD_LIBRARY_PATH"}};
    }

    codec::ElfFile elf_;
    std::filesystem::path program_;
    std::vector<std::string> system_ = system_folders();
    std::map<std::string, std::filesystem::path> found_ = {};
};

}  // namespace detail

/// All that `program` needs, directly or through others, by name; without glibc and what else
/// belongs to the base image. Throws Error: not_found for a library that is not here, input for
/// what is no ELF file.
[[nodiscard]] inline std::vector<Library> libraries_of(const std::filesystem::path& program) {
    return detail::LibrarySearch{program}.take();
}

}  // namespace fairing::function
