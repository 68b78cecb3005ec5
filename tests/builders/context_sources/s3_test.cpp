#include "fairing/builders/context_sources/s3.hpp"

#include <doctest/doctest.h>

#include "../../support/context_site.hpp"

using namespace fairing;
using support::answer;
using support::contains;
using support::error_of;

TEST_CASE("S3: bucket and account as Fairing names them, keys of the cluster for the pod") {
    support::ContextSite site;
    site.variables.insert({{"AWS_ACCESS_KEY_ID", "ID"},
                           {"AWS_SECRET_ACCESS_KEY", "geheim"},
                           {"AWS_REGION", "eu-west-1"}});
    const std::string url = "https://kubeflow-123456789012-eu-west-1.s3.eu-west-1.amazonaws.com";
    site.script.expect("POST", "https://sts.eu-west-1.amazonaws.com/",
                       answer(200, "<R><Account>123456789012</Account><Arn>a</Arn></R>"));
    site.script.expect("HEAD", url, answer(404));
    site.script.expect("PUT", url, answer(200));
    site.script.expect("PUT", url + "/fairing_builds/abc123", answer(200));
    {
        const UploadedContext uploaded = site.upload(S3ContextSource{});
        CHECK(uploaded.url() == "s3://kubeflow-123456789012-eu-west-1/fairing_builds/abc123");
        CHECK(uploaded.arguments().empty());
        site.put("Secret", "aws-secret");
        site.prepare(uploaded);
        CHECK(site.variable("AWS_REGION") == "eu-west-1");
        CHECK(site.variable("S3_ENDPOINT") == "(none)");
        CHECK(site.variable("AWS_ACCESS_KEY_ID") == "aws-secret/AWS_ACCESS_KEY_ID");
        CHECK(site.objects.empty());
        site.script.expect("DELETE", url + "/fairing_builds/abc123", answer(204));
    }
    CHECK(site.script.complaint() == "");
}

TEST_CASE("MinIO: its keys go into a secret, never into the pod") {
    support::ContextSite site;
    const std::string url = "http://minio.kubeflow:9000/kubeflow-us-east-1";
    site.script.expect("HEAD", url, answer(200));
    site.script.expect("PUT", url + "/fairing_builds/abc123", answer(200));
    UploadedContext uploaded =
        site.upload(MinioContextSource{.endpoint = "http://minio.kubeflow:9000/",
                                       .access_key = "minio",
                                       .secret_key = Secret{"geheim"},
                                       .docker_config = "docker-config"});
    CHECK(uploaded.url() == "s3://kubeflow-us-east-1/fairing_builds/abc123");
    CHECK(uploaded.arguments() == std::vector<std::string>{"--single-snapshot"});
    site.prepare(uploaded);
    CHECK(site.variable("AWS_ACCESS_KEY_ID") == "build-1-context/AWS_ACCESS_KEY_ID");
    CHECK(site.variable("S3_ENDPOINT") == "http://minio.kubeflow:9000");
    CHECK(site.variable("S3_FORCE_PATH_STYLE") == "true");
    CHECK(site.variable("AWS_REGION") == "us-east-1");
    CHECK(site.objects.size() == 1);
    CHECK(site.secret("build-1-context", "AWS_SECRET_ACCESS_KEY") == "geheim");
    CHECK_FALSE(contains(site.pod.json().dump(), "geheim"));
    CHECK(site.pod.container()["volumeMounts"][0]["mountPath"] == "/kaniko/.docker/");
    uploaded.keep();
    CHECK(site.script.complaint() == "");
    CHECK(contains(error_of([&] { (void)site.upload(MinioContextSource{}); }),
                   "no endpoint is given"));
}

TEST_CASE("IBM COS: keys out of the cluster's secret") {
    support::ContextSite site;
    CHECK(contains(error_of([&] { (void)site.upload(CosContextSource{}); }),
                   "no secret ibm-cos-creds in namespace team"));
    site.put("Secret", "ibm-cos-creds",
             {{"cos_credentials", codec::base64_encode(R"({"cos_hmac_keys": {"access_key_id": "ID",
                                                          "secret_access_key": "geheim"}})")}});
    const std::string endpoint = "https://s3.us-south.cloud-object-storage.appdomain.cloud";
    const std::string url = endpoint + "/kubeflow-us-south";
    site.script.expect("HEAD", url, answer(200));
    site.script.expect("PUT", url + "/fairing_builds/abc123", answer(403, "<Error/>"));
    CHECK(contains(error_of([&] { (void)site.upload(CosContextSource{}); }),
                   "cannot upload s3://kubeflow-us-south/fairing_builds/abc123: 403 Forbidden"));
    site.script.expect("HEAD", url, answer(200));
    site.script.expect("PUT", url + "/fairing_builds/abc123", answer(200));
    const UploadedContext uploaded = site.upload(CosContextSource{});
    CHECK(contains(site.script.recorded().back().header("Authorization"), "Credential=ID/"));
    site.prepare(uploaded);
    CHECK(site.variable("S3_ENDPOINT") == endpoint);
    CHECK(site.secret("build-1-context", "AWS_ACCESS_KEY_ID") == "ID");
    site.script.expect("DELETE", url + "/fairing_builds/abc123", answer(204));
}
