// fairing/preprocessors/python.hpp - Python files as they are, and the command that runs one of
// them.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../packaging/collect.hpp"
#include "../packaging/text.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "../stage/session.hpp"
#include "input.hpp"
#include "payload.hpp"
#include "requirements.hpp"
#include "runtime_shim.hpp"

namespace fairing {

/// Packages a program and its inputs; in the image `command` runs it. Paths are relative to the
/// working directory (packaging/collect.hpp says where they land and what is left out).
struct PythonPreprocessor {
    /// The file to run; an input without being named as one. Empty: the only input when that is a
    /// file, else the only .py file among the named files, else the only .py file in the folders
    /// and globs.
    std::string executable = {};
    std::vector<Input> input_files = {};             ///< files, folders, globs
    std::vector<std::string> command = {"python3"};  ///< what the executable's path is appended to
    std::string path_prefix = "/app/";  ///< where inputs land, and the working directory
    std::map<std::string, std::string> output_map =
        {};                           ///< file or folder to its own place in the image
    bool follow_symlinks = false;     ///< store what links point to, also when it lies outside
    bool include_secrets = false;     ///< take files that look like secrets as well
    std::string requirements = {};    ///< file of packages to install into a layer
    std::string python_version = {};  ///< of the image, for `requirements`; empty: this machine's
    std::string wheel_platform = {};  ///< of the image, for `requirements`; empty: this machine's

    /// Throws Error{input} that lists the candidates when it is not clear what to run, and what
    /// collect() throws.
    [[nodiscard]] Context prepare(const Session& session) const {
        packaging::CollectOptions options = payload::collect_options(*this);
        std::string program = named_program();
        if (!program.empty()) {
            options.inputs.emplace_back(program);
        }
        Context context = payload::context_of(options, session);
        context.command = command;
        context.command.push_back(program.empty() ? only_python_file(context.files)
                                                  : packaging::destination_of(program, options));
        add_runtime_shim(context);
        if (!requirements.empty()) {
            requirements::add(context, requirements, {python_version, wheel_platform}, path_prefix,
                              session);
        }
        return context;
    }

private:
    // An aggregate has no private data; these functions are not for users.

    /// For a Python program that imports Fairing's Python package.
    void add_runtime_shim(Context& context) const {
        const auto program = std::find_if(
            context.files.begin(), context.files.end(),
            [&](const ContextFile& file) { return file.destination == context.command.back(); });
        constexpr std::uint64_t longest = std::uint64_t{4} << 20;
        if (program == context.files.end() || program->kind != FileKind::regular ||
            !program->destination.ends_with(".py") || program->size > longest) {
            return;
        }
        const std::string source = read_file(program->source);
        if (payload::imports_fairing(source)) {
            payload::OwnFiles own;
            payload::add_runtime_shim(context, own, source, path_prefix);
            own.add_to(context);
        }
    }

    /// The executable, or what stands for it among the inputs that name a file; "" when only
    /// folders and globs can tell.
    [[nodiscard]] std::string named_program() const {
        if (!executable.empty()) {
            struct stat status {};
            if (::stat(executable.c_str(), &status) == 0 && S_ISDIR(status.st_mode)) {
                throw Error{ErrorCode::input,
                            {.attempted = "run",
                             .subject = packaging::escaped(executable),
                             .answer = "it is a folder",
                             .advice = "name the file in it that is to run"}};
            }
            return executable;
        }
        std::vector<std::string> files, python;
        for (const Input& input : input_files) {
            if (payload::is_file(input.path())) {
                files.push_back(input.path().string());
                if (input.path().extension() == ".py") {
                    python.push_back(files.back());
                }
            }
        }
        if (input_files.size() == 1 && files.size() == 1) {
            return files.front();
        }
        if (python.size() > 1) {
            refuse(python);
        }
        return python.empty() ? std::string{} : python.front();
    }

    [[nodiscard]] static std::string only_python_file(const std::vector<ContextFile>& files) {
        std::vector<std::string> python;
        for (const ContextFile& file : files) {
            if (file.destination.ends_with(".py")) {
                python.push_back(file.destination);
            }
        }
        if (python.size() != 1) {
            refuse(python);
        }
        return python.front();
    }

    [[noreturn]] static void refuse(const std::vector<std::string>& candidates) {
        constexpr std::size_t shown = 10;
        std::string list;
        for (std::size_t i = 0; i < std::min(shown, candidates.size()); ++i) {
            list += (i == 0 ? "" : ", ") + packaging::escaped(candidates[i]);
        }
        if (candidates.size() > shown) {
            list += " and " + std::to_string(candidates.size() - shown) + " more";
        }
        throw Error{ErrorCode::input,
                    {.attempted = "tell which file to run",
                     .answer = candidates.empty() ? "there is no Python file among the inputs"
                                                  : "it could be " + list,
                     .advice = "name it as the executable"}};
    }
};

template <>
inline constexpr auto fields<PythonPreprocessor> = std::tuple{
    field("executable", &PythonPreprocessor::executable, "the Python file to run", given_by_entry),
    field("input_files", &PythonPreprocessor::input_files,
          "file, folder or glob to package as well; repeatable", "input"),
    field("command", &PythonPreprocessor::command,
          "what runs the file, split at blanks, without quoting (default: python3)"),
    field("path_prefix", &PythonPreprocessor::path_prefix,
          "where files land in the image, and the working directory (default: /app/)"),
    field("output_map", &PythonPreprocessor::output_map,
          "a file's or folder's own place in the image: SRC=DST; repeatable", "map"),
    field("follow_symlinks", &PythonPreprocessor::follow_symlinks,
          "store what links point to, also outside of the folder"),
    field("include_secrets", &PythonPreprocessor::include_secrets,
          "take files that look like secrets as well (.env, keys, .git, ...)"),
    field("requirements", &PythonPreprocessor::requirements,
          "requirements file of packages that go along as a layer, installed here by pip"),
    field("python_version", &PythonPreprocessor::python_version,
          "the image's Python, for --requirements (default: yours)"),
    field("wheel_platform", &PythonPreprocessor::wheel_platform,
          "the image's platform, for --requirements: linux/amd64 (default: yours)"),
};

static_assert(Preprocessor<PythonPreprocessor>);

}  // namespace fairing
