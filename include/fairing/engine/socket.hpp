// fairing/engine/socket.hpp - where a container engine of this machine listens (Docker and Podman).
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../core/env.hpp"
#include "../core/error.hpp"

namespace fairing::engine {

/// The places to look, in order: $DOCKER_HOST alone when it is set, else Docker's and Podman's own.
/// Throws Error{unsupported} for a DOCKER_HOST that is no Unix socket.
[[nodiscard]] inline std::vector<std::filesystem::path> socket_candidates() {
    if (const std::string host = env("DOCKER_HOST", ""); !host.empty()) {
        constexpr std::string_view scheme = "unix://";
        if (!host.starts_with(scheme)) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "use the container engine of",
                         .subject = "DOCKER_HOST",
                         .answer = "it is not of the form unix:///PATH",
                         .advice = "unset it, or name a Unix socket"}};
        }
        return {host.substr(scheme.size())};
    }
    std::vector<std::filesystem::path> places{"/var/run/docker.sock"};
    const std::filesystem::path own = env("XDG_RUNTIME_DIR", "");
    if (!own.empty()) {
        places.push_back(own / "docker.sock");
    }
    places.emplace_back("/run/podman/podman.sock");
    if (!own.empty()) {
        places.push_back(own / "podman/podman.sock");
    }
    return places;
}

/// The first candidate that is a socket which we may use.
[[nodiscard]] inline std::optional<std::filesystem::path> find_socket() {
    for (std::filesystem::path& place : socket_candidates()) {
        struct stat status {};
        if (::stat(place.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) &&
            ::access(place.c_str(), R_OK | W_OK) == 0) {
            return std::move(place);
        }
    }
    return std::nullopt;
}

}  // namespace fairing::engine
