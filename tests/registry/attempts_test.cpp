#include "fairing/registry/attempts.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

using namespace fairing;

namespace {

/// Three attempts, one millisecond between them.
struct Repeated {
    int attempts = 3;
    std::vector<int> calls = {};
    std::vector<std::string> said = {};
    std::stop_source stop = {};

    void operator()(const std::function<std::optional<net::Answer>(int)>& once) {
        const registry::Api api{
            oci::parse_reference("r.example/a"),
            {.retry = {.attempts = attempts, .first_delay = std::chrono::milliseconds{1}},
             .files = std::vector<std::filesystem::path>{}}};
        const Control control{.stop = stop.get_token(), .log = [this](const LogRecord& record) {
                                  said.push_back(record.text);
                              }};
        registry::repeat(api, control, {.attempted = "push blob", .subject = "b"},
                         [&](int attempt) {
                             calls.push_back(attempt);
                             return once(attempt);
                         });
    }
};

net::Answer answer(int status) {
    net::Answer result;
    result.status = status;
    return result;
}
Error error(ErrorCode code) {
    return {code, {.attempted = "reach", .subject = "r", .answer = "no"}};
}

}  // namespace

TEST_CASE("a step is tried until it is done, with the number of the attempt") {
    Repeated repeated;
    repeated([](int attempt) -> std::optional<net::Answer> {
        if (attempt == 1) {
            return answer(503);
        }
        if (attempt == 2) {
            throw error(ErrorCode::timeout);
        }
        return std::nullopt;
    });
    CHECK(repeated.calls == std::vector<int>{1, 2, 3});
    REQUIRE(repeated.said.size() == 2);
    CHECK(repeated.said[0].starts_with("push blob b: attempt 1 failed (503 "));
    CHECK(repeated.said[1].starts_with("push blob b: attempt 2 failed (no), again in "));
}

TEST_CASE("the last answer is the error; one that will not change is the last") {
    Repeated temporary, refused;
    try {
        temporary([](int) { return answer(429); });
        FAIL("it ended well");
    } catch (const Error& failure) {
        CHECK(failure.details().http_status == 429);
        CHECK(std::string{failure.what()}.find("3 attempts") != std::string::npos);
    }
    CHECK(temporary.calls.size() == 3);
    CHECK_THROWS_AS(refused([](int) { return answer(404); }), Error);
    CHECK(refused.calls.size() == 1);
}

TEST_CASE("what broke is tried again, and the last error counts the attempts") {
    for (const ErrorCode code : {ErrorCode::unavailable, ErrorCode::timeout}) {
        Repeated repeated;
        CHECK_THROWS_WITH_AS(
            repeated([code](int) -> std::optional<net::Answer> { throw error(code); }),
            "cannot reach r after 3 attempts: no", Error);
        CHECK(repeated.calls.size() == 3);
    }
    Repeated once{.attempts = 1};
    CHECK_THROWS_WITH_AS(
        once([](int) -> std::optional<net::Answer> { throw error(ErrorCode::unavailable); }),
        "cannot reach r: no", Error);
}

TEST_CASE("what no further attempt changes comes out as it is") {
    const auto thrown_by = [](const auto& fail) {
        Repeated repeated;
        std::string text;
        try {
            repeated([&fail](int) -> std::optional<net::Answer> {
                fail();
                return std::nullopt;
            });
        } catch (const std::exception& failure) {
            text = failure.what();
        }
        CHECK(repeated.calls.size() == 1);
        return text;
    };
    CHECK(thrown_by([] { throw error(ErrorCode::integrity); }) == "cannot reach r: no");
    CHECK(thrown_by([] { throw std::runtime_error{"of the sink"}; }) == "of the sink");
    CHECK(thrown_by([] {
              throw Cancelled{ErrorCode::cancelled, {.attempted = "send"}};
          }) == "cannot send");
    // Temporary by its code, and final by the word of who caught it.
    CHECK(thrown_by([] {
              throw registry::FinalFailure{std::make_exception_ptr(error(ErrorCode::unavailable))};
          }) == "cannot reach r: no");
}

TEST_CASE("after a stop nothing is tried") {
    Repeated repeated;
    repeated.stop.request_stop();
    CHECK_THROWS_AS(repeated([](int) { return std::nullopt; }), Cancelled);
    CHECK(repeated.calls.empty());
}
