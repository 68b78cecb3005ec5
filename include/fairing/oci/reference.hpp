// fairing/oci/reference.hpp - names of images: registry references (OCI distribution-spec, "Pulling
// manifests", and Docker's short names), image layouts ("oci:DIR"), archives of `docker save`
// ("docker-archive:FILE") and the empty base ("scratch").
#pragma once

#include <algorithm>
#include <cctype>
#include <string>
#include <string_view>
#include <utility>

#include "../core/error.hpp"
#include "digest.hpp"

namespace fairing::oci {

/// `scratch` names no bytes; `layout` is a directory of this machine, `archive` a file.
enum class ReferenceKind { registry, layout, archive, scratch };

struct Reference {
    ReferenceKind kind = ReferenceKind::registry;
    std::string host =
        {};  ///< as written, with port: "localhost:5000"; "docker.io" for Docker's short names
    std::string repository = {};  ///< "team/fairing-job"; of a layout or archive its path
    std::string tag = {};         ///< in an archive a name with a tag: "team/fairing-job:v1"
    std::string digest = {};

    /// What a manifest is asked for by: the digest, else the tag.
    [[nodiscard]] const std::string& wanted() const noexcept {
        return digest.empty() ? tag : digest;
    }
    /// "host/repository", "oci:DIR" or "docker-archive:FILE": the reference without tag and digest.
    [[nodiscard]] std::string name() const {
        switch (kind) {
            case ReferenceKind::scratch:
                return "scratch";
            case ReferenceKind::layout:
                return "oci:" + repository;
            case ReferenceKind::archive:
                return "docker-archive:" + repository;
            case ReferenceKind::registry:
                break;
        }
        return host + '/' + repository;
    }
    [[nodiscard]] std::string text() const {
        std::string result = name();
        if (!tag.empty()) {
            result += ':' + tag;
        }
        if (!digest.empty()) {
            result += '@' + digest;
        }
        return result;
    }
    /// The host that speaks the registry API: Docker Hub's is not the one in its names.
    [[nodiscard]] std::string api_host() const {
        return host == "docker.io" || host == "index.docker.io" ? "registry-1.docker.io" : host;
    }
};

namespace detail {

[[nodiscard]] constexpr bool is_lower_alphanumeric(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/// One component of a repository name: [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*.
[[nodiscard]] constexpr bool is_name_component(std::string_view text) noexcept {
    if (text.empty() || !is_lower_alphanumeric(text.front()) ||
        !is_lower_alphanumeric(text.back())) {
        return false;
    }
    for (std::size_t i = 0; i < text.size();) {
        std::size_t end = i;
        while (end < text.size() && !is_lower_alphanumeric(text[end])) {
            ++end;
        }
        const std::string_view separator = text.substr(i, end - i);
        if (!separator.empty() && separator != "." && separator != "_" && separator != "__" &&
            separator.find_first_not_of('-') != std::string_view::npos) {
            return false;
        }
        i = end == i ? i + 1 : end;
    }
    return true;
}

/// host or host:port, or [IPv6]:port.
[[nodiscard]] constexpr bool is_host(std::string_view text) noexcept {
    std::string_view name = text;
    if (text.starts_with('[')) {
        const std::size_t close = text.find(']');
        if (close == std::string_view::npos || close < 3) {
            return false;
        }
        for (const char c : text.substr(1, close - 1)) {
            if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') ||
                  c == ':' || c == '.')) {
                return false;
            }
        }
        name = text.substr(close + 1);
        if (name.empty()) {
            return true;
        }
        if (name.front() != ':') {
            return false;
        }
    } else {
        const std::size_t colon = text.find(':');
        for (const char c : text.substr(0, colon)) {
            if (!is_lower_alphanumeric(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '-') {
                return false;
            }
        }
        if (colon == 0 || text.empty() || text.front() == '-' || text.front() == '.') {
            return false;
        }
        if (colon == std::string_view::npos) {
            return true;
        }
        name = text.substr(colon);
    }
    const std::string_view port = name.substr(1);
    if (port.empty() || port.size() > 5 ||
        port.find_first_not_of("0123456789") != std::string_view::npos) {
        return false;
    }
    unsigned value = 0;
    for (const char digit : port) {
        value = value * 10 + static_cast<unsigned>(digit - '0');
    }
    return value > 0 && value <= 65535;
}

}  // namespace detail

/// [A-Za-z0-9_][A-Za-z0-9._-]{0,127} (distribution-spec).
[[nodiscard]] constexpr bool is_tag(std::string_view text) noexcept {
    if (text.empty() || text.size() > 128 || text.front() == '.' || text.front() == '-') {
        return false;
    }
    return std::all_of(text.begin(), text.end(), [](char c) {
        return detail::is_lower_alphanumeric(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
               c == '-';
    });
}

/// Whether the reference `text` is to a directory or file of this machine.
[[nodiscard]] constexpr bool is_local_reference(std::string_view text) noexcept {
    return text.starts_with("oci:") || text.starts_with("docker-archive:");
}

/// Whether `text` is a repository name: components separated by slashes, at most 255 bytes in all.
[[nodiscard]] constexpr bool is_repository(std::string_view text) noexcept {
    if (text.empty() || text.size() > 255) {
        return false;
    }
    for (std::size_t start = 0;;) {
        const std::size_t end = std::min(text.find('/', start), text.size());
        if (!detail::is_name_component(text.substr(start, end - start))) {
            return false;
        }
        if (end == text.size()) {
            return true;
        }
        start = end + 1;
    }
}

/// "python:3.11", "registry.example:5000/team/job:tag@sha256:…", "oci:DIR[:tag][@sha256:…]",
/// "docker-archive:FILE[:NAME[:tag]][@sha256:…]" or "scratch". Throws Error{input} that names the
/// text and the part that is wrong. A registry reference without tag and digest means the tag
/// "latest".
[[nodiscard]] inline Reference parse_reference(const std::string& text) {
    const auto refuse = [&text](std::string answer) -> Error {
        std::string shown;
        for (const char c : text.substr(0, 300)) {
            shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
        }
        return Error{ErrorCode::input,
                     {.attempted = "use image reference",
                      .subject = '"' + shown + '"',
                      .answer = std::move(answer),
                      .advice = "write HOST[:PORT]/NAME[:TAG][@sha256:…], oci:DIR, "
                                "docker-archive:FILE or scratch"}};
    };
    Reference result;
    if (text == "scratch") {
        result.kind = ReferenceKind::scratch;
        return result;
    }
    std::string rest = text;
    if (const std::size_t at = rest.rfind('@'); at != std::string::npos) {
        result.digest = rest.substr(at + 1);
        if (!is_digest(result.digest)) {
            throw refuse("what follows the @ is not a sha256 digest");
        }
        rest.resize(at);
    }
    constexpr std::string_view archive = "docker-archive:";
    if (rest.starts_with(archive)) {
        rest.erase(0, archive.size());
        const std::size_t end = std::min(rest.find(':'), rest.size());
        result.kind = ReferenceKind::archive;
        result.repository = rest.substr(0, end);
        result.tag = rest.substr(std::min(end + 1, rest.size()));
        if (result.repository.empty() || result.repository.find('\0') != std::string::npos) {
            throw refuse("no file after docker-archive:");
        }
        if (!result.tag.empty() && !is_tag(result.tag)) {
            static_cast<void>(parse_reference(result.tag));  // "team/job:v1" is as good as "v1"
        }
        return result;
    }
    const std::size_t slash = rest.rfind('/');
    const std::size_t colon = rest.rfind(':');
    constexpr std::string_view layout = "oci:";
    const bool is_layout = rest.starts_with(layout);
    if (colon != std::string::npos && (slash == std::string::npos || colon > slash) &&
        (!is_layout || colon >= layout.size())) {
        result.tag = rest.substr(colon + 1);
        if (!is_tag(result.tag)) {
            throw refuse("the tag is not of the form [A-Za-z0-9_][A-Za-z0-9._-]*");
        }
        rest.resize(colon);
    }
    if (is_layout) {
        result.kind = ReferenceKind::layout;
        result.repository = rest.substr(layout.size());
        if (result.repository.empty() || result.repository.find('\0') != std::string::npos) {
            throw refuse("no directory after oci:");
        }
        return result;
    }
    const std::size_t first = rest.find('/');
    const std::string head = rest.substr(0, first);
    const bool has_host = first != std::string::npos &&
                          (head.find_first_of(".:[") != std::string::npos || head == "localhost");
    result.host = has_host ? head : "docker.io";
    result.repository = has_host ? rest.substr(first + 1) : rest;
    if (!detail::is_host(result.host)) {
        throw refuse("the host is not a name or address with an optional port");
    }
    if (result.host == "docker.io" && result.repository.find('/') == std::string::npos) {
        result.repository = "library/" + result.repository;
    }
    if (!is_repository(result.repository)) {
        throw refuse("the repository is not of lower-case letters, digits and single separators");
    }
    if (result.wanted().empty()) {
        result.tag = "latest";
    }
    return result;
}

}  // namespace fairing::oci
