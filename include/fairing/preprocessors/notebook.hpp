// fairing/preprocessors/notebook.hpp - a notebook becomes a Python file; no Python is needed for
// it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../packaging/text.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "input.hpp"
#include "notebook/document.hpp"
#include "notebook/filter.hpp"
#include "notebook/script.hpp"
#include "payload.hpp"
#include "requirements.hpp"
#include "runtime_shim.hpp"

namespace fairing {

namespace notebook {

/// `file`, or in a notebook's own kernel that notebook (JPY_SESSION_NAME of Jupyter Server).
[[nodiscard]] inline std::string file_or_session(const std::string& file) {
    std::string name = file.empty() ? env("JPY_SESSION_NAME", "") : file;
    if (name.empty()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "package a notebook",
                     .answer = "none is named",
                     .advice = "name it as the notebook_file"}};
    }
    return name;
}

/// Reads and parses `file`.
[[nodiscard]] inline Document read(const std::string& file) {
    constexpr std::size_t limit = std::size_t{1} << 30;  // outputs hold pictures
    return parse(read_file(file, limit), packaging::escaped(file));
}

}  // namespace notebook

/// Packages a notebook's code as a Python file (notebook/plain_python.hpp says what stays of it),
/// and its inputs; in the image `command` runs it. The file lands where the notebook would, with
/// the ending .py.
struct NotebookPreprocessor {
    std::string notebook_file = {};                  ///< empty: the one in whose kernel this runs
    std::vector<Input> input_files = {};             ///< files, folders, globs
    std::vector<std::string> command = {"python3"};  ///< what the Python file's path is appended to
    std::string path_prefix = "/app/";  ///< where inputs land, and the working directory
    std::map<std::string, std::string> output_map = {};
    bool follow_symlinks = false;
    bool include_secrets = false;
    /// The fire form: the file becomes a command line program of this class, and only cells that
    /// say fairing:include-cell are kept.
    std::string class_name = {};
    bool only_included_cells = false;         ///< only cells that say fairing:include-cell
    std::vector<std::string> only_tags = {};  ///< of code cells, only those with one of these
    std::vector<std::string> skip_tags = {};  ///< no cell with one of these
    notebook::AnyCellFilter filter = {};      ///< one's own, before all of them
    std::string python_file = {};             ///< also write the Python file here
    bool overwrite = false;                   ///< replace that file
    /// What the notebook's own pip commands install goes along as a layer.
    bool requirements_from_notebook = false;
    std::string requirements = {};    ///< file of packages to install into a layer
    std::string python_version = {};  ///< of the image, for `requirements`; empty: this machine's
    std::string wheel_platform = {};  ///< of the image, for `requirements`; empty: this machine's

    /// Throws Error: what parse() and collect() throw; input for a notebook of another language,
    /// and when no code is left; conflict when an input has the file's place.
    [[nodiscard]] Context prepare(const Session& session) const {
        const std::string file = notebook::file_or_session(notebook_file);
        const notebook::Script script = convert(file, session);
        write_copy(script.text);
        const packaging::CollectOptions options = payload::collect_options(*this);
        Context context = payload::context_of(options, session);
        payload::OwnFiles own;
        const std::string destination = packaging::destination_of(
            std::filesystem::path{file}.replace_extension(".py"), options);
        own.add(destination, script.text);
        payload::add_runtime_shim(context, own, script.text, path_prefix);
        own.add_to(context);
        add_requirements(context, script, file, session);
        context.command = command;
        context.command.push_back(destination);
        return context;
    }

    /// The Python file. Says in the session's log what was dropped.
    [[nodiscard]] notebook::Script convert(const std::string& file, const Session& session) const {
        const notebook::Document document = notebook::read(file);
        const std::string shown = packaging::escaped(file);
        if (!document.language.empty() && document.language != "python" &&
            document.language != "ipython") {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "convert notebook",
                         .subject = shown,
                         .answer = "it is written in " + packaging::escaped(document.language),
                         .advice = "run it as it is, with --preprocessor full_notebook"}};
        }
        notebook::Script script =
            notebook::script(document, [this](const notebook::Cell& cell) { return choose(cell); });
        if (script.code_cells == 0) {
            throw Error{ErrorCode::input,
                        {.attempted = "convert notebook",
                         .subject = shown,
                         .answer = "no code is left of its " +
                                   std::to_string(document.cells.size()) + " cells",
                         .advice = "look at the tags and filters that choose cells"}};
        }
        if (!class_name.empty()) {
            script.text = notebook::with_fire(script.text, class_name);
        }
        if (!script.dropped.empty()) {
            session.control().say(
                Level::info, "left out of " + shown + ": " + payload::shortlist(script.dropped));
        }
        return script;
    }

