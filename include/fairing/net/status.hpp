// fairing/net/status.hpp - status codes in words, and as kinds of error (RFC 9110, section 15).
#pragma once

#include <array>
#include <string>
#include <utility>

#include "../core/error.hpp"

namespace fairing::net {

/// "401 Unauthorized"; the bare number for codes without a name here.
[[nodiscard]] inline std::string status_text(int status) {
    static constexpr std::array<std::pair<int, const char*>, 25> names{
        {{200, "OK"},
         {201, "Created"},
         {202, "Accepted"},
         {204, "No Content"},
         {301, "Moved Permanently"},
         {302, "Found"},
         {303, "See Other"},
         {307, "Temporary Redirect"},
         {308, "Permanent Redirect"},
         {400, "Bad Request"},
         {401, "Unauthorized"},
         {403, "Forbidden"},
         {404, "Not Found"},
         {405, "Method Not Allowed"},
         {408, "Request Timeout"},
         {409, "Conflict"},
         {413, "Content Too Large"},
         {416, "Range Not Satisfiable"},
         {422, "Unprocessable Content"},
         {429, "Too Many Requests"},
         {500, "Internal Server Error"},
         {501, "Not Implemented"},
         {502, "Bad Gateway"},
         {503, "Service Unavailable"},
         {504, "Gateway Timeout"}}};
    for (const auto& [number, name] : names) {
        if (number == status) {
            return std::to_string(status) + ' ' + name;
        }
    }
    return std::to_string(status);
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
