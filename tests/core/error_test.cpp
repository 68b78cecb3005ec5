#include "fairing/core/error.hpp"

#include <doctest/doctest.h>

#include <type_traits>

using namespace fairing;

TEST_CASE("an error reads as one sentence, with only the parts that are there") {
    CHECK(
        std::string{Error{
            ErrorCode::denied,
            {.attempted = "push layer", .subject = "sha256:1", .answer = "401", .advice = "log in"}}
                        .what()} == "cannot push layer sha256:1: 401; log in");
    CHECK(std::string{Error{ErrorCode::input, {.attempted = "read"}}.what()} == "cannot read");
    CHECK(
        std::string{Error{ErrorCode::input, {.attempted = "read", .advice = "try again"}}.what()} ==
        "cannot read; try again");
}

TEST_CASE("copies share the details and do not throw") {
    static_assert(std::is_nothrow_copy_constructible_v<Error>);
    static_assert(std::is_base_of_v<Error, Cancelled> &&
                  std::is_base_of_v<std::runtime_error, Error>);
    const Error error{ErrorCode::conflict, {.attempted = "a", .http_status = 409}};
    const Error copy = error;
    CHECK(copy.code() == ErrorCode::conflict);
    CHECK(&copy.details() == &error.details());
    CHECK(copy.details().http_status == 409);
}

TEST_CASE("errno becomes a kind of error and the system's own words") {
    CHECK(system_error(ENOENT, "open", "f").code() == ErrorCode::not_found);
    CHECK(system_error(EACCES, "open", "f").code() == ErrorCode::denied);
    CHECK(system_error(EPERM, "open", "f").code() == ErrorCode::denied);
    CHECK(system_error(EIO, "open", "f").code() == ErrorCode::input);
    CHECK(system_error(ENOSPC, "write", "f", ErrorCode::internal).code() == ErrorCode::internal);
    CHECK(std::string{system_error(ENOENT, "open", "f").what()} ==
          "cannot open f: No such file or directory");
}

TEST_CASE("exit codes are those of sysexits.h, and 130 for a stop") {
    CHECK(exit_code(ErrorCode::usage) == 64);
    CHECK(exit_code(ErrorCode::input) == 65);
    CHECK(exit_code(ErrorCode::not_found) == 65);
    CHECK(exit_code(ErrorCode::unsupported) == 65);
    CHECK(exit_code(ErrorCode::conflict) == 69);
    CHECK(exit_code(ErrorCode::unavailable) == 69);
    CHECK(exit_code(ErrorCode::timeout) == 69);
    CHECK(exit_code(ErrorCode::integrity) == 69);
    CHECK(exit_code(ErrorCode::internal) == 70);
    CHECK(exit_code(ErrorCode::denied) == 77);
    CHECK(exit_code(ErrorCode::cancelled) == 130);
    CHECK(exit_code(ErrorCode::workload_failed) == 1);
}
