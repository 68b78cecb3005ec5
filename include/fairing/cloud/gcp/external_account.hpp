// fairing/cloud/gcp/external_account.hpp - how a workload outside Google Cloud proves who it is:
// the token of its own identity provider, out of a file or from a URL
// (google.aip.dev/auth/4117; cloud.google.com/iam/docs/workload-identity-federation).
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

#include "../../core/files.hpp"
#include "../connection.hpp"

namespace fairing::cloud::gcp {

inline namespace FAIRING_ABI {

/// The token that `document`, a file of type external_account, says where to find. Throws Error
/// that names the file, never what it leads to.
[[nodiscard]] inline Secret subject_token(const Connection& connection, const Json& document,
                                          const std::string& file) {
    const auto broken = [&file](ErrorCode code, std::string answer) {
        return Error{code,
                     {.attempted = "use Google credentials in",
                      .subject = file,
                      .answer = std::move(answer)}};
    };
    const auto object = [](const Json& parent, const char* key) {
        Json found = parent.value(key, Json::object());
        return found.is_object() ? found : Json::object();
    };
    const Json source = object(document, "credential_source");
    std::string text;
    if (const std::string path = text_or(source, "file"); !path.empty()) {
        text = read_file(path, std::size_t{1} << 20);
    } else if (const std::string url = text_or(source, "url"); !url.empty()) {
        // A metadata service of another cloud has a link-local address, and speaks plain http.
        net::Request request{.url = url};
        const Json headers = object(source, "headers");
        for (const auto& [name, value] : headers.items()) {
            request.headers.emplace(name, value.is_string() ? value.get<std::string>() : "");
        }
        const auto answer = connection.ask_metadata(std::move(request), std::chrono::seconds{10});
        if (!answer || answer->status != 200) {
            throw broken(ErrorCode::denied,
                         "its credential_source " + net::redact_url(url) + ": " +
                             (answer ? net::status_text(answer->status) : "it does not answer"));
        }
        text = answer->body;
    } else {
        throw broken(ErrorCode::unsupported, "its credential_source is neither a file nor a url");
    }
    const Json format = object(source, "format");
    if (text_or(format, "type") == "json") {
        text = text_or(parse_json(text, "the token that " + file + " leads to"),
                       text_or(format, "subject_token_field_name").c_str());
    }
    text.resize(text.find_last_not_of(" \r\n") + 1);
    if (text.empty()) {
        throw broken(ErrorCode::denied, "its credential_source holds no token");
    }
    return Secret{text};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::gcp
