#include "fairing/preprocessors/notebook/document.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

TEST_CASE("nbformat 4: cells, tags and the kernel; sources as text or list, any newline") {
    const notebook::Document document = notebook::parse(R"({
        "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "language": "Python"}},
        "cells": [
            {"cell_type": "code", "execution_count": 7, "source": ["a = 1\r\n", "b\r"],
             "metadata": {"tags": ["x", 3]}},
            {"cell_type": "markdown", "source": "text"},
            {"cell_type": "raw", "source": []},
            {"cell_type": "novelty", "source": "left out"}]})",
                                                        "a.ipynb");
    REQUIRE(document.cells.size() == 3);
    CHECK(document.kernel == "python3");
    CHECK(document.language == "python");
    CHECK(document.cells[0].source == "a = 1\nb\n");
    CHECK(document.cells[0].execution_count == 7);
    CHECK(document.cells[0].tags == std::vector<std::string>{"x"});
    CHECK(document.cells[1].kind == notebook::CellKind::markdown);
    CHECK(document.cells[2].kind == notebook::CellKind::raw);
}

TEST_CASE("nbformat 3: worksheets, input, prompt_number, headings") {
    const notebook::Document document = notebook::parse(R"({
        "nbformat": 3, "metadata": {"name": "old"},
        "worksheets": [
            {"cells": [{"cell_type": "heading", "level": 2, "source": ["a\n", "b"]},
                       {"cell_type": "code", "input": "x", "prompt_number": 4}]},
            {"cells": [{"cell_type": "html", "source": "<p>"}]}]})",
                                                        "old.ipynb");
    REQUIRE(document.cells.size() == 3);
    CHECK(document.cells[0].source == "## a b");
    CHECK(document.cells[1].source == "x");
    CHECK(document.cells[1].execution_count == 4);
    CHECK(document.cells[2].kind == notebook::CellKind::markdown);
}

TEST_CASE("what is no notebook of ours is one sentence") {
    const auto said = [](std::string_view text) {
        return error_of([&] { static_cast<void>(notebook::parse(text, "a.ipynb")); });
    };
    CHECK(said(R"({"nbformat": 4, "cells": [)") ==
          "cannot read notebook a.ipynb: not valid JSON at byte 27");
    CHECK(contains(said("[]"), "it has no nbformat"));
    CHECK(said(R"({"nbformat": 2, "worksheets": []})") ==
          "cannot read notebook a.ipynb: its format is nbformat 2; only 3 and 4 are read; open it "
          "with a current Jupyter and save it again");
    CHECK(contains(said(R"({"nbformat": 5})"), "nbformat 5"));
    CHECK(contains(said(R"({"nbformat": 4})"), "it has no cells"));
    CHECK(contains(said(R"({"nbformat": 3})"), "it has no worksheets"));
    CHECK(contains(said(R"({"nbformat": 4, "cells": [3]})"), "cell 1 is no object"));
    CHECK(contains(said(R"({"nbformat": 4, "cells": [{"cell_type": "code", "source": [1]}]})"),
                   "cell 1 has a source that is neither"));
}
