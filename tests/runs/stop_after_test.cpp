#include "fairing/runs/stop_after.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("the time stops it, the parent stops it, its end does not") {
    {
        const kubernetes::StopAfter soon{std::chrono::milliseconds{1}};
        std::mutex mutex;
        std::condition_variable_any never;
        std::unique_lock lock{mutex};
        never.wait(lock, soon.token(), [] { return false; });
        CHECK(soon.token().stop_requested());
    }
    std::stop_source parent;
    std::stop_token token;
    {
        const kubernetes::StopAfter late{std::chrono::hours{1}, parent.get_token()};
        token = late.token();
        CHECK_FALSE(token.stop_requested());
    }
    CHECK_FALSE(token.stop_requested());
    const kubernetes::StopAfter stopped{std::chrono::hours{1}, parent.get_token()};
    parent.request_stop();
    CHECK(stopped.token().stop_requested());
}
