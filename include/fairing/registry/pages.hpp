// fairing/registry/pages.hpp - lists that come in pages, each with a Link to the next (OCI
// distribution-spec, "Listing Tags"; RFC 8288).
#pragma once

#include <chrono>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "../core/control.hpp"
#include "../core/json_text.hpp"
#include "../net/exchange.hpp"
#include "api.hpp"

namespace fairing::registry {

/// The target of the first link whose relation is `next`, or "".
[[nodiscard]] inline std::string next_link(std::string_view header) {
    while (true) {
        const std::size_t begin = header.find('<');
        const std::size_t end = header.find('>', begin);
        if (begin == std::string_view::npos || end == std::string_view::npos) {
            return {};
        }
        const std::string_view target = header.substr(begin + 1, end - begin - 1);
        header.remove_prefix(end);
        const std::string_view parameters = header.substr(0, header.find('<'));
        if (parameters.find("rel=\"next\"") != std::string_view::npos ||
            parameters.find("rel=next") != std::string_view::npos) {
            return std::string{target};
        }
    }
}

/// What a list is asked for with.
struct PageRequest {
    std::string url = {};
    std::string accept = "application/json";
    std::string attempted = {};  ///< for errors: "list the tags of"
};

/// Gives every page to `take`, until it returns false. Gives back the answer that was no page, or
/// one without a status when all were. Throws Error{denied} for a next page at another origin,
/// Error{integrity} when pages go round in a circle.
inline net::Answer read_pages(Api& api, PageRequest request, const Control& control,
                              const std::function<bool(const net::Answer&)>& take) {
    const net::ExchangeOptions options{
        .attempted = std::move(request.attempted), .subject = api.name(), .retry = api.retry()};
    const net::Url first = net::parse_url(request.url);
    std::set<std::string> seen;
    while (true) {
        control.check(options.attempted + ' ' + options.subject);
        if (!seen.insert(request.url).second || seen.size() > 10'000) {
            throw Error{ErrorCode::integrity,
                        {.attempted = options.attempted,
                         .subject = options.subject,
                         .answer = "the pages of its list have no end"}};
        }
        net::Answer answer = api.call({.url = request.url,
                                       .headers = {{"Accept", request.accept}},
                                       .deadline = std::chrono::seconds{60}},
                                      options, api.scopes(Access::pull), control);
        if (answer.status != 200 || !take(answer)) {
            return answer;
        }
        const std::string next = next_link(net::header(answer.headers, "Link"));
        if (next.empty()) {
            return {};
        }
        const net::Url url = net::resolve(net::parse_url(request.url), next);
        if (!net::same_origin(url, first)) {
            throw Error{
                ErrorCode::denied,
                {.attempted = options.attempted,
                 .subject = options.subject,
                 .answer = "the next page is at another place: " + net::redact_url(url.origin())}};
        }
        request.url = url.text();
    }
}

}  // namespace fairing::registry
