#include "fairing/builders/context_sources/azure.hpp"

#include <doctest/doctest.h>

#include "../../support/context_site.hpp"

using namespace fairing;
using support::answer;
using support::contains;
using support::error_of;

namespace {

struct AzureSite : support::ContextSite {
    AzureSite() {
        variables.insert({{"AZURE_STORAGE_ACCOUNT", "acct"}, {"AZURE_STORAGE_KEY", "Z2VoZWlt"}});
    }
};

}  // namespace

TEST_CASE("Azure Blob: the pod gets the account's key in a secret") {
    AzureSite site;
    const std::string url = "https://acct.blob.core.windows.net/fairing-builds";
    site.script.expect("PUT", url + "?restype=container", answer(201));
    site.script.expect("PUT", url + "/fairing_builds/abc123", answer(201));
    {
        const UploadedContext uploaded = site.upload(AzureBlobContextSource{});
        CHECK(uploaded.url() == url + "/fairing_builds/abc123");
        site.prepare(uploaded);
        CHECK(site.variable("AZURE_STORAGE_ACCESS_KEY") ==
              "build-1-context/AZURE_STORAGE_ACCESS_KEY");
        CHECK(site.secret("build-1-context", "AZURE_STORAGE_ACCESS_KEY") == "Z2VoZWlt");
        site.script.expect("DELETE", url + "/fairing_builds/abc123", answer(202));
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("Azure Files: a file on a share that the pod mounts") {
    AzureSite site;
    const std::string url = "https://acct.file.core.windows.net/fairing-builds";
    const std::string directory = url + "/build_abc123";
    site.script.expect("PUT", url + "?restype=share", answer(201));
    site.script.expect("PUT", directory + "?restype=directory", answer(201));
    site.script.expect("PUT", directory + "/context.tar.gz", answer(201));
    SUBCASE("and goes with its directory") {
        site.script.expect("PUT", directory + "/context.tar.gz?comp=range", answer(201));
        const UploadedContext uploaded = site.upload(AzureFilesContextSource{});
        CHECK(uploaded.url() == "tar:///mnt/azure/build_abc123/context.tar.gz");
        site.prepare(uploaded);
        CHECK(site.objects.size() == 1);
        CHECK(site.secret("storage-credentials-abc123", "azurestorageaccountname") == "acct");
        CHECK(site.secret("storage-credentials-abc123", "azurestorageaccountkey") == "Z2VoZWlt");
        CHECK(site.pod.json()["volumes"][0]["azureFile"]["shareName"] == "fairing-builds");
        CHECK(site.pod.container()["volumeMounts"][0]["mountPath"] == "/mnt/azure/");
        site.script.expect("DELETE", directory + "/context.tar.gz", answer(202));
        site.script.expect("DELETE", directory + "?restype=directory", answer(202));
    }
    SUBCASE("and nothing stays when it can not be filled") {
        site.script.expect("PUT", directory + "/context.tar.gz?comp=range", answer(403));
        site.script.expect("DELETE", directory + "/context.tar.gz", answer(202));
        site.script.expect("DELETE", directory + "/context.tar.gz", answer(404));
        site.script.expect("DELETE", directory + "?restype=directory", answer(202));
        CHECK(contains(error_of([&] { (void)site.upload(AzureFilesContextSource{}); }),
                       "403 Forbidden"));
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("without the account's key no pod could read it") {
    AzureSite site;
    site.variables.erase("AZURE_STORAGE_KEY");
    site.variables["AZURE_STORAGE_SAS_TOKEN"] = "sig=geheim";
    const std::string error = error_of([&] { (void)site.upload(AzureBlobContextSource{}); });
    CHECK(contains(error, "the pod that builds needs the account's key"));
    CHECK_FALSE(contains(error, "geheim"));
}
