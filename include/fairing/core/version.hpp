// fairing/core/version.hpp - the version, the configuration macros, and the name that they give our
// ABI.
//
// FAIRING_TLS         1 unless defined as 0: https through cpp-httplib and OpenSSL.
// FAIRING_YAML        0 unless defined as 1: YAML is read and written through yaml-cpp.
// FAIRING_XML         0 unless defined as 1: answers of S3, STS and Azure are read through pugixml.
// FAIRING_ZLIB        0 unless defined as 1: gzip layers may be made by zlib,
// FAIRING_LIBDEFLATE  the same by libdeflate,
// FAIRING_ISAL        the same by ISA-L (libisal);
// FAIRING_ZSTD        the same: zstd layers are made and read, through libzstd.
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
#ifndef FAIRING_XML
#define FAIRING_XML 0
#endif

#ifndef FAIRING_ZLIB
#define FAIRING_ZLIB 0
#endif
#ifndef FAIRING_LIBDEFLATE
#define FAIRING_LIBDEFLATE 0
#endif
#ifndef FAIRING_ISAL
#define FAIRING_ISAL 0
#endif
#ifndef FAIRING_ZSTD
#define FAIRING_ZSTD 0
#endif

// "v0_1000000": the macros' values in the order above.
#define FAIRING_ABI                                                                          \
    FAIRING_ABI_OF(FAIRING_TLS, FAIRING_YAML, FAIRING_XML, FAIRING_ZLIB, FAIRING_LIBDEFLATE, \
                   FAIRING_ISAL, FAIRING_ZSTD)
#define FAIRING_ABI_OF(...) FAIRING_ABI_NAME(__VA_ARGS__)
#define FAIRING_ABI_NAME(tls, yaml, xml, zlib, libdeflate, isal, zstd) \
    v0_##tls##yaml##xml##zlib##libdeflate##isal##zstd

namespace fairing {

/// "0.1.0".
inline constexpr const char* version = "0.1.0";
static_assert(FAIRING_VERSION_MAJOR == 0 && FAIRING_VERSION_MINOR == 1 &&
              FAIRING_VERSION_PATCH == 0);

}  // namespace fairing
