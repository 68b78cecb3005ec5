// fairing/preprocessors/python_function.hpp - a Python function or class, called in the job through
// a small program of ours.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../core/command.hpp"
#include "../core/error.hpp"
#include "../core/process.hpp"
#include "../packaging/text.hpp"
#include "../stage/concepts.hpp"
#include "../stage/fields.hpp"
#include "input.hpp"
#include "notebook/plain_python.hpp"
#include "notebook/script.hpp"
#include "payload.hpp"
#include "requirements.hpp"
#include "runtime_shim.hpp"

namespace fairing {

namespace function {

/// The program that calls it.
inline constexpr std::string_view caller =
    R"py(# Calls the function or class that a job is. Written by fairing.
import argparse
import importlib
import importlib.util
import inspect
import os
import sys


def stop(message):
    sys.stderr.write("fairing: cannot call " + message + "\n")
    sys.exit(65)


def from_file(path):
    sys.path.insert(0, os.path.dirname(path))
    name = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def from_pickle(path):
    try:
        import cloudpickle
    except ImportError:
        stop(path + ": the image has no cloudpickle; add it to the requirements")
    with open(path, "rb") as file:
        return cloudpickle.load(file)


def find(module, name, where):
    found = module
    for part in name.split("."):
        if not hasattr(found, part):
            stop("%s of %s: there is no %s" % (name, where, part))
        found = getattr(found, part)
    return found


def call(found, what):
    if inspect.isclass(found):
        if not callable(getattr(found, "train", None)):
            stop("class %s: it has no train()" % what)
        return found().train()
    if not callable(found):
        stop("%s: it is a %s, and no function or class" % (what, type(found).__name__))
    return found()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--python-version")
    parser.add_argument("--file")
    parser.add_argument("--module")
    parser.add_argument("--pickle")
    parser.add_argument("--name")
    parser.add_argument("arguments", nargs="*")
    options = parser.parse_args()
    what = options.name or options.pickle
    here = "%d.%d" % sys.version_info[:2]
    if options.python_version and options.python_version != here:
        stop("%s: it was made with Python %s, and this is Python %s" % (what, options.python_version, here))
    sys.argv = [options.file or options.module or options.pickle] + options.arguments
    if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    sys.path.insert(0, os.getcwd())
    if options.pickle:
        found = from_pickle(options.pickle)
    elif options.file:
        found = find(from_file(options.file), options.name, options.file)
    else:
        found = find(importlib.import_module(options.module), options.name, options.module)
    result = call(found, what)
    if inspect.iscoroutine(result):
        import asyncio
        result = asyncio.run(result)
    try:
        shown = bool(result)
    except ValueError:  # an array
        shown = True
    if shown:
        print(result)


if __name__ == "__main__":
    main()
)py";

/// "train.py:Model.fit", "package.module:fit" or "fit.pickle".
struct PythonTarget {
    std::string file = {}, module = {}, pickle = {}, name = {};
};

/// Throws Error{usage} for what is none of them.
[[nodiscard]] inline PythonTarget parse_python_target(const std::string& text) {
    const std::size_t colon = text.rfind(':');
    PythonTarget target;
    if (colon == std::string::npos) {
        target.pickle = text;
        return target;
    }
    const std::string where = text.substr(0, colon);
    target.name = text.substr(colon + 1);
    (where.ends_with(".py") ? target.file : target.module) = where;
    const auto is_name = [](const std::string& name) {
        return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
            return notebook::detail::is_word(c) || c == '.';
        });
    };
    if (!is_name(target.name) || (!target.module.empty() && !is_name(target.module)) ||
        where.empty()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "call",
                     .subject = packaging::escaped(text),
                     .answer = "it is no function of a file or module",
                     .advice = "write file.py:name, package.module:name or the file of a pickle"}};
    }
    return target;
}

