#include <doctest/doctest.h>

#include <array>
#include <fairing/packaging/ignore.hpp>
#include <string>
#include <vector>

using fairing::packaging::IgnoreRules;

namespace {

struct Case {
    const char* rules;
    const char* path;
    bool excluded;
};

// What moby/patternmatcher's own tests hold to be true, read for whole files.
constexpr std::array cases = {
    Case{"*", "fileutils.go", true},
    Case{"*.go", "fileutils.go", true},
    Case{"!fileutils.go\n*.go", "fileutils.go", true},
    Case{"*.go\n!fileutils.go", "fileutils.go", false},
    Case{"docs\n!docs/README.md", "docs/README.md", false},
    Case{"docs/\n!docs/README.md", "docs/README.md", false},
    Case{"docs/*\n!docs/README.md", "docs/README.md", false},
    Case{"**", "file", true},
    Case{"**/", "file", true},
    Case{"**", "dir/file", true},
    Case{"**/**", "dir/file", true},
    Case{"dir/**", "dir/file", true},
    Case{"dir/**", "dir/dir2/file/", true},
    Case{"**/dir", "dir", true},
    Case{"**/dir", "dir/file", true},
    Case{"**/dir2/*", "dir/dir2/file", true},
    Case{"**/dir2/*", "dir/dir2/file/", true},
    Case{"**/dir2/**", "dir/dir2/dir3/file", true},
    Case{"**file", "file", true},
    Case{"**file", "dir/dir/file", true},
    Case{"**/file*", "dir/dir/file.txt", true},
    Case{"**/file*txt", "dir/dir/file.txt", true},
    Case{"**/file*.txt*", "dir/dir/file.txt", true},
    Case{"**/**/*.txt", "dir/dir/file.txt", true},
    Case{"**/**/*.txt2", "dir/dir/file.txt", false},
    Case{"**/**/*.txt", "file.txt", true},
    Case{"a**/*.txt", "a/dir/dir/file.txt", true},
    Case{"a/*.txt", "a/dir/file.txt", false},
    Case{"a/*.txt", "a/file.txt", true},
    Case{"a/*.txt**", "a/file.txt", true},
    Case{"a[b-d]e", "ae", false},
    Case{"a[b-d]e", "ace", true},
    Case{"a[b-d]e", "aae", false},
    Case{"a[^b-d]e", "aze", true},
    Case{".*", ".foo", true},
    Case{".*", "foo", false},
    Case{"abc.def", "abcdef", false},
    Case{"abc.def", "abcZdef", false},
    Case{"abc?def", "abcZdef", true},
    Case{"abc?def", "abcdef", false},
    Case{"a\\\\", "a\\", true},
    Case{"a\\*b", "a*b", true},
    Case{"a\\*b", "ab", false},
    Case{"**/foo/bar", "foo/bar", true},
    Case{"**/foo/bar", "dir/dir2/foo/bar", true},
    Case{"abc/**", "abc", false},
    Case{"abc/**", "abc/def/ghi", true},
    Case{"**/.foo", ".foo", true},
    Case{"**/.foo", "bar.foo", false},
    Case{"a(b)c/def", "a(b)c/def", true},
    Case{"a(b)c/def", "a(b)c/xyz", false},
    Case{"a.|)$(}+{bc", "a.|)$(}+{bc", true},
    Case{"dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true},
    Case{"**\n!util/docker/web", "util/docker/web/foo", false},
    Case{"**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true},
    Case{"**\n!dist/*.whl", "dist/a+b.whl", false},
    Case{"a*", "ab/c", true},
    Case{"a*/b", "a/c/b", false},
    Case{"a*b*c*d*e*/f", "axbxcxdxexxx/f", true},
    Case{"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false},
    Case{"a*b?c*x", "abxbbxdbxebxczzx", true},
    Case{"a*b?c*x", "abxbbxdbxebxczzy", false},
    Case{"a?b",
         "a\xe2\x98\xba"
         "b",
         true},
    Case{"a???b",
         "a\xe2\x98\xba"
         "b",
         false},
    Case{"a?b", "a/b", false},
    Case{"a*b", "a/b", false},
    Case{"[\\]a]", "]", true},
    Case{"[\\-x]", "-", true},
    Case{"[\\-x]", "a", false},
    Case{"*x", "xxx", true},
    // How the file is read.
    Case{"/test2", "test2", true},
    Case{"  spaced  ", "spaced", true},
    Case{"# test", "# test", false},
    Case{" # test", "# test", true},
    Case{"\xef\xbb\xbf"
         "first",
         "first", true},
    Case{"a\r\nb\r\n", "b", true},
    Case{"./a/../b//c/", "b/c", true},
    Case{"x\n! /x/y", "x/y", false},
    Case{"file", "dir/file", false},
    Case{".", "a", false},
    Case{"/", "a", false},
    // A `!` counts for a path when it names a folder above it, also behind a rule for the path
    // itself.
    Case{"a/x\n!a", "a/x", false},
    Case{"\n\n", "a", false},
    Case{"", "a", false},
};

}  // namespace

TEST_CASE("44 .dockerignore judges as moby's patternmatcher does") {
    for (const Case& each : cases) {
        CAPTURE(each.rules);
        CAPTURE(each.path);
        CHECK(IgnoreRules{each.rules}.excluded(each.path) == each.excluded);
    }
}

TEST_CASE("44 malformed rules are refused with their line") {
    for (const char* rules : {"ok\n!", "ok\n! ", "ok\n[", "ok\n! /", "ok\n[a-"}) {
        CAPTURE(rules);
        try {
            IgnoreRules{rules};
            FAIL("accepted");
        } catch (const fairing::Error& error) {
            CHECK(error.code() == fairing::ErrorCode::input);
            CHECK(std::string{error.what()}.find("line 2") != std::string::npos);
        }
    }
}

TEST_CASE("a folder is not looked into when nothing below it can be taken again") {
    using Verdict = IgnoreRules::Verdict;
    CHECK(IgnoreRules{"build"}.judge("build", {}) == Verdict::excluded_with_all_below);
    CHECK(IgnoreRules{"!x\nbuild"}.judge("build", {}) == Verdict::excluded_with_all_below);
    CHECK(IgnoreRules{"build\n!build/keep"}.judge("build", {}) == Verdict::excluded);
    CHECK(IgnoreRules{"build"}.judge("src", {}) == Verdict::taken);
}

TEST_CASE("judging folder by folder agrees with judging the whole path") {
    const std::vector<std::string> paths = {"a", "a/b", "a/b/c", "b/a/c.txt", "d/e/f", "a/x"};
    for (const Case& each : cases) {
        const IgnoreRules rules{each.rules};
        for (const std::string& path : paths) {
            IgnoreRules::Matches above;
            std::string folder;
            for (std::size_t slash = path.find('/'); slash != std::string::npos;
                 slash = path.find('/', slash + 1)) {
                above = rules.enter(path.substr(0, slash), above);
            }
            CHECK((rules.judge(path, above) != IgnoreRules::Verdict::taken) ==
                  rules.excluded(path));
        }
    }
}
