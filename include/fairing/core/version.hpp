// fairing/core/version.hpp - the version, the configuration macros, and the name that they give our
// ABI.
//
// FAIRING_TLS   1 unless defined as 0: https through cpp-httplib and OpenSSL.
// FAIRING_YAML  0 unless defined as 1: YAML is read and written through yaml-cpp.
//
// Types that every configured function takes (Control, Session) live in the inline namespace
// FAIRING_ABI, so two translation units that were configured differently do not share a function by
// accident.
#pragma once

#define FAIRING_VERSION_MAJOR 0
#define FAIRING_VERSION_MINOR 1
#define FAIRING_VERSION_PATCH 0

#ifndef FAIRING_TLS
#define FAIRING_TLS 1
#endif
#ifndef FAIRING_YAML
#define FAIRING_YAML 0
#endif

#if FAIRING_TLS && FAIRING_YAML
#define FAIRING_ABI v0_tls_yaml
#elif FAIRING_TLS
#define FAIRING_ABI v0_tls
#elif FAIRING_YAML
#define FAIRING_ABI v0_yaml
#else
#define FAIRING_ABI v0
#endif

namespace fairing {

/// "0.1.0".
inline constexpr const char* version = "0.1.0";
static_assert(FAIRING_VERSION_MAJOR == 0 && FAIRING_VERSION_MINOR == 1 &&
              FAIRING_VERSION_PATCH == 0);

}  // namespace fairing
