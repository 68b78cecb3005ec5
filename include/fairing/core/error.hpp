// fairing/core/error.hpp - everything the library throws, and the exit code that each kind
// deserves.
#pragma once

#include <cerrno>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "json.hpp"

namespace fairing {

enum class ErrorCode {
    usage,            ///< the call itself is wrong
    input,            ///< a file, document or name that we were given is wrong
    not_found,        ///< what was named does not exist
    denied,           ///< no permission, here or at a peer
    conflict,         ///< something of that name is there already
    unavailable,      ///< a peer does not answer, or answers that it can not
    timeout,          ///< a deadline passed
    integrity,        ///< bytes are not what their digest says
    unsupported,      ///< understood, and not something we do
    cancelled,        ///< a stop was requested
    workload_failed,  ///< what we started ended badly
    internal          ///< ours
};

/// Everything the library throws. Copies are nothrow: the details are shared and immutable. what()
/// reads "cannot ATTEMPTED SUBJECT: ANSWER; ADVICE".
class Error : public std::runtime_error {
public:
    struct Details {
        std::string attempted = {};  ///< a verb phrase: "push layer"
        std::string subject = {};    ///< what it was done to
        std::string answer = {};     ///< what came back
        std::string advice = {};     ///< what to do about it
        std::optional<int> http_status = {};
        Json kubernetes_status = {};  ///< the `Status` object of a Kubernetes API server
    };

    Error(ErrorCode code, Details details)
        : std::runtime_error(sentence(details)),
          code_(code),
          details_(std::make_shared<const Details>(std::move(details))) {}

    [[nodiscard]] ErrorCode code() const noexcept { return code_; }
    [[nodiscard]] const Details& details() const noexcept { return *details_; }

private:
    static std::string sentence(const Details& details) {
        std::string text = "cannot " + details.attempted;
        if (!details.subject.empty()) {
            text += ' ' + details.subject;
        }
        if (!details.answer.empty()) {
            text += ": " + details.answer;
        }
        if (!details.advice.empty()) {
            text += "; " + details.advice;
        }
        return printable(text);
    }

    /// Foreign words may be among these: no control character reaches a terminal or a log, and no
    /// megabyte either. The details keep what was said.
    static std::string printable(const std::string& text) {
        constexpr std::size_t longest = 8192;
        constexpr const char* digits = "0123456789abcdef";
        std::string result;
        for (const char c : text) {
            const auto byte = static_cast<unsigned char>(c);
            if (result.size() >= longest) {
                return result + " ...";
            }
            if (c == '\n' || c == '\t' || c == '\r') {
                result += ' ';
            } else if (byte < 0x20 || byte == 0x7f) {
                result += "\\x";
                result += digits[byte >> 4];
                result += digits[byte & 15];
            } else {
                result += c;
            }
        }
        return result;
    }

    ErrorCode code_;
    std::shared_ptr<const Details> details_;
};

/// A stop was requested and obeyed.
class Cancelled : public Error {
public:
    using Error::Error;
};

/// What errno says, as an Error: ENOENT is not_found, EACCES and EPERM are denied, the rest
/// `otherwise`.
[[nodiscard]] inline Error system_error(int number, std::string attempted, std::string subject,
                                        ErrorCode otherwise = ErrorCode::input) {
    const ErrorCode code = number == ENOENT                      ? ErrorCode::not_found
                           : number == EACCES || number == EPERM ? ErrorCode::denied
                                                                 : otherwise;
    return Error{code,
                 {.attempted = std::move(attempted),
                  .subject = std::move(subject),
                  .answer = std::generic_category().message(number)}};
}

/// The exit code of a program that ends with this kind of error (sysexits.h, and 128 + SIGINT).
[[nodiscard]] constexpr int exit_code(ErrorCode code) noexcept {
    switch (code) {
        case ErrorCode::usage:
            return 64;
        case ErrorCode::input:
        case ErrorCode::not_found:
        case ErrorCode::unsupported:
            return 65;
        case ErrorCode::conflict:
        case ErrorCode::unavailable:
        case ErrorCode::timeout:
        case ErrorCode::integrity:
            return 69;
        case ErrorCode::denied:
            return 77;
        case ErrorCode::cancelled:
            return 130;
        case ErrorCode::workload_failed:
            return 1;
        case ErrorCode::internal:
            break;
    }
    return 70;
}

}  // namespace fairing
