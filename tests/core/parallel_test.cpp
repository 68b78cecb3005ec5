#include "fairing/core/parallel.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>

using namespace fairing;

TEST_CASE("every index is taken once, for any number of threads") {
    for (const std::size_t threads : {0U, 1U, 2U, 7U, 64U}) {
        for (const std::size_t count : {0U, 1U, 3U, 1000U}) {
            std::vector<std::atomic<int>> taken(count);
            parallel_for(count, threads, [&taken](std::size_t index) { ++taken[index]; });
            for (const auto& times : taken) {
                CHECK(times == 1);
            }
        }
    }
    CHECK(hardware_threads() >= 1);
}

TEST_CASE("one thread means the caller's, in order") {
    std::vector<std::size_t> order;
    parallel_for(5, 1, [&order, caller = std::this_thread::get_id()](std::size_t index) {
        CHECK(std::this_thread::get_id() == caller);
        order.push_back(index);
    });
    CHECK(order == std::vector<std::size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("the lowest index that threw is rethrown, and no further one is taken") {
    for (int round = 0; round < 20; ++round) {
        std::atomic<int> calls{0};
        try {
            parallel_for(100000, 4, [&calls](std::size_t index) {
                ++calls;
                // 3 waits until 5 had its chance, so that both throw; the rest takes minutes
                std::this_thread::sleep_for(
                    std::chrono::milliseconds{index == 3 || index > 5 ? 3 : 0});
                if (index == 3 || index == 5) {
                    throw std::runtime_error{std::to_string(index)};
                }
            });
            FAIL("no throw");
        } catch (const std::runtime_error& error) {
            CHECK(std::string{error.what()} == "3");
        }
        CHECK(calls < 100000);
    }
}
