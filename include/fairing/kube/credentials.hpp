// fairing/kube/credentials.hpp - who we are to an API server, kept fresh: tokens, token files, exec
// plugins.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>

#include "../codec/base64.hpp"
#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../net/message.hpp"
#include "../net/url.hpp"
#include "cluster.hpp"
#include "exec_plugin.hpp"

namespace fairing::kube {

struct CredentialsOptions {
    Clock clock = {};
    std::chrono::seconds token_lifetime = std::chrono::seconds{60};  ///< of one read of a file
    std::chrono::milliseconds exec_time_limit = std::chrono::seconds{60};
};

/// May be used from several threads at once: who comes while a plugin runs waits for it.
class Credentials {
public:
    explicit Credentials(const Cluster& cluster, CredentialsOptions options = {})
        : cluster_(cluster), options_(std::move(options)) {}
    Credentials(const Credentials&) = delete;
    Credentials& operator=(const Credentials&) = delete;

    /// Adds Authorization and Impersonate-*. Nothing of the kind goes to a plain http server.
    void add_to(net::Headers& headers, const std::stop_token& stop = {}) {
        if (cluster_.is_plain()) {
            return;
        }
        if (const std::string value = authorization(stop); !value.empty()) {
            headers.emplace("Authorization", value);
        }
        const Impersonation& as = cluster_.impersonation;
        const auto add = [&headers](std::string name, const std::string& value) {
            if (!value.empty()) {
                headers.emplace(std::move(name), value);
            }
        };
        add("Impersonate-User", as.user);
        add("Impersonate-Uid", as.uid);
        for (const std::string& group : as.groups) {
            add("Impersonate-Group", group);
        }
        for (const auto& [key, value] : as.extra) {
            add("Impersonate-Extra-" + net::percent_encode(key), value);
        }
    }

    /// The client certificate for a new connection; nullopt when there is none.
    [[nodiscard]] std::optional<net::ClientCertificate> certificate(
        const std::stop_token& stop = {}) {
        if (cluster_.is_plain()) {
            return std::nullopt;
        }
        if (!cluster_.client_certificate.empty()) {
            return net::ClientCertificate{cluster_.client_certificate, cluster_.client_key};
        }
        if (!cluster_.exec) {
            return std::nullopt;
        }
        const std::lock_guard lock{mutex_};
        const ExecCredential& given = plugin_credential(stop);
        if (given.client_certificate.empty()) {
            return std::nullopt;
        }
        return net::ClientCertificate{given.client_certificate, given.client_key};
    }

    /// After a 401: forgets what can be had anew. False when there is no such thing, and another
    /// attempt can not help.
    [[nodiscard]] bool drop() {
        const std::lock_guard lock{mutex_};
        read_at_.reset();
        given_.reset();
        return !cluster_.token_file.empty() || cluster_.exec.has_value();
    }

private:
    [[nodiscard]] std::chrono::system_clock::time_point now() const {
        return options_.clock ? options_.clock() : std::chrono::system_clock::now();
    }

    [[nodiscard]] std::string authorization(const std::stop_token& stop) {
        if (!cluster_.token.empty()) {
            return "Bearer " + cluster_.token.reveal();
        }
        if (!cluster_.user.empty()) {
            return "Basic " +
                   codec::base64_encode(cluster_.user + ':' + cluster_.password.reveal());
        }
        const std::lock_guard lock{mutex_};
        if (!cluster_.token_file.empty()) {
            return "Bearer " + file_token();
        }
        if (cluster_.exec) {
            const Secret& token = plugin_credential(stop).token;
            return token.empty() ? "" : "Bearer " + token.reveal();
        }
        return {};
    }

    /// A token that could be read once is used until there is another one.
    [[nodiscard]] const std::string& file_token() {
        if (read_at_ && now() < *read_at_ + options_.token_lifetime && now() >= *read_at_) {
            return file_token_;
        }
        const std::string path = cluster_.token_file.string();
        std::string text;
        try {
            text = read_file(path, std::size_t{1} << 20);
        } catch (const Error& error) {
            throw Error{ErrorCode::denied,
                        {.attempted = "read token file",
                         .subject = path,
                         .answer = error.details().answer}};
        }
        const std::size_t begin = text.find_first_not_of(" \t\r\n");
        if (begin == std::string::npos) {
            throw Error{ErrorCode::denied,
                        {.attempted = "read token file", .subject = path, .answer = "it is empty"}};
        }
        file_token_ = text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
        read_at_ = now();
        return file_token_;
    }

    [[nodiscard]] const ExecCredential& plugin_credential(const std::stop_token& stop) {
        if (!given_ || (given_->expires && *given_->expires <= now())) {
            given_ = run_exec_plugin(*cluster_.exec, now(), options_.exec_time_limit, stop);
        }
        return *given_;
    }

    const Cluster cluster_;
    const CredentialsOptions options_;
    std::mutex mutex_;
    std::string file_token_ = {};
    std::optional<std::chrono::system_clock::time_point> read_at_ = {};
    std::optional<ExecCredential> given_ = {};
};

}  // namespace fairing::kube
