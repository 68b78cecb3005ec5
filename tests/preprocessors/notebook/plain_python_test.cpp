#include "fairing/preprocessors/notebook/plain_python.hpp"

#include <doctest/doctest.h>

using fairing::notebook::plain_python;

namespace {

std::string plain(std::string_view cell) { return plain_python(cell).source; }

}  // namespace

TEST_CASE("commands go, with their continuation lines; blocks keep a statement") {
    CHECK(plain("%matplotlib inline\nx = 1") == "x = 1\n");
    CHECK(plain("x = 1\n!ls \\\n  -l\ny = 2") == "x = 1\ny = 2\n");
    CHECK(plain("try:\n    import x\nexcept ImportError:\n\t!pip install x\n") ==
          "try:\n    import x\nexcept ImportError:\n\tpass\n");
    CHECK(plain("?name\nname??\nname.other?\n%time?\nx") == "x\n");
    CHECK(plain("pip install numpy\nx") == "x\n");
    CHECK(plain("!!ls") == "\n");
    CHECK(plain("x\n\n!ls") == "x\n");
}

TEST_CASE("assignments of commands keep their name") {
    CHECK(plain("files = !ls *.csv\nx") == "files = None  # !ls *.csv\nx\n");
    CHECK(plain("if a:\n  y = %sql select \\\n    1\n") ==
          "if a:\n  y = None  # %sql select \\     1\n");
    CHECK(plain("r = %time f(1)") == "r = f(1)\n");
    CHECK(plain("r = get_ipython().getoutput('ls')") ==
          "r = None  # get_ipython().getoutput('ls')\n");
}

TEST_CASE("%time keeps its statement") {
    CHECK(plain("%time x = f()\n") == "x = f()\n");
    CHECK(plain("for i in a:\n    %time f(i)") == "for i in a:\n    f(i)\n");
    CHECK(plain("%time\nx") == "x\n");
    CHECK(plain("%timeit f()\nx") == "x\n");
}

TEST_CASE("cell magics: the body stays for time, capture and prun, else the cell goes") {
    CHECK(plain("%%time\nx = 1\ny") == "x = 1\ny\n");
    CHECK(plain("\n%%capture out\n%%time\n\n  x = 1\n  y") == "x = 1\ny\n");
    CHECK(plain("%%bash\nx = 1") == "\n");
    CHECK(plain("%%capture\n%%html\n<b>") == "\n");
    CHECK(plain("%%writefile a.py\nx") == "\n");
    CHECK(plain("%%time") == "\n");
}

TEST_CASE("calls of get_ipython as statements go; other uses stay") {
    CHECK(plain("get_ipython().run_line_magic('a',\n 'b')\nx") == "x\n");
    CHECK(plain("print(get_ipython())") == "print(get_ipython())\n");
    CHECK(plain("if get_ipython().x: pass") == "if get_ipython().x: pass\n");
}

TEST_CASE("what only looks like a command stays") {
    for (const std::string_view cell :
         {"x = (5\n% 3)\n", "s = '''\n!ls\n%a\n'''\n", "x = 5 \\\n% 3\n", "a % b\n", "# !ls\n",
          "x = \"%d\" % 3\n", "pip = 3\n", "é = 'ü?'\n", "def f():\n\treturn 1\n"}) {
        CAPTURE(cell);
        CHECK(plain(cell) == cell);
        CHECK(plain_python(cell).dropped.empty());
    }
}

TEST_CASE("IPython's calls without brackets, prompts and indentation") {
    CHECK(plain(",f a b\n;f a b\n/f a b") == "f(\"a\", \"b\")\nf(\"a b\")\nf(a, b)\n");
    CHECK(plain(">>> a = 1\n>>> b = 2") == "a = 1\nb = 2\n");
    CHECK(plain("In [12]: a = 1\n    ...: b") == "a = 1\nb\n");
    CHECK(plain("\n \n    a\n    b\n  c") == "a\nb\n  c\n");
    CHECK(plain("") == "\n");
    CHECK(plain("  ") == "\n");
    CHECK(plain("x\n\n\n") == "x\n\n");
}

TEST_CASE("what went is listed, and what pip would have installed") {
    const auto cell = plain_python("%pip install a\nif x:\n  !pip install 'b>1'\nx = !pwd");
    CHECK(cell.dropped ==
          std::vector<std::string>{"%pip install a", "!pip install 'b>1'", "x = !pwd"});
    CHECK(cell.requirements == std::vector<std::string>{"a", "b>1"});
    CHECK(plain_python("%%bash\nls\npip install c\n").requirements ==
          std::vector<std::string>{"c"});
}
