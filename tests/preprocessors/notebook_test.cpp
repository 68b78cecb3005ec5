#include "fairing/preprocessors/notebook.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

#include "../support/fake_pip.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

std::string notebook_of(const std::string& cells, const std::string& language = "python") {
    return R"({"nbformat": 4, "metadata": {"kernelspec": {"name": "k", "language": ")" + language +
           R"("}}, "cells": [)" + cells + "]}";
}
std::string code_cell(const std::string& source, const std::string& tag = "") {
    return Json{
        {"cell_type", "code"}, {"source", source}, {"metadata", {{"tags", Json::array({tag})}}}}
        .dump();
}
std::string prepared(const NotebookPreprocessor& stage) {
    const Context context = stage.prepare({});
    return read_file(context.files.back().source);
}

}  // namespace

TEST_CASE("a notebook is packaged as a Python file at its place, and nothing is left behind") {
    const support::Workspace space;
    space.file("deep/train.ipynb", notebook_of(code_cell("print(1)\n%who")));
    space.file("data.csv");
    std::filesystem::path source;
    {
        const Context context = NotebookPreprocessor{
            .notebook_file = space / "deep/train.ipynb",
            .input_files = {
                space / "data.csv"}}.prepare({});
        REQUIRE(context.files.size() == 2);
        CHECK(context.command == std::vector<std::string>{"python3", "/app/train.py"});
        CHECK(context.files[1].destination == "/app/train.py");
        source = context.files[1].source;
        CHECK(contains(read_file(source), "print(1)"));
        CHECK(context.files[1].size == read_file(source).size());
    }
    CHECK_FALSE(std::filesystem::exists(source));
    CHECK_FALSE(std::filesystem::exists(space / "deep/train.py"));
}

TEST_CASE("tags, include-cell, the class and one's own filter choose cells") {
    const support::Workspace space;
    space.file("a.ipynb", notebook_of(code_cell("one = 1", "t") + ',' +
                                      code_cell("class Two:  # fairing:include-cell\n  pass")));
    NotebookPreprocessor stage{.notebook_file = space / "a.ipynb"};
    stage.only_tags = {"t"};
    CHECK_FALSE(contains(prepared(stage), "Two"));
    stage.only_tags = {};
    stage.skip_tags = {"t"};
    CHECK_FALSE(contains(prepared(stage), "one"));
    stage.skip_tags = {};
    stage.only_included_cells = true;
    CHECK_FALSE(contains(prepared(stage), "one"));
    stage.only_included_cells = false;
    stage.class_name = "Two";
    CHECK(contains(prepared(stage), "fire.Fire(Two)"));
    CHECK_FALSE(contains(prepared(stage), "one"));
    stage.filter = [](const notebook::Cell& cell) { return std::optional{cell.source + "\nown"}; };
    CHECK(contains(prepared(stage), "one = 1\nown"));
}

TEST_CASE("the Python file is written where asked, and replaced only when asked") {
    const support::Workspace space;
    space.file("a.ipynb", notebook_of(code_cell("x")));
    NotebookPreprocessor stage{.notebook_file = space / "a.ipynb", .python_file = space / "b.py"};
    (void)stage.prepare({});
    CHECK(contains(read_file(space / "b.py"), "\nx\n"));
    CHECK(contains(error_of([&] { (void)stage.prepare({}); }), "b.py: it exists already"));
    stage.overwrite = true;
    (void)stage.prepare({});
}

TEST_CASE("what the notebook's pip commands install is offered, and goes along when asked for") {
    const support::Workspace space;
    space.file("a.ipynb",
               notebook_of(code_cell("%pip install 'numpy>=1'\n!pip install -r more.txt") + ',' +
                           code_cell("import numpy")));
    space.file("more.txt", "pandas\n");
    support::make_pip(space, "cat ${16} > " + (space / "list") + '\n' + support::installing(space));
    const support::FirstInPath path{space / "bin"};
    std::string said;
    const Session session{.log = [&said](const LogRecord& record) { said += record.text + '\n'; },
                          .cache_directory = space / "cache"};
    NotebookPreprocessor stage{.notebook_file = space / "a.ipynb", .python_version = "3.11"};
    CHECK(stage.prepare(session).files.size() == 1);
    CHECK(
        contains(said, "installs numpy>=1, -r more.txt; --requirements-from-notebook takes that"));
    stage.requirements_from_notebook = true;
    const Context context = stage.prepare(session);
    REQUIRE(context.files.size() == 2);
    CHECK(context.files[0].destination == "/app/.fairing/site-packages/numpy/__init__.py");
    CHECK(read_file(space / "list") == "numpy>=1\n-r " + (space / "more.txt") + '\n');
    CHECK(context.search_paths.at("PYTHONPATH") == "/app/.fairing/site-packages");
    stage.requirements = space / "more.txt";
    CHECK(contains(error_of([&] { (void)stage.prepare(session); }),
                   "both a file and the notebook's"));
}

TEST_CASE("in a notebook's kernel that notebook is the default") {
    const support::Workspace space;
    space.file("here.ipynb", notebook_of(code_cell("x")));
    CHECK(contains(error_of([] { (void)NotebookPreprocessor{}.prepare({}); }), "none is named"));
    ::setenv("JPY_SESSION_NAME", (space / "here.ipynb").c_str(), 1);
    CHECK(NotebookPreprocessor{}.prepare({}).command.back() == "/app/here.py");
    ::unsetenv("JPY_SESSION_NAME");
}

TEST_CASE("what can not be converted is named") {
    const support::Workspace space;
    space.file("r.ipynb", notebook_of(code_cell("x <- 1"), "R"));
    space.file("empty.ipynb", notebook_of(code_cell("%who")));
    space.file("a.ipynb", notebook_of(code_cell("x")));
    space.file("a.py", "y");
    const auto said = [&](const std::string& file, std::vector<Input> inputs = {}) {
        return error_of([&] {
            (void)NotebookPreprocessor{.notebook_file = space / file,
                                       .input_files = std::move(inputs)}
                .prepare({});
        });
    };
    CHECK(contains(said("r.ipynb"), "it is written in r; run it as it is"));
    CHECK(contains(said("empty.ipynb"), "no code is left of its 1 cells"));
    CHECK(contains(said("absent.ipynb"), "absent.ipynb"));
    CHECK(contains(said("a.ipynb", {space / "a.py"}), "is packaged at that place"));
}
