#include "fairing/net/address.hpp"

#include <doctest/doctest.h>

using fairing::net::is_refused_address;

TEST_CASE("fault 11: metadata and unspecified addresses in every notation") {
    for (const char* text : {"169.254.169.254",
                             "169.254.0.1",
                             "0.0.0.0",
                             "0",
                             "0.1.2.3",
                             "::",
                             "::ffff:169.254.169.254",
                             "::ffff:a9fe:a9fe",
                             "::169.254.169.254",
                             "64:ff9b::a9fe:a9fe",
                             "fe80::1",
                             "fe80::1%eth0",
                             "febf::1",
                             "fd00:ec2::254",
                             "2852039166",
                             "0xa9fea9fe",
                             "169.254.43518",
                             "0251.0376.1.1",
                             "100.100.100.200",
                             "224.0.0.1",
                             "255.255.255.255",
                             "ff02::1"}) {
        CAPTURE(text);
        CHECK(is_refused_address(text));
    }
    for (const char* text : {"127.0.0.1", "::1", "10.0.0.1", "192.168.1.1", "100.64.0.1", "8.8.8.8",
                             "169.253.1.1", "2001:db8::1", "fec0::1", "fd00::1", "::ffff:10.0.0.1",
                             "registry.example", "169.254.169.254.example", ""}) {
        CAPTURE(text);
        CHECK_FALSE(is_refused_address(text));
    }
}
