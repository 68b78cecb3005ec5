#include "fairing/registry/registry_error.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("a registry's own words") {
    CHECK(
        registry::registry_message(
            R"({"errors":[{"code":"DENIED","message":"no\nway"},{"code":"TOOMANYREQUESTS"},{"message":"x"},5]})") ==
        "DENIED: no?way; TOOMANYREQUESTS; x");
    for (const char* body : {"", "<html>", "{}", "[]", R"({"errors":5})", R"({"errors":[]})"}) {
        CHECK(registry::registry_message(body).empty());
    }
    const net::Answer answer{
        {.status = 429, .body = R"({"errors":[{"code":"TOOMANYREQUESTS","message":"later"}]})"},
        "http://h/",
        5};
    const Error error{ErrorCode::unavailable,
                      registry::refusal(answer, "push manifest", "h/n:t", "wait")};
    CHECK(std::string{error.what()} ==
          "cannot push manifest h/n:t after 5 attempts: 429 Too Many Requests: TOOMANYREQUESTS: "
          "later; wait");
    CHECK(error.details().http_status == 429);
}

TEST_CASE("which blobs are missing") {
    const std::string digest = "sha256:" + std::string(64, 'a');
    const auto missing = [](const std::string& detail) {
        return registry::missing_blobs(R"({"errors":[{"code":"MANIFEST_BLOB_UNKNOWN","detail":)" +
                                       detail + "}]}");
    };
    CHECK(*missing('"' + digest + '"') == std::vector<std::string>{digest});
    CHECK(*missing(R"({"digest":")" + digest + "\"}") == std::vector<std::string>{digest});
    CHECK(*missing(R"({"Digest":")" + digest + "\"}") == std::vector<std::string>{digest});
    CHECK(missing("null")->empty());
    CHECK(missing("5")->empty());
    CHECK_FALSE(registry::missing_blobs(R"({"errors":[{"code":"MANIFEST_INVALID"}]})"));
    CHECK_FALSE(registry::missing_blobs("no json"));
}
