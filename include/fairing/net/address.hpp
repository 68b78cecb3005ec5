// fairing/net/address.hpp - IP addresses that no peer may send us to: unspecified, link-local
// (where clouds keep their instance metadata and its credentials) and what maps to them.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace fairing::net {

namespace detail {

[[nodiscard]] constexpr bool is_refused_v4(std::uint32_t address) noexcept {
    return address >> 24 == 0 ||       // 0.0.0.0/8, "this host"
           address >> 16 == 0xa9fe ||  // 169.254.0.0/16, link-local
           address == 0x646464c8 ||    // 100.100.100.200, metadata of Alibaba Cloud
           address >> 28 == 0xe ||     // multicast
           address == 0xffffffff;      // broadcast
}

[[nodiscard]] inline bool is_refused_v6(const std::array<std::uint8_t, 16>& bytes) noexcept {
    constexpr std::array<std::uint8_t, 16> aws = {0xfd, 0x00, 0x0e, 0xc2, 0, 0, 0,    0,
                                                  0,    0,    0,    0,    0, 0, 0x02, 0x54};
    bool zeros_in_front = true;
    for (std::size_t i = 0; i < 10; ++i) {
        zeros_in_front = zeros_in_front && bytes[i] == 0;
    }
    const std::uint32_t last = static_cast<std::uint32_t>(bytes[12]) << 24 |
                               static_cast<std::uint32_t>(bytes[13]) << 16 |
                               static_cast<std::uint32_t>(bytes[14]) << 8 | bytes[15];
    const bool mapped = zeros_in_front && bytes[10] == 0xff && bytes[11] == 0xff;
    const bool compatible = zeros_in_front && bytes[10] == 0 && bytes[11] == 0;
    const bool translated =
        bytes[0] == 0 && bytes[1] == 0x64 && bytes[2] == 0xff && bytes[3] == 0x9b;
    if (compatible && last == 1) {
        return false;  // ::1
    }
    return ((mapped || compatible || translated) && is_refused_v4(last)) ||
           (bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80) ||  // fe80::/10, link-local
           bytes[0] == 0xff ||                                 // multicast
           bytes == aws;
}

}  // namespace detail

/// Whether `host` is an address, in any notation that the C library takes ("169.254.43518",
/// "0xa9fea9fe"), to which we do not connect. Names are not looked up: of a name the answer is
/// false.
[[nodiscard]] inline bool is_refused_address(const std::string& host) {
    in_addr v4{};
    if (::inet_aton(host.c_str(), &v4) != 0) {
        return detail::is_refused_v4(ntohl(v4.s_addr));
    }
    in6_addr v6{};
    if (::inet_pton(AF_INET6, host.substr(0, host.find('%')).c_str(), &v6) == 1) {
        std::array<std::uint8_t, 16> bytes{};
        std::memcpy(bytes.data(), &v6, bytes.size());
        return detail::is_refused_v6(bytes);
    }
    return false;
}

}  // namespace fairing::net
