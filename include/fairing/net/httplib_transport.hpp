// fairing/net/httplib_transport.hpp - our transport: HTTP/1.1 (RFC 9112) through cpp-httplib,
// guarded. Redirects, encodings and retries are ours.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "address.hpp"
#include "deep_thread.hpp"
#include "httplib_call.hpp"
#include "httplib_connection.hpp"
#include "message.hpp"
#include "proxy.hpp"
#include "redact.hpp"
#include "resolve_host.hpp"
#include "sigpipe.hpp"
#include "transport.hpp"
#include "url.hpp"
#include "validation.hpp"

namespace fairing::net {

inline namespace FAIRING_ABI {

/// Keeps connections alive per origin; send() may be called from several threads at once, each call
/// has a connection of its own. Body and sink are called in another thread while the caller waits.
/// Copies nothing into memory but answers without a sink. An answer of status 300 and above is cut
/// at 64 KiB instead of being an Error. A peer that answers before it has read the whole request
/// and then closes is heard where the system still has its answer: status and headers, without the
/// body.
class HttplibTransport {
public:
    explicit HttplibTransport(HttplibOptions options = {}) : options_(std::move(options)) {
        if (!options_.proxy.empty()) {
            proxy_ = Proxy::parse(options_.proxy.reveal());
        }
    }
    HttplibTransport(HttplibTransport&& other) noexcept
        : options_(std::move(other.options_)), proxy_(std::move(other.proxy_)) {}
    HttplibTransport& operator=(HttplibTransport&&) = delete;

    [[nodiscard]] Response send(const Request& request, const BodySink& sink,
                                const std::stop_token& stop) {
        const Url url = validate(request);
        check_stop(url, stop);
        std::optional<detail::SteadyTime> deadline;
        if (request.deadline.count() != 0) {
            deadline = std::chrono::steady_clock::now() + request.deadline;
        }
        const std::optional<Proxy> chosen = proxy_for(url);
        const Proxy* proxy = chosen ? &*chosen : nullptr;
        std::optional<ClientCertificate> certificate;
        if (options_.certificate && url.is_tls()) {
            certificate = options_.certificate(stop);
        }
        const std::string place = place_of(url, certificate);
        if (std::unique_ptr<detail::Connection> kept = take(place)) {
            detail::Call call{request, url, sink, proxy};
            return attempt(call, std::move(kept), place, url, stop, deadline).value();
        }
        const std::vector<std::string> addresses =
            allowed_addresses(url, proxy, request.deadline, stop);
        for (std::size_t i = 0;; ++i) {
            detail::Call call{request, url, sink, proxy};
            const Try kind = i + 1 < addresses.size() ? Try::more : Try::last;
            auto connection = std::make_unique<detail::Connection>(url, options_, addresses[i],
                                                                   proxy, certificate);
            if (auto response =
                    attempt(call, std::move(connection), place, url, stop, deadline, kind)) {
                return *std::move(response);
            }
        }
    }

private:
    enum class Try { more, last };
    struct Idle {
        std::unique_ptr<detail::Connection> connection = {};
        detail::SteadyTime since = {};
    };

    /// Under which a connection is kept: who we are on it does not change.
    static std::string place_of(const Url& url,
                                const std::optional<ClientCertificate>& certificate) {
        return certificate ? url.origin() + ' ' + certificate->chain : url.origin();
    }

    static void check_stop(const Url& url, const std::stop_token& stop) {
        if (stop.stop_requested()) {
            throw Cancelled{ErrorCode::cancelled,
                            {.attempted = "reach",
                             .subject = redact_url(url.origin()),
                             .answer = "stopped on request"}};
        }
    }

    /// nullopt only with Try::more: this address does not answer, another may.
    std::optional<Response> attempt(detail::Call& call,
                                    std::unique_ptr<detail::Connection> connection,
                                    const std::string& place, const Url& url,
                                    const std::stop_token& stop,
                                    std::optional<detail::SteadyTime> deadline,
                                    Try kind = Try::last) {
        check_stop(url, stop);
        detail::End end = detail::End::own;
        try {
            DeepThread& thread = connection->thread();
            thread.start([&] {
                const SigpipeBlock no_sigpipe;
                call.run(*connection);
            });
            if (!thread.wait(stop, deadline)) {
                end = stop.stop_requested() ? detail::End::stopped : detail::End::expired;
                connection->abort();
            }
            thread.finish();
        } catch (const Error&) {
            if (end == detail::End::own) {
                throw;
            }  // else aborted before it was connected
        }
        if (kind == Try::more && call.unconnected(*connection) && end == detail::End::own) {
            return std::nullopt;
        }
        std::optional<Response> response = call.outcome(*connection, end);
        if (call.clean() && connection->reusable()) {
            keep(place, std::move(connection));
        }
        return response;
    }

    [[nodiscard]] std::optional<Proxy> proxy_for(const Url& url) const {
        if (proxy_ && !url.is_unix()) {
            return proxy_;
        }
        const Secret text = options_.proxies.proxy_for(url);
        return text.empty() ? std::nullopt : std::optional<Proxy>{Proxy::parse(text.reveal())};
    }

    /// Where to connect to: {""} for a socket in the file system. What a proxy would be asked for
    /// by address is looked at as well; its names are its own.
    [[nodiscard]] std::vector<std::string> allowed_addresses(const Url& url, const Proxy* proxy,
                                                             std::chrono::milliseconds deadline,
                                                             const std::stop_token& stop) const {
        if (url.is_unix()) {
            return {std::string{}};
        }
        const bool guarded = options_.addresses == AddressGuard::on;
        const auto check = [&](bool allowed, const std::string& address) {
            if (!allowed) {
                throw Error{ErrorCode::denied,
                            {.attempted = "reach",
                             .subject = redact_url(url.origin()),
                             .answer = "refused address " + address,
                             .advice = "link-local and unspecified addresses are never contacted"}};
            }
        };
        check(!guarded || !is_refused_address(url.host), url.host);
        const std::string& host = proxy == nullptr ? url.host : proxy->url.host;
        constexpr std::chrono::milliseconds longest = std::chrono::seconds{30};
        std::vector<std::string> addresses =
            options_.resolve
                ? options_.resolve(host)
                : resolve_host(host, deadline.count() == 0 ? longest : std::min(deadline, longest),
                               stop);
        const std::string first = addresses.empty() ? host : addresses.front();
        if (guarded) {
            std::erase_if(addresses, is_refused_address);
        }
        check(!addresses.empty(), first);
        return addresses;
    }

    [[nodiscard]] std::unique_ptr<detail::Connection> take(const std::string& place) {
        const auto oldest = std::chrono::steady_clock::now() - options_.idle_lifetime;
        std::vector<Idle> expired;  // closed after the lock is gone
        const std::lock_guard lock{mutex_};
        std::vector<Idle>& idle = idle_[place];
        while (!idle.empty()) {
            Idle newest = std::move(idle.back());
            idle.pop_back();
            if (newest.since > oldest) {
                return std::move(newest.connection);
            }
            expired.push_back(std::move(newest));
        }
        return nullptr;
    }
    void keep(const std::string& place, std::unique_ptr<detail::Connection> connection) {
        const auto oldest = std::chrono::steady_clock::now() - options_.idle_lifetime;
        std::vector<Idle> expired;  // of any place; closed after the lock is gone
        const std::lock_guard lock{mutex_};
        for (auto& [unused, idle] : idle_) {
            const auto young = std::find_if(idle.begin(), idle.end(), [oldest](const Idle& each) {
                return each.since > oldest;
            });
            std::move(idle.begin(), young, std::back_inserter(expired));
            idle.erase(idle.begin(), young);
        }
        std::vector<Idle>& idle = idle_[place];
        if (idle.size() < options_.idle_connections) {
            idle.push_back({std::move(connection), std::chrono::steady_clock::now()});
        }
    }

    HttplibOptions options_;
    std::optional<Proxy> proxy_ = {};
    std::mutex mutex_;
    std::map<std::string, std::vector<Idle>> idle_;  ///< by place_of()
};
static_assert(Transport<HttplibTransport>);

/// The transport that everything uses unless it is given another.
[[nodiscard]] inline AnyTransport default_transport(HttplibOptions options = {}) {
    return HttplibTransport{std::move(options)};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::net
