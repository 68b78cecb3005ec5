#include "fairing/net/redact.hpp"

#include <doctest/doctest.h>

using namespace fairing::net;

TEST_CASE("only known parameters of a query are shown") {
    CHECK(redact_url("https://h/p?digest=sha256:ab&X-Amz-Signature=geheim&flag&scope=a") ==
          "https://h/p?digest=sha256:ab&X-Amz-Signature=***&***&scope=a");
    CHECK(redact_url("https://u:geheim@h/p#geheim") == "https://***@h/p");
    CHECK(redact_url("https://h/p@x?") == "https://h/p@x");
    CHECK(redact_url("no url \r\n at all") == "no url ?? at all");
    CHECK(redact_url("u:geheim@h") == "***@h");
}

TEST_CASE("only known headers are shown") {
    CHECK(redact_header("Content-Type", "text/plain") == "Content-Type: text/plain");
    CHECK(redact_header("Authorization", "Basic geheim") == "Authorization: ***");
    CHECK(redact_header("X-Registry-Auth", "geheim") == "X-Registry-Auth: ***");
    CHECK(redact_header("Set-Cookie", "geheim") == "Set-Cookie: ***");
    CHECK(redact_header("location", "http://h/?sig=geheim") == "location: http://h/?sig=***");
}

TEST_CASE("foreign text stays on its line") {
    CHECK(printable("a\r\n\x1b[31mb\x7f") == "a???[31mb?");
    CHECK(printable(std::string(400, 'x'), 3) == "xxx…");
}
