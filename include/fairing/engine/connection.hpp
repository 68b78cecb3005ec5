// fairing/engine/connection.hpp - requests to a container engine and its answers: what goes wrong
// names the socket, and says what to do.
#pragma once

#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>

#include "../core/error.hpp"
#include "../core/json_text.hpp"
#include "../core/line_splitter.hpp"
#include "../net/transport.hpp"
#include "address.hpp"

namespace fairing::engine {

/// What an engine says while it works: one JSON object of a stream.
using EventSink = std::function<void(const Json&)>;

/// Where an engine listens. `attempted` is what a request is for, up to the engine: "load an image
/// into". Cheap to copy; every member may be called from several threads at once.
class Connection {
public:
    Connection(net::AnyTransport transport, const Address& address)
        : transport_(std::move(transport)), name_(address.name), url_(address.url) {}

    /// As it was named.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Any answer. Throws Error that says how to reach an engine when there is none.
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
            const bool denied = error.code() == ErrorCode::denied;      // TLS
            const bool strange = error.code() == ErrorCode::integrity;  // no HTTP, or not plain
            if (own || (!denied && !strange && error.code() != ErrorCode::unavailable &&
                        error.code() != ErrorCode::not_found)) {
                throw;
            }
            const ErrorCode code = denied || strange ? error.code() : ErrorCode::unavailable;
            Error::Details details = failure(code, attempted, error.details().answer).details();
            details.advice =
                denied ? "check ca.pem, cert.pem and key.pem in the folder DOCKER_CERT_PATH names"
                : strange && url_.starts_with("http://")
                    ? "when it speaks TLS, set DOCKER_TLS_VERIFY=1 and DOCKER_CERT_PATH"
                    : "check that Docker or Podman runs, or name its socket in DOCKER_HOST";
            throw Error{code, std::move(details)};
        }
    }

    /// Throws Error for an answer that is none of success.
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
    /// What is not there is no error.
    void remove(const std::string& url, const std::string& attempted,
                const std::stop_token& stop) const {
        const net::Response answer =
            exchange({.method = "DELETE", .url = url}, attempted, {}, stop);
        if (answer.status != 404) {
            check(answer, attempted);
        }
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

    [[nodiscard]] Error failure(ErrorCode code, const std::string& attempted,
                                std::string answer) const {
        return Error{code,
                     {.attempted = attempted + " the container engine at",
                      .subject = name_,
                      .answer = std::move(answer)}};
    }

private:
    /// What an object with an error says. Docker gives the exit code of a step that failed; Podman
    /// says so.
    [[nodiscard]] Error stream_error(const Json& event, const std::string& attempted) const {
        const Json detail = event.value("errorDetail", Json());
        std::string text = text_or(event, "error", text_or(detail, "message"));
        text.resize(text.find_last_not_of(" \r\n") + 1);
        const auto says = [&text](const char* part) { return text.find(part) != text.npos; };
        const bool step_failed =
            (detail.is_object() && detail.contains("code")) || says("building at STEP ");
        const ErrorCode code = step_failed                              ? ErrorCode::input
                               : says("unauthorized") || says("denied") ? ErrorCode::denied
                               : says("manifest unknown") || says("not found")
                                   ? ErrorCode::not_found
                                   : ErrorCode::unavailable;
        return failure(code, attempted, text.empty() ? "an error without a text" : text);
    }

    net::AnyTransport transport_;
    std::string name_, url_;
};

}  // namespace fairing::engine
