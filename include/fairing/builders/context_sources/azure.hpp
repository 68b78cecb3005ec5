// fairing/builders/context_sources/azure.hpp - contexts in Azure Storage: a blob, or a file on a
// share that the pod mounts.
#pragma once

#include <string>
#include <utility>

#include "../../cloud/azure/blob.hpp"
#include "../../cloud/azure/files.hpp"
#include "../../pods/cloud_credentials.hpp"
#include "context_source.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// A blob. The account is that of the environment; the pod gets its key in a secret.
struct AzureBlobContextSource {
    std::string account = {};  ///< empty: AZURE_STORAGE_ACCOUNT, or the connection string's
    std::string container = "fairing-builds";  ///< made when it is missing

    [[nodiscard]] UploadedContext upload(const ContextUpload& upload) const;
};

/// A file on a share, which the pod mounts at /mnt/azure.
struct AzureFilesContextSource {
    std::string account = {};  ///< empty: AZURE_STORAGE_ACCOUNT, or the connection string's
    std::string share = "fairing-builds";  ///< made when it is missing

    [[nodiscard]] UploadedContext upload(const ContextUpload& upload) const;
};

}  // inline namespace FAIRING_ABI

namespace detail {

/// An account whose key we have: a pod can use nothing else.
[[nodiscard]] inline cloud::azure::StorageAccount account_with_key(const ContextUpload& upload,
                                                                   const std::string& name) {
    auto account = cloud::azure::environment_account(upload.connection, name);
    if (account.credential.key.empty()) {
        throw Error{ErrorCode::unsupported,
                    {.attempted = "build out of",
                     .subject = "storage account " + account.name,
                     .answer = "the pod that builds needs the account's key, and there is none",
                     .advice = "set AZURE_STORAGE_KEY or AZURE_STORAGE_CONNECTION_STRING"}};
    }
    return account;
}

}  // namespace detail

inline namespace FAIRING_ABI {

inline UploadedContext AzureBlobContextSource::upload(const ContextUpload& upload) const {
    const auto from = detail::account_with_key(upload, account);
    const cloud::azure::BlobContainer place{upload.connection, from, container};
    const std::string name = "fairing_builds/" + upload.hash;
    place.ensure();
    place.put(name, upload.archive);
    return {{.url = place.url(name),
             .prepare =
                 secret_environment("context", {{"AZURE_STORAGE_ACCESS_KEY", from.credential.key}}),
             .remove = [last = place.for_cleanup(), name] { last.remove(name); }},
            upload.connection.control};
}

inline UploadedContext AzureFilesContextSource::upload(const ContextUpload& upload) const {
    const auto from = detail::account_with_key(upload, account);
    const cloud::azure::FileShare place{upload.connection, from, share};
    const std::string directory = "build_" + upload.hash;
    const std::string file = directory + "/context.tar.gz";
    const auto remove = [last = place.for_cleanup(), directory, file] {
        last.remove_file(file);
        last.remove_directory(directory);
    };
    place.ensure();
    // Owned from here on: a directory may be there already when the file fails.
    UploadedContext uploaded{
        {.url = "tar:///mnt/azure/" + file,
         .prepare =
             [from, mount_of = share, secret = "storage-credentials-" + upload.hash](
                 PodSpec& pod, PodContext& context) {
                 detail::add_object(context, "Secret", secret,
                                    {{"type", "Opaque"},
                                     {"data",
                                      {{"azurestorageaccountname", codec::base64_encode(from.name)},
                                       {"azurestorageaccountkey",
                                        codec::base64_encode(from.credential.key.reveal())}}}});
                 detail::mount_source(
                     pod, secret,
                     {{"azureFile",
                       {{"secretName", secret}, {"shareName", mount_of}, {"readOnly", true}}}},
                     "/mnt/azure/");
             },
         .remove = remove},
        upload.connection.control};
    place.make_directory(directory);
    place.put(file, upload.archive);
    return uploaded;
}

static_assert(ContextSource<AzureBlobContextSource>);
static_assert(ContextSource<AzureFilesContextSource>);

}  // inline namespace FAIRING_ABI

}  // namespace fairing
