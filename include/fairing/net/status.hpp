// fairing/net/status.hpp - status codes in words, and as kinds of error (RFC 9110, section 15).
#pragma once

#include <string>

#include "../core/error.hpp"

namespace fairing::net {

/// "401 Unauthorized"; the bare number for codes without a name here.
[[nodiscard]] inline std::string status_text(int status) {
    const char* name = nullptr;
    switch (status) {
        case 200:
            name = "OK";
            break;
        case 201:
            name = "Created";
            break;
        case 202:
            name = "Accepted";
            break;
        case 204:
            name = "No Content";
            break;
        case 301:
            name = "Moved Permanently";
            break;
        case 302:
            name = "Found";
            break;
        case 303:
            name = "See Other";
            break;
        case 307:
            name = "Temporary Redirect";
            break;
        case 308:
            name = "Permanent Redirect";
            break;
        case 400:
            name = "Bad Request";
            break;
        case 401:
            name = "Unauthorized";
            break;
        case 403:
            name = "Forbidden";
            break;
        case 404:
            name = "Not Found";
            break;
        case 405:
            name = "Method Not Allowed";
            break;
        case 408:
            name = "Request Timeout";
            break;
        case 409:
            name = "Conflict";
            break;
        case 413:
            name = "Content Too Large";
            break;
        case 416:
            name = "Range Not Satisfiable";
            break;
        case 422:
            name = "Unprocessable Content";
            break;
        case 429:
            name = "Too Many Requests";
            break;
        case 500:
            name = "Internal Server Error";
            break;
        case 501:
            name = "Not Implemented";
            break;
        case 502:
            name = "Bad Gateway";
            break;
        case 503:
            name = "Service Unavailable";
            break;
        case 504:
            name = "Gateway Timeout";
            break;
        default:
            break;
    }
    return name == nullptr ? std::to_string(status) : std::to_string(status) + ' ' + name;
}

/// The kind of Error that an unwelcome status is.
[[nodiscard]] constexpr ErrorCode error_code(int status) noexcept {
    switch (status) {
        case 401:
        case 403:
        case 407:
            return ErrorCode::denied;
        case 404:
        case 410:
            return ErrorCode::not_found;
        case 409:
        case 412:
            return ErrorCode::conflict;
        case 405:
        case 501:
            return ErrorCode::unsupported;
        case 400:
        case 413:
        case 414:
        case 416:
        case 422:
            return ErrorCode::input;
        default:
            return ErrorCode::unavailable;
    }
}

}  // namespace fairing::net
