// fairing/net/httplib.hpp - cpp-httplib, and what must hold of it. The only header that includes
// httplib.h.
#pragma once

#include "../core/version.hpp"

#if defined(CPPHTTPLIB_HTTPLIB_H) && FAIRING_TLS && !defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#error \
    "httplib.h was included before fairing without CPPHTTPLIB_OPENSSL_SUPPORT: define it, or FAIRING_TLS=0"
#endif
#if !FAIRING_TLS && defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#error \
    "FAIRING_TLS is 0, but CPPHTTPLIB_OPENSSL_SUPPORT is defined: make them agree in all translation units"
#endif
#if FAIRING_TLS && !defined(CPPHTTPLIB_OPENSSL_SUPPORT)
#define CPPHTTPLIB_OPENSSL_SUPPORT
#endif

#include <httplib.h>

// These came with 0.41 or shortly before; the version itself is a text, which only the compiler can
// compare.
#if !defined(CPPHTTPLIB_VERSION_NUM) || !defined(CPPHTTPLIB_EXPECT_100_THRESHOLD)
#error \
    "cpp-httplib is older than 0.41: it writes CR LF into headers (CVE-2026-21428) and sends credentials along \
redirects to other hosts; install 0.41 or newer"
#endif

#include <cstddef>
#include <string_view>

namespace fairing::net {

namespace detail {

/// The minor number of "0.41.0"; 1000 from 1.0 on.
[[nodiscard]] constexpr int httplib_minor(std::string_view version) noexcept {
    if (!version.starts_with("0.")) {
        return 1000;
    }
    int minor = 0;
    for (std::size_t i = 2; i < version.size() && version[i] != '.'; ++i) {
        minor = minor * 10 + (version[i] - '0');
    }
    return minor;
}
static_assert(httplib_minor(CPPHTTPLIB_VERSION) >= 41,
              "cpp-httplib is older than 0.41: it writes CR LF into headers (CVE-2026-21428) and "
              "sends credentials "
              "along redirects to other hosts; install 0.41 or newer");

}  // namespace detail

}  // namespace fairing::net
