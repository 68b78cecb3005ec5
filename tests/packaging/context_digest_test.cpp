#include <doctest/doctest.h>

#include <fairing/packaging/context_digest.hpp>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <vector>

using namespace fairing::packaging;
using fairing::Context;
using fairing::ContextFile;
using fairing::FileKind;

namespace {

ContentDigest content(std::string_view text) {
    fairing::codec::Sha256 hash;
    hash.update(text);
    return hash.finish();
}

Context example() {
    return {
        .files = {{.destination = "/app/a", .mode = 0644}, {.destination = "/app/b", .mode = 0644}},
        .command = {"python3", "/app/a"},
        .environment = {{"FAIRING_RUNTIME", "1"}}};
}

std::string digest(const Context& context, std::vector<std::string> contents = {"one", "two"}) {
    ContextDigest result;
    for (std::size_t i = 0; i < context.files.size(); ++i) {
        const ContentDigest bytes = content(contents[i]);
        result.add(std::span{context.files}.subspan(i, 1), std::span{&bytes, 1});
    }
    return result.finish(context);
}

}  // namespace

TEST_CASE("the digest is pinned: the same context, the same tag, in every version") {
    const std::string value = digest(example());
    CHECK(value == "sha256:46de7402c4ad940fb4db8f918112519f3ad3f7b6763cb916c0c87fa12c78c12f");
    CHECK(context_tag(value) == value.substr(7, 12));
}

TEST_CASE("the order in which layers come does not matter") {
    const Context context = example();
    const std::vector<ContentDigest> contents = {content("one"), content("two")};
    ContextDigest backwards;
    backwards.add(std::span{context.files}.subspan(1), std::span{contents}.subspan(1));
    backwards.add(std::span{context.files}.first(1), std::span{contents}.first(1));
    CHECK(backwards.finish(context) == digest(context));
}

TEST_CASE("everything that is part of the image changes the digest") {
    std::set<std::string> seen = {digest(example()), digest(example(), {"two", "one"})};
    const std::vector<std::function<void(Context&)>> edits = {
        [](Context& c) { c.files[1].destination = "/app/c"; },
        [](Context& c) { c.files[1].mode = 0755; },
        [](Context& c) { c.files[1].kind = FileKind::symlink; },
        [](Context& c) { c.command = {"python3/app/a"}; },
        [](Context& c) {
            c.command = {"python3", "/app/a", ""};
        },
        [](Context& c) { c.command = {"python3\0/app/a"}; },
        [](Context& c) { c.environment = {}; },
        [](Context& c) {
            c.environment = {{"FAIRING_RUNTIME1", ""}};
        },
        [](Context& c) { c.environment["A"] = "b"; },
        [](Context& c) {
            c.command.push_back("FAIRING_RUNTIME");
            c.environment = {};
        },
        [](Context& c) { c.working_directory = "/"; }};
    for (const auto& edit : edits) {
        Context context = example();
        edit(context);
        seen.insert(digest(context));
    }
    CHECK(seen.size() == edits.size() + 2);
    Context elsewhere = example();
    elsewhere.files[0].source = "/another/machine/a";
    CHECK(digest(elsewhere) == digest(example()));
}

TEST_CASE("a file without a content digest, or with two, is found") {
    const Context context = example();
    const std::vector<ContentDigest> contents = {content("one"), content("two")};
    ContextDigest missing;
    missing.add(std::span{context.files}.first(1), std::span{contents}.first(1));
    CHECK_THROWS_AS((void)missing.finish(context), fairing::Error);
    ContextDigest twice;
    twice.add(context.files, contents);
    twice.add(std::span{context.files}.first(1), std::span{contents}.first(1));
    CHECK_THROWS_AS((void)twice.finish(context), fairing::Error);
    ContextDigest uneven;
    CHECK_THROWS_AS(uneven.add(context.files, std::span{contents}.first(1)), fairing::Error);
}
