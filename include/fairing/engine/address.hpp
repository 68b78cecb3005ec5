// fairing/engine/address.hpp - where a container engine listens: DOCKER_HOST, CONTAINER_HOST,
// Docker's contexts, and the usual sockets of Docker and Podman.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/sha256.hpp"
#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/json_text.hpp"
#include "../net/url.hpp"

namespace fairing::engine {

/// Whose engine is looked for; `any` takes Docker's before Podman's.
enum class Kind { any, docker, podman };

/// Where an engine listens, and what TLS needs there. Data, no I/O.
struct Address {
    std::string name = {};  ///< as it was named, and can be again: a path, a URL, "context:NAME"
    std::string url = {};   ///< "http+unix://%2Frun%2Fdocker.sock", "http://host:2375", "https://…"
    std::filesystem::path socket = {};  ///< empty for one that listens elsewhere
    std::string ca_file = {}, certificate_file = {}, key_file = {};  ///< PEM; empty: there is none
    bool verified = true;  ///< the peer's certificate is checked

    [[nodiscard]] static Address of_socket(const std::filesystem::path& path) {
        return {.name = path.string(),
                .url = "http+unix://" + net::percent_encode(path.string()),
                .socket = path};
    }
};

namespace detail {

[[nodiscard]] inline Error bad_address(const std::string& name, std::string answer,
                                       ErrorCode code = ErrorCode::unsupported) {
    return Error{code,
                 {.attempted = "use the container engine at",
                  .subject = net::redact_url(name),
                  .answer = std::move(answer),
                  .advice = "name its socket as /PATH or unix:///PATH, or write tcp://HOST:PORT"}};
}

/// $DOCKER_CONFIG, else ~/.docker.
[[nodiscard]] inline std::filesystem::path docker_folder() {
    const std::string given = env("DOCKER_CONFIG", "");
    return given.empty() ? std::filesystem::path{env("HOME", "/root")} / ".docker"
                         : std::filesystem::path{given};
}

/// Those of ca.pem, cert.pem and key.pem that are in `folder`.
inline void add_certificates(Address& address, const std::filesystem::path& folder) {
    const auto there = [&folder](const char* name) {
        std::error_code ignored;
        return std::filesystem::exists(folder / name, ignored) ? (folder / name).string() : "";
    };
    address.ca_file = there("ca.pem");
    address.certificate_file = there("cert.pem");
    address.key_file = there("key.pem");
}

/// `name` is a path, unix:///PATH, tcp://HOST[:PORT], http:// or https://. With `certificates`,
/// tcp means TLS.
[[nodiscard]] inline Address parse_address(const std::string& name,
                                           const std::filesystem::path& certificates) {
    constexpr std::string_view unix_scheme = "unix://";
    if (name.starts_with('/')) {
        return Address::of_socket(name);
    }
    if (name.starts_with(unix_scheme)) {
        const std::string path = name.substr(unix_scheme.size());
        if (!path.starts_with('/')) {
            throw bad_address(name, "a socket's path begins with /", ErrorCode::usage);
        }
        return Address::of_socket(path);
    }
    const std::size_t colons = name.find("://");
    const std::string scheme = name.substr(0, std::min(colons, name.size()));
    if (colons == std::string::npos ||
        (scheme != "tcp" && scheme != "http" && scheme != "https")) {
        throw bad_address(name, scheme == "ssh" ? "ssh is not spoken; forward its socket with "
                                                  "ssh -L /tmp/engine.sock:/run/docker.sock"
                                                : "it is neither a socket nor tcp");
    }
    const bool tls = scheme == "https" || (scheme == "tcp" && !certificates.empty());
    std::string rest = name.substr(colons + 3);
    while (rest.ends_with('/')) {
        rest.pop_back();
    }
    const bool has_port = rest.find(':', rest.rfind(']') == rest.npos ? 0 : rest.rfind(']')) !=
                          std::string::npos;
    if (!has_port && scheme == "tcp") {
        rest += tls ? ":2376" : ":2375";
    }
    Address address{.name = name, .url = (tls ? "https://" : "http://") + rest};
    const net::Url url = net::parse_url(address.url);
    if (url.target != "/") {
        throw bad_address(name, "it has a path", ErrorCode::usage);
    }
    if (tls && !certificates.empty()) {
        add_certificates(address, certificates);
    }
    return address;
}

/// Where the certificates of DOCKER_HOST are; empty: it does not speak TLS. Unlike Docker's own
/// client, this one checks the engine's certificate in any case.
[[nodiscard]] inline std::filesystem::path certificate_folder() {
    const std::string folder = env("DOCKER_CERT_PATH", "");
    return !folder.empty()                        ? std::filesystem::path{folder}
           : env("DOCKER_TLS_VERIFY", "").empty() ? std::filesystem::path{}
                                                  : docker_folder();
}

/// A context of Docker's: its meta.json and its certificates lie under the SHA-256 of its name.
[[nodiscard]] inline Address docker_context(const std::string& name) {
    const std::string id = codec::sha256_hex(name);
    const std::filesystem::path contexts = docker_folder() / "contexts";
    const std::filesystem::path file = contexts / "meta" / id / "meta.json";
    const std::string shown = "context:" + name;
    std::error_code ignored;
    if (!std::filesystem::exists(file, ignored)) {
        throw Error{ErrorCode::not_found,
                    {.attempted = "use Docker's context",
                     .subject = '"' + name + '"',
                     .answer = "there is no " + file.string(),
                     .advice = "see docker context ls"}};
    }
    const Json document = parse_json(read_file(file, std::size_t{1} << 20), file.string());
    const Json endpoints = document.is_object() ? document.value("Endpoints", Json()) : Json();
    const Json endpoint = endpoints.is_object() ? endpoints.value("docker", Json()) : Json();
    const std::string host = text_or(endpoint, "Host");
    if (host.empty()) {
        throw bad_address(shown, file.string() + " names no host", ErrorCode::input);
    }
    const std::filesystem::path certificates = contexts / "tls" / id / "docker";
    const bool tls = std::filesystem::exists(certificates, ignored);
    Address address = parse_address(host, tls ? certificates : std::filesystem::path{});
    address.name = shown;
    address.verified = endpoint.value("SkipTLSVerify", Json()) != Json(true);
    return address;
}

/// The context that is chosen: $DOCKER_CONTEXT, else what `docker context use` wrote; empty: none.
[[nodiscard]] inline std::string current_context() {
    std::string name = env("DOCKER_CONTEXT", "");
    const std::filesystem::path file = docker_folder() / "config.json";
    std::error_code ignored;
    if (name.empty() && std::filesystem::exists(file, ignored)) {
        name = text_or(parse_json(read_file(file, std::size_t{1} << 20), file.string()),
                       "currentContext");
    }
    return name == "default" ? "" : name;
}

/// What the environment or Docker's configuration names.
[[nodiscard]] inline std::optional<Address> chosen_address(Kind kind) {
    if (kind != Kind::podman) {
        if (const std::string host = env("DOCKER_HOST", ""); !host.empty()) {
            return parse_address(host, certificate_folder());
        }
        if (const std::string name = current_context(); !name.empty()) {
            return docker_context(name);
        }
    }
    const std::string host = env("CONTAINER_HOST", "");
    return kind != Kind::docker && !host.empty() ? std::optional{parse_address(host, {})}
                                                 : std::nullopt;
}

}  // namespace detail

/// The sockets to look for when nothing names one, in order; the machine's before the user's.
[[nodiscard]] inline std::vector<std::filesystem::path> usual_sockets(Kind kind = Kind::any) {
    std::filesystem::path own = env("XDG_RUNTIME_DIR", "");
    if (own.empty() && ::geteuid() != 0) {
        own = "/run/user/" + std::to_string(::geteuid());
    }
    std::vector<std::filesystem::path> places;
    const auto add = [&](const char* machine, const char* user) {
        places.emplace_back(machine);
        if (!own.empty()) {
            places.push_back(own / user);
        }
    };
    if (kind != Kind::podman) {
        add("/var/run/docker.sock", "docker.sock");
    }
    if (kind != Kind::docker) {
        add("/run/podman/podman.sock", "podman/podman.sock");
    }
    return places;
}

/// Whether a socket lies there that we may use; of one elsewhere only its answer can tell.
[[nodiscard]] inline bool is_there(const Address& address) {
    struct stat status {};
    return address.socket.empty() ||
           (::stat(address.socket.c_str(), &status) == 0 && S_ISSOCK(status.st_mode) &&
            ::access(address.socket.c_str(), R_OK | W_OK) == 0);
}

/// `given` (a path, unix:///PATH, tcp://HOST:PORT, context:NAME) when it is not empty; else what
/// DOCKER_HOST, Docker's context or CONTAINER_HOST name; else the first of the usual sockets that
/// we may use. Whether anybody listens there is another question.
[[nodiscard]] inline std::optional<Address> find(const std::string& given = {},
                                                 Kind kind = Kind::any) {
    constexpr std::string_view context = "context:";
    if (given.starts_with(context)) {
        return detail::docker_context(given.substr(context.size()));
    }
    if (!given.empty()) {
        return detail::parse_address(given, detail::certificate_folder());
    }
    if (auto chosen = detail::chosen_address(kind)) {
        return chosen;
    }
    for (const std::filesystem::path& place : usual_sockets(kind)) {
        if (Address address = Address::of_socket(place); is_there(address)) {
            return address;
        }
    }
    return std::nullopt;
}

/// "/var/run/docker.sock, /run/podman/podman.sock": where find() looked in vain.
[[nodiscard]] inline std::string places_looked_at(Kind kind = Kind::any) {
    std::string places;
    for (const std::filesystem::path& place : usual_sockets(kind)) {
        places += (places.empty() ? "" : ", ") + place.string();
    }
    return places;
}

/// The same, or Error{unavailable} that names the sockets that are not there.
[[nodiscard]] inline Address require(const std::string& given, Kind kind,
                                     const std::string& attempted) {
    if (auto found = find(given, kind)) {
        return *std::move(found);
    }
    const bool podman = kind == Kind::podman;
    throw Error{
        ErrorCode::unavailable,
        {.attempted = attempted,
         .answer = "no container engine listens at " + places_looked_at(kind),
         .advice = (podman ? "start it with podman system service --time=0, or name its socket "
                             "with --engine or CONTAINER_HOST"
                           : "start Docker or Podman, or name its socket with --engine or "
                             "DOCKER_HOST")}};
}

}  // namespace fairing::engine
