// fairing/preprocessors/full_notebook.hpp - a notebook that runs as a whole, by papermill, and
// leaves an output notebook.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/json.hpp"
#include "../packaging/text.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "input.hpp"
#include "notebook.hpp"
#include "notebook/papermill.hpp"
#include "payload.hpp"
#include "requirements.hpp"

namespace fairing {

/// Packages a notebook and its inputs; in the image papermill runs it, writes what its cells say to
/// the log, and leaves the executed notebook at `output_file`. Needs papermill and the notebook's
/// kernel in the image; a small program of ours calls papermill, so that the log of a job that
/// lacks one of them, or whose notebook fails, ends with one sentence.
struct FullNotebookPreprocessor {
    std::string notebook_file = {};  ///< empty: the one in whose kernel this runs
    /// A path of the image (relative: below the path prefix; best on a mounted volume) or a URL
    /// that papermill can write (s3://, gs://, …).
    std::string output_file = "fairing_output_notebook.ipynb";
    std::map<std::string, Json> parameters = {};  ///< for the cell that is tagged "parameters"
    std::vector<Input> input_files = {};          ///< files, folders, globs
    std::string kernel = {};                      ///< empty: the one that the notebook names
    /// Ours is called for "papermill" and for "… -m papermill"; another command is taken as it is.
    std::vector<std::string> command = {"papermill"};
    std::string path_prefix = "/app/";  ///< where inputs land, and the working directory
    std::map<std::string, std::string> output_map = {};
    bool follow_symlinks = false;
    bool include_secrets = false;
    bool log_output = true;           ///< what cells print goes to the job's log
    std::string requirements = {};    ///< file of packages to install into a layer
    std::string python_version = {};  ///< of the image, for `requirements`
    std::string wheel_platform = {};  ///< of the image, for `requirements`

    /// Throws Error: what parse() and collect() throw, input for a notebook that names no kernel, a
    /// name that no kernel has, and a kernel of another language.
    [[nodiscard]] Context prepare(const Session& session) const {
        const std::string file = notebook::file_or_session(notebook_file);
        const notebook::Document document = notebook::read(file);
        check(document, file);
        packaging::CollectOptions options = payload::collect_options(*this);
        options.inputs.emplace_back(file);
        Context context = payload::context_of(options, session);
        context.command = command;
        const std::string runner = payload::own_folder(path_prefix) + "notebook.py";
        if (notebook::use_papermill_runner(context.command, runner)) {
            payload::OwnFiles own;
            own.add(runner, notebook::papermill_runner);
            own.add_to(context);
        }
        if (!requirements.empty()) {
            requirements::add(context, requirements, {python_version, wheel_platform}, path_prefix,
                              session);
        }
        add_arguments(context.command, document, packaging::destination_of(file, options));
        return context;
    }

private:
    // An aggregate has no private data; these functions are not for users.
    [[nodiscard]] const std::string& kernel_of(const notebook::Document& document) const {
        return kernel.empty() ? document.kernel : kernel;
    }

    void check(const notebook::Document& document, const std::string& file) const {
        const auto wrong = [&](std::string answer, std::string advice) {
            return Error{ErrorCode::input,
                         {.attempted = "run notebook",
                          .subject = packaging::escaped(file),
                          .answer = std::move(answer),
                          .advice = std::move(advice)}};
        };
        const std::string& name = kernel_of(document);
        if (name.empty()) {
            throw wrong("it names no kernel", "name one with --kernel, such as python3");
        }
        if (!notebook::is_kernel_name(name)) {
            throw wrong("no kernel can have the name \"" + packaging::escaped(name) + '"',
                        "name one with --kernel, such as python3");
        }
        const std::string language = notebook::language_of_kernel(name);
        if (!kernel.empty() && !notebook::is_written_in(document, language)) {
            throw wrong("it is written in " + packaging::escaped(document.language) +
                            ", and kernel " + name + " runs " + language,
                        "name a kernel of its language with --kernel");
        }
        if (!parameters.empty() && document.language.empty() && language.empty()) {
            throw wrong("it does not say in which language its parameters are to be set",
                        "run it once in Jupyter with kernel " + name + ", and save it");
        }
        if (output_file.empty()) {
            throw wrong("no output file is named", "name one with --output-file");
        }
    }

    void add_arguments(std::vector<std::string>& words, const notebook::Document& document,
                       const std::string& file) const {
        words.push_back(file);
        words.push_back(output_file);
        for (const auto& [name, value] : parameters) {
            const auto option = notebook::papermill_parameter(name, value);
            words.insert(words.end(), option.begin(), option.end());
        }
        if (!kernel.empty()) {
            words.insert(words.end(), {"-k", kernel});
        }
        if (!parameters.empty() && document.language.empty()) {
            const std::string language = notebook::language_of_kernel(kernel_of(document));
            words.insert(words.end(), {"-l", language == "r" ? "R" : language});  // papermill's way
        }
        if (log_output) {
            words.emplace_back("--log-output");
        }
    }
};

template <>
inline constexpr auto fields<FullNotebookPreprocessor> = std::tuple{
    field("notebook_file", &FullNotebookPreprocessor::notebook_file, "the notebook",
          given_by_entry),
    field("output_file", &FullNotebookPreprocessor::output_file,
          "where the executed notebook goes: a path of the image, or a URL (default: "
          "fairing_output_notebook.ipynb)"),
    field("parameters", &FullNotebookPreprocessor::parameters,
          "of the notebook: NAME=VALUE, the value as JSON or else a text; repeatable", "parameter"),
    field("input_files", &FullNotebookPreprocessor::input_files,
          "file, folder or glob to package as well; repeatable", "input"),
    field("kernel", &FullNotebookPreprocessor::kernel,
          "the kernel that runs it (default: the one that the notebook names)"),
    field("command", &FullNotebookPreprocessor::command,
          "what runs the notebook, split at blanks, without quoting (default: papermill)"),
    field("path_prefix", &FullNotebookPreprocessor::path_prefix,
          "where files land in the image, and the working directory (default: /app/)"),
    field("output_map", &FullNotebookPreprocessor::output_map,
          "a file's or folder's own place in the image: SRC=DST; repeatable", "map"),
    field("follow_symlinks", &FullNotebookPreprocessor::follow_symlinks,
          "store what links point to, also outside of the folder"),
    field("include_secrets", &FullNotebookPreprocessor::include_secrets,
          "take files that look like secrets as well (.env, keys, .git, ...)"),
    field("log_output", &FullNotebookPreprocessor::log_output,
          "do not write what cells print to the log"),
    field("requirements", &FullNotebookPreprocessor::requirements,
          "requirements file of packages that go along as a layer, installed here by pip"),
    field("python_version", &FullNotebookPreprocessor::python_version,
          "the image's Python, for --requirements (default: yours)"),
    field("wheel_platform", &FullNotebookPreprocessor::wheel_platform,
          "the image's platform, for --requirements: linux/amd64 (default: yours)"),
};

static_assert(Preprocessor<FullNotebookPreprocessor>);

}  // namespace fairing
