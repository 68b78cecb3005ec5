#include "fairing/preprocessors/entry.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

TEST_CASE("an entry point is told by its name and its first bytes") {
    const support::Workspace space;
    space.file("run", "#!/usr/bin/env bash -e\necho\n", 0755);
    space.file("plain.sh", "echo\n");
    space.file("package/__main__.py");
    space.file("folder/x.py");
    space.file("notes.txt");
    const auto told = [&](const std::string& name) { return guess_entry(name).preprocessor; };
    CHECK(told("train.py") == "python");
    CHECK(told("a.ipynb") == "notebook");
    CHECK(told("train.py:fit") == "python_function");
    CHECK(told("package.module:fit") == "python_function");
    CHECK(told("fit.pickle") == "python_function");
    CHECK(told("/proc/self/exe") == "function");
    CHECK(guess_entry(space / "run").options["command"] == Json{"/usr/bin/env", "bash", "-e"});
    CHECK(guess_entry(space / "plain.sh").options["command"] == Json{"sh"});
    const Entry package = guess_entry(space / "package");
    CHECK(package.preprocessor == "python");
    CHECK(package.options["executable"] == (space / "package/__main__.py"));
    CHECK(package.options["input_files"] == Json{space / "package"});
    CHECK(entry_for("a.ipynb", "full_notebook").options["notebook_file"] == "a.ipynb");
    const auto said = [&](const std::string& name) { return error_of([&] { (void)told(name); }); };
    CHECK(contains(said(space / "folder"), "without __main__.py"));
    CHECK(contains(said(space / "notes.txt"), "not an entry"));
    CHECK(contains(said(space / "absent"), "there is no such file"));
}
