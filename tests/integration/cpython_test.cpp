// What fairing sends along as Python, on every CPython of this machine from 3.9 on: the runtime
// shim, the program that calls functions, the one that runs papermill, and converted notebooks.
// cloudpickle comes from PyPI.
#include <doctest/doctest.h>

#include <cstdio>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "../support/papermill_double.hpp"
#include "../support/pythons.hpp"
#include "../support/shell.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/env.hpp"
#include "fairing/deployers/local/process_run.hpp"
#include "fairing/preprocessors/full_notebook.hpp"
#include "fairing/preprocessors/notebook.hpp"
#include "fairing/preprocessors/python.hpp"
#include "fairing/preprocessors/python_function.hpp"

using namespace fairing;
using support::Python;
using support::ShellResult;

namespace {

constexpr const char* model = R"(import sys


def version():
    return "%d.%d" % sys.version_info[:2]


class Model:
    def train(self):
        return "trained by " + version()

    @staticmethod
    def fit():
        return "fitted by %s with %s" % (version(), sys.argv[1:])
)";

constexpr const char* fairings_own = R"(from kubeflow import fairing
import fairing as same
from kubeflow.fairing import TrainJob
from kubeflow.fairing.kubernetes.utils import mounting_pvc
from kubeflow.fairing.backends import KubeflowGKEBackend

fairing.config.set_preprocessor("python", input_files=[1])
fairing.config.run()
TrainJob(lambda: 1, backend=KubeflowGKEBackend()).submit()


class Mine(fairing.builders.Base):
    pass


@fairing.config.fn
def train():
    return 7


assert fairing is same and not mounting_pvc("x")
print(train())
)";

/// Prints what does not compile, then how many do. A real notebook may need a newer Python:
/// nobody's conversion compiles then.
constexpr const char* compile_all = R"(import glob, py_compile, sys

def compiles(name):
    try:
        py_compile.compile(name, cfile=name + "c", doraise=True)
        return True
    except py_compile.PyCompileError:
        return False

ours = sorted(glob.glob("*.ours"))
good = [name for name in ours if compiles(name)]
newer = [name for name in ours if name.startswith("real_") and not compiles(name[:-5] + ".py")]
print("".join(name + "\n" for name in ours if name not in good and name not in newer), end="")
print(len(good), "of", len(ours), end="")
)";

/// What a context prints as a plain process of this machine, run by that Python; the folder in
/// which it is laid out is left out.
ShellResult run_here(Context context, const std::string& python) {
    const support::Workspace space;
    for (const ContextFile& file : context.files) {
        space.file(file.destination.substr(1), read_file(file.source));
    }
    context.command.front() = python;
    for (const auto& [variable, folders] : context.search_paths) {
        context.environment[variable] = folders;
    }
    const CommandResult ran =
        fairing::run(local::host_command({.command = context.command,
                                          .environment = context.environment,
                                          .working_directory = context.working_directory},
                                         space.path()));
    std::string output = ran.output + ran.errors;
    const std::string folder = space.path().string();
    for (std::size_t at = 0; (at = output.find(folder)) != std::string::npos;) {
        output.erase(at, folder.size());
    }
    return {.exit_code = ran.exit_code, .output = std::move(output)};
}

/// A line of the table.
class Row {
public:
    explicit Row(const Python& python) : python_(python) {}

    void expect(const char* what, const ShellResult& ran, int exit_code,
                const std::string& output) {
        CAPTURE(python_.version());
        CAPTURE(what);
        CHECK(ran.exit_code == exit_code);
        CHECK(ran.output == output);
        add(what, ran.exit_code == exit_code && ran.output == output ? "yes" : "NO");
    }
    void add(const char* what, std::string cell) { cells_.emplace_back(what, std::move(cell)); }

