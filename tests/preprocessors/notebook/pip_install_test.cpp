#include "fairing/preprocessors/notebook/pip_install.hpp"

#include <doctest/doctest.h>

using fairing::notebook::pip_requirements;
using Requirements = std::vector<std::string>;

TEST_CASE("pip install commands as lines of a requirements file") {
    CHECK(pip_requirements("%pip install -q 'numpy>=1.0' pandas==2") ==
          Requirements{"numpy>=1.0", "pandas==2"});
    CHECK(pip_requirements("!pip3 install --user torch > /dev/null") == Requirements{"torch"});
    CHECK(pip_requirements("!{sys.executable} -m pip install a b && ls c") ==
          Requirements{"a", "b"});
    CHECK(pip_requirements("pip install -r req.txt --index-url https://x/simple a # b") ==
          Requirements{"-r req.txt", "--index-url https://x/simple", "a"});
    CHECK(pip_requirements("!pip install -t /x a {name} $b \"c[d]\"") == Requirements{"a", "c[d]"});
    CHECK(pip_requirements("!pip install \\\n  a \\\n  b\n") == Requirements{"a", "b"});
    CHECK(pip_requirements("!pip list").empty());
    CHECK(pip_requirements("%pip").empty());
    CHECK(pip_requirements("!ls pip install a").empty());
}
