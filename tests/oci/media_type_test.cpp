#include "fairing/oci/media_type.hpp"

#include <doctest/doctest.h>

using namespace fairing::oci;

TEST_CASE("indexes, manifests and foreign layers are told apart") {
    CHECK(media_type::is_index("application/vnd.docker.distribution.manifest.list.v2+json"));
    CHECK(media_type::is_index("application/vnd.oci.image.index.v1+json"));
    CHECK(media_type::is_manifest("application/vnd.oci.image.manifest.v1+json"));
    CHECK_FALSE(media_type::is_manifest("application/vnd.oci.image.index.v1+json"));
    CHECK(media_type::is_foreign("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"));
    CHECK(media_type::is_foreign("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"));
    CHECK_FALSE(media_type::is_foreign(media_type::layer_zstd));
}
