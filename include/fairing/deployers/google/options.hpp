// fairing/deployers/google/options.hpp - what every deployer to Google Cloud takes: where to run,
// as whom, and how to follow it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "../../core/error.hpp"
#include "../../core/json.hpp"
#include "../../pods/run_identity.hpp"
#include "../../stage/fields.hpp"
#include "../../stage/image.hpp"

namespace fairing {

struct GoogleOptions {
    std::string project = {};  ///< empty: that of the credentials
    std::string region = "us-central1";
    std::string name = {};  ///< display name; empty: the deployer's prefix and the run id
    Labels labels = {};
    std::string endpoint = {};                    ///< empty: Google's own for the region
    std::string logging_endpoint = {};            ///< empty: https://logging.googleapis.com
    std::filesystem::path credentials_file = {};  ///< empty: application default credentials
    std::string run_id = {};                      ///< as KubernetesOptions::run_id
    bool stream_log = true;
    int poll_milliseconds = 1000;  ///< the first pause between two looks; the last is 20 times that
};

template <>
inline constexpr auto fields<GoogleOptions> = std::tuple{
    field("project", &GoogleOptions::project,
          "project of Google Cloud (default: that of the credentials)"),
    field("region", &GoogleOptions::region, "region of Google Cloud (default: us-central1)"),
    field("name", &GoogleOptions::name, "name of what is created (default: from the run id)"),
    field("labels", &GoogleOptions::labels, "label of everything that is created; repeatable",
          "label"),
    field("endpoint", &GoogleOptions::endpoint,
          "URL of the service (default: Google's own for the region)"),
    field("logging_endpoint", &GoogleOptions::logging_endpoint,
          "URL of Cloud Logging (default: https://logging.googleapis.com)"),
    field("credentials_file", &GoogleOptions::credentials_file,
          "key of a service account, or of a user (default: application default credentials)"),
    field("run_id", &GoogleOptions::run_id,
          "name of this run: the same one is never submitted twice"),
    field("stream_log", &GoogleOptions::stream_log, "wait for the end without the log"),
    field("poll_milliseconds", &GoogleOptions::poll_milliseconds,
          "first pause between two looks at the state (default: 1000; it grows to 20 times that)"),
};

namespace google {

[[nodiscard]] inline Error bad_option(const std::string& what, std::string value,
                                      std::string answer, std::string advice = {}) {
    return Error{ErrorCode::usage,
                 {.attempted = "use " + what,
                  .subject = std::move(value),
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

inline void check_least(const std::string& what, int value, int least) {
    if (value < least) {
        throw bad_option(what, std::to_string(value), "it is less than " + std::to_string(least));
    }
}

/// Throws Error{usage} unless every character of `value` is a small letter, a digit or one of
/// `others`.
inline void check_characters(const std::string& what, const std::string& value,
                             std::string_view others) {
    const bool fine = std::all_of(value.begin(), value.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
               others.find(c) != std::string_view::npos;
    });
    if (!fine) {
        throw bad_option(what, value,
                         "it takes small letters, digits and " + std::string{others} + " only");
    }
}

/// The rules of cloud.google.com/resource-manager/docs/labels-overview.
inline void check_label(const std::string& key, const std::string& value) {
    constexpr std::size_t longest = 63;
    check_characters("label", key, "_-");
    check_characters("the value of label " + key, value, "_-");
    if (key.empty() || key.front() < 'a' || key.size() > longest || value.size() > longest) {
        throw bad_option("label", key + '=' + value,
                         "a key begins with a letter, and neither part is longer than 63");
    }
}

/// What can be known to be wrong without I/O.
inline void check_options(const GoogleOptions& options) {
    check_characters("project", options.project, "-:.");
    check_characters("region", options.region, "-");
    check_characters("run id", options.run_id, "-");
    constexpr std::size_t longest_run_id = 46;  // names of 63 bytes have prefixes before it
    if (options.run_id.size() > longest_run_id || options.run_id.ends_with('-')) {
        throw bad_option("run id", options.run_id, "it is longer than 46, or ends with -");
    }
    if (options.region.empty()) {
        throw bad_option("region", "\"\"", "it is empty");
    }
    if (options.name.size() > 128) {
        throw bad_option("name", options.name, "it is longer than 128 bytes");
    }
    check_least("poll_milliseconds", options.poll_milliseconds, 1);
    for (const auto& [key, value] : options.labels) {
        check_label(key, value);
    }
}

/// The user's labels, then ours, by which a run is found again.
[[nodiscard]] inline Labels labels_of(const GoogleOptions& options, const std::string& run_id,
                                      const std::string& deployer) {
    Labels labels = options.labels;
    labels[kube::run_label] = run_id;
    labels[deployer_label] = deployer;
    return labels;
}

/// Puts `other` over `base`: objects member by member, lists of objects element by element, the
/// rest as a whole.
[[nodiscard]] inline Json merged(Json base, const Json& other) {
    const auto is_list = [](const Json& value) {
        return value.is_array() && std::all_of(value.begin(), value.end(),
                                               [](const Json& each) { return each.is_object(); });
    };
    if (base.is_object() && other.is_object()) {
        for (const auto& [key, value] : other.items()) {
            base[key] = base.contains(key) ? merged(std::move(base[key]), value) : value;
        }
        return base;
    }
    if (!is_list(base) || !is_list(other)) {
        return other;
    }
    for (std::size_t i = 0; i < other.size(); ++i) {
        if (i < base.size()) {
            base[i] = merged(std::move(base[i]), other[i]);
        } else {
            base.push_back(other[i]);
        }
    }
    return base;
}

/// The image as Google's services take it: by its digest alone, without the tag.
[[nodiscard]] inline std::string image_uri(const Image& image) {
    const std::size_t at = image.reference.find('@');
    const std::size_t colon = image.reference.rfind(':', at);
    const std::size_t slash = image.reference.rfind('/', at);
    if (at == std::string::npos || colon == std::string::npos ||
        (slash != std::string::npos && colon < slash)) {
        return image.reference;
    }
    return image.reference.substr(0, colon) + image.reference.substr(at);
}

/// The environment as the services take it.
[[nodiscard]] inline Json environment_of(const Labels& environment) {
    Json list = Json::array();
    for (const auto& [name, value] : environment) {
        list.push_back({{"name", name}, {"value", value}});
    }
    return list;
}

}  // namespace google

}  // namespace fairing
