#include "fairing/cloud/azure/blob.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

TEST_CASE("a large blob goes in blocks, and each that fails is sent again") {
    CloudSite site;
    const azure::BlobContainer container{site.connection(), azure_account(), "c", 4};
    const auto block = [&](const char* id) { return azure_blob_url + "?comp=block&blockid=" + id; };
    site.script.expect("PUT", block("MTAwMDAwMA%3D%3D"), answer(201));
    site.script.expect_broken("PUT", block("MTAwMDAwMQ%3D%3D"));
    site.script.expect("PUT", block("MTAwMDAwMQ%3D%3D"), answer(201));
    site.script.expect("PUT", azure_blob_url + "?comp=blocklist", answer(201));
    container.put("builds/a b", Content::of("abcdefg"));
    CHECK(site.script.recorded().at(2).body == "efg");
    CHECK(contains(site.script.recorded().at(3).body,
                   "<Latest>MTAwMDAwMA==</Latest><Latest>MTAwMDAwMQ==</Latest></BlockList>"));
    for (int i = 0; i < 5; ++i) {
        site.script.expect("PUT", block("MTAwMDAwMA%3D%3D"), answer(503));
    }
    CHECK(contains(error_of([&] { container.put("builds/a b", Content::of("abcdefg")); }),
                   "after 5 attempts: 503 Service Unavailable"));
    CHECK(site.script.complaint() == "");
}

TEST_CASE("containers are made when they are missing") {
    CloudSite site;
    const azure::BlobContainer container{site.connection(), azure_account(), "c"};
    const std::string url = "https://acct.blob.core.windows.net/c?restype=container";
    site.script.expect("PUT", url, answer(201));
    CHECK(container.ensure());
    site.script.expect("PUT", url, azure_conflict("ContainerAlreadyExists"));
    CHECK_FALSE(container.ensure());
    site.script.expect("PUT", url, azure_conflict("ContainerBeingDeleted"));
    CHECK(contains(error_of([&] { container.ensure(); }), "409 Conflict: ContainerBeingDeleted"));
    site.script.expect("DELETE", azure_blob_url, answer(404));
    container.remove("builds/a b");
}
