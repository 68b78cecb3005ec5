#include "fairing/deployers/local/output_spool.hpp"

#include <doctest/doctest.h>

#include <thread>

using fairing::local::OutputSpool;

namespace {

std::vector<std::string> all_of(OutputSpool& spool) {
    std::vector<std::string> lines;
    std::uint64_t offset = 0;
    for (;;) {
        const auto more = spool.next(offset, {});
        REQUIRE(more);
        if (more->empty()) {
            return lines;
        }
        lines.insert(lines.end(), more->begin(), more->end());
    }
}

}  // namespace

TEST_CASE("every reader gets every line, whatever its length") {
    OutputSpool spool;
    const std::vector<std::string> lines{"one",
                                         "",
                                         std::string(300000, 'x'),
                                         "NUL \0 inside",
                                         std::string(std::size_t{1} << 20, 'y'),
                                         "last"};
    for (const std::string& line : lines) {
        spool.add(line);
    }
    spool.close();
    CHECK(all_of(spool) == lines);
    CHECK(all_of(spool) == lines);
}

TEST_CASE("readers that come while it is written wait, and miss nothing") {
    OutputSpool spool;
    constexpr int count = 20000;
    std::vector<std::vector<std::string>> seen(3);
    {
        std::vector<std::jthread> readers;
        for (auto& lines : seen) {
            readers.emplace_back([&spool, &lines] { lines = all_of(spool); });
        }
        for (int i = 0; i < count; ++i) {
            spool.add(std::to_string(i));
        }
        spool.close();
    }
    for (const auto& lines : seen) {
        REQUIRE(lines.size() == count);
        CHECK(lines.front() == "0");
        CHECK(lines.back() == std::to_string(count - 1));
    }
}

TEST_CASE("a stop ends the wait for a line") {
    OutputSpool spool;
    std::stop_source source;
    std::uint64_t offset = 0;
    const std::jthread later{[&source] { source.request_stop(); }};
    CHECK_FALSE(spool.next(offset, source.get_token()));
}

TEST_CASE("the tail is the last twenty lines") {
    OutputSpool spool;
    CHECK(spool.tail().empty());
    for (int i = 0; i < 25; ++i) {
        spool.add(std::to_string(i));
    }
    CHECK(spool.tail().size() == 20);
    CHECK(spool.tail().front() == "5");
    CHECK(spool.tail().back() == "24");
}
