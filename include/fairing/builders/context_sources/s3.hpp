// fairing/builders/context_sources/s3.hpp - contexts in S3, and in what speaks like it: MinIO, IBM
// Cloud Object Storage.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../../cloud/aws/credentials.hpp"
#include "../../cloud/aws/s3.hpp"
#include "../../cloud/aws/sts.hpp"
#include "../../cloud/ibm/cos.hpp"
#include "../../pods/cloud_credentials.hpp"
#include "context_source.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// AWS's S3, with AWS's own credentials on this machine. The pod takes those of its node or service
/// account, or a secret's.
struct S3ContextSource {
    std::string bucket = {};            ///< made when it is missing; empty: kubeflow-ACCOUNT-REGION
    std::string region = {};            ///< empty: AWS_REGION, or the profile's
    std::string profile = {};           ///< of ~/.aws; empty: AWS_PROFILE, or "default"
    std::string secret = "aws-secret";  ///< with the pod's keys, if it exists; empty: none

    [[nodiscard]] UploadedContext upload(const ContextUpload& upload) const;
};

/// A MinIO server that this machine and the cluster reach under the same URL.
struct MinioContextSource {
    std::string endpoint = {};    ///< "http://minio.kubeflow:9000"
    std::string access_key = {};  ///< empty: AWS's own credentials on this machine
    Secret secret_key = {};
    std::string region = "us-east-1";
    std::string bucket = {};  ///< made when it is missing; empty: kubeflow-REGION
    /// A config map with config.json for the pod's pushes; empty: none.
    std::string docker_config = {};

    [[nodiscard]] UploadedContext upload(const ContextUpload& upload) const;
};

/// IBM Cloud Object Storage, by HMAC keys.
struct CosContextSource {
    std::string region = "us-south";
    std::string bucket = {};    ///< made when it is missing; empty: kubeflow-REGION
    std::string endpoint = {};  ///< empty: the public one of the region
    std::string access_key = {};
    Secret secret_key = {};
    std::string secret = "ibm-cos-creds";  ///< of the cluster, read when no keys are given

    [[nodiscard]] UploadedContext upload(const ContextUpload& upload) const;
};

}  // inline namespace FAIRING_ABI

namespace detail {

/// What the three differ in.
struct S3Upload {
    cloud::aws::Client client;
    std::string bucket = {};
    std::string endpoint = {};  ///< empty: AWS's
    std::vector<PodSpecMutator> prepare = {};
    std::vector<std::string> arguments = {};
};

[[nodiscard]] inline UploadedContext upload_to_s3(const ContextUpload& upload, S3Upload to) {
    const cloud::aws::S3Options options{.endpoint = to.endpoint};
    const cloud::aws::S3Bucket bucket{to.client, to.bucket, options};
    const std::string key = "fairing_builds/" + upload.hash;
    bucket.ensure();
    bucket.put(key, upload.archive);
    std::vector<std::pair<std::string, std::string>> variables = {
        {"AWS_REGION", to.client.region()}};
    if (!to.endpoint.empty()) {
        variables.emplace_back("S3_ENDPOINT", to.endpoint);
        variables.emplace_back("S3_FORCE_PATH_STYLE", "true");
    }
    to.prepare.push_back(plain_variables(std::move(variables)));
    return {{.url = bucket.url(key),
             .prepare = in_order(std::move(to.prepare)),
             .arguments = std::move(to.arguments),
             .remove = [last = cloud::aws::S3Bucket{to.client.for_cleanup(), to.bucket, options},
                        key] { last.remove(key); }},
            upload.connection.control};
}

[[nodiscard]] inline cloud::aws::Client client_with_keys(const ContextUpload& upload,
                                                         const cloud::aws::Credentials& keys,
                                                         const std::string& region) {
    return {upload.connection, {[keys] { return keys; }, upload.connection.control.clock}, region};
}

/// For a pod that gets keys of its own, in a secret that lives as long as it.
[[nodiscard]] inline PodSpecMutator key_variables(const cloud::aws::Credentials& keys) {
    std::map<std::string, Secret> values = {{"AWS_ACCESS_KEY_ID", Secret{keys.access_key_id}},
                                            {"AWS_SECRET_ACCESS_KEY", keys.secret_access_key}};
    if (!keys.session_token.empty()) {
        values.emplace("AWS_SESSION_TOKEN", keys.session_token);
    }
    return secret_environment("context", std::move(values));
}

}  // namespace detail

