#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <fairing/packaging/block_pipeline.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using fairing::packaging::BlockPipeline;

namespace {

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
void append(std::string_view text, std::vector<std::byte>& out) {
    for (const char c : text) {
        out.push_back(static_cast<std::byte>(c));
    }
}

/// Writes readable streams: "<(abc)(def)|6>". A block that begins with '!' fails, one with '.' is
/// slow.
struct Brackets {
    static constexpr std::string_view suffix = "brackets";
    std::atomic<int>* running = nullptr;
    std::atomic<int>* most = nullptr;

    [[nodiscard]] std::size_t block_size() const { return 4; }
    void begin(std::vector<std::byte>& out) const { append("<", out); }
    void block(std::span<const std::byte> input, std::vector<std::byte>& out) const {
        const std::string text = text_of(input);
        if (running != nullptr) {
            const int now = ++*running;
            for (int seen = *most; now > seen && !most->compare_exchange_weak(seen, now);) {
            }
        }
        if (text.starts_with('.')) {
            std::this_thread::sleep_for(std::chrono::milliseconds{3});
        }
        if (running != nullptr) {
            --*running;
        }
        if (text.starts_with('!')) {
            throw std::runtime_error{"refused " + text};
        }
        append('(' + text + ')', out);
    }
    void end(std::uint32_t crc, std::uint64_t size, std::vector<std::byte>& out) const {
        append('|' + std::to_string(size) + '#' + std::to_string(crc) + '>', out);
    }
};
static_assert(fairing::codec::Compressor<Brackets>);

std::string run(const std::vector<std::string>& blocks, std::size_t threads,
                const Brackets& brackets = {}) {
    std::string stream;
    BlockPipeline<Brackets> pipeline{
        brackets, threads, [&](std::span<const std::byte> bytes) { stream += text_of(bytes); }};
    for (const std::string& block : blocks) {
        auto buffer = pipeline.buffer(block.size());
        std::copy_n(std::as_bytes(std::span{block}).begin(), block.size(), buffer.begin());
        pipeline.submit(std::move(buffer));
    }
    pipeline.finish();
    return stream;
}

}  // namespace

TEST_CASE("blocks come out in order, whoever compressed them") {
    std::vector<std::string> blocks;
    std::string all, expected = "<";
    for (int i = 0; i < 300; ++i) {
        blocks.push_back((i % 7 == 0 ? "." : "") + std::to_string(i));
        all += blocks.back();
        expected += '(' + blocks.back() + ')';
    }
    expected += '|' + std::to_string(all.size()) + '#' +
                std::to_string(fairing::codec::crc32(std::as_bytes(std::span{all}))) + '>';
    for (const std::size_t threads : {0U, 1U, 2U, 3U, 7U}) {
        CAPTURE(threads);
        CHECK(run(blocks, threads) == expected);
    }
    CHECK(run({}, 4) == "<|0#0>");
    CHECK(run({"a"}, 4) ==
          "<(a)|1#" + std::to_string(fairing::codec::crc32(std::as_bytes(std::span{"a", 1}))) +
              '>');
}

TEST_CASE("threads compress at once, and no more of them than asked for") {
    std::atomic<int> running = 0, most = 0;
    (void)run(std::vector<std::string>(200, ".slow"), 4, {.running = &running, .most = &most});
    CHECK(most >= 2);
    CHECK(most <= 4);
}

TEST_CASE("what a block throws reaches the caller, and the threads are joined") {
    for (const std::size_t threads : {1U, 4U}) {
        std::vector<std::string> blocks(50, ".x");
        blocks[20] = "!20";
        CHECK_THROWS_WITH_AS((void)run(blocks, threads), "refused !20", std::runtime_error);
    }
}

TEST_CASE("a sink that throws ends it") {
    int calls = 0;
    const auto sink = [&](std::span<const std::byte>) {
        if (++calls == 5) {
            throw std::runtime_error{"full"};
        }
    };
    const auto feed = [&] {
        BlockPipeline<Brackets> pipeline{{}, 3, sink};
        for (int i = 0; i < 100; ++i) {
            pipeline.submit(pipeline.buffer(3));
        }
    };
    CHECK_THROWS_WITH_AS(feed(), "full", std::runtime_error);
}