private:
    // An aggregate has no private data; these functions are not for users.
    [[nodiscard]] std::optional<std::string> choose(const notebook::Cell& original) const {
        notebook::Cell cell = original;
        const auto apply = [&cell](const notebook::AnyCellFilter& chosen) {
            auto source = chosen(cell);
            cell.source = source.value_or("");
            return source.has_value();
        };
        if ((filter && !apply(filter)) ||
            !apply(notebook::TaggedCells{.only = only_tags, .skip = skip_tags})) {
            return std::nullopt;
        }
        if (only_included_cells || (!class_name.empty() && !filter)) {
            apply(notebook::IncludedCells{});
        }
        return cell.source;
    }

    void add_requirements(Context& context, const notebook::Script& script, const std::string& file,
                          const Session& session) const {
        const requirements::Target target{python_version, wheel_platform};
        if (!requirements.empty() && requirements_from_notebook) {
            throw Error{ErrorCode::usage,
                        {.attempted = "package requirements",
                         .answer = "both a file and the notebook's own are asked for",
                         .advice = "choose one of --requirements and "
                                   "--requirements-from-notebook"}};
        }
        if (!requirements.empty()) {
            requirements::add(context, requirements, target, path_prefix, session);
        }
        if (script.requirements.empty()) {
            return;
        }
        if (!requirements_from_notebook) {
            session.control().say(Level::info,
                                  packaging::escaped(file) + " installs " +
                                      payload::shortlist(script.requirements) +
                                      "; --requirements-from-notebook takes that along");
            return;
        }
        const TemporaryDirectory directory;
        std::string lines;
        for (const std::string& line : script.requirements) {
            const bool names_file = line.starts_with("-r ") || line.starts_with("-c ");
            const auto folder = std::filesystem::absolute(file).parent_path();
            lines +=
                (names_file ? line.substr(0, 3) + (folder / line.substr(3)).string() : line) + '\n';
        }
        const auto list = directory.path() / "requirements-of-the-notebook.txt";
        write_file(list, lines);
        requirements::add(context, list, target, path_prefix, session);
    }

    void write_copy(const std::string& text) const {
        if (python_file.empty()) {
            return;
        }
        struct stat status {};
        if (!overwrite && ::lstat(python_file.c_str(), &status) == 0) {
            throw Error{ErrorCode::conflict,
                        {.attempted = "write",
                         .subject = packaging::escaped(python_file),
                         .answer = "it exists already",
                         .advice = "name another file, or ask for it with --overwrite "
                                   "(overwrite)"}};
        }
        write_file(python_file, text);
    }
};

template <>
inline constexpr auto fields<NotebookPreprocessor> = std::tuple{
    field("notebook_file", &NotebookPreprocessor::notebook_file, "the notebook", given_by_entry),
    field("input_files", &NotebookPreprocessor::input_files,
          "file, folder or glob to package as well; repeatable", "input"),
    field("command", &NotebookPreprocessor::command,
          "what runs the file, split at blanks, without quoting (default: python3)"),
    field("path_prefix", &NotebookPreprocessor::path_prefix,
          "where files land in the image, and the working directory (default: /app/)"),
    field("output_map", &NotebookPreprocessor::output_map,
          "a file's or folder's own place in the image: SRC=DST; repeatable", "map"),
    field("follow_symlinks", &NotebookPreprocessor::follow_symlinks,
          "store what links point to, also outside of the folder"),
    field("include_secrets", &NotebookPreprocessor::include_secrets,
          "take files that look like secrets as well (.env, keys, .git, ...)"),
    field(
        "class_name", &NotebookPreprocessor::class_name,
        "make the notebook a command line program of this class (needs Python Fire in the image)"),
    field("only_included_cells", &NotebookPreprocessor::only_included_cells,
          "keep only cells that say fairing:include-cell"),
    field("only_tags", &NotebookPreprocessor::only_tags,
          "keep only code cells with this tag; repeatable", "only-tag"),
    field("skip_tags", &NotebookPreprocessor::skip_tags,
          "leave out cells with this tag; repeatable", "skip-tag"),
    field("python_file", &NotebookPreprocessor::python_file,
          "write the converted notebook to this file as well"),
    field("overwrite", &NotebookPreprocessor::overwrite, "replace the --python-file"),
    field("requirements_from_notebook", &NotebookPreprocessor::requirements_from_notebook,
          "take along, as a layer, what the notebook's own pip commands install"),
    field("requirements", &NotebookPreprocessor::requirements,
          "requirements file of packages that go along as a layer, installed here by pip"),
    field("python_version", &NotebookPreprocessor::python_version,
          "the image's Python, for --requirements (default: yours)"),
    field("wheel_platform", &NotebookPreprocessor::wheel_platform,
          "the image's platform, for --requirements: linux/amd64 (default: yours)"),
};

static_assert(Preprocessor<NotebookPreprocessor>);

}  // namespace fairing
