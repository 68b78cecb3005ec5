#include "fairing/cloud/azure/blob.hpp"

#include <doctest/doctest.h>

#include "../../support/azure_account.hpp"
#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

namespace {

const std::string blob_url = "https://acct.blob.core.windows.net/c/builds/a%20b";

}  // namespace

TEST_CASE("what proves who we are: key, shared access signature, token") {
    support::CloudSite site;
    const auto put = [&](azure::StorageCredential credential) {
        const azure::BlobContainer container{
            site.connection(), {.name = "acct", .credential = std::move(credential)}, "c"};
        container.put("builds/a b", Content::of("abc"));
        return site.script.recorded().back();
    };
    site.script.expect("PUT", blob_url, answer(201));
    CHECK(put(support::azure_account().credential)
              .header("Authorization")
              .starts_with("SharedKey acct:"));
    site.script.expect("PUT", blob_url + "?sv=1&sig=geheim", answer(201));
    CHECK(put({.sas = Secret{"?sv=1&sig=geheim"}}).header("Authorization") == "");
    site.script.expect("PUT", blob_url, answer(201));
    const auto sent = put({.token = {[] { return AccessToken{.value = Secret{"tok"}}; }, {}}});
    CHECK(sent.header("Authorization") == "Bearer tok");
    CHECK(sent.header("x-ms-blob-type") == "BlockBlob");
    CHECK(sent.body == "abc");
    site.script.expect("PUT", "",
                       answer(403,
                              "<Error><Code>AuthenticationFailed</Code><Message>"
                              "Server failed.\nRequestId:1</Message>"
                              "<AuthenticationErrorDetail>signed geheim"
                              "</AuthenticationErrorDetail></Error>"));
    const std::string error = error_of([&] { put({.sas = Secret{"sv=1&sig=geheim"}}); });
    CHECK(contains(error, "403 Forbidden: AuthenticationFailed: Server failed."));
    CHECK_FALSE(contains(error + site.said(), "geheim"));
}

TEST_CASE("a large blob goes in blocks, and each that fails is sent again") {
    support::CloudSite site;
    const azure::BlobContainer container{site.connection(), support::azure_account(), "c", 4};
    const auto block = [&](const char* id) { return blob_url + "?comp=block&blockid=" + id; };
    site.script.expect("PUT", block("MTAwMDAwMA%3D%3D"), answer(201));
    site.script.expect_broken("PUT", block("MTAwMDAwMQ%3D%3D"));
    site.script.expect("PUT", block("MTAwMDAwMQ%3D%3D"), answer(201));
    site.script.expect("PUT", blob_url + "?comp=blocklist", answer(201));
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
    support::CloudSite site;
    const azure::BlobContainer container{site.connection(), support::azure_account(), "c"};
    const std::string url = "https://acct.blob.core.windows.net/c?restype=container";
    site.script.expect("PUT", url, answer(201));
    CHECK(container.ensure());
    site.script.expect("PUT", url,
                       answer(409, "", {{"x-ms-error-code", "ContainerAlreadyExists"}}));
    CHECK_FALSE(container.ensure());
    site.script.expect("PUT", url, answer(409, "", {{"x-ms-error-code", "ContainerBeingDeleted"}}));
    CHECK(contains(error_of([&] { container.ensure(); }), "409 Conflict: ContainerBeingDeleted"));
    site.script.expect("DELETE", blob_url, answer(404));
    container.remove("builds/a b");
}

TEST_CASE("an account's name is one") {
    support::CloudSite site;
    for (const char* name : {"", "a", "ACCT", "evil.example/", "acct.evil"}) {
        CHECK(contains(
            error_of([&] { azure::BlobContainer(site.connection(), {.name = name}, "c"); }),
            "cannot use storage account"));
    }
}
