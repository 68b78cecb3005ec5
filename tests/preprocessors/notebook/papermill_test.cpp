#include "fairing/preprocessors/notebook/papermill.hpp"

#include <doctest/doctest.h>

#include "../../support/papermill_double.hpp"
#include "../../support/shell.hpp"
#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using Words = std::vector<std::string>;

namespace {

/// Our program with the modules of papermill_double.hpp.
struct Runner {
    support::Workspace space = {};

    Runner() {
        space.file("own/notebook.py", notebook::papermill_runner);
        support::write_papermill_double(space, "modules");
    }
    /// Its exit code and all that it prints; `modules` is PYTHONPATH.
    [[nodiscard]] std::string run(const std::string& arguments,
                                  const std::string& modules = "modules",
                                  const std::string& python = "python3 -S") const {
        const auto result =
            support::run("cd " + space.path().string() + " && PYTHONPATH=" + modules + ' ' +
                         python + " own/notebook.py " + arguments + " 2>&1");
        return std::to_string(result.exit_code) + ' ' + result.output;
    }
};

bool is_missing_python() {
    if (support::has_program("python3")) {
        return false;
    }
    MESSAGE("skipped: needs python3");
    return true;
}

}  // namespace

TEST_CASE("parameters as papermill reads them exactly") {
    CHECK(notebook::papermill_parameter("a", "10") == Words{"-r", "a", "10"});
    CHECK(notebook::papermill_parameter("a", 10) == Words{"-y", R"({"a": 10})"});
    CHECK(notebook::papermill_parameter("a", Json{{"b", {1e-5, true, nullptr, "c: d"}}}) ==
          Words{"-y", R"({"a": {"b": [1.0e-05, true, null, "c: d"]}})"});
}

TEST_CASE("names of kernels, and the languages of those that everybody knows") {
    for (const char* name : {"python3", "ir", "julia-1.9", "my_Kernel.2"}) {
        CAPTURE(name);
        CHECK(notebook::is_kernel_name(name));
    }
    for (const char* name : {"", "Python 3", "a/b", "é", "a\n"}) {
        CAPTURE(name);
        CHECK_FALSE(notebook::is_kernel_name(name));
    }
    CHECK(notebook::language_of_kernel("python3") == "python");
    CHECK(notebook::language_of_kernel("julia-1.9") == "julia");
    CHECK(notebook::language_of_kernel("mine").empty());
    CHECK(notebook::is_written_in({.language = "ipython"}, "python"));
    CHECK(notebook::is_written_in({.language = "r"}, ""));
    CHECK(notebook::is_written_in({}, "r"));
    CHECK_FALSE(notebook::is_written_in({.language = "r"}, "python"));
}

TEST_CASE("our program stands in for papermill, and for nothing else") {
    const auto used = [](Words command) {
        const bool changed = notebook::use_papermill_runner(command, "/own.py");
        CHECK(changed == (command.back() == "/own.py"));
        return command;
    };
    CHECK(used({"papermill"}) == Words{"python3", "/own.py"});
    CHECK(used({"/opt/bin/python", "-u", "-m", "papermill"}) ==
          Words{"/opt/bin/python", "-u", "/own.py"});
    for (const Words& other : {Words{"/opt/bin/papermill"}, Words{"papermill", "--engine", "x"},
                               Words{"-m", "papermill"}, Words{"jupyter", "execute"}}) {
        CHECK(used(other) == other);
    }
}

TEST_CASE("papermill gets its arguments, and a failure ends with one sentence") {
    if (is_missing_python()) {
        return;
    }
    const Runner runner;
    CHECK(runner.run("a.ipynb out.ipynb -r -k x -k ir") ==
          "0 ['papermill', 'a.ipynb', 'out.ipynb', '-r', '-k', 'x', '-k', 'ir']\n");
    CHECK(runner.run("a.ipynb out.ipynb -k fortran") ==
          "65 fairing: cannot run notebook a.ipynb: there is no kernel fortran here, only ir, "
          "python3; name one that is here with --kernel, or install that one in the image\n");
    runner.space.file("own.ipynb", R"({"metadata": {"kernelspec": {"name": "cobol"}}})");
    CHECK(contains(runner.run("own.ipynb out.ipynb"), "there is no kernel cobol here"));
    CHECK(runner.run("own.ipynb out.ipynb -k ir").starts_with("0 "));
    CHECK(runner.run("own.ipynb out.ipynb --engine far").starts_with("0 "));
    CHECK(runner.run("a.cell.ipynb out.ipynb") ==
          "1 all of the cell\nfairing: cannot run notebook a.cell.ipynb: cell In [3] failed: "
          "ValueError: no data\n");
    const std::string other = runner.run("a.other.ipynb out.ipynb");
    CHECK(other.starts_with("1 Traceback"));
    CHECK(other.ends_with("\nfairing: cannot run notebook a.other.ipynb: OSError: disk full\n"));
    runner.space.file("modules/jupyter_client/kernels", "");
    CHECK(contains(runner.run("a.ipynb out.ipynb -k fortran"),
                   "there is no kernel fortran here, nor any other; install it"));
}

TEST_CASE("an image without papermill, or with half of it, is told in one sentence") {
    if (is_missing_python()) {
        return;
    }
    const Runner runner;
    // No PATH: another Python's papermill is not found either.
    const std::string python =
        "PATH= " + support::run("python3 -c 'import sys; print(sys.executable, end=\"\")'").output +
        " -S";
    CHECK(runner.run("a.ipynb out.ipynb", "none", python) ==
          "65 fairing: cannot run notebook a.ipynb: there is no papermill here; take a base image "
          "that has it, or install it with --requirements (papermill and ipykernel)\n");
    runner.space.file("half/papermill/__init__.py", "");
    runner.space.file("half/papermill/cli.py", "import click_that_is_missing\n");
    CHECK(runner.run("a.ipynb out.ipynb", "half") ==
          "65 fairing: cannot run notebook a.ipynb: papermill does not start: No module named "
          "'click_that_is_missing'; install all that it needs\n");
}

TEST_CASE("a papermill of another Python is found by its program, and its Python runs ours") {
    if (is_missing_python()) {
        return;
    }
    const Runner runner;
    const std::string program =
        support::run("python3 -c 'import sys; print(sys.executable, end=\"\")'").output;
    // That Python finds the modules, and the first one did not.
    runner.space.file("bin/python3-of-pipx",
                      "#!/bin/sh\nPYTHONPATH=modules exec " + program + " -S \"$@\"\n", 0755);
    runner.space.file("bin/papermill", "#!" + (runner.space / "bin/python3-of-pipx") + "\n", 0755);
    const std::string python = "PATH=" + (runner.space / "bin") + " " + program + " -S";
    CHECK(contains(runner.run("a.ipynb out.ipynb -k fortran", "none", python),
                   "there is no kernel fortran here, only ir, python3"));
    // No Python's: it is started as it is.
    runner.space.file("bin/papermill", "#!/bin/sh\necho \"by itself: $@\"\n", 0755);
    CHECK(runner.run("a.ipynb out.ipynb", "none", python) == "0 by itself: a.ipynb out.ipynb\n");
}