    void print_header() const {
        std::printf("%-8s", "CPython");
        for (const auto& [what, cell] : cells_) {
            std::printf(" %-14s", what);
        }
        std::printf("\n");
    }
    void print() const {
        std::printf("%-8s", python_.version().c_str());
        for (const auto& [what, cell] : cells_) {
            std::printf(" %-14s", cell.c_str());
        }
        std::printf("\n");
    }

private:
    Python python_;
    std::vector<std::pair<const char*, std::string>> cells_ = {};
};

class Matrix {
public:
    explicit Matrix(std::vector<Python> pythons) : pythons_(std::move(pythons)) {
        space_.file("model.py", model);
        space_.file("far/near.py", model);
        space_.file("job.py", fairings_own);
        for (const std::string name : {"a.ipynb", "a.cell.ipynb", "fortran.ipynb"}) {
            const char* const kernel = name == "fortran.ipynb" ? "fortran" : "python3";
            space_.file(name, Json{{"nbformat", 4},
                                   {"metadata", {{"kernelspec", {{"name", kernel}}}}},
                                   {"cells", Json::array()}}
                                  .dump());
        }
        support::write_papermill_double(space_, "modules");
        write_notebooks();
        write_pickles();
    }

    [[nodiscard]] Row row_of(const Python& python) const {
        Row row{python};
        row.expect("shim",
                   run_here(PythonPreprocessor{.executable = space_ / "job.py"}.prepare({}),
                            python.program),
                   0, "7\n");
        functions(row, python);
        pickles(row, python);
        papermill(row, python);
        const ShellResult compiled = support::run("cd " + (space_ / "notebooks") + " && " +
                                                  python.program + " ../compile.py 2>/dev/null");
        CHECK(compiled.exit_code == 0);
        CHECK_MESSAGE(compiled.output.find('\n') == std::string::npos, compiled.output);
        row.add("compile", compiled.output);
        return row;
    }
    [[nodiscard]] const std::string& without_pickles() const noexcept { return without_pickles_; }

private:
    /// The examples, and those of notebooks.py where nbconvert is there.
    void write_notebooks() {
        const std::string source = env("FAIRING_SOURCE_ROOT", ".");
        space_.folder("notebooks");
        space_.file("compile.py", compile_all);
        std::filesystem::copy_file(source + "/examples/train.ipynb",
                                   space_ / "notebooks/example.ipynb");
        if (support::run("/usr/bin/python3 -c 'import nbconvert, IPython' 2>&1").exit_code == 0) {
            const ShellResult made =
                support::run("/usr/bin/python3 " + source + "/tests/support/notebooks.py " +
                             (space_ / "notebooks") + " 2>&1");
            REQUIRE_MESSAGE(made.exit_code == 0, made.output);
        }
        std::vector<std::filesystem::path> notebooks;
        for (const auto& entry : std::filesystem::directory_iterator{space_.path() / "notebooks"}) {
            if (entry.path().extension() == ".ipynb") {
                notebooks.push_back(entry.path());
            }
        }
        for (std::filesystem::path& file : notebooks) {
            const std::string text = NotebookPreprocessor{}.convert(file.string(), {}).text;
            write_file(file.replace_extension(".ours"), text);
        }
    }

    /// One pickle for each Python, by value: the job has no such module.
    void write_pickles() {
        space_.file("write.py", std::string{model} +
                                    "\n\ndef fit():\n    return Model().train()\n\n"
                                    "import cloudpickle\n"
                                    "cloudpickle.dump(fit, open(sys.argv[1], 'wb'))\n");
        for (const Python& python : pythons_) {
            without_pickles_ = support::make_cloudpickle(python, pythons_, venv(python));
            if (!without_pickles_.empty()) {
                return;
            }
            const ShellResult written =
                support::run(venv(python) + "/bin/python " + (space_ / "write.py") + ' ' +
                             pickle(python) + " 2>&1");
            REQUIRE_MESSAGE(written.exit_code == 0, written.output);
        }
    }

