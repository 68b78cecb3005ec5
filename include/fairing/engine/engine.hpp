// fairing/engine/engine.hpp - a container engine, Docker or Podman, over its Unix socket or TCP
// (Docker Engine API, v1.24 to v1.41).
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>

#include "../codec/base64.hpp"
#include "../core/json_text.hpp"
#include "../core/secret.hpp"
#include "../net/transport.hpp"
#include "../net/url.hpp"
#include "../oci/digest.hpp"
#include "address.hpp"
#include "connection.hpp"
#include "frames.hpp"

namespace fairing::engine {

/// Credentials as engines take them in a header: Base64 for URLs (RFC 4648, 5), with padding.
[[nodiscard]] inline Secret header_of(const Json& credentials) {
    std::string text = codec::base64_encode(credentials.dump());
    std::replace(text.begin(), text.end(), '+', '-');
    std::replace(text.begin(), text.end(), '/', '_');
    return Secret{std::move(text)};
}

/// How to build out of a context, which holds `dockerfile`.
struct BuildOptions {
    std::string dockerfile = "Dockerfile";
    std::string platform = {};      ///< os/architecture[/variant]; empty: the engine's own
    bool cache = true;              ///< steps that were built before are taken as they are
    bool verify_registries = true;  ///< Podman: https with a known certificate only
    Secret credentials = {};        ///< header_of() an object: registry to its credentials
};

/// Where to push an image to, and as whom.
struct PushOptions {
    bool verify_registries = true;  ///< Podman: https with a known certificate only
    Secret credentials = {};        ///< header_of() the registry's credentials; empty: anonymous
};

/// How a container ended.
struct ContainerEnd {
    int exit_code = 0;
    std::string error = {};  ///< what the engine says beyond the code
};

/// A connected engine; a cheap value. Every member may be called from several threads at once.
/// Errors name the socket; what the engine answers is in them.
class Engine {
public:
    /// Asks for the version and settles on one that both sides speak. Throws Error{unavailable}
    /// that names the socket when nobody listens there, Error{unsupported} for an engine that is
    /// too old.
    [[nodiscard]] static Engine connect(net::AnyTransport transport, const Address& address,
                                        const std::stop_token& stop = {}) {
        Engine engine{std::move(transport), address};
        const Json answer = engine.connection_.json(
            {.method = "GET", .url = engine.base_ + "/version"}, "ask for the version of", stop);
        const Version theirs = parse_version(text_or(answer, "ApiVersion"));
        if (theirs < oldest) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "use the container engine at",
                         .subject = address.name,
                         .answer = "it speaks API version \"" + text_or(answer, "ApiVersion") +
                                   "\", and we need 1.24",
                         .advice = "update Docker or Podman"}};
        }
        const Version least = parse_version(text_or(answer, "MinAPIVersion", "1.24"));
        const Version spoken = std::max(std::min(theirs, newest), least);
        engine.version_ = std::to_string(spoken.first) + '.' + std::to_string(spoken.second);
        engine.base_ += "/v" + engine.version_;
        return engine;
    }

    [[nodiscard]] static Engine connect(net::AnyTransport transport,
                                        const std::filesystem::path& socket,
                                        const std::stop_token& stop = {}) {
        return connect(std::move(transport), Address::of_socket(socket), stop);
    }

    [[nodiscard]] const std::string& version() const noexcept { return version_; }
    /// Where it listens, as it was named.
    [[nodiscard]] const std::string& name() const noexcept { return connection_.name(); }

    void ping(const std::stop_token& stop = {}) const {
        connection_.send({.method = "GET", .url = base_ + "/_ping"}, "reach", {}, stop);
    }

    /// By id, or by any reference.
    [[nodiscard]] bool has_image(const std::string& image, const std::stop_token& stop = {}) const {
        return !find_image(image, stop).is_null();
    }
    /// What the engine knows of an image: Id, Os, Architecture, Config and more; null when it has
    /// none of this name.
    [[nodiscard]] Json find_image(const std::string& image,
                                  const std::stop_token& stop = {}) const {
        const std::string attempted = "look for image " + image + " in";
        const auto answer = connection_.exchange(
            {.method = "GET", .url = base_ + "/images/" + path_of(image) + "/json"}, attempted, {},
            stop);
        if (answer.status == 404) {
            return {};
        }
        connection_.check(answer, attempted);
        return connection_.parse(answer);
    }

    /// Loads a docker_archive(). Throws Error when the stream of answers holds one, is malformed,
    /// or ends early.
    void load(const net::Body& archive, const std::stop_token& stop = {}) const {
        connection_.stream({.method = "POST",
                            .url = base_ + "/images/load?quiet=1",
                            .headers = {{"Content-Type", "application/x-tar"}},
                            .body = archive,
                            .idle_timeout = std::chrono::minutes{10}},
                           "load an image into", {}, stop);
    }

    /// Builds an image out of a tar archive and gives its id. The end of the connection, as by a
    /// stop, ends the build. Throws Error: input for a step that failed, denied and not_found for a
    /// base, unavailable for an answer that is malformed or ends before the image is there.
    [[nodiscard]] std::string build(const net::Body& context, const BuildOptions& options,
                                    const EventSink& events,
                                    const std::stop_token& stop = {}) const {
        const std::string attempted = "build an image with";
        net::Request request{
            .method = "POST",
            .url =
                base_ + "/build?rm=1&forcerm=1&dockerfile=" +
                net::percent_encode(options.dockerfile) + (options.cache ? "" : "&nocache=1") +
                (options.platform.empty() ? ""
                                          : "&platform=" + net::percent_encode(options.platform)) +
                tls_parameter(options.verify_registries),
            .headers = {{"Content-Type", "application/x-tar"}},
            .body = context,
            .idle_timeout = silence};
        if (!options.credentials.empty()) {
            request.headers.emplace("X-Registry-Config", options.credentials.reveal());
        }
        std::string id;
        connection_.stream(
            request, attempted,
            [&](const Json& event) {
                constexpr std::string_view built = "Successfully built ";  // before Podman 4
                const std::string given = text_or(event.value("aux", Json()), "ID");
                const std::string line = text_or(event, "stream");
                if (!given.empty()) {
                    id = given;
                } else if (id.empty() && line.starts_with(built)) {
                    id =
                        line.substr(built.size(), line.find_last_not_of("\r\n") + 1 - built.size());
                }
                if (events) {
                    events(event);
                }
            },
            stop);
        if (id.empty()) {
            throw connection_.failure(ErrorCode::unavailable, attempted,
                                      "its answer ended before the image was there");
        }
        return id;
    }

    /// Names an image "repository:tag"; what had that name before has it no more.
    void tag(const std::string& image, const std::string& repository, const std::string& tag,
             const std::stop_token& stop = {}) const {
        connection_.send({.method = "POST",
                          .url = base_ + "/images/" + path_of(image) +
                                 "/tag?repo=" + net::percent_encode(repository) +
                                 "&tag=" + net::percent_encode(tag)},
                         "name image " + image + " in", {}, stop);
    }

    /// Pushes "repository:tag" and gives the manifest's digest in the registry.
    [[nodiscard]] std::string push(const std::string& repository, const std::string& tag,
                                   const PushOptions& options, const EventSink& events,
                                   const std::stop_token& stop = {}) const {
        const std::string attempted = "push " + repository + ':' + tag + " with";
        const Secret nobody = header_of(Json::object());  // the header has to be there
        std::string digest;
        connection_.stream(
            {.method = "POST",
             .url = base_ + "/images/" + path_of(repository) + "/push?tag=" +
                    net::percent_encode(tag) + tls_parameter(options.verify_registries),
             .headers = {{"X-Registry-Auth",
                          (options.credentials.empty() ? nobody : options.credentials).reveal()}},
             .idle_timeout = std::chrono::minutes{10}},
            attempted,
            [&](const Json& event) {
                const std::string given = text_or(event.value("aux", Json()), "Digest");
                const std::string said = digest_in(text_or(event, "status"), tag);  // Podman
                digest = !given.empty() ? given : !said.empty() ? said : digest;
                if (events) {
                    events(event);
                }
            },
            stop);
        if (!oci::is_digest(digest)) {
            throw connection_.failure(ErrorCode::unavailable, attempted,
                                      "its answer ended before the image was pushed");
        }
        return digest;
    }

    /// Makes the engine pull "host/repository@sha256:…", anonymously.
    void pull(const std::string& reference, const std::stop_token& stop = {}) const {
        const std::string attempted = "pull " + reference + " with";
        connection_.stream(
            {.method = "POST",
             .url = base_ + "/images/create?fromImage=" + net::percent_encode(reference),
             .idle_timeout = std::chrono::minutes{10}},
            attempted, {}, stop);
        if (!has_image(reference, stop)) {
            throw connection_.failure(ErrorCode::unavailable, attempted,
                                      "its answer ended, and the image is not there");
        }
    }

    void remove_image(const std::string& image, const std::stop_token& stop = {}) const {
        connection_.remove(base_ + "/images/" + path_of(image), "remove image " + image + " from",
                           stop);
    }

    /// Creates a container and gives its id; `settings` is the body of POST /containers/create.
    [[nodiscard]] std::string create(const std::string& name, const Json& settings,
                                     const std::stop_token& stop = {}) const {
        const std::string attempted = "create container " + name + " with";
        const Json answer = connection_.json(
            {.method = "POST",
             .url = base_ + "/containers/create?name=" + net::percent_encode(name),
             .headers = {{"Content-Type", "application/json"}},
             .body = net::Body::of(dump_json(settings, attempted, "a container engine"))},
            attempted, stop);
        std::string id = text_or(answer, "Id");
        if (id.empty()) {
            throw connection_.failure(ErrorCode::unavailable, attempted,
                                      "its answer names no container");
        }
        return id;
    }

    void start(const std::string& id, const std::stop_token& stop = {}) const {
        connection_.send({.method = "POST", .url = container(id) + "/start"},
                         "start a container with", {}, stop);
    }

    /// Gives what the container writes, from its beginning to its end.
    void follow_logs(const std::string& id, const FrameReader::Sink& sink,
                     const std::stop_token& stop = {}) const {
        logs(id, "?follow=1&stdout=1&stderr=1", sink, stop);
    }
    /// Gives what the container has written so far.
    void read_logs(const std::string& id, const FrameReader::Sink& sink,
                   const std::stop_token& stop = {}) const {
        logs(id, "?stdout=1&stderr=1", sink, stop);
    }

    /// Whether it was started and has not ended.
    [[nodiscard]] bool is_running(const std::string& id, const std::stop_token& stop = {}) const {
        const Json answer = connection_.json({.method = "GET", .url = container(id) + "/json"},
                                             "look for a container of", stop);
        const Json state = answer.is_object() ? answer.value("State", Json()) : Json();
        return state.is_object() && state.value("Running", Json()) == Json(true);
    }

    /// Waits for the container's end.
    [[nodiscard]] ContainerEnd wait(const std::string& id, const std::stop_token& stop = {}) const {
        const std::string attempted = "wait for a container of";
        const Json answer = connection_.json(
            {.method = "POST", .url = container(id) + "/wait", .idle_timeout = silence}, attempted,
            stop);
        const Json code = answer.is_object() ? answer.value("StatusCode", Json()) : Json();
        if (!code.is_number_integer()) {
            throw connection_.failure(ErrorCode::unavailable, attempted,
                                      "its answer has no StatusCode");
        }
        return {.exit_code = code.get<int>(),
                .error = text_or(answer.value("Error", Json()), "Message")};
    }

    /// SIGTERM, and SIGKILL after `grace`; a container that does not run is no error.
    void stop(const std::string& id, std::chrono::seconds grace,
              const std::stop_token& stop = {}) const {
        connection_.send({.method = "POST",
                          .url = container(id) + "/stop?t=" + std::to_string(grace.count()),
                          .idle_timeout = grace + std::chrono::seconds{30}},
                         "stop a container of", {}, stop);
    }

    /// Throws Error{conflict} when it does not run.
    void kill(const std::string& id, const std::string& signal = "SIGKILL",
              const std::stop_token& stop = {}) const {
        connection_.send({.method = "POST",
                          .url = container(id) + "/kill?signal=" + net::percent_encode(signal)},
                         "kill a container of", {}, stop);
    }

    /// Kills and removes it with its anonymous volumes; one that is not there is no error.
    void remove(const std::string& id, const std::stop_token& stop = {}) const {
        connection_.remove(container(id) + "?force=1&v=1", "remove a container of", stop);
    }

