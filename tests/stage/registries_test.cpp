#include "fairing/stage/registries.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("a registry without settings is reached as every other") {
    const RegistrySettings settings;
    CHECK(settings.mirrors.empty());
    CHECK_FALSE(settings.insecure);
    CHECK((settings.ca_file + settings.certificate + settings.key).empty());
}
