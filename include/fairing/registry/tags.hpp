// fairing/registry/tags.hpp - the tags of a repository (OCI distribution-spec, "Listing Tags").
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "../core/control.hpp"
#include "../core/json_text.hpp"
#include "../net/message.hpp"
#include "api.hpp"
#include "pages.hpp"

namespace fairing::registry {

/// All of them, page after page, sorted: some registries give them in any order. Throws
/// Error{not_found} for a repository that is not there.
[[nodiscard]] inline std::vector<std::string> list_tags(const oci::Reference& repository,
                                                        const ClientOptions& options,
                                                        const Control& control) {
    Api api{repository, options};
    std::vector<std::string> tags;
    const PageRequest request{.url = api.url("tags/list?n=1000"), .attempted = "list the tags of"};
    const net::Answer failure = read_pages(api, request, control, [&](const net::Answer& answer) {
        const Json page = parse_json(answer.body, "the tags of " + api.name());
        const Json names = page.is_object() ? page.value("tags", Json()) : Json();
        for (const Json& name : names.is_array() ? names : Json::array()) {
            // Terminals see them: what is no tag may hold anything.
            if (name.is_string() && oci::is_tag(name.get_ref<const std::string&>())) {
                tags.push_back(name.get<std::string>());
            }
        }
        return true;
    });
    if (failure.status != 0) {
        throw api.failure(failure, {.attempted = request.attempted, .subject = api.name()});
    }
    std::sort(tags.begin(), tags.end());
    return tags;
}

}  // namespace fairing::registry