private:
    using Version = std::pair<int, int>;
    static constexpr Version oldest{1, 24}, newest{1, 41};
    /// How long a training, or the step of a build, may print nothing.
    static constexpr std::chrono::hours silence{480};

    Engine(net::AnyTransport transport, const Address& address)
        : connection_(std::move(transport), address), base_(address.url) {}

    /// Docker passes over it: its own settings say which registries are insecure.
    static const char* tls_parameter(bool verified) { return verified ? "" : "&tlsVerify=false"; }

    /// "sha256:…" of "TAG: digest: sha256:… size: 736".
    static std::string digest_in(const std::string& status, const std::string& tag) {
        const std::string start = tag + ": digest: ";
        return status.starts_with(start)
                   ? status.substr(start.size(), status.find(' ', start.size()) - start.size())
                   : std::string{};
    }

    static Version parse_version(const std::string& text) {
        Version result{0, 0};
        int* part = &result.first;
        for (const char c : text.substr(0, 9)) {
            if (c == '.' && part == &result.first) {
                part = &result.second;
            } else if (c >= '0' && c <= '9') {
                *part = *part * 10 + (c - '0');
            } else {
                return {0, 0};
            }
        }
        return result;
    }

    /// A reference with its slashes, which separate no parameters here.
    static std::string path_of(const std::string& image) {
        std::string result;
        for (std::size_t start = 0; start <= image.size();) {
            const std::size_t end = std::min(image.find('/', start), image.size());
            result +=
                (start == 0 ? "" : "/") + net::percent_encode(image.substr(start, end - start));
            start = end + 1;
        }
        return result;
    }

    [[nodiscard]] std::string container(const std::string& id) const {
        return base_ + "/containers/" + net::percent_encode(id);
    }

    void logs(const std::string& id, const char* query, const FrameReader::Sink& sink,
              const std::stop_token& stop) const {
        FrameReader reader{sink};
        connection_.send(
            {.method = "GET", .url = container(id) + "/logs" + query, .idle_timeout = silence},
            "read the output of a container of",
            [&reader](std::span<const std::byte> bytes) { reader.write(bytes); }, stop);
        reader.finish();
    }

    Connection connection_;
    std::string base_;  ///< of all URLs, with the version
    std::string version_ = {};
};

}  // namespace fairing::engine
