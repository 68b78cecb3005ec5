#include "fairing/cloud/azure/account.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"
#include "fairing/cloud/azure/blob.hpp"

using namespace fairing;
using namespace fairing::cloud;
using namespace support;

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
    CloudSite site;
    const auto put = [&](azure::StorageCredential credential) {
        const azure::BlobContainer container{
            site.connection(), {.name = "acct", .credential = std::move(credential)}, "c"};
        container.put("builds/a b", Content::of("abc"));
        return site.script.recorded().back();
    };
    site.script.expect("PUT", azure_blob_url, answer(201));
    CHECK(put(azure_account().credential).header("Authorization").starts_with("SharedKey acct:"));
    site.script.expect("PUT", azure_blob_url + "?sv=1&sig=geheim", answer(201));
    CHECK(put({.sas = Secret{"?sv=1&sig=geheim"}}).header("Authorization") == "");
    site.script.expect("PUT", azure_blob_url, answer(201));
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

TEST_CASE("accounts stand in the environment") {
    CloudSite site;
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
    CloudSite site;
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
