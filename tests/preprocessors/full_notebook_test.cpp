#include "fairing/preprocessors/full_notebook.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using Words = std::vector<std::string>;

namespace {

std::string notebook_for(const std::string& kernel, const std::string& language) {
    return Json{{"nbformat", 4},
                {"metadata", {{"kernelspec", {{"name", kernel}, {"language", language}}}}},
                {"cells", Json::array()}}
        .dump();
}

}  // namespace

TEST_CASE("papermill's command, with parameters of every kind") {
    const support::Workspace space;
    space.file("a.ipynb", notebook_for("python3", "python"));
    const Context context =
        FullNotebookPreprocessor{
            .notebook_file = space / "a.ipynb",
            .output_file = "s3://results/out.ipynb",
            .parameters = {{"name", "10"}, {"rate", 1e-5}, {"layers", {64, 1e-6}}, {"on", true}},
            .kernel = "other"}
            .prepare({});
    CHECK(context.command == Words{"python3", "/app/.fairing/notebook.py", "/app/a.ipynb",
                                   "s3://results/out.ipynb", "-y", R"({"layers": [64, 1.0e-06]})",
                                   "-r", "name", "10", "-y", R"({"on": true})", "-y",
                                   R"({"rate": 1.0e-05})", "-k", "other", "--log-output"});
    REQUIRE(context.files.size() == 2);
    CHECK(context.files[0].destination == "/app/.fairing/notebook.py");
    CHECK(context.files[1].destination == "/app/a.ipynb");
}

TEST_CASE("another command than papermill is taken as it is") {
    const support::Workspace space;
    space.file("a.ipynb", notebook_for("mine", "python"));
    const Context context =
        FullNotebookPreprocessor{.notebook_file = space / "a.ipynb",
                                 .command = {"/opt/bin/papermill", "--engine", "own"},
                                 .log_output = false}
            .prepare({});
    CHECK(context.command == Words{"/opt/bin/papermill", "--engine", "own", "/app/a.ipynb",
                                   "fairing_output_notebook.ipynb"});
    CHECK(context.files.size() == 1);
}

TEST_CASE("parameters of a notebook that names no language get that of its kernel") {
    const support::Workspace space;
    space.file("a.ipynb", notebook_for("python3", ""));
    space.file("b.ipynb", notebook_for("mine", ""));
    FullNotebookPreprocessor stage{
        .notebook_file = space / "a.ipynb", .parameters = {{"epochs", 3}}, .log_output = false};
    const auto end = [&stage] {
        const Words command = stage.prepare({}).command;
        return Words{command.end() - 2, command.end()};
    };
    CHECK(end() == Words{"-l", "python"});
    stage.kernel = "ir";
    CHECK(end() == Words{"-l", "R"});
    stage.notebook_file = space / "b.ipynb";
    stage.kernel = {};
    CHECK(contains(error_of(end), "b.ipynb: it does not say in which language its parameters"));
    stage.parameters = {};
    CHECK(end().back() == "fairing_output_notebook.ipynb");
}

TEST_CASE("a notebook that can not run is told at once") {
    const support::Workspace space;
    space.file("cut.ipynb", R"({"nbformat": 4, "cells": [)");
    space.file("bare.ipynb", R"({"nbformat": 4, "cells": []})");
    space.file("shown.ipynb", notebook_for("Python 3", "python"));
    space.file("r.ipynb", notebook_for("ir", "R"));
    const auto said = [&](const std::string& file, const std::string& kernel = {}) {
        return error_of([&] {
            (void)FullNotebookPreprocessor{.notebook_file = space / file, .kernel = kernel}.prepare(
                {});
        });
    };
    CHECK(contains(said("cut.ipynb"), "not valid JSON"));
    CHECK(contains(said("bare.ipynb"), "it names no kernel; name one with --kernel"));
    CHECK(contains(said("shown.ipynb"),
                   "no kernel can have the name \"Python 3\"; name one with --kernel, such as "
                   "python3"));
    CHECK(contains(said("r.ipynb", "a/b"), "no kernel can have the name \"a/b\""));
    CHECK(contains(said("r.ipynb", "python3"),
                   "it is written in r, and kernel python3 runs python; name a kernel of its "
                   "language with --kernel"));
    CHECK(said("r.ipynb").empty());
    CHECK(said("r.ipynb", "irkernel-4").empty());
    CHECK(said("shown.ipynb", "python3").empty());
}