namespace detail {

/// The names that a Python source defines at its top: def, class, import and =.
struct Definition {
    std::string kind = {}, name = {}, rest = {};
    std::string_view body = {};  ///< what follows up to the next line that is not indented
};

[[nodiscard]] inline std::vector<Definition> definitions_in(std::string_view source) {
    std::vector<Definition> definitions;
    for (notebook::PythonLines lines{source}; !lines.done();) {
        const notebook::LogicalLine line = lines.next();
        std::string_view code = line.code();
        if (line.indent > 0 || code.empty() || code.front() == '\n' || code.front() == '#') {
            continue;
        }
        const char* const end = line.text.data() + line.text.size();
        Definition definition;
        for (const std::string_view kind : {"async def ", "def ", "class "}) {
            if (definition.kind.empty() && code.starts_with(kind)) {
                definition.kind = kind;
                code.remove_prefix(kind.size());
            }
        }
        const auto word = std::find_if_not(code.begin(), code.end(), notebook::detail::is_word);
        const auto size = static_cast<std::size_t>(word - code.begin());
        definition.name = code.substr(0, size);
        definition.rest = notebook::detail::trimmed(code.substr(size));
        definition.body = source.substr(static_cast<std::size_t>(end - source.data()));
        definitions.push_back(std::move(definition));
    }
    for (Definition& definition : definitions) {
        std::size_t at = 0;
        for (notebook::PythonLines lines{definition.body}; !lines.done();) {
            const notebook::LogicalLine line = lines.next();
            if (line.indent == 0 && !notebook::detail::trimmed(line.text).empty() &&
                !line.text.starts_with('#')) {
                break;
            }
            at += line.text.size();
        }
        definition.body = definition.body.substr(0, at);
    }
    return definitions;
}

}  // namespace detail

/// Throws Error{input} when the source plainly does not define `name`, or as a class without bases
/// and without train(). What an import or a computation may bring in passes: the job will say.
inline void check_defined(std::string_view source, const std::string& name,
                          const std::string& file) {
    const std::string first = name.substr(0, name.find('.'));
    const auto wrong = [&](std::string answer, std::string advice = {}) {
        return Error{ErrorCode::input,
                     {.attempted = "call " + name + " of",
                      .subject = packaging::escaped(file),
                      .answer = std::move(answer),
                      .advice = std::move(advice)}};
    };
    std::vector<std::string> names;
    for (const detail::Definition& each : detail::definitions_in(source)) {
        if (!each.kind.empty()) {
            names.push_back(each.name);
        }
        if (each.name != first || each.kind != "class ") {
            continue;
        }
        const bool plain = each.rest.starts_with(':') || each.rest.starts_with("():");
        if (plain && first == name && !notebook::detail::has_word(each.rest, "train") &&
            !notebook::detail::has_word(each.body, "train")) {
            throw wrong("the class has no train()", "give it one, or name a method or function");
        }
        return;
    }
    if (!notebook::detail::has_word(source, first)) {
        const std::string near = nearest_name(first, names);
        throw wrong("it defines no " + first, near.empty()
                                                  ? "it defines " + payload::shortlist(names)
                                                  : "did you mean " + near + '?');
    }
}

}  // namespace function

/// Calls a function, or train() of a class, in the job, and prints a result that is true. A
/// function of a file or module is named and not pickled: only the files travel.
struct PythonFunctionPreprocessor {
    std::string function = {};  ///< file.py:name, package.module:name, or a file by cloudpickle
    std::vector<std::string> arguments = {};         ///< sys.argv in the job
    std::vector<Input> input_files = {};             ///< files, folders, globs
    std::vector<std::string> command = {"python3"};  ///< what runs our program that calls it
    std::string path_prefix = "/app/";  ///< where inputs land, and the working directory
    std::map<std::string, std::string> output_map = {};
    bool follow_symlinks = false;
    bool include_secrets = false;
    /// Another Python than that ends the job with a sentence. Empty: of a pickle, this machine's
    /// python3; else any will do.
    std::string python_version = {};
    std::string requirements = {};    ///< file of packages to install into a layer
    std::string wheel_platform = {};  ///< of the image, for `requirements`

