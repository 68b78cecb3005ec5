// The concept Compressor: what satisfies it and what must not; any compressor serves the one
// function here.
#include <doctest/doctest.h>

#include <algorithm>
#include <fairing/codec/compressor.hpp>
#include <string_view>
#include <vector>

#include "../support/samples.hpp"

using namespace fairing::codec;

namespace {

/// Compresses nothing.
struct Plain {
    static constexpr std::string_view suffix = "";
    [[nodiscard]] std::size_t block_size() const { return 4096; }
    void begin(std::vector<std::byte>&) const {}
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        out.insert(out.end(), input.begin(), input.end());
    }
    void end(std::uint32_t, std::uint64_t, std::vector<std::byte>&) const {}
};
static_assert(Compressor<Plain>);

/// A block may not change the compressor: blocks run on several threads.
struct Stateful : Plain {
    void block(std::span<const std::byte>, std::vector<std::byte>&) { ++calls; }
    int calls = 0;
};
static_assert(!Compressor<Stateful>);

struct WithoutEnd {
    static constexpr std::string_view suffix = "";
    [[nodiscard]] std::size_t block_size() const { return 1; }
    void begin(std::vector<std::byte>&) const {}
    void block(std::span<const std::byte>, std::vector<std::byte>&) const {}
};
static_assert(!Compressor<WithoutEnd>);

struct NotCopyable : Plain {
    NotCopyable() = default;
    NotCopyable(const NotCopyable&) = delete;
};
static_assert(!Compressor<NotCopyable>);
static_assert(!Compressor<int>);

template <Compressor C>
std::vector<std::byte> compress_in_blocks(const C& compressor, std::span<const std::byte> input) {
    std::vector<std::byte> out;
    compressor.begin(out);
    for (std::size_t at = 0; at < input.size(); at += compressor.block_size()) {
        compressor.block(input.subspan(at, std::min(compressor.block_size(), input.size() - at)),
                         out);
    }
    compressor.end(0, input.size(), out);
    return out;
}

}  // namespace

TEST_CASE("compressor: a policy of a user's own") {
    const std::string text = support::prose(10'000, 1);
    CHECK(support::text_of(compress_in_blocks(Plain{}, support::bytes_of(text))) == text);
}
