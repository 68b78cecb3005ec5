// NotebookPreprocessor against nbconvert: the same bytes where a notebook holds nothing but Python,
// and always a file that compiles. tests/support/notebooks.py makes the notebooks.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "../support/shell.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/env.hpp"
#include "fairing/preprocessors/notebook.hpp"

using namespace fairing;
using support::run;

namespace {

struct NotebookRow {
    std::string name = {}, kind = {};
    bool compiles = false, equal = false;
};

/// Converts every notebook of the folder to NAME.ours.py, and compares.
std::vector<NotebookRow> convert_all(const support::Workspace& space) {
    std::vector<NotebookRow> rows;
    for (const auto& entry : std::filesystem::directory_iterator{space.path()}) {
        if (entry.path().extension() != ".ipynb") {
            continue;
        }
        std::filesystem::path file = entry.path();
        const std::string text = NotebookPreprocessor{}.convert(file.string(), {}).text;
        const std::string expected = read_file(file.replace_extension(".py"));
        write_file(file.replace_extension(".ours"), text);
        rows.push_back({.name = file.stem(),
                        .kind = read_file(file.replace_extension(".kind")),
                        .equal = text == expected});
    }
    std::sort(rows.begin(), rows.end(),
              [](const NotebookRow& a, const NotebookRow& b) { return a.name < b.name; });
    return rows;
}

}  // namespace

TEST_CASE("notebooks: Python that compiles, and equal to nbconvert's where both are right") {
    if (run("/usr/bin/python3 -c 'import nbconvert, IPython' 2>&1").exit_code != 0) {
        MESSAGE("skipped: needs python3-nbconvert and python3-ipython");
        return;
    }
    const support::Workspace space;
    const auto made = run("/usr/bin/python3 " + env("FAIRING_SOURCE_ROOT", ".") +
                          "/tests/support/notebooks.py " + space.path().string() + " 2>&1");
    REQUIRE_MESSAGE(made.exit_code == 0, made.output);
    std::vector<NotebookRow> rows = convert_all(space);
    // One interpreter for all; it names those that do not compile.
    const std::string broken =
        run("cd " + space.path().string() +
            " && /usr/bin/python3 -c 'import glob, py_compile\n"
            "for name in glob.glob(\"*.ours\"):\n"
            "    try:\n        py_compile.compile(name, cfile=name + \"c\", doraise=True)\n"
            "    except py_compile.PyCompileError as error:\n        print(name, error)\n' 2>&1")
            .output;
    std::size_t plain = 0, real = 0;
    std::printf("%-44s %-6s %-9s %s\n", "notebook", "holds", "compiles", "as nbconvert");
    for (NotebookRow& row : rows) {
        row.compiles = broken.find(row.name + ".ours") == std::string::npos;
        plain += row.kind == "plain" ? 1 : 0;
        real += row.name.starts_with("real_") ? 1 : 0;
        std::printf("%-44s %-6s %-9s %s\n", row.name.c_str(), row.kind.c_str(),
                    row.compiles ? "yes" : "NO", row.equal ? "equal" : "differs");
        CAPTURE(row.name);
        CHECK(row.compiles);
        CHECK((row.equal || row.kind != "plain"));
    }
    std::printf("%zu notebooks, %zu of them only Python, %zu out of installed packages\n",
                rows.size(), plain, real);
    CHECK(rows.size() >= 60);
    CHECK(plain >= 30);
    CHECK_MESSAGE(broken.empty(), broken);
}