inline namespace FAIRING_ABI {

inline UploadedContext S3ContextSource::upload(const ContextUpload& upload) const {
    const cloud::aws::CredentialChain chain{upload.connection,
                                            {.profile = profile, .region = region}};
    const cloud::aws::Client client{upload.connection, chain.renewed(), chain.region()};
    std::vector<PodSpecMutator> prepare;
    if (!secret.empty()) {
        prepare.push_back(aws_credentials_if_exists(secret));
    }
    return detail::upload_to_s3(
        upload,
        {.client = client,
         .bucket = bucket.empty() ? "kubeflow-" + cloud::aws::caller_identity(client).account +
                                        '-' + client.region()
                                  : bucket,
         .prepare = std::move(prepare)});
}

inline UploadedContext MinioContextSource::upload(const ContextUpload& upload) const {
    if (endpoint.empty()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "upload the context to",
                     .subject = "MinIO",
                     .answer = "no endpoint is given",
                     .advice = "name its URL, as the cluster reaches it"}};
    }
    const auto keys = access_key.empty() ? cloud::aws::CredentialChain{upload.connection}.find()
                                         : cloud::aws::Credentials{.access_key_id = access_key,
                                                                   .secret_access_key = secret_key};
    std::vector<PodSpecMutator> prepare = {detail::key_variables(keys)};
    if (!docker_config.empty()) {
        prepare.push_back(volume_mounts({.type = VolumeType::config_map,
                                         .name = docker_config,
                                         .mount_path = detail::kaniko_docker}));
    }
    return detail::upload_to_s3(upload, {.client = detail::client_with_keys(upload, keys, region),
                                         .bucket = bucket.empty() ? "kubeflow-" + region : bucket,
                                         .endpoint = cloud::checked_endpoint(endpoint),
                                         .prepare = std::move(prepare),
                                         .arguments = {"--single-snapshot"}});
}

inline UploadedContext CosContextSource::upload(const ContextUpload& upload) const {
    cloud::aws::Credentials keys{.access_key_id = access_key, .secret_access_key = secret_key};
    if (access_key.empty()) {
        const auto found = upload.client == nullptr
                               ? std::nullopt
                               : upload.client->find({"v1", "Secret", upload.namespace_, secret});
        if (!found) {
            throw Error{
                ErrorCode::not_found,
                {.attempted = "find the keys of",
                 .subject = "IBM Cloud Object Storage",
                 .answer = "none are given, and there is no secret " + secret +
                           (upload.namespace_.empty() ? "" : " in namespace " + upload.namespace_),
                 .advice = "create it with the key cos_credentials"}};
        }
        keys = cloud::ibm::parse_cos_credentials(
            codec::base64_decode(kube::text(*found, {"data", "cos_credentials"})),
            "secret " + secret);
    }
    return detail::upload_to_s3(upload,
                                {.client = detail::client_with_keys(upload, keys, region),
                                 .bucket = bucket.empty() ? "kubeflow-" + region : bucket,
                                 .endpoint = endpoint.empty() ? cloud::ibm::cos_endpoint(region)
                                                              : cloud::checked_endpoint(endpoint),
                                 .prepare = {detail::key_variables(keys)}});
}

static_assert(ContextSource<S3ContextSource>);
static_assert(ContextSource<MinioContextSource>);
static_assert(ContextSource<CosContextSource>);

}  // inline namespace FAIRING_ABI

}  // namespace fairing
