// fairing/builders/context_sources/gcs.hpp - contexts in Google Cloud Storage.
#pragma once

#include <string>
#include <utility>

#include "../../cloud/gcp/credentials.hpp"
#include "../../cloud/gcp/storage.hpp"
#include "../../pods/cloud_credentials.hpp"
#include "context_source.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// With the application default credentials of this machine. The pod takes a secret's or those of
/// its service account.
struct GcsContextSource {
    std::string project = {};            ///< empty: what the environment or gcloud says
    std::string bucket = {};             ///< made when it is missing; empty: named as the project
    std::string secret = "user-gcp-sa";  ///< with the pod's key, if it exists

    [[nodiscard]] UploadedContext upload(const ContextUpload& upload) const {
        const cloud::gcp::CredentialChain chain{upload.connection};
        const std::string owner = project.empty() ? chain.project() : project;
        // An emulator takes no tokens, and there may be none.
        const bool emulated = !upload.connection.env("STORAGE_EMULATOR_HOST").empty();
        const cloud::gcp::Bucket place{
            upload.connection, emulated ? cloud::Renewed<cloud::AccessToken>{} : chain.renewed(),
            bucket.empty() ? owner : bucket};
        const std::string name = "fairing_builds/" + upload.hash;
        place.ensure(owner);
        place.put(name, upload.archive);
        return {{.url = place.url(name),
                 .prepare = gcp_credentials_if_exists(secret),
                 .remove = [last = place.for_cleanup(), name] { last.remove(name); }},
                upload.connection.control};
    }
};
static_assert(ContextSource<GcsContextSource>);

}  // inline namespace FAIRING_ABI

}  // namespace fairing
