#include "fairing/core/version.hpp"

#include <doctest/doctest.h>

#include <string>
#include <typeinfo>

TEST_CASE("the text and the macros say the same version") {
    CHECK(std::string{fairing::version} == std::to_string(FAIRING_VERSION_MAJOR) + '.' +
                                               std::to_string(FAIRING_VERSION_MINOR) + '.' +
                                               std::to_string(FAIRING_VERSION_PATCH));
}

TEST_CASE("the configuration is either way stated") {
    CHECK((FAIRING_TLS == 0 || FAIRING_TLS == 1));
    CHECK((FAIRING_YAML == 0 || FAIRING_YAML == 1));
    CHECK((FAIRING_XML == 0 || FAIRING_XML == 1));
    for (const int compressor : {FAIRING_ZLIB, FAIRING_LIBDEFLATE, FAIRING_ISAL, FAIRING_ZSTD}) {
        CHECK((compressor == 0 || compressor == 1));
    }
}

namespace fairing {
inline namespace FAIRING_ABI {
struct Configured;
}  // inline namespace FAIRING_ABI
}  // namespace fairing

TEST_CASE("units of another configuration have other names") {
    const std::string digits = std::to_string(FAIRING_TLS) + std::to_string(FAIRING_YAML) +
                               std::to_string(FAIRING_XML) + std::to_string(FAIRING_ZLIB) +
                               std::to_string(FAIRING_LIBDEFLATE) + std::to_string(FAIRING_ISAL) +
                               std::to_string(FAIRING_ZSTD);
    const std::string name = typeid(fairing::Configured*).name();
    CHECK(name.find("v0_" + digits) != std::string::npos);
}
