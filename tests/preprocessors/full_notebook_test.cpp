#include "fairing/preprocessors/full_notebook.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using Words = std::vector<std::string>;

TEST_CASE("papermill's command, with parameters of every kind") {
    const support::Workspace space;
    space.file("a.ipynb", R"({"nbformat": 4, "metadata": {"kernelspec": {"name": "python3"}},
                              "cells": []})");
    const Context context =
        FullNotebookPreprocessor{
            .notebook_file = space / "a.ipynb",
            .output_file = "s3://results/out.ipynb",
            .parameters = {{"name", "10"}, {"rate", 1e-5}, {"layers", {64, 1e-6}}, {"on", true}},
            .kernel = "other"}
            .prepare({});
    CHECK(context.command == Words{"papermill", "/app/a.ipynb", "s3://results/out.ipynb", "-y",
                                   R"({"layers": [64, 1.0e-06]})", "-r", "name", "10", "-y",
                                   R"({"on": true})", "-y", R"({"rate": 1.0e-05})", "-k", "other",
                                   "--log-output"});
    REQUIRE(context.files.size() == 1);
    CHECK(context.files[0].destination == "/app/a.ipynb");
}

TEST_CASE("a notebook that can not run is told at once") {
    const support::Workspace space;
    space.file("cut.ipynb", R"({"nbformat": 4, "cells": [)");
    space.file("bare.ipynb", R"({"nbformat": 4, "cells": []})");
    const auto said = [&](const std::string& file) {
        return error_of(
            [&] { (void)FullNotebookPreprocessor{.notebook_file = space / file}.prepare({}); });
    };
    CHECK(contains(said("cut.ipynb"), "not valid JSON"));
    CHECK(contains(said("bare.ipynb"), "it names no kernel; name one with --kernel"));
}
