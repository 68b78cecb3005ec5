// tests/support/ecr_double.hpp - Amazon's registry, which wants a password of its service and
// repositories that were made first, and that service; both as one transport.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fairing/codec/base64.hpp"
#include "memory_registry.hpp"

namespace support {

/// Models Transport; lend it with std::ref. Thread-safe. While it lives the environment holds keys
/// of AWS.
struct EcrDouble {
    static constexpr const char* host = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
    MemoryRegistry registry = {};
    std::set<std::string> repositories = {};
    std::vector<std::string> operations = {};  ///< of the service, in order

    EcrDouble() {
        ::setenv("AWS_ACCESS_KEY_ID", "ID", 1);
        ::setenv("AWS_SECRET_ACCESS_KEY", "geheim", 1);
    }
    EcrDouble(const EcrDouble&) = delete;
    EcrDouble& operator=(const EcrDouble&) = delete;
    ~EcrDouble() {
        ::unsetenv("AWS_ACCESS_KEY_ID");
        ::unsetenv("AWS_SECRET_ACCESS_KEY");
    }

    fairing::net::Response send(const fairing::net::Request& request,
                                const fairing::net::BodySink& sink, const std::stop_token& stop) {
        if (request.url == "https://api.ecr.eu-west-1.amazonaws.com/") {
            return serve(request);
        }
        if (fairing::net::header(request.headers, "Authorization") !=
            "Basic " + fairing::codec::base64_encode("AWS:pass")) {
            return {.status = 401, .headers = {{"WWW-Authenticate", "Basic realm=\"ecr\""}}};
        }
        const std::lock_guard lock{mutex_};
        const bool known = std::any_of(
            repositories.begin(), repositories.end(), [&request](const std::string& each) {
                return request.url.find("/v2/" + each + '/') != std::string::npos;
            });
        if (!known && !request.url.ends_with("/v2/")) {
            return {.status = 404, .body = R"({"errors": [{"code": "NAME_UNKNOWN"}]})"};
        }
        return registry.send(request, sink, stop);
    }

private:
    fairing::net::Response serve(const fairing::net::Request& request) {
        const std::string target = fairing::net::header(request.headers, "X-Amz-Target");
        const std::string operation = target.substr(target.find('.') + 1);
        const std::lock_guard lock{mutex_};
        operations.push_back(operation);
        std::string body;
        request.body.write([&body](std::span<const std::byte> bytes) {
            body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        });
        const fairing::Json arguments = fairing::Json::parse(body);
        if (operation == "GetAuthorizationToken") {
            return {.status = 200,
                    .body = R"({"authorizationData": [{"authorizationToken": ")" +
                            fairing::codec::base64_encode("AWS:pass") + "\"}]}"};
        }
        if (operation == "CreateRepository") {
            repositories.insert(arguments["repositoryName"].get<std::string>());
        } else if (!repositories.contains(arguments["repositoryNames"][0].get<std::string>())) {
            return {.status = 400, .body = R"({"__type": "RepositoryNotFoundException"})"};
        }
        return {.status = 200, .body = "{}"};
    }

    std::mutex mutex_;
};

}  // namespace support
