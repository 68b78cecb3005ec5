// fairing/builders/append/layer_compressor.hpp - who compresses the layers of an image: ours, or
// one of the libraries that this build has.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "../../codec/gzip.hpp"
#include "../../codec/isal_compressor.hpp"
#include "../../codec/libdeflate_compressor.hpp"
#include "../../codec/zlib_compressor.hpp"
#include "../../codec/zstd.hpp"
#include "../../core/error.hpp"
#include "../../core/version.hpp"
#include "../../stage/fields.hpp"

namespace fairing {

/// `gzip` is ours and always there; each of the others where its macro is 1 (core/version.hpp). All
/// but zstd make gzip layers. What a file is compressed by does not change its diff_id.
enum class LayerCompressor { gzip, zlib, libdeflate, isal, zstd };

template <>
inline constexpr auto value_names<LayerCompressor> =
    std::array<std::pair<std::string_view, LayerCompressor>, 5>{
        {{"gzip", LayerCompressor::gzip},
         {"zlib", LayerCompressor::zlib},
         {"libdeflate", LayerCompressor::libdeflate},
         {"isal", LayerCompressor::isal},
         {"zstd", LayerCompressor::zstd}}};

namespace detail {
inline namespace FAIRING_ABI {

/// One of the policies that are there.
using AnyCompressor = std::variant<codec::GzipCompressor
#if FAIRING_ZLIB
                                   ,
                                   codec::ZlibCompressor
#endif
#if FAIRING_LIBDEFLATE
                                   ,
                                   codec::LibdeflateCompressor
#endif
#if FAIRING_ISAL
                                   ,
                                   codec::IsalCompressor
#endif
#if FAIRING_ZSTD
                                   ,
                                   codec::ZstdCompressor
#endif
                                   >;

/// For the help of an option.
inline constexpr std::string_view compressors_there =
    "who compresses the layers (built in: gzip"
#if FAIRING_ZLIB
    ", zlib"
#endif
#if FAIRING_LIBDEFLATE
    ", libdeflate"
#endif
#if FAIRING_ISAL
    ", isal"
#endif
#if FAIRING_ZSTD
    ", zstd"
#endif
    ")";

/// `level` goes from 1 (fast) to 9 (small). Throws Error{unsupported} for a library that this build
/// does not have.
[[nodiscard]] inline AnyCompressor make_compressor(LayerCompressor wanted, int level) {
    if (wanted == LayerCompressor::gzip) {
        return codec::GzipCompressor{.level = level};
    }
#if FAIRING_ZLIB
    if (wanted == LayerCompressor::zlib) {
        return codec::ZlibCompressor{.level = level};
    }
#endif
#if FAIRING_LIBDEFLATE
    if (wanted == LayerCompressor::libdeflate) {
        return codec::LibdeflateCompressor{.level = level};
    }
#endif
#if FAIRING_ISAL
    if (wanted == LayerCompressor::isal) {
        return codec::IsalCompressor{.level = (level + 2) / 3};
    }
#endif
#if FAIRING_ZSTD
    if (wanted == LayerCompressor::zstd) {
        return codec::ZstdCompressor{.level = level};
    }
#endif
    constexpr std::array<std::string_view, 5> macros = {"", "FAIRING_ZLIB", "FAIRING_LIBDEFLATE",
                                                        "FAIRING_ISAL", "FAIRING_ZSTD"};
    const auto index = static_cast<std::size_t>(wanted);
    const std::string name{value_names<LayerCompressor>.at(index).first};
    throw Error{ErrorCode::unsupported,
                {.attempted = "compress layers with",
                 .subject = name,
                 .answer = "this build of fairing does not have it",
                 .advice = "leave the compressor out, or build with it (Meson: -D" + name +
                           "=enabled; the macro " + std::string{macros.at(index)} + "=1)"}};
}

}  // inline namespace FAIRING_ABI
}  // namespace detail

}  // namespace fairing
