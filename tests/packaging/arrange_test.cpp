#include <doctest/doctest.h>

#include <fairing/packaging/arrange.hpp>
#include <string>
#include <vector>

#include "../support/workspace.hpp"

using fairing::ContextFile;
using fairing::FileKind;
using fairing::packaging::arrange;
using support::contains;
using support::error_of;

namespace {

ContextFile file(const char* source, const char* destination) {
    return {.source = source, .destination = destination};
}
ContextFile symbolic(const char* destination, const char* target) {
    return {.source = destination,
            .destination = destination,
            .kind = FileKind::symlink,
            .link_target = target};
}

}  // namespace

TEST_CASE("files come in the order of their bytes, each once") {
    std::vector<ContextFile> files = {file("/b", "/app/b"), file("/a/x", "/app/a/x"),
                                      file("/a-", "/app/a-"), file("/b", "/app/b"),
                                      file("/Z", "/app/Z")};
    arrange(files);
    std::vector<std::string> order;
    for (const ContextFile& each : files) {
        order.push_back(each.destination);
    }
    CHECK(order == std::vector<std::string>{"/app/Z", "/app/a-", "/app/a/x", "/app/b"});
}

TEST_CASE("42 two sources for one destination are refused, both named") {
    std::vector<ContextFile> files = {file("/here/x.py", "/app/x.py"),
                                      file("/there/x.py", "/app/x.py")};
    const std::string text = error_of([&] { arrange(files); });
    CHECK(contains(text, "/here/x.py and /there/x.py"));
    CHECK(contains(text, "/app/x.py"));
}

TEST_CASE("42 a file in the place of a folder is refused, both named") {
    std::vector<ContextFile> files = {file("/one", "/app/a"), file("/other", "/app/a-b"),
                                      file("/two", "/app/a/b/c")};
    const std::string text = error_of([&] { arrange(files); });
    CHECK(contains(text, "/two as /app/a/b/c"));
    CHECK(contains(text, "/one already is the file /app/a"));

    std::vector<ContextFile> linked = {symbolic("/app/data", "other"), file("/x", "/app/other/y"),
                                       file("/y", "/app/data/y")};
    CHECK(contains(error_of([&] { arrange(linked); }), "/app/data"));

    std::vector<ContextFile> deep = {file("/1", "/a/b/c/d"), file("/2", "/a/b/c/e/f"),
                                     file("/3", "/a/b")};
    CHECK(contains(error_of([&] { arrange(deep); }), "/3 already is the file /a/b"));
}

TEST_CASE("42 a link ends in the image") {
    std::vector<ContextFile> good = {file("/x", "/app/data/x"), symbolic("/app/l", "data"),
                                     symbolic("/app/m", "l/x"), symbolic("/app/n", "../app/m")};
    CHECK(error_of([&] { arrange(good); }).empty());

    std::vector<ContextFile> alone = {symbolic("/app/l", "data/x")};
    CHECK(contains(error_of([&] { arrange(alone); }), "/app/l"));
    CHECK(contains(error_of([&] { arrange(alone); }), "not packaged"));

    std::vector<ContextFile> loop = {symbolic("/app/a", "b"), symbolic("/app/b", "a")};
    CHECK(contains(error_of([&] { arrange(loop); }), "leads back to itself"));
}
