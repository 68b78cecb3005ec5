#include "fairing/core/credential.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("a provider answers for the hosts it knows and leaves the rest to the chain") {
    const CredentialsProvider provider =
        [](const CredentialRequest& request) -> std::optional<Credential> {
        if (request.service == Service::registry && request.host == "registry.example:5000") {
            return Credential{.user = "me", .password = Secret{"word"}};
        }
        return std::nullopt;
    };
    const auto known = provider({.host = "registry.example:5000"});
    REQUIRE(known);
    CHECK(known->user == "me");
    CHECK(known->password.reveal() == "word");
    CHECK(known->token.empty());
    CHECK_FALSE(provider({.service = Service::kubernetes, .host = "registry.example:5000"}));
    CHECK_FALSE(provider({.host = "other"}));
}
