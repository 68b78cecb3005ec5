#include "fairing/kube/cluster.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("only https keeps what we say to ourselves") {
    CHECK_FALSE(kube::Cluster{.server = "https://api"}.is_plain());
    CHECK(kube::Cluster{.server = "http://api"}.is_plain());
    CHECK_FALSE(kube::has_credentials({.server = "https://api"}));
    CHECK(kube::has_credentials({.token = Secret{"t"}}));
    CHECK(kube::has_credentials({.exec = kube::ExecPlugin{}}));
}
