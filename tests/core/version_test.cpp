#include "fairing/core/version.hpp"

#include <doctest/doctest.h>

#include <string>

TEST_CASE("the text and the macros say the same version") {
    CHECK(std::string{fairing::version} == std::to_string(FAIRING_VERSION_MAJOR) + '.' +
                                               std::to_string(FAIRING_VERSION_MINOR) + '.' +
                                               std::to_string(FAIRING_VERSION_PATCH));
}

TEST_CASE("the configuration is either way stated") {
    CHECK((FAIRING_TLS == 0 || FAIRING_TLS == 1));
    CHECK((FAIRING_YAML == 0 || FAIRING_YAML == 1));
}
