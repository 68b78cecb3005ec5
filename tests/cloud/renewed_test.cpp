#include "fairing/cloud/renewed.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace fairing;
using cloud::AccessToken;

TEST_CASE("what ends is fetched anew five minutes before, and shared by all copies") {
    auto now = std::chrono::system_clock::from_time_t(1767225600);
    int fetched = 0;
    const cloud::Renewed<AccessToken> token{[&] {
                                                ++fetched;
                                                return AccessToken{
                                                    .value = Secret{"t" + std::to_string(fetched)},
                                                    .expires = now + std::chrono::hours{1}};
                                            },
                                            [&] { return now; }};
    const auto copy = token;
    CHECK(token.get().value.reveal() == "t1");
    CHECK(copy.get().value.reveal() == "t1");
    now += std::chrono::minutes{55};
    CHECK(copy.get().value.reveal() == "t1");
    now += std::chrono::seconds{1};
    CHECK(token.get().value.reveal() == "t2");
    CHECK(copy.get().value.reveal() == "t2");
    CHECK(token);
    CHECK_FALSE(cloud::Renewed<AccessToken>{});
}

TEST_CASE("what does not end is fetched once, by one of the threads; a failure is tried again") {
    std::atomic<int> fetched = 0;
    const cloud::Renewed<AccessToken> token{[&] {
                                                if (++fetched == 1) {
                                                    throw std::runtime_error{"not yet"};
                                                }
                                                return AccessToken{.value = Secret{"t"}};
                                            },
                                            {}};
    CHECK_THROWS_AS((void)token.get(), std::runtime_error);
    std::vector<std::jthread> threads;
    std::atomic<int> good = 0;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([&] { good += token.get().value.reveal() == "t" ? 1 : 0; });
    }
    threads.clear();
    CHECK(good == 4);
    CHECK(fetched == 2);
}
