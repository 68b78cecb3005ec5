// fairing/kube/document.hpp - reading Kubernetes objects, which are JSON documents that somebody
// else wrote: what is absent or of another type reads as empty, and nothing throws.
#pragma once

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "../core/json.hpp"

namespace fairing::kube {

/// The keys that lead to a member: {"metadata", "name"}.
using Path = std::initializer_list<const char*>;

/// The member at `path`; null when there is none. Lives as long as the document.
[[nodiscard]] inline const Json& member(const Json& document, Path path) {
    static const Json null;
    const Json* at = &document;
    for (const char* key : path) {
        const auto found = at->is_object() ? at->find(key) : at->end();
        if (!at->is_object() || found == at->end()) {
            return null;
        }
        at = &*found;
    }
    return *at;
}

[[nodiscard]] inline std::string text(const Json& document, Path path) {
    const Json& value = member(document, path);
    return value.is_string() ? value.get<std::string>() : std::string{};
}

[[nodiscard]] inline std::int64_t number(const Json& document, Path path) {
    const Json& value = member(document, path);
    return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

/// The list at `path`; an empty one when there is none.
[[nodiscard]] inline const Json& list(const Json& document, Path path) {
    static const Json none = Json::array();
    const Json& value = member(document, path);
    return value.is_array() ? value : none;
}

/// The condition of that type in status.conditions whose status is `status`; null when there is
/// none.
[[nodiscard]] inline const Json& condition(const Json& object, std::string_view type,
                                           std::string_view status = "True") {
    static const Json null;
    const Json& conditions = list(object, {"status", "conditions"});
    const auto found = std::find_if(conditions.begin(), conditions.end(), [&](const Json& each) {
        return text(each, {"type"}) == type && text(each, {"status"}) == status;
    });
    return found == conditions.end() ? null : *found;
}

}  // namespace fairing::kube
