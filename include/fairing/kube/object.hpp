// fairing/kube/object.hpp - the parts that every Kubernetes object has, and the paths under which
// an API server keeps objects (kubernetes.io/docs/reference/using-api/api-concepts).
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../net/url.hpp"

namespace fairing::kube {

/// Our label on everything that we create: the run's id.
inline constexpr const char* run_label = "fairing-id";

/// Which object. Of a kind without namespaces `namespace_` is ignored.
struct ObjectKey {
    std::string api_version = {}, kind = {}, namespace_ = {}, name = {};

    /// "Job team/train-1".
    [[nodiscard]] std::string text() const {
        return kind + ' ' + (namespace_.empty() ? "" : namespace_ + '/') + name;
    }
    friend bool operator==(const ObjectKey&, const ObjectKey&) = default;
};

/// A kind as the API server serves it.
struct Resource {
    std::string api_version = {}, kind = {}, plural = {};
    bool is_namespaced = true;
    std::vector<std::string> verbs = {};
};

/// Member `key` of `metadata`; empty when there is none.
[[nodiscard]] inline std::string metadata_text(const Json& object, const char* key) {
    return object.is_object() && object.contains("metadata") ? text_or(object["metadata"], key)
                                                             : std::string{};
}

[[nodiscard]] inline std::string name_of(const Json& object) {
    return metadata_text(object, "name");
}
[[nodiscard]] inline std::string uid_of(const Json& object) { return metadata_text(object, "uid"); }
[[nodiscard]] inline std::string version_of(const Json& object) {
    return metadata_text(object, "resourceVersion");
}

/// The value of a label; empty when the object has not got it.
[[nodiscard]] inline std::string label_of(const Json& object, const char* label) {
    if (!object.is_object() || !object.contains("metadata") || !object["metadata"].is_object() ||
        !object["metadata"].contains("labels")) {
        return {};
    }
    return text_or(object["metadata"]["labels"], label);
}

/// The key of `object`; `namespace_` is for one that does not say where it belongs.
[[nodiscard]] inline ObjectKey key_of(const Json& object, const std::string& namespace_ = {}) {
    const std::string own = metadata_text(object, "namespace");
    return {.api_version = text_or(object, "apiVersion"),
            .kind = text_or(object, "kind"),
            .namespace_ = own.empty() ? namespace_ : own,
            .name = name_of(object)};
}

/// "/api/v1" or "/apis/batch/v1".
[[nodiscard]] inline std::string group_path(const std::string& api_version) {
    const std::size_t slash = api_version.find('/');
    if (slash == std::string::npos) {
        return "/api/" + net::percent_encode(api_version);
    }
    return "/apis/" + net::percent_encode(api_version.substr(0, slash)) + '/' +
           net::percent_encode(api_version.substr(slash + 1));
}

/// The path of a collection, or of all namespaces' when `namespace_` is empty.
[[nodiscard]] inline std::string collection_path(const Resource& resource,
                                                 const std::string& namespace_) {
    std::string path = group_path(resource.api_version);
    if (resource.is_namespaced && !namespace_.empty()) {
        path += "/namespaces/" + net::percent_encode(namespace_);
    }
    return path + '/' + net::percent_encode(resource.plural);
}

/// The path of one object, or of its `subresource`. Throws Error{usage} when the name is missing or
/// would be a step up: that would be another path.
[[nodiscard]] inline std::string object_path(const Resource& resource, const ObjectKey& key,
                                             const std::string& subresource = {}) {
    for (const std::string& part : {key.name, key.namespace_}) {
        if (part == "." || part == ".." || part.find('/') != std::string::npos) {
            throw Error{ErrorCode::usage,
                        {.attempted = "name",
                         .subject = key.kind,
                         .answer = "\"" + part + "\" is no name"}};
        }
    }
    if (key.name.empty() || (resource.is_namespaced && key.namespace_.empty())) {
        throw Error{ErrorCode::usage,
                    {.attempted = "name",
                     .subject = key.text(),
                     .answer = key.name.empty() ? "it has no name" : "it has no namespace"}};
    }
    return collection_path(resource, key.namespace_) + '/' + net::percent_encode(key.name) +
           (subresource.empty() ? "" : '/' + subresource);
}

using Query = std::vector<std::pair<std::string, std::string>>;

/// "?a=b&c=d"; parameters without a value are left out.
[[nodiscard]] inline std::string query_text(const Query& query) {
    std::string text;
    for (const auto& [name, value] : query) {
        if (!value.empty()) {
            text += (text.empty() ? '?' : '&') + name + '=' + net::percent_encode(value);
        }
    }
    return text;
}

}  // namespace fairing::kube
