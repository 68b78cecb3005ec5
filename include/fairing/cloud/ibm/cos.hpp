// fairing/cloud/ibm/cos.hpp - IBM Cloud Object Storage: S3 with keys of its own and another host
// (cloud.ibm.com/docs/cloud-object-storage, HMAC credentials).
#pragma once

#include <string>
#include <utility>

#include "../aws/s3.hpp"

namespace fairing::cloud::ibm {

inline namespace FAIRING_ABI {

/// The keys in a service credential as IBM Cloud shows it, a JSON document with `cos_hmac_keys`.
/// Throws Error{input} that names `subject` and quotes nothing.
[[nodiscard]] inline aws::Credentials parse_cos_credentials(std::string_view text,
                                                            const std::string& subject) {
    const Json document = parse_json(text, subject);
    const Json keys = document.is_object() ? document.value("cos_hmac_keys", Json()) : Json();
    aws::Credentials found{.access_key_id = text_or(keys, "access_key_id"),
                           .secret_access_key = Secret{text_or(keys, "secret_access_key")},
                           .source = subject};
    if (found.access_key_id.empty() || found.secret_access_key.empty()) {
        throw Error{ErrorCode::input,
                    {.attempted = "use IBM COS credentials in",
                     .subject = subject,
                     .answer = "it holds no cos_hmac_keys",
                     .advice = "create the service credential with HMAC keys included"}};
    }
    return found;
}

/// "https://s3.REGION.cloud-object-storage.appdomain.cloud".
[[nodiscard]] inline std::string cos_endpoint(const std::string& region) {
    aws::check_region(region);
    return "https://s3." + region + ".cloud-object-storage.appdomain.cloud";
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::ibm
