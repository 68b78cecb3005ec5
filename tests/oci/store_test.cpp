#include "fairing/oci/store.hpp"

#include <doctest/doctest.h>

#include "../support/memory_store.hpp"

using namespace fairing;

TEST_CASE("a raw manifest's descriptor is that of its bytes") {
    const oci::RawManifest raw{.media_type = "a/b", .body = "{}"};
    CHECK(raw.descriptor() ==
          oci::Descriptor{.media_type = "a/b", .digest = oci::digest_of("{}"), .size = 2});
}

TEST_CASE("a store is used through its interface") {
    support::MemoryStore memory;
    oci::Store& store = memory;
    store.write_manifest({.media_type = "a/b", .body = "{}"}, "v1");
    CHECK(store.find_manifest("v1")->body == "{}");
    CHECK(store.find_manifest(oci::digest_of("{}"))->media_type == "a/b");
    CHECK_FALSE(store.find_manifest("v2").has_value());
    CHECK(store.requests() == 0);
}
