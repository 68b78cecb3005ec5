#include "fairing/preprocessors/notebook/python_lines.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using fairing::notebook::LineKind;
using fairing::notebook::LogicalLine;
using fairing::notebook::PythonLines;

namespace {

std::vector<LogicalLine> logical_lines(std::string_view cell) {
    std::vector<LogicalLine> lines;
    for (PythonLines source{cell}; !source.done();) {
        lines.push_back(source.next());
    }
    return lines;
}

}  // namespace

TEST_CASE("a statement goes on in brackets, strings and behind a backslash") {
    for (const char* one :
         {"x = (1\n%a\n)\n", "x = '''\n!ls\n'''\n", "x = \"\"\"a\\\"\"\"\n%b\"\"\"",
          "x = 1 \\\n % 3\n", "f(')',\n# )\n%a)\n", "x = {'a': [\n1]}"}) {
        CAPTURE(one);
        REQUIRE(logical_lines(one).size() == 1);
        CHECK(logical_lines(one)[0].kind == LineKind::python);
        CHECK(logical_lines(one)[0].text == one);
    }
    CHECK(logical_lines("x = 'don\ny = 1\n").size() == 2);
    CHECK(logical_lines("a # (\nb)\nc").size() == 3);
}

TEST_CASE("what is IPython's") {
    const auto kind = [](std::string_view line) { return logical_lines(line).at(0).kind; };
    CHECK(kind("  %matplotlib inline\n") == LineKind::escape);
    CHECK(kind("!ls \\\n -l\n") == LineKind::escape);
    CHECK(logical_lines("!ls \\\n -l\nx\n").size() == 2);
    CHECK(kind("files = !ls 'a\n") == LineKind::assignment);
    CHECK(kind("a, b = %time f()") == LineKind::assignment);
    CHECK(logical_lines("x =  %who\n")[0].escape == 5);
    CHECK(kind("name?") == LineKind::help);
    CHECK(kind("f(1)??\n") == LineKind::help);
    for (const char* python : {"x = a % b\n", "x == !y\n", "x != y\n", "'?'\n", "x  # why?\n",
                               "x %= 3\n", "f(a=1)\n", "x = '%s' % y\n", "\n", "   \n"}) {
        CAPTURE(python);
        CHECK(kind(python) == LineKind::python);
    }
}
