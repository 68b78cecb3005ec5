// fairing/engine/engine.hpp - a container engine of this machine, Docker or Podman, over its Unix
// socket (Docker Engine API, v1.24 to v1.41).
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "../core/json_text.hpp"
#include "../core/line_splitter.hpp"
#include "../core/process.hpp"
#include "../net/transport.hpp"
#include "../net/url.hpp"
#include "frames.hpp"

namespace fairing::engine {

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
    [[nodiscard]] static Engine connect(net::AnyTransport transport,
                                        const std::filesystem::path& socket,
                                        const std::stop_token& stop = {}) {
        Engine engine{std::move(transport), socket};
        const Json answer = engine.json({.method = "GET", .url = engine.base_ + "/version"},
                                        "ask for the version of", stop);
        const Version theirs = parse_version(text_or(answer, "ApiVersion"));
        if (theirs < oldest) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "use the container engine at",
                         .subject = socket.string(),
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

    [[nodiscard]] const std::string& version() const noexcept { return version_; }
    [[nodiscard]] const std::filesystem::path& socket() const noexcept { return socket_; }

    void ping(const std::stop_token& stop = {}) const {
        send({.method = "GET", .url = base_ + "/_ping"}, "reach", {}, stop);
    }

    /// By id, or by any reference.
    [[nodiscard]] bool has_image(const std::string& image, const std::stop_token& stop = {}) const {
        const auto answer =
            exchange({.method = "GET", .url = base_ + "/images/" + path_of(image) + "/json"},
                     "look for image " + image + " in", {}, stop);
        if (answer.status == 404) {
            return false;
        }
        check(answer, "look for image " + image + " in");
        return true;
    }

    /// Loads a docker_archive(). Throws Error when the stream of answers holds one, is malformed,
    /// or ends early.
    void load(const net::Body& archive, const std::stop_token& stop = {}) const {
        stream({.method = "POST",
                .url = base_ + "/images/load?quiet=1",
                .headers = {{"Content-Type", "application/x-tar"}},
                .body = archive,
                .idle_timeout = std::chrono::minutes{10}},
               "load an image into", stop);
    }

    /// Makes the engine pull "host/repository@sha256:…", anonymously.
    void pull(const std::string& reference, const std::stop_token& stop = {}) const {
        const std::string attempted = "pull " + reference + " with";
        stream({.method = "POST",
                .url = base_ + "/images/create?fromImage=" + net::percent_encode(reference),
                .idle_timeout = std::chrono::minutes{10}},
               attempted, stop);
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
    /// How long a training may print nothing.
    static constexpr std::chrono::hours silence{480};

    Engine(net::AnyTransport transport, const std::filesystem::path& socket)
        : transport_(std::move(transport)),
          socket_(socket),
          base_("http+unix://" + net::percent_encode(socket.string())) {}

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
                      .subject = socket_.string(),
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
        const net::Response answer = send(request, attempted, {}, stop);
        return parse_json(answer.body, "the answer of the container engine at " + socket_.string());
    }

    void remove(const std::string& target, const std::string& attempted,
                const std::stop_token& stop) const {
        const net::Response answer =
            exchange({.method = "DELETE", .url = base_ + target}, attempted, {}, stop);
        if (answer.status != 404) {
            check(answer, attempted);
        }
    }

    /// Reads one JSON object per line; one with an error is an Error.
    void stream(const net::Request& request, const std::string& attempted,
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
                const std::string detail = text_or(event.value("errorDetail", Json()), "message");
                throw failure(
                    ErrorCode::unavailable, attempted,
                    text_or(event, "error", detail.empty() ? "an error without a text" : detail));
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
    std::filesystem::path socket_;
    std::string base_;
    std::string version_ = {};
};

}  // namespace fairing::engine
