// fairing/oci/platform.hpp - os/architecture[/variant] (OCI image-spec, image-index.md,
// "platform").
#pragma once

#include <sys/utsname.h>

#include <string>

#include "../core/error.hpp"
#include "../core/json_text.hpp"

namespace fairing::oci {

struct Platform {
    std::string os = "linux";
    std::string architecture = {};  ///< GOARCH: amd64, arm64, …
    std::string variant = {};       ///< "v8"; empty matches any

    [[nodiscard]] std::string text() const {
        return os + '/' + architecture + (variant.empty() ? "" : '/' + variant);
    }
    /// Whether content for `other` runs where this one was asked for.
    [[nodiscard]] bool accepts(const Platform& other) const {
        return os == other.os && architecture == other.architecture &&
               (variant.empty() || variant == other.variant);
    }
    /// From a `platform` object, or from an image config: both use the same member names.
    [[nodiscard]] static Platform from(const Json& document) {
        return {.os = text_or(document, "os"),
                .architecture = text_or(document, "architecture"),
                .variant = text_or(document, "variant")};
    }
};

/// Linux on this machine's processor.
[[nodiscard]] inline Platform host_platform() {
    utsname names{};
    ::uname(&names);
    const std::string machine = names.machine;
    return {.architecture = machine == "x86_64"    ? "amd64"
                            : machine == "aarch64" ? "arm64"
                            : machine == "i686"    ? "386"
                            : machine == "armv7l"  ? "arm"
                                                   : machine};
}

/// "linux/arm64/v8", or the host's for an empty text. Throws Error{usage}.
[[nodiscard]] inline Platform parse_platform(const std::string& text) {
    if (text.empty()) {
        return host_platform();
    }
    const std::size_t first = text.find('/');
    const std::size_t second = first == std::string::npos ? first : text.find('/', first + 1);
    Platform result{.os = text.substr(0, first)};
    if (first != std::string::npos) {
        result.architecture =
            text.substr(first + 1, second == std::string::npos ? second : second - first - 1);
    }
    if (second != std::string::npos) {
        result.variant = text.substr(second + 1);
    }
    if (result.os.empty() || result.architecture.empty() ||
        result.variant.find('/') != std::string::npos) {
        throw Error{ErrorCode::usage,
                    {.attempted = "use platform",
                     .subject = '"' + text + '"',
                     .answer = "not of the form OS/ARCHITECTURE[/VARIANT]",
                     .advice = "write for example linux/amd64"}};
    }
    return result;
}

}  // namespace fairing::oci
