// fairing/preprocessors/notebook/papermill.hpp - how papermill is asked to run a notebook, and the
// program of ours in the job that asks it.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/json.hpp"
#include "document.hpp"

namespace fairing::notebook {

/// JSON that is YAML 1.1 with the same values: there 1e-05 is a text, and 1.0e-05 a number.
[[nodiscard]] inline std::string to_flow_yaml(const Json& value) {
    if (value.is_number_float()) {
        std::string text = value.dump();
        const std::size_t exponent = text.find('e');
        if (exponent != std::string::npos && text.find('.') == std::string::npos) {
            text.insert(exponent, ".0");
        }
        return text;
    }
    if (!value.is_structured()) {
        return value.dump();
    }
    std::string text;
    for (const auto& [key, member] : value.items()) {
        text += text.empty() ? "" : ", ";
        text += value.is_object() ? Json(key).dump() + ": " : "";
        text += to_flow_yaml(member);
    }
    return value.is_object() ? '{' + text + '}' : '[' + text + ']';
}

/// The options of papermill that set a parameter to exactly this value.
[[nodiscard]] inline std::vector<std::string> papermill_parameter(const std::string& name,
                                                                  const Json& value) {
    if (value.is_string()) {
        return {"-r", name, value.get<std::string>()};
    }
    return {"-y", '{' + Json(name).dump() + ": " + to_flow_yaml(value) + '}'};
}

/// Whether Jupyter can have a kernel of this name (jupyter_client, kernelspec.py).
[[nodiscard]] inline bool is_kernel_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    });
}

/// The language of a kernel that has the same name everywhere, in lower case; "" for others.
[[nodiscard]] inline std::string language_of_kernel(std::string_view kernel) {
    constexpr std::array<std::pair<std::string_view, const char*>, 5> known = {
        {{"python", "python"},
         {"python2", "python"},
         {"python3", "python"},
         {"ir", "r"},
         {"bash", "bash"}}};
    const auto* const found = std::find_if(
        known.begin(), known.end(), [&](const auto& entry) { return entry.first == kernel; });
    return found != known.end() ? found->second : kernel.starts_with("julia-") ? "julia" : "";
}

/// Whether the notebook is, or may be, of this language; one that is not known may be any.
[[nodiscard]] inline bool is_written_in(const Document& document, const std::string& language) {
    const std::string written = document.language == "ipython" ? "python" : document.language;
    return written.empty() || language.empty() || written == language;
}

/// The program: papermill's own arguments, in front of them the notebook. The last line that it
/// prints of a failure is one sentence, and its exit code is 65 when the image can not run the
/// notebook, 1 when the notebook fails.
inline constexpr std::string_view papermill_runner =
    R"py(# Runs a notebook by papermill, and says in one sentence why it failed. Written by fairing.
import json
import os
import shutil
import sys
import traceback


def stop(notebook, reason, code=65):
    sys.stdout.flush()
    sys.stderr.write("fairing: cannot run notebook %s: %s\n" % (notebook, reason))
    sys.exit(code)


def one_line(text):
    return " ".join(str(text).split())


def python_of(program):
    """The Python that a script names in its first line, or None."""
    with open(program, "rb") as file:
        start = file.readline().decode("utf-8", "replace")
    words = start[2:].split() if start.startswith("#!") else []
    is_python = len(words) == 1 and os.path.basename(words[0]).startswith("python")
    return words[0] if is_python and os.access(words[0], os.X_OK) else None


def go_on_with_another(arguments):
    """Lets a papermill that belongs to another Python take over this process, if there is one."""
    program = shutil.which("papermill")
    if program is None:
        return
    python = python_of(program)
    if python is None or python == sys.executable:
        os.execv(program, ["papermill"] + arguments)
    os.execv(python, [python, os.path.abspath(__file__)] + arguments)


def load(notebook):
    try:
        from papermill.cli import papermill

        return papermill
    except ImportError as error:
        if (error.name or "").split(".")[0] != "papermill":
            stop(notebook, "papermill does not start: %s; install all that it needs" % one_line(error))
    go_on_with_another(sys.argv[1:])
    stop(notebook, "there is no papermill here; take a base image that has it, or install it with "
         "--requirements (papermill and ipykernel)")


def kernel_of(arguments):
    """The kernel that papermill will start, as far as that can be told."""
    if "-k" in arguments:
        return arguments[len(arguments) - arguments[::-1].index("-k")]
    try:
        with open(arguments[0], encoding="utf-8") as file:
            return json.load(file)["metadata"]["kernelspec"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_kernel(arguments):
    """Before papermill does, since Jupyter logs a traceback. Another engine has its own kernels."""
    from jupyter_client.kernelspec import KernelSpecManager

    name = kernel_of(arguments)
    if name and "--engine" not in arguments:
        KernelSpecManager().get_kernel_spec(name)


def no_kernel(name):
    from jupyter_client.kernelspec import KernelSpecManager

    known = sorted(KernelSpecManager().find_kernel_specs())
    if known:
        return ("there is no kernel %s here, only %s; name one that is here with --kernel, or install that one "
                "in the image" % (name, ", ".join(known)))
    return ("there is no kernel %s here, nor any other; install it in the image, for Python the package "
            "ipykernel (--requirements)" % name)


def main():
    if os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
        del sys.path[0]
    notebook = sys.argv[1]
    papermill = load(notebook)
    from jupyter_client.kernelspec import NoSuchKernel
    from papermill.exceptions import PapermillExecutionError

    sys.argv[0] = "papermill"
    try:
        check_kernel(sys.argv[1:])
        papermill()
    except NoSuchKernel as error:
        stop(notebook, no_kernel(error.name))
    except PapermillExecutionError as error:
        sys.stderr.write("%s\n" % error)
        stop(notebook, "cell In [%s] failed: %s: %s" % (error.exec_count, error.ename, one_line(error.evalue)), 1)
    except Exception as error:
        traceback.print_exc()
        stop(notebook, "%s: %s" % (type(error).__name__, one_line(error)), 1)


if __name__ == "__main__":
    main()
)py";

/// `command` with that program, which lies at `program` in the image, instead of papermill itself.
/// A command that does not plainly call papermill stays as it is: false.
[[nodiscard]] inline bool use_papermill_runner(std::vector<std::string>& command,
                                               const std::string& program) {
    const std::size_t size = command.size();
    if (command == std::vector<std::string>{"papermill"}) {
        command = {"python3", program};
    } else if (size > 2 && command[size - 2] == "-m" && command[size - 1] == "papermill") {
        command.resize(size - 2);
        command.push_back(program);
    } else {
        return false;
    }
    return true;
}

}  // namespace fairing::notebook
