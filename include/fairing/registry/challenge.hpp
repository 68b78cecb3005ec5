// fairing/registry/challenge.hpp - WWW-Authenticate (RFC 9110, section 11.6.1): what a registry
// wants to see first.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../core/error.hpp"
#include "../net/message.hpp"
#include "../net/validation.hpp"

namespace fairing::registry {

struct Challenge {
    std::string scheme = {};                             ///< lower-case: "bearer", "basic"
    std::map<std::string, std::string> parameters = {};  ///< names in lower case
    std::string token68 = {};

    [[nodiscard]] std::string parameter(const std::string& name) const {
        const auto found = parameters.find(name);
        return found == parameters.end() ? std::string{} : found->second;
    }
};

namespace detail {

/// Reads one header value from left to right.
class ChallengeReader {
public:
    explicit ChallengeReader(std::string_view text) : rest_(text) {}

    void read_into(std::vector<Challenge>& challenges) {
        for (skip(" \t,"); !rest_.empty(); skip(" \t,")) {
            const std::string name = token();
            const bool spaced = skip(" \t") > 0;
            if (rest_.starts_with('=')) {  // a further parameter of the challenge before
                if (challenges.empty() || !challenges.back().token68.empty()) {
                    fail("a parameter without a scheme");
                }
                parameter(challenges.back(), name);
                continue;
            }
            challenges.push_back({.scheme = lower(name)});
            if (spaced && !rest_.empty() && rest_.front() != ',') {
                after_scheme(challenges.back());
            }
        }
    }

private:
    [[noreturn]] static void fail(std::string answer) {
        throw Error{ErrorCode::input,
                    {.attempted = "read header",
                     .subject = "WWW-Authenticate",
                     .answer = std::move(answer)}};
    }
    static std::string lower(std::string text) {
        std::transform(text.begin(), text.end(), text.begin(), net::detail::lower);
        return text;
    }
    std::size_t skip(std::string_view characters) {
        const std::size_t count = std::min(rest_.find_first_not_of(characters), rest_.size());
        rest_.remove_prefix(count);
        return count;
    }
    std::string token() {
        std::size_t size = 0;
        while (size < rest_.size() && net::is_token(rest_.substr(size, 1))) {
            ++size;
        }
        if (size == 0) {
            fail("a character that can not be there");
        }
        std::string result{rest_.substr(0, size)};
        rest_.remove_prefix(size);
        return result;
    }
    /// The first thing behind a scheme: a token68, or the first of its parameters.
    void after_scheme(Challenge& challenge) {
        constexpr std::string_view token68 =
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
        const std::size_t size = std::min(rest_.find_first_not_of(token68), rest_.size());
        std::size_t end = std::min(rest_.find_first_not_of('=', size), rest_.size());
        const std::size_t next = std::min(rest_.find_first_not_of(" \t", end), rest_.size());
        if (size > 0 && (next == rest_.size() || rest_[next] == ',')) {
            challenge.token68 = rest_.substr(0, end);
            rest_.remove_prefix(next);
            return;
        }
        const std::string name = token();
        skip(" \t");
        if (!rest_.starts_with('=')) {
            fail("a word that is neither a parameter nor a scheme");
        }
        parameter(challenge, name);
    }
    /// From the '=' on.
    void parameter(Challenge& challenge, const std::string& name) {
        rest_.remove_prefix(1);
        skip(" \t");
        const std::string value = rest_.starts_with('"') ? quoted() : token_value();
        if (!challenge.parameters.emplace(lower(name), value).second) {
            fail("a parameter that is there twice");
        }
        skip(" \t");
        if (!rest_.empty() && rest_.front() != ',') {
            fail("something between two parameters that is no comma");
        }
    }
    /// A token; URLs without quotes are taken as well, because some registries send them.
    std::string token_value() {
        const std::size_t size = std::min(rest_.find_first_of(" \t,\""), rest_.size());
        if (size == 0) {
            fail("a parameter without a value");
        }
        std::string result{rest_.substr(0, size)};
        rest_.remove_prefix(size);
        return result;
    }
    std::string quoted() {
        std::string result;
        for (std::size_t i = 1; i < rest_.size(); ++i) {
            if (rest_[i] == '"') {
                rest_.remove_prefix(i + 1);
                return result;
            }
            if (rest_[i] == '\\' && ++i == rest_.size()) {
                break;
            }
            result += rest_[i];
        }
        fail("an unterminated quote");
    }

    std::string_view rest_;
};

}  // namespace detail

/// Every challenge of every WWW-Authenticate header, in order. Throws Error{input} on what is
/// malformed.
[[nodiscard]] inline std::vector<Challenge> parse_challenges(const net::Headers& headers) {
    std::vector<Challenge> challenges;
    for (const auto& [name, value] : headers) {
        if (!net::header({{name, "x"}}, "WWW-Authenticate").empty()) {
            std::vector<Challenge> more;
            detail::ChallengeReader{value}.read_into(more);
            challenges.insert(challenges.end(), more.begin(), more.end());
        }
    }
    return challenges;
}

/// Bearer when it is offered, else Basic, else nothing that we can do.
[[nodiscard]] inline std::optional<Challenge> choose_challenge(
    const std::vector<Challenge>& challenges) {
    for (const std::string_view scheme : {"bearer", "basic"}) {
        for (const Challenge& challenge : challenges) {
            if (challenge.scheme == scheme) {
                return challenge;
            }
        }
    }
    return std::nullopt;
}

}  // namespace fairing::registry
