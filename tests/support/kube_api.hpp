// tests/support/kube_api.hpp - the Kubernetes API as the tests and their kubelet speak it: requests
// as they are, without the library's own client, which is what they judge.
#pragma once

#include <chrono>
#include <stop_token>
#include <string>
#include <utility>

#include "fairing/core/json.hpp"
#include "fairing/core/json_text.hpp"
#include "transport.hpp"

namespace support {

struct ApiAnswer {
    int status = 0;
    fairing::Json body = {};
    [[nodiscard]] bool ok() const noexcept { return status >= 200 && status < 300; }
};

/// One API server and one bearer token. Throws what the transport throws; any status is an answer.
class KubeApi {
public:
    static constexpr const char* merge_patch = "application/merge-patch+json";
    static constexpr const char* strategic_patch = "application/strategic-merge-patch+json";

    KubeApi(std::string server, std::string token, fairing::net::AnyTransport transport)
        : server_(std::move(server)), token_(std::move(token)), transport_(std::move(transport)) {}

    [[nodiscard]] ApiAnswer get(const std::string& path, const std::stop_token& stop = {}) const {
        return send("GET", path, {}, {}, stop);
    }
    ApiAnswer post(const std::string& path, const fairing::Json& object,
                   const std::stop_token& stop = {}) const {
        return send("POST", path, object.dump(), "application/json", stop);
    }
    ApiAnswer put(const std::string& path, const fairing::Json& object,
                  const std::stop_token& stop = {}) const {
        return send("PUT", path, object.dump(), "application/json", stop);
    }
    ApiAnswer patch(const std::string& path, const fairing::Json& patch,
                    const char* type = merge_patch, const std::stop_token& stop = {}) const {
        return send("PATCH", path, patch.dump(), type, stop);
    }
    ApiAnswer remove(const std::string& path, const fairing::Json& options = {},
                     const std::stop_token& stop = {}) const {
        return send("DELETE", path, options.is_null() ? "" : options.dump(), "application/json",
                    stop);
    }
    /// The text that a path gives: a log.
    [[nodiscard]] std::string text(const std::string& path) const {
        return exchange("GET", path, {}, {}, {}).body;
    }

private:
    [[nodiscard]] fairing::net::Response exchange(const char* method, const std::string& path,
                                                  const std::string& body, const char* type,
                                                  const std::stop_token& stop) const {
        fairing::net::Request request{.method = method, .url = server_ + path};
        request.headers.emplace("Authorization", "Bearer " + token_);
        request.headers.emplace("Accept", "application/json, */*");
        if (!body.empty()) {
            request.headers.emplace("Content-Type", type);
            request.body = fairing::net::Body::of(body);
        }
        request.deadline = std::chrono::seconds{30};
        request.max_body = std::uint64_t{64} << 20;
        return transport_.send(request, {}, stop);
    }
    [[nodiscard]] ApiAnswer send(const char* method, const std::string& path,
                                 const std::string& body, const char* type,
                                 const std::stop_token& stop) const {
        const fairing::net::Response response = exchange(method, path, body, type, stop);
        return {.status = response.status,
                .body = response.body.empty() ? fairing::Json{}
                                              : fairing::parse_json(response.body, server_ + path)};
    }

    std::string server_, token_;
    fairing::net::AnyTransport transport_;
};

}  // namespace support