    void functions(Row& row, const Python& python) const {
        const auto call = [&](const std::string& name, std::vector<std::string> arguments) {
            return run_here(PythonFunctionPreprocessor{.function = name,
                                                       .arguments = std::move(arguments),
                                                       .input_files = {space_ / "far"},
                                                       .python_version = python.version()}
                                .prepare({}),
                            python.program);
        };
        row.expect("file:qualname", call((space_ / "model.py") + ":Model.fit", {"--epochs", "3"}),
                   0, "fitted by " + python.version() + " with ['--epochs', '3']\n");
        row.expect("module:name", call("far.near:version", {}), 0, python.version() + '\n');
        row.expect("class", call((space_ / "model.py") + ":Model", {}), 0,
                   "trained by " + python.version() + '\n');
        row.expect("no such name", call("far.near:fid", {}), 65,
                   "fairing: cannot call fid of far.near: there is no fid\n");
    }

    void pickles(Row& row, const Python& python) const {
        if (!without_pickles_.empty()) {
            row.add("cloudpickle", "-");
            row.add("of another", "-");
            return;
        }
        const auto call = [&](const Python& writer) {
            return run_here(PythonFunctionPreprocessor{.function = pickle(writer),
                                                       .python_version = writer.version()}
                                .prepare({}),
                            venv(python) + "/bin/python");
        };
        row.expect("cloudpickle", call(python), 0, "trained by " + python.version() + '\n');
        std::string said, expected;
        for (const Python& other : pythons_) {
            if (other.minor == python.minor) {
                continue;
            }
            const ShellResult refused = call(other);
            CHECK(refused.exit_code == 65);
            said += refused.output;
            expected += "fairing: cannot call /app/" + other.version() +
                        ".pickle: it was made with Python " + other.version() +
                        ", and this is Python " + python.version() + '\n';
        }
        row.expect("of another", {.exit_code = 0, .output = said}, 0, expected);
    }

    void papermill(Row& row, const Python& python) const {
        const auto ran = [&](const std::string& notebook) {
            Context context =
                FullNotebookPreprocessor{.notebook_file = space_ / notebook, .log_output = false}
                    .prepare({});
            context.environment["PYTHONPATH"] = space_ / "modules";
            return run_here(std::move(context), python.program);
        };
        row.expect("papermill", ran("a.ipynb"), 0,
                   "['papermill', '/app/a.ipynb', 'fairing_output_notebook.ipynb']\n");
        row.expect("no kernel", ran("fortran.ipynb"), 65,
                   "fairing: cannot run notebook /app/fortran.ipynb: there is no kernel fortran "
                   "here, only ir, python3; name one that is here with --kernel, or install that "
                   "one in the image\n");
        row.expect("failing cell", ran("a.cell.ipynb"), 1,
                   "all of the cell\nfairing: cannot run notebook /app/a.cell.ipynb: cell In [3] "
                   "failed: ValueError: no data\n");
    }

    [[nodiscard]] std::string venv(const Python& python) const {
        return space_ / ("venv-" + python.version());
    }
    [[nodiscard]] std::string pickle(const Python& python) const {
        return space_ / (python.version() + ".pickle");
    }

    std::vector<Python> pythons_;
    support::Workspace space_ = {};
    std::string without_pickles_ = {};  ///< why there are none
};

}  // namespace

TEST_CASE("our Python runs on every CPython from 3.9 on, and tells another version's pickle") {
    const std::vector<Python> pythons = support::pythons();
    if (pythons.size() < 2) {
        MESSAGE("skipped: needs two CPythons of 3.9 or newer, and here is "
                << (pythons.empty() ? "none" : "only " + pythons.front().version()));
        return;
    }
    const Matrix matrix{pythons};
    if (!matrix.without_pickles().empty()) {
        MESSAGE("skipped: cloudpickle, " << matrix.without_pickles());
    }
    for (const Python& python : pythons) {
        const Row row = matrix.row_of(python);
        if (python.minor == pythons.front().minor) {
            row.print_header();
        }
        row.print();
    }
}
