// fairing/preprocessors/function.hpp - a C++ function: the running program itself is what is
// packaged, with the shared libraries that it needs.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../packaging/elf_file.hpp"
#include "../packaging/text.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "function/libraries.hpp"
#include "input.hpp"
#include "payload.hpp"

namespace fairing {

/// The running executable, started in the job with `arguments`; `function` picks one of several job
/// functions of run_main(). Its libraries are a layer of their own below the path prefix, found
/// through LD_LIBRARY_PATH, so that a rebuilt program uploads only itself; glibc is the base
/// image's, and the builder checks that it is new enough.
struct FunctionPreprocessor {
    std::string function = {};                ///< FAIRING_FUNCTION in the job
    std::vector<std::string> arguments = {};  ///< of the program, in the job
    std::vector<Input> input_files = {};      ///< files, folders, globs
    std::string executable = {};              ///< empty: the program that runs
    std::string path_prefix = "/app/";        ///< where inputs land, and the working directory
    std::map<std::string, std::string> output_map = {};
    bool follow_symlinks = false;
    bool include_secrets = false;
    bool lean_libraries = false;  ///< leave out libraries that the base image has

    /// Throws Error: not_found for the program or one of its libraries, input for what is no ELF
    /// file, and what collect() throws.
    [[nodiscard]] Context prepare(const Session& session) const {
        const std::filesystem::path program = program_file();
        const packaging::CollectOptions options = payload::collect_options(*this);
        Context context = payload::context_of(options, session);
        const std::string own = payload::own_folder(path_prefix);
        const std::string destination =
            packaging::join(packaging::image_prefix(path_prefix), program.filename().native());
        context.files.push_back(elf_file(program, destination, "program"));
        context.needs.programs.push_back(destination);
        const auto libraries = function::libraries_of(program);
        for (const function::Library& library : libraries) {
            const std::string place =
                own + "lib/" + std::string{packaging::last_component(library.name)};
            context.files.push_back(elf_file(library.path, place, "libraries"));
            context.needs.programs.push_back(place);
        }
        packaging::arrange(context.files);
        context.needs.lean_libraries = lean_libraries;
        context.command = {destination};
        context.command.insert(context.command.end(), arguments.begin(), arguments.end());
        if (!function.empty()) {
            context.environment["FAIRING_FUNCTION"] = function;
        }
        if (!libraries.empty()) {
            context.search_paths["LD_LIBRARY_PATH"] = own + "lib";
        }
        return context;
    }

private:
    // An aggregate has no private data; these functions are not for users.
    [[nodiscard]] std::filesystem::path program_file() const {
        std::error_code failure;
        std::filesystem::path path =
            std::filesystem::canonical(executable.empty() ? std::filesystem::path{"/proc/self/exe"}
                                                          : std::filesystem::path{executable},
                                       failure);
        if (failure) {
            throw system_error(failure.value(), "package program",
                               packaging::escaped(executable.empty() ? "that runs" : executable));
        }
        return path;
    }

    [[nodiscard]] static ContextFile elf_file(const std::filesystem::path& path,
                                              std::string destination, const char* layer) {
        const std::filesystem::path real = std::filesystem::canonical(path);
        struct stat status {};
        if (::stat(real.c_str(), &status) != 0) {
            throw system_error(errno, "package", packaging::escaped(path.native()));
        }
        packaging::check_destination(destination, path.native());
        return {.source = real,
                .destination = std::move(destination),
                .mode = 0755,
                .size = static_cast<std::uint64_t>(status.st_size),
                .layer = layer};
    }
};

template <>
inline constexpr auto fields<FunctionPreprocessor> = std::tuple{
    field("function", &FunctionPreprocessor::function,
          "which of a program's job functions runs (see run_main)"),
    field("arguments", &FunctionPreprocessor::arguments, "of the program, in the job",
          given_behind_dashes),
    field("input_files", &FunctionPreprocessor::input_files,
          "file, folder or glob to package as well; repeatable", "input"),
    field("executable", &FunctionPreprocessor::executable, "the program", given_by_entry),
    field("path_prefix", &FunctionPreprocessor::path_prefix,
          "where files land in the image, and the working directory (default: /app/)"),
    field("output_map", &FunctionPreprocessor::output_map,
          "a file's or folder's own place in the image: SRC=DST; repeatable", "map"),
    field("follow_symlinks", &FunctionPreprocessor::follow_symlinks,
          "store what links point to, also outside of the folder"),
    field("include_secrets", &FunctionPreprocessor::include_secrets,
          "take files that look like secrets as well (.env, keys, .git, ...)"),
    field("lean_libraries", &FunctionPreprocessor::lean_libraries,
          "leave out shared libraries that the base image has in a version that will do"),
};

static_assert(Preprocessor<FunctionPreprocessor>);

}  // namespace fairing
