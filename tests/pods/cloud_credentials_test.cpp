#include "fairing/pods/cloud_credentials.hpp"

#include <doctest/doctest.h>

#include "../support/context_site.hpp"
#include "../support/mutated.hpp"
#include "fairing/pods/credentials.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

TEST_CASE("keys that stay in a secret of the cluster") {
    support::ContextSite site;
    site.put("Secret", "aws-secret");
    site.put("Secret", "azcreds");
    site.prepare(aws_credentials());
    site.prepare(azure_credentials_if_exists());
    CHECK(site.variable("AWS_ACCESS_KEY_ID") == "aws-secret/AWS_ACCESS_KEY_ID");
    CHECK(site.variable("AWS_SECRET_ACCESS_KEY") == "aws-secret/AWS_SECRET_ACCESS_KEY");
    CHECK(site.variable("AZ_SUBSCRIPTION_ID") == "azcreds/AZ_SUBSCRIPTION_ID");
    CHECK(site.pod.container()["env"].size() == 6);
    CHECK(site.objects.empty());
}

TEST_CASE("a secret that is not there is an error, or with if_exists a warning") {
    const AzureFiles files{.secret = "storage"};
    const std::vector<std::pair<PodSpecMutator, PodSpecMutator>> pairs = {
        {aws_credentials(), aws_credentials_if_exists()},
        {gcp_credentials(), gcp_credentials_if_exists()},
        {azure_credentials(), azure_credentials_if_exists()},
        {acr_config(), acr_config_if_exists()},
        {azure_files(files), azure_files_if_exists(files)},
        {cos_credentials(), cos_credentials_if_exists()}};
    for (const auto& [strict, lenient] : pairs) {
        support::ContextSite site;
        const std::string error = error_of([&, &mutator = strict] { site.prepare(mutator); });
        CHECK_MESSAGE(contains(error, "it is not in namespace team"), error);
        site.prepare(lenient);
        CHECK(contains(site.said(), "it is not in namespace team"));
        CHECK(site.pod.json() == PodSpec{}.json());
        CHECK(site.objects.empty());
    }
    CHECK(contains(error_of([] { (void)aws_credentials("A b"); }), "cannot use secret"));
}

TEST_CASE("where secrets may not be looked at, the kubelet will say") {
    support::ContextSite site;
    site.api.intercept([](const std::string& request) -> std::optional<net::Response> {
        if (!contains(request, "/secrets/")) {
            return std::nullopt;
        }
        return net::Response{.status = 403, .body = R"({"kind": "Status", "code": 403})"};
    });
    site.prepare(aws_credentials());
    CHECK(site.variable("AWS_ACCESS_KEY_ID") == "aws-secret/AWS_ACCESS_KEY_ID");
}

TEST_CASE("Google's key is a file, and else a service account does") {
    support::ContextSite site;
    SUBCASE("a secret") {
        site.put("Secret", "user-gcp-sa");
        site.prepare(gcp_credentials());
        CHECK(site.variable("GOOGLE_APPLICATION_CREDENTIALS") == "/etc/secrets/user-gcp-sa.json");
        CHECK(site.pod.json()["volumes"] == Json::parse(R"([{"name": "fairing-volume-user-gcp-sa",
                               "secret": {"secretName": "user-gcp-sa"}}])"));
        CHECK(site.pod.container()["volumeMounts"] ==
              Json::parse(R"([{"name": "fairing-volume-user-gcp-sa", "mountPath": "/etc/secrets",
                               "readOnly": true}])"));
    }
    SUBCASE("a service account, unless the pod has one") {
        site.put("ServiceAccount", "default-editor");
        site.prepare(gcp_credentials());
        CHECK(site.pod.json()["serviceAccountName"] == "default-editor");
        site.pod.json()["serviceAccountName"] = "mine";
        site.prepare(gcp_credentials());
        CHECK(site.pod.json()["serviceAccountName"] == "mine");
    }
}

TEST_CASE("Kaniko's config.json, for ECR and for Azure") {
    support::Mutated ecr;
    ecr.apply(ecr_config()).apply(ecr_config());
    CHECK(ecr.objects == std::vector<Json>{Json::parse(R"({"apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "job-1-ecr-config"},
        "data": {"config.json": "{\"credsStore\": \"ecr-login\"}"}})")});
    CHECK(ecr.container()["volumeMounts"][0]["mountPath"] == "/kaniko/.docker/");
    support::Mutated acr;
    acr.apply(acr_config());
    CHECK(acr.pod.json()["volumes"][0]["secret"] == Json::parse(R"({"secretName": "acrcreds",
        "items": [{"key": ".dockerconfigjson", "path": "config.json"}]})"));
    support::Mutated files;
    files.apply(azure_files({.secret = "storage"}));
    CHECK(files.pod.json()["volumes"][0]["azureFile"] ==
          Json::parse(
              R"({"secretName": "storage", "shareName": "fairing-builds", "readOnly": true})"));
    CHECK(files.container()["volumeMounts"][0]["mountPath"] == "/mnt/azure/");
}

TEST_CASE("IBM's keys become S3's, in a secret that goes with the workload") {
    support::ContextSite site;
    site.put("Secret", "ibm-cos-creds",
             {{"cos_credentials", codec::base64_encode(R"({"cos_hmac_keys": {"access_key_id": "ID",
                                                          "secret_access_key": "geheim"}})")}});
    site.prepare(cos_credentials());
    CHECK(site.variable("AWS_SECRET_ACCESS_KEY") == "build-1-cos/AWS_SECRET_ACCESS_KEY");
    REQUIRE(site.objects.size() == 1);
    CHECK(site.secret("build-1-cos", "AWS_SECRET_ACCESS_KEY") == "geheim");
    CHECK_FALSE(contains(redacted(site.objects[0]).dump(), codec::base64_encode("geheim")));
    support::Mutated offline;
    offline.apply(cos_credentials());
    CHECK(offline.objects.size() == 1);
    site.put("Secret", "other", {{"cos_credentials", codec::base64_encode("{\"apikey\": \"g\"}")}});
    CHECK(contains(error_of([&] { site.prepare(cos_credentials("other")); }),
                   "secret other: it holds no cos_hmac_keys"));
}