    /// Throws Error: usage, input for a function that the file does not define, not_found, and what
    /// collect() throws.
    [[nodiscard]] Context prepare(const Session& session) const {
        const function::PythonTarget target = function::parse_python_target(function);
        packaging::CollectOptions options = payload::collect_options(*this);
        const std::string source = source_of(target, options);
        if (!source.empty()) {
            options.inputs.emplace_back(source);
        }
        if (target.pickle.empty() && !source.empty() && payload::is_file(source)) {
            function::check_defined(read_file(source), target.name, source);
        }
        Context context = payload::context_of(options, session);
        payload::OwnFiles own;
        const std::string folder = payload::own_folder(path_prefix);
        own.add(folder + "function.py", function::caller);
        context.command = command;
        context.command.push_back(folder + "function.py");
        add_target(context.command, target, options, session);
        if (!source.empty() && target.pickle.empty() && payload::is_file(source)) {
            payload::add_runtime_shim(context, own, read_file(source), path_prefix);
        }
        own.add_to(context);
        if (!requirements.empty()) {
            requirements::add(context, requirements, {python_version, wheel_platform}, path_prefix,
                              session);
        }
        return context;
    }

private:
    // An aggregate has no private data; these functions are not for users.

    /// What is packaged for the target: its file, or the module's file or outermost package when
    /// that lies here.
    [[nodiscard]] static std::string source_of(const function::PythonTarget& target,
                                               const packaging::CollectOptions& options) {
        if (target.module.empty()) {
            return target.file.empty() ? target.pickle : target.file;
        }
        const std::filesystem::path root = options.root;
        const std::string outer = target.module.substr(0, target.module.find('.'));
        std::error_code ignored;
        return payload::is_file(root / (outer + ".py"))               ? outer + ".py"
               : std::filesystem::is_directory(root / outer, ignored) ? outer
                                                                      : std::string{};
    }

    void add_target(std::vector<std::string>& words, const function::PythonTarget& target,
                    const packaging::CollectOptions& options, const Session& session) const {
        std::string wanted = python_version;
        if (!target.pickle.empty()) {
            wanted = wanted.empty() ? requirements::detail::host_python(session) : wanted;
            words.insert(words.end(),
                         {"--pickle", packaging::destination_of(target.pickle, options)});
        } else if (!target.file.empty()) {
            words.insert(words.end(), {"--file", packaging::destination_of(target.file, options)});
        } else {
            words.insert(words.end(), {"--module", target.module});
        }
        if (!target.name.empty()) {
            words.insert(words.end(), {"--name", target.name});
        }
        if (!wanted.empty()) {
            words.insert(words.end(), {"--python-version", wanted});
        }
        words.emplace_back("--");
        words.insert(words.end(), arguments.begin(), arguments.end());
    }
};

template <>
inline constexpr auto fields<PythonFunctionPreprocessor> = std::tuple{
    field("function", &PythonFunctionPreprocessor::function,
          "file.py:name, package.module:name, or a pickle", given_by_entry),
    field("arguments", &PythonFunctionPreprocessor::arguments, "sys.argv in the job",
          given_behind_dashes),
    field("input_files", &PythonFunctionPreprocessor::input_files,
          "file, folder or glob to package as well; repeatable", "input"),
    field("command", &PythonFunctionPreprocessor::command,
          "what runs the file, split at blanks, without quoting (default: python3)"),
    field("path_prefix", &PythonFunctionPreprocessor::path_prefix,
          "where files land in the image, and the working directory (default: /app/)"),
    field("output_map", &PythonFunctionPreprocessor::output_map,
          "a file's or folder's own place in the image: SRC=DST; repeatable", "map"),
    field("follow_symlinks", &PythonFunctionPreprocessor::follow_symlinks,
          "store what links point to, also outside of the folder"),
    field("include_secrets", &PythonFunctionPreprocessor::include_secrets,
          "take files that look like secrets as well (.env, keys, .git, ...)"),
    field("python_version", &PythonFunctionPreprocessor::python_version,
          "the Python that the job must have (default: any; for a pickle, yours)"),
    field("requirements", &PythonFunctionPreprocessor::requirements,
          "requirements file of packages that go along as a layer, installed here by pip"),
    field("wheel_platform", &PythonFunctionPreprocessor::wheel_platform,
          "the image's platform, for --requirements: linux/amd64 (default: yours)"),
};

static_assert(Preprocessor<PythonFunctionPreprocessor>);

}  // namespace fairing
