#include "fairing/core/secret.hpp"

#include <doctest/doctest.h>

#include <concepts>
#include <ostream>
#include <type_traits>

using namespace fairing;

namespace {

template <class T>
concept Printable = requires(std::ostream& stream, const T& value) {
    stream << value;
};

}  // namespace

static_assert(!Printable<Secret> && Printable<std::string>);
static_assert(!std::convertible_to<Secret, std::string> &&
              !std::convertible_to<std::string, Secret>);
static_assert(!std::equality_comparable<Secret>);

TEST_CASE("a secret is given out on request only") {
    const Secret secret{"word"};
    CHECK(secret.reveal() == "word");
    CHECK_FALSE(secret.empty());
    CHECK(Secret{}.empty());
    const Secret copy = secret;
    CHECK(copy.reveal() == secret.reveal());
}
