// fairing/engine/engine.hpp - a container engine, Docker or Podman, over its Unix socket or TCP
// (Docker Engine API, v1.24 to v1.41).
#pragma once

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "../codec/base64.hpp"
#include "../core/json_text.hpp"
#include "../core/line_splitter.hpp"
#include "../core/process.hpp"
#include "../net/transport.hpp"
#include "../net/url.hpp"
#include "../oci/digest.hpp"
#include "address.hpp"
#include "frames.hpp"

namespace fairing::engine {

/// What an engine says while it works: one JSON object of a stream.
using EventSink = std::function<void(const Json&)>;

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
        const Json answer = engine.json({.method = "GET", .url = engine.base_ + "/version"},
                                        "ask for the version of", stop);
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
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    void ping(const std::stop_token& stop = {}) const {
        send({.method = "GET", .url = base_ + "/_ping"}, "reach", {}, stop);
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
        const auto answer =
            exchange({.method = "GET", .url = base_ + "/images/" + path_of(image) + "/json"},
                     attempted, {}, stop);
        if (answer.status == 404) {
            return {};
        }
        check(answer, attempted);
        return parse(answer);
    }

    /// Loads a docker_archive(). Throws Error when the stream of answers holds one, is malformed,
    /// or ends early.
    void load(const net::Body& archive, const std::stop_token& stop = {}) const {
        stream({.method = "POST",
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
            .url = base_ + "/build?rm=1&forcerm=1&dockerfile=" +
                   net::percent_encode(options.dockerfile) +
                   (options.cache ? "" : "&nocache=1") +
                   (options.platform.empty() ? ""
                                             : "&platform=" +
                                                   net::percent_encode(options.platform)) +
                   tls_parameter(options.verify_registries),
            .headers = {{"Content-Type", "application/x-tar"}},
            .body = context,
            .idle_timeout = silence};
        if (!options.credentials.empty()) {
            request.headers.emplace("X-Registry-Config", options.credentials.reveal());
        }
        std::string id;
        stream(
            request, attempted,
            [&](const Json& event) {
                constexpr std::string_view built = "Successfully built ";  // before Podman 4
                const std::string given = text_or(event.value("aux", Json()), "ID");
                const std::string line = text_or(event, "stream");
                if (!given.empty()) {
                    id = given;
                } else if (id.empty() && line.starts_with(built)) {
                    id = line.substr(built.size(), line.find_last_not_of("\r\n") + 1 - built.size());
                }
                if (events) {
                    events(event);
                }
            },
            stop);
        if (id.empty()) {
            throw failure(ErrorCode::unavailable, attempted,
                          "its answer ended before the image was there");
        }
        return id;
    }

    /// Names an image "repository:tag"; what had that name before has it no more.
    void tag(const std::string& image, const std::string& repository, const std::string& tag,
             const std::stop_token& stop = {}) const {
        send({.method = "POST",
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
        stream(
            {.method = "POST",
             .url = base_ + "/images/" + path_of(repository) +
                    "/push?tag=" + net::percent_encode(tag) +
                    tls_parameter(options.verify_registries),
             .headers = {{"X-Registry-Auth", (options.credentials.empty() ? nobody
                                                                          : options.credentials)
                                                 .reveal()}},
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
            throw failure(ErrorCode::unavailable, attempted,
                          "its answer ended before the image was pushed");
        }
        return digest;
    }

    /// Makes the engine pull "host/repository@sha256:…", anonymously.
    void pull(const std::string& reference, const std::stop_token& stop = {}) const {
        const std::string attempted = "pull " + reference + " with";
        stream({.method = "POST",
                .url = base_ + "/images/create?fromImage=" + net::percent_encode(reference),
                .idle_timeout = std::chrono::minutes{10}},
               attempted, {}, stop);
        if (!has_image(reference, stop)) {
            throw failure(ErrorCode::unavailable, attempted,
                          "its answer ended, and the image is not there");
        }
    }

    void remove_image(const std::string& image, const std::stop_token& stop = {}) const {
        remove("/images/" + path_of(image), "remove image " + image + " from", stop);
    }

    /// Creates a container and gives its id; `settings` is the body of POST /containers/create.
    [[nodiscard]] std::string create(const std::string& name, const Json& settings,
                                     const std::stop_token& stop = {}) const {
        const std::string attempted = "create container " + name + " with";
        const Json answer =
            json({.method = "POST",
                  .url = base_ + "/containers/create?name=" + net::percent_encode(name),
                  .headers = {{"Content-Type", "application/json"}},
                  .body = net::Body::of(settings.dump())},
                 attempted, stop);
        std::string id = text_or(answer, "Id");
        if (id.empty()) {
            throw failure(ErrorCode::unavailable, attempted, "its answer names no container");
        }
        return id;
    }

    void start(const std::string& id, const std::stop_token& stop = {}) const {
        send({.method = "POST", .url = container(id) + "/start"}, "start a container with", {},
             stop);
    }

    /// Gives what the container writes, from its beginning to its end.
    void follow_logs(const std::string& id, const FrameReader::Sink& sink,
                     const std::stop_token& stop = {}) const {
        FrameReader reader{sink};
        send(
            {.method = "GET",
             .url = container(id) + "/logs?follow=1&stdout=1&stderr=1",
             .idle_timeout = silence},
            "read the output of a container of",
            [&reader](std::span<const std::byte> bytes) { reader.write(bytes); }, stop);
        reader.finish();
    }

    /// Waits for the container's end.
    [[nodiscard]] ContainerEnd wait(const std::string& id, const std::stop_token& stop = {}) const {
        const std::string attempted = "wait for a container of";
        const Json answer =
            json({.method = "POST", .url = container(id) + "/wait", .idle_timeout = silence},
                 attempted, stop);
        const Json code = answer.is_object() ? answer.value("StatusCode", Json()) : Json();
        if (!code.is_number_integer()) {
            throw failure(ErrorCode::unavailable, attempted, "its answer has no StatusCode");
        }
        return {.exit_code = code.get<int>(),
                .error = text_or(answer.value("Error", Json()), "Message")};
    }

    /// SIGTERM, and SIGKILL after `grace`; a container that does not run is no error.
    void stop(const std::string& id, std::chrono::seconds grace,
              const std::stop_token& stop = {}) const {
        send({.method = "POST",
              .url = container(id) + "/stop?t=" + std::to_string(grace.count()),
              .idle_timeout = grace + std::chrono::seconds{30}},
             "stop a container of", {}, stop);
    }

    /// Throws Error{conflict} when it does not run.
    void kill(const std::string& id, const std::string& signal = "SIGKILL",
              const std::stop_token& stop = {}) const {
        send({.method = "POST",
              .url = container(id) + "/kill?signal=" + net::percent_encode(signal)},
             "kill a container of", {}, stop);
    }

    /// Kills and removes it with its anonymous volumes; one that is not there is no error.
    void remove(const std::string& id, const std::stop_token& stop = {}) const {
        remove("/containers/" + net::percent_encode(id) + "?force=1&v=1", "remove a container of",
               stop);
    }

private:
    using Version = std::pair<int, int>;
    static constexpr Version oldest{1, 24}, newest{1, 41};
    /// How long a training, or the step of a build, may print nothing.
    static constexpr std::chrono::hours silence{480};

    Engine(net::AnyTransport transport, const Address& address)
        : transport_(std::move(transport)), name_(address.name), base_(address.url) {}

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

    [[nodiscard]] Error failure(ErrorCode code, const std::string& attempted,
                                std::string answer) const {
        return Error{code,
                     {.attempted = attempted + " the container engine at",
                      .subject = name_,
                      .answer = std::move(answer)}};
    }

    [[nodiscard]] net::Response exchange(const net::Request& request, const std::string& attempted,
                                         const net::BodySink& sink,
                                         const std::stop_token& stop) const {
        // What our own sink or body throws is about something else than the engine.
        bool own = false;
        const auto marked = [&own](const auto& function, const auto& argument) {
            try {
                function(argument);
            } catch (...) {
                own = true;
                throw;
            }
        };
        net::Request sent = request;
        if (request.body.write) {
            sent.body.write = [&](const net::BodySink& piece) {
                marked(request.body.write, piece);
            };
        }
        net::BodySink received;
        if (sink) {
            received = [&](std::span<const std::byte> bytes) { marked(sink, bytes); };
        }
        try {
            return transport_.send(sent, received, stop);
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            if (own ||
                (error.code() != ErrorCode::unavailable && error.code() != ErrorCode::not_found)) {
                throw;
            }
            Error::Details details =
                failure(ErrorCode::unavailable, attempted, error.details().answer).details();
            details.advice = "check that Docker or Podman runs, or name its socket in DOCKER_HOST";
            throw Error{ErrorCode::unavailable, std::move(details)};
        }
    }

    void check(const net::Response& answer, const std::string& attempted) const {
        if ((answer.status >= 200 && answer.status < 300) || answer.status == 304) {
            return;
        }
        const ErrorCode code = answer.status == 404                           ? ErrorCode::not_found
                               : answer.status == 401 || answer.status == 403 ? ErrorCode::denied
                               : answer.status == 409                         ? ErrorCode::conflict
                               : answer.status >= 400 && answer.status < 500
                                   ? ErrorCode::input
                                   : ErrorCode::unavailable;
        const Json document = Json::parse(answer.body, nullptr, false);
        std::string message = text_or(document, "message");
        for (char& c : message) {
            c = static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
        }
        Error::Details details =
            failure(code, attempted,
                    std::to_string(answer.status) + (message.empty() ? "" : ' ' + message))
                .details();
        details.http_status = answer.status;
        throw Error{code, std::move(details)};
    }

    net::Response send(const net::Request& request, const std::string& attempted,
                       const net::BodySink& sink, const std::stop_token& stop) const {
        net::Response answer = exchange(request, attempted, sink, stop);
        check(answer, attempted);
        return answer;
    }

    [[nodiscard]] Json json(const net::Request& request, const std::string& attempted,
                            const std::stop_token& stop) const {
        return parse(send(request, attempted, {}, stop));
    }
    [[nodiscard]] Json parse(const net::Response& answer) const {
        return parse_json(answer.body, "the answer of the container engine at " + name_);
    }

    void remove(const std::string& target, const std::string& attempted,
                const std::stop_token& stop) const {
        const net::Response answer =
            exchange({.method = "DELETE", .url = base_ + target}, attempted, {}, stop);
        if (answer.status != 404) {
            check(answer, attempted);
        }
    }

    /// What an object with an error says. Docker gives the exit code of a step that failed; Podman
    /// says so.
    [[nodiscard]] Error stream_error(const Json& event, const std::string& attempted) const {
        const Json detail = event.value("errorDetail", Json());
        std::string text = text_or(event, "error", text_or(detail, "message"));
        text.resize(text.find_last_not_of(" \r\n") + 1);
        const auto says = [&text](const char* part) { return text.find(part) != text.npos; };
        const bool step_failed = (detail.is_object() && detail.contains("code")) ||
                                 says("building at STEP ");
        const ErrorCode code =
            step_failed                                                 ? ErrorCode::input
            : says("unauthorized") || says("denied")                    ? ErrorCode::denied
            : says("manifest unknown") || says("not found")             ? ErrorCode::not_found
                                                                        : ErrorCode::unavailable;
        return failure(code, attempted, text.empty() ? "an error without a text" : text);
    }

    /// Reads one JSON object per line; one with an error is an Error.
    void stream(const net::Request& request, const std::string& attempted, const EventSink& events,
                const std::stop_token& stop) const {
        LineSplitter lines;
        bool answered = false;
        const auto on_line = [&](const std::string& line) {
            if (line.find_first_not_of(" \t\r") == std::string::npos) {
                return;
            }
            const Json event = Json::parse(line, nullptr, false);
            if (!event.is_object()) {
                throw failure(ErrorCode::unavailable, attempted,
                              "a line of its answer is not JSON");
            }
            answered = true;
            if (event.contains("error") || event.contains("errorDetail")) {
                throw stream_error(event, attempted);
            }
            if (events) {
                events(event);
            }
        };
        send(
            request, attempted,
            [&](std::span<const std::byte> bytes) { lines.write(bytes, on_line); }, stop);
        lines.finish(on_line);
        if (!answered) {
            throw failure(ErrorCode::unavailable, attempted, "its answer is empty");
        }
    }

    net::AnyTransport transport_;
    std::string name_;
    std::string base_;
    std::string version_ = {};
};

}  // namespace fairing::engine
