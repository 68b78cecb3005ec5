#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"
#include "fairing/cloud/azure/account.hpp"
#include "fairing/cloud/azure/blob.hpp"
#include "fairing/cloud/azure/files.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::answer;
using support::contains;
using support::error_of;

namespace {

const std::string blob_url = "https://acct.blob.core.windows.net/c/builds/a%20b";
const std::string share_url = "https://acct.file.core.windows.net/share/";

azure::StorageAccount account() {
    return {.name = "acct", .credential = {.key = Secret{codec::base64_encode("geheim")}}};
}

}  // namespace

// The string is that of the documentation's example for List Containers and Put Blob.
TEST_CASE("the shared key's signature covers method, headers and resource") {
    net::Request request{.method = "PUT",
                         .headers = {{"x-ms-version", "2015-02-21"},
                                     {"x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"},
                                     {"Content-Type", "text/plain"}},
                         .body = net::Body::of("hello")};
    const net::Url url =
        net::parse_url("https://myaccount.blob.core.windows.net/c/b?timeout=30&comp=a%2Bb");
    const std::string text =
        "PUT\n\n\n5\n\ntext/plain\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
        "x-ms-version:2015-02-21\n/myaccount/c/b\ncomp:a+b\ntimeout:30";
    CHECK(azure::shared_key_signature(request, url, "myaccount",
                                      Secret{codec::base64_encode("key")}) ==
          codec::base64_encode(codec::hmac_sha256("key", text)));
}

TEST_CASE("what proves who we are: key, shared access signature, token") {
    support::CloudSite site;
    const auto put = [&](azure::StorageCredential credential) {
        const azure::BlobContainer container{
            site.connection(), {.name = "acct", .credential = std::move(credential)}, "c"};
        container.put("builds/a b", Content::of("abc"));
        return site.script.recorded().back();
    };
    site.script.expect("PUT", blob_url, answer(201));
    CHECK(put(account().credential).header("Authorization").starts_with("SharedKey acct:"));
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
    const azure::BlobContainer container{site.connection(), account(), "c", 4};
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
    const azure::BlobContainer container{site.connection(), account(), "c"};
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

TEST_CASE("a file of a share is made in its length, and filled") {
    support::CloudSite site;
    const azure::FileShare share{site.connection(), account(), "share"};
    const std::string directory = share_url + "build_1?restype=directory";
    site.script.expect("PUT", directory, answer(201));
    site.script.expect("PUT", share_url + "build_1/x?restype=directory",
                       answer(409, "", {{"x-ms-error-code", "ResourceAlreadyExists"}}));
    share.make_directory("build_1/x");
    site.script.expect("PUT", share_url + "build_1/f", answer(201));
    site.script.expect("PUT", share_url + "build_1/f?comp=range", answer(201));
    site.script.expect("PUT", share_url + "build_1/f?comp=range", answer(201));
    share.put("build_1/f", Content::of(std::string((4 << 20) + 1, 'x')));
    CHECK(site.script.recorded().at(2).header("x-ms-content-length") == "4194305");
    CHECK(site.script.recorded().at(3).header("x-ms-range") == "bytes=0-4194303");
    CHECK(site.script.recorded().at(4).header("x-ms-range") == "bytes=4194304-4194304");
    SUBCASE("half a file is not left behind") {
        site.script.expect("PUT", share_url + "f", answer(201));
        site.script.expect("PUT", share_url + "f?comp=range", answer(413));
        site.script.expect("DELETE", share_url + "f", answer(202));
        CHECK(contains(error_of([&] { share.put("f", Content::of("x")); }),
                       "cannot upload bytes=0-0 of " + share_url + "f: 413"));
    }
    SUBCASE("a folder goes with all that is in it") {
        const support::Workspace place;
        place.file("b/c", "");
        place.file("a", "");
        site.script.expect("PUT", share_url + "d?restype=directory", answer(201));
        site.script.expect("PUT", share_url + "d/a", answer(201));
        site.script.expect("PUT", share_url + "d/b?restype=directory", answer(201));
        site.script.expect("PUT", share_url + "d/b/c", answer(201));
        share.put_directory(place.path(), "d");
        place.link("z", "a");
        CHECK(contains(error_of([&] {
                           site.script.expect("PUT", "", answer(201))
                               .expect("PUT", "", answer(201))
                               .expect("PUT", "", answer(201))
                               .expect("PUT", "", answer(201));
                           share.put_directory(place.path(), "d");
                       }),
                       "it is a link"));
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("accounts stand in the environment") {
    support::CloudSite site;
    const auto found = [&] { return azure::environment_account(site.connection()); };
    CHECK(contains(error_of([&] { (void)found(); }), "no account is named"));
    site.variables["AZURE_STORAGE_ACCOUNT"] = "acct";
    CHECK(contains(error_of([&] { (void)found(); }), "there are none; set AZURE_STORAGE"));
    site.variables["AZURE_STORAGE_KEY"] = "a2V5";
    CHECK(found().credential.key.reveal() == "a2V5");
    site.variables["AZURE_STORAGE_CONNECTION_STRING"] =
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=a2V5Cg==;"
        "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;";
    CHECK(found().credential.key.reveal() == "a2V5Cg==");
    CHECK(found().blob_endpoint == "http://127.0.0.1:10000/devstoreaccount1");
    const std::string error =
        error_of([] { (void)azure::parse_connection_string("AccountKey=geheim"); });
    CHECK(contains(error, "neither AccountName nor an endpoint"));
    CHECK_FALSE(contains(error, "geheim"));
    for (const char* name : {"", "a", "ACCT", "evil.example/", "acct.evil"}) {
        CHECK(contains(
            error_of([&] { azure::BlobContainer(site.connection(), {.name = name}, "c"); }),
            "cannot use storage account"));
    }
}

TEST_CASE("a service principal's token is asked for once, and no secret is shown") {
    support::CloudSite site;
    CHECK_FALSE(azure::environment_principal(site.connection()));
    site.variables.insert(
        {{"AZ_TENANT_ID", "t/1"}, {"AZ_CLIENT_ID", "id"}, {"AZ_CLIENT_SECRET", "geheim"}});
    const auto principal = azure::environment_principal(site.connection());
    REQUIRE(principal);
    const std::string url = "https://login.microsoftonline.com/t%2F1/oauth2/v2.0/token";
    site.script.expect("POST", url, answer(200, R"({"access_token": "tok", "expires_in": 3599})"));
    const auto token = azure::principal_token(site.connection(), *principal);
    CHECK(token.get().value.reveal() == "tok");
    CHECK(token.get().value.reveal() == "tok");
    CHECK(site.script.recorded().at(0).body ==
          "grant_type=client_credentials&client_id=id&client_secret=geheim&"
          "scope=https%3A%2F%2Fstorage.azure.com%2F.default");
    site.now += std::chrono::hours{1};
    site.script.expect("POST", url, answer(401, R"({"error": "invalid_client",
                                       "error_description": "AADSTS7000215: Invalid secret."})"));
    const std::string error = error_of([&] { (void)token.get(); });
    CHECK(contains(error, "service principal id: 401 Unauthorized: invalid_client: AADSTS7000215"));
    CHECK_FALSE(contains(error + site.said(), "geheim"));
    site.variables["AZURE_AUTHORITY_HOST"] = "http://evil.example";
    CHECK(contains(error_of([&] { (void)token.get(); }), "it is not https"));
}
