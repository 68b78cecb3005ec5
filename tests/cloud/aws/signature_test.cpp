#include "fairing/cloud/aws/signature.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "fairing/core/env.hpp"
#include "fairing/core/files.hpp"
#include "fairing/kube/time.hpp"

using namespace fairing;
using namespace fairing::cloud;

namespace {

/// One case of AWS's own suite: the request as a text, and what must come of it.
struct SigningCase {
    std::filesystem::path folder = {};
    Json context = {};
    std::string method = {}, target = {}, body = {};
    net::Headers headers = {};

    explicit SigningCase(const std::filesystem::path& place)
        : folder(place), context(Json::parse(read_file(place / "context.json"))) {
        std::string text = read_file(folder / "request.txt");
        std::string head = text.substr(0, text.find("\n\n"));
        body = head.size() + 2 < text.size() ? text.substr(head.size() + 2) : "";
        while (head.ends_with('\n')) {
            head.pop_back();
        }
        const std::string line = head.substr(0, head.find('\n'));
        method = line.substr(0, line.find(' '));
        target = line.substr(method.size() + 1, line.rfind(" HTTP/") - method.size() - 1);
        std::string name;
        for (std::size_t at = line.size() + 1; at < head.size();) {
            const std::string next = head.substr(at, head.find('\n', at) - at);
            at += next.size() + 1;
            if (next.starts_with(' ')) {
                std::prev(headers.upper_bound(name))->second += '\n' + next;  // a folded line
                continue;
            }
            name = next.substr(0, next.find(':'));
            headers.emplace(name, next.substr(name.size() + 1));
        }
    }
    [[nodiscard]] std::string expected(const char* name) const {
        std::string text = read_file(folder / name);
        while (text.ends_with('\n')) {
            text.pop_back();
        }
        return text;
    }
    [[nodiscard]] aws::Credentials credentials() const {
        const Json& given = context["credentials"];
        return {.access_key_id = text_or(given, "access_key_id"),
                .secret_access_key = Secret{text_or(given, "secret_access_key")},
                .session_token = Secret{text_or(given, "token")}};
    }
    [[nodiscard]] aws::SignatureScope scope() const {
        return {.region = text_or(context, "region"),
                .service = text_or(context, "service"),
                .time = kube::parse_time(text_or(context, "timestamp"))->rounded(),
                .path = context["normalize"].get<bool>() ? aws::SignedPath::encoded
                                                         : aws::SignedPath::as_sent,
                .token = context.value("omit_session_token", false) ? aws::SignedToken::no
                                                                    : aws::SignedToken::yes};
    }
    [[nodiscard]] std::string payload() const {
        return context["sign_body"].get<bool>() ? codec::sha256_hex(body) : aws::empty_sha256;
    }
};

void check(const SigningCase& one, const aws::Signature& made, const std::string& form) {
    CHECK(made.canonical_request == one.expected((form + "-canonical-request.txt").c_str()));
    CHECK(made.string_to_sign == one.expected((form + "-string-to-sign.txt").c_str()));
    CHECK(made.signature == one.expected((form + "-signature.txt").c_str()));
}

}  // namespace

TEST_CASE("AWS's 38 vectors: header and query signing, with every step between") {
    const auto data = env("FAIRING_TEST_DATA");
    if (!data) {
        MESSAGE("skipped: needs FAIRING_TEST_DATA with vectors/sigv4");
        return;
    }
    int cases = 0;
    for (const auto& entry :
         std::filesystem::directory_iterator{std::filesystem::path{*data} / "vectors/sigv4"}) {
        INFO(entry.path().string());
        ++cases;
        SigningCase one{entry.path()};
        // A path that is signed as it is sent is one that can be sent.
        std::string target = one.scope().path == aws::SignedPath::as_sent
                                 ? aws::detail::encoded_path(one.target)
                                 : one.target;
        net::Request request{.method = one.method, .headers = one.headers};
        if (one.context["sign_body"].get<bool>()) {
            request.headers.emplace("x-amz-content-sha256", one.payload());
        }
        check(one, sign_headers(request, target, one.payload(), one.credentials(), one.scope()),
              "header");
        CHECK(one.expected("header-signed-request.txt")
                  .find("Authorization:" + net::header(request.headers, "Authorization")) !=
              std::string::npos);
        check(one,
              sign_query(one.method, target, one.headers, one.payload(), one.credentials(),
                         one.scope(), std::chrono::seconds{3600}),
              "query");
        const std::string sent = one.expected("query-signed-request.txt");
        CHECK(sent.find(target.substr(target.find("X-Amz-Algorithm"))) != std::string::npos);
    }
    CHECK(cases == 38);
}
