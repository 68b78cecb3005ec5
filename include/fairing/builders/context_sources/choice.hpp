// fairing/builders/context_sources/choice.hpp - a context source by its name and plain options:
// what fairing.json and the command line choose from.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "../../oci/reference.hpp"
#include "../../stage/fields.hpp"
#include "azure.hpp"
#include "context_source.hpp"
#include "gcs.hpp"
#include "s3.hpp"

namespace fairing {

enum class ContextStore { registry, s3, minio, gcs, azure, azure_files, cos };

/// What is empty is what the source itself takes then; each source has some of these only. Keys are
/// never among them: they come from the environment, the clouds' own files, or the cluster.
struct ContextSourceOptions {
    ContextStore name = ContextStore::registry;
    std::string image = {};      ///< registry: the small image with a cp; empty: busybox
    std::string bucket = {};     ///< s3, minio, gcs, cos
    std::string region = {};     ///< s3, minio, cos
    std::string endpoint = {};   ///< minio, cos
    std::string profile = {};    ///< s3: of ~/.aws
    std::string project = {};    ///< gcs
    std::string account = {};    ///< azure, azure-files
    std::string container = {};  ///< azure; of azure-files the share
    std::string secret = {};     ///< s3, gcs, cos: of the cluster, with the keys
};

template <>
inline constexpr auto value_names<ContextStore> =
    std::array<std::pair<std::string_view, ContextStore>, 7>{
        {{"registry", ContextStore::registry},
         {"s3", ContextStore::s3},
         {"minio", ContextStore::minio},
         {"gcs", ContextStore::gcs},
         {"azure", ContextStore::azure},
         {"azure-files", ContextStore::azure_files},
         {"cos", ContextStore::cos}}};

template <>
inline constexpr auto fields<ContextSourceOptions> = std::tuple{
    field("name", &ContextSourceOptions::name,
          "how the files get to the pod that builds (default: registry)", "context-source"),
    field("image", &ContextSourceOptions::image,
          "registry: a small image with cp, to carry them (default: busybox)", "context-image"),
    field("bucket", &ContextSourceOptions::bucket, "s3, minio, gcs, cos: the bucket",
          "context-bucket"),
    field("region", &ContextSourceOptions::region, "s3, minio, cos: the region", "context-region"),
    field("endpoint", &ContextSourceOptions::endpoint, "minio, cos: the server's URL",
          "context-endpoint"),
    field("profile", &ContextSourceOptions::profile, "s3: profile of ~/.aws", "context-profile"),
    field("project", &ContextSourceOptions::project, "gcs: the project", "context-project"),
    field("account", &ContextSourceOptions::account, "azure, azure-files: the storage account",
          "context-account"),
    field("container", &ContextSourceOptions::container,
          "azure: the container; azure-files: the share", "context-container"),
    field("secret", &ContextSourceOptions::secret,
          "s3, gcs, cos: secret of the cluster with the keys", "context-secret"),
};

namespace detail {

/// A source has the options whose `stores` name it.
struct ContextOption {
    const char* name;
    std::string ContextSourceOptions::*value;
    std::vector<ContextStore> stores;
};

[[nodiscard]] inline std::string_view name_of(ContextStore store) {
    const auto* const found =
        std::find_if(value_names<ContextStore>.begin(), value_names<ContextStore>.end(),
                     [store](const auto& each) { return each.second == store; });
    return found->first;
}

/// Throws Error{usage} for an option that the source has not, and for what can be no image.
inline void check_context_source(const ContextSourceOptions& options) {
    using Options = ContextSourceOptions;
    using enum ContextStore;
    const std::vector<ContextOption> all = {
        {"image", &Options::image, {registry}},
        {"bucket", &Options::bucket, {s3, minio, gcs, cos}},
        {"region", &Options::region, {s3, minio, cos}},
        {"endpoint", &Options::endpoint, {minio, cos}},
        {"profile", &Options::profile, {s3}},
        {"project", &Options::project, {gcs}},
        {"account", &Options::account, {azure, azure_files}},
        {"container", &Options::container, {azure, azure_files}},
        {"secret", &Options::secret, {s3, gcs, cos}}};
    for (const ContextOption& option : all) {
        if (!(options.*option.value).empty() &&
            std::find(option.stores.begin(), option.stores.end(), options.name) ==
                option.stores.end()) {
            std::string owners;
            for (const ContextStore store : option.stores) {
                owners += (owners.empty() ? "" : ", ") + std::string{name_of(store)};
            }
            throw Error{ErrorCode::usage,
                        {.attempted = std::string{"use context-"} + option.name,
                         .subject = options.*option.value,
                         .answer = "the context source " + std::string{name_of(options.name)} +
                                   " has no such option",
                         .advice = "it belongs to " + owners}};
        }
    }
    if (options.name == minio && options.endpoint.empty()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use the context source minio",
                     .answer = "no endpoint is given",
                     .advice = "name its URL, as the cluster reaches it: --context-endpoint"}};
    }
    if (!options.image.empty()) {
        static_cast<void>(oci::parse_reference(options.image));
    }
}

/// A source of that type, its members set where `values` say something.
template <class Source>
[[nodiscard]] UploadedContext upload_with(
    const ContextUpload& upload,
    std::vector<std::pair<std::string Source::*, const std::string*>> values) {
    Source source;
    for (const auto& [member, value] : values) {
        if (!value->empty()) {
            source.*member = *value;
        }
    }
    return source.upload(upload);
}

/// For every source but registry.
[[nodiscard]] inline UploadedContext upload_to_store(const ContextSourceOptions& options,
                                                     const ContextUpload& upload) {
    switch (options.name) {
        case ContextStore::s3:
            return upload_with<S3ContextSource>(upload,
                                                {{&S3ContextSource::bucket, &options.bucket},
                                                 {&S3ContextSource::region, &options.region},
                                                 {&S3ContextSource::profile, &options.profile},
                                                 {&S3ContextSource::secret, &options.secret}});
        case ContextStore::minio:
            return upload_with<MinioContextSource>(
                upload, {{&MinioContextSource::endpoint, &options.endpoint},
                         {&MinioContextSource::region, &options.region},
                         {&MinioContextSource::bucket, &options.bucket}});
        case ContextStore::gcs:
            return upload_with<GcsContextSource>(upload,
                                                 {{&GcsContextSource::project, &options.project},
                                                  {&GcsContextSource::bucket, &options.bucket},
                                                  {&GcsContextSource::secret, &options.secret}});
        case ContextStore::azure:
            return upload_with<AzureBlobContextSource>(
                upload, {{&AzureBlobContextSource::account, &options.account},
                         {&AzureBlobContextSource::container, &options.container}});
        case ContextStore::azure_files:
            return upload_with<AzureFilesContextSource>(
                upload, {{&AzureFilesContextSource::account, &options.account},
                         {&AzureFilesContextSource::share, &options.container}});
        case ContextStore::cos:
            return upload_with<CosContextSource>(upload,
                                                 {{&CosContextSource::region, &options.region},
                                                  {&CosContextSource::bucket, &options.bucket},
                                                  {&CosContextSource::endpoint, &options.endpoint},
                                                  {&CosContextSource::secret, &options.secret}});
        case ContextStore::registry:
            break;
    }
    throw Error{ErrorCode::internal,
                {.attempted = "upload the context", .answer = "the registry is no store for it"}};
}

}  // namespace detail

}  // namespace fairing
