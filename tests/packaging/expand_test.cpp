#include <doctest/doctest.h>

#include <fairing/packaging/expand.hpp>
#include <string>
#include <vector>

#include "../support/workspace.hpp"

using fairing::packaging::expand;

TEST_CASE("globs name what a shell would name") {
    const support::Workspace space;
    for (const char* name : {"a.py", "b.py", "c.txt", ".hidden.py", "src/d.py", "src/sub/e.py",
                             ".git/f.py", "src/.cache/g.py", "we[ird/h.py"}) {
        space.file(name);
    }
    space.link("linked", "src");
    const auto found = [&](const std::string& pattern) {
        std::vector<std::string> names;
        for (const std::string& path : expand(space / pattern, {})) {
            names.push_back(path.substr(space.path().native().size() + 1));
        }
        return names;
    };
    using Names = std::vector<std::string>;
    CHECK(found("*.py") == Names{"a.py", "b.py"});
    CHECK(found(".*.py") == Names{".hidden.py"});
    CHECK(found("[!a].py") == Names{"b.py"});
    CHECK(found("?.txt") == Names{"c.txt"});
    CHECK(found("*/*.py") == Names{"linked/d.py", "src/d.py", "we[ird/h.py"});
    CHECK(found("**/*.py") == Names{"a.py", "b.py", "src/d.py", "src/sub/e.py", "we[ird/h.py"});
    CHECK(found("src/**/e.py") == Names{"src/sub/e.py"});
    CHECK(found("src/**") == Names{"src/d.py", "src/sub"});
    CHECK(found("s*") == Names{"src"});
    CHECK(found("we\\[ird/*") == Names{"we[ird/h.py"});
    CHECK(found("nothing*").empty());
    CHECK(found("a.py/*").empty());
    CHECK_THROWS_AS(found("["), fairing::Error);
}
