// Fuzz target (libFuzzer) of what registries and their users write: references, challenges,
// Locations, credential files, manifests and indexes. The first byte chooses.
// Meson builds it as fuzz-NAME with -Dfuzz=true and clang; then, from the root of the tree:
//
//   BUILD/tests/fuzz-registry -max_len=4000 a_new_folder tests/fuzz/corpus/registry
//
// What is taken must mean the same when it is written and read again; what is not is an Error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fairing/net/address.hpp>
#include <fairing/net/exchange.hpp>
#include <fairing/net/proxy.hpp>
#include <fairing/net/validation.hpp>
#include <fairing/oci/image.hpp>
#include <fairing/oci/reference.hpp>
#include <fairing/registry/challenge.hpp>
#include <fairing/registry/chunked_upload.hpp>
#include <fairing/registry/credentials.hpp>
#include <fairing/registry/registry_error.hpp>
#include <string>
#include <string_view>

using namespace fairing;

namespace {

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

void reference(const std::string& text) {
    const oci::Reference first = oci::parse_reference(text);
    const oci::Reference again = oci::parse_reference(first.text());
    require(again.text() == first.text() && again.kind == first.kind);
    require(again.repository == first.repository && again.tag == first.tag);
    if (first.kind == oci::ReferenceKind::registry) {
        require(oci::is_repository(first.repository) && !first.host.empty());
        require(net::parse_url("https://" + first.api_host() + '/').target == "/");
    }
}

void challenge(const std::string& text) {
    const auto challenges = registry::parse_challenges({{"WWW-Authenticate", text}});
    for (const registry::Challenge& one : challenges) {
        require(net::is_token(one.scheme));
        require(one.parameters.empty() || one.token68.empty());
        std::string written = one.scheme + ' ' + one.token68;
        for (const auto& [name, value] : one.parameters) {
            written += (written.ends_with(' ') ? "" : ", ") + name + "=\"";
            for (const char c : value) {
                written += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
            }
            written += '"';
        }
        const auto again = registry::parse_challenges({{"WWW-Authenticate", written}});
        require(again.size() == 1 && again[0].parameters == one.parameters);
        require(again[0].scheme == one.scheme && again[0].token68 == one.token68);
    }
    static_cast<void>(registry::choose_challenge(challenges));
}

/// A Location, as an answer to an upload; and what else a registry says in headers.
void location(const std::string& text) {
    static_cast<void>(net::redact_url(text));
    static_cast<void>(registry::received_bytes(text));
    static_cast<void>(net::detail::part_begin(text));
    static_cast<void>(net::parse_retry_after(text, {}));
    const net::Url base = net::parse_url("https://r.example:5000/v2/a/blobs/uploads/");
    const net::Url url = net::resolve(base, text);
    require(net::parse_url(url.text()).text() == url.text());
    require(net::resolve(base, url.text()).text() == url.text());
    static_cast<void>(net::validate({.method = "PUT", .url = url.text()}));
    static_cast<void>(net::is_refused_address(url.host));
    static_cast<void>(
        net::ProxySettings{.http = Secret{"p"}, .https = Secret{"p"}, .exceptions = text}.proxy_for(
            url));
    if (!url.is_unix()) {
        require(url.port != 0 && !url.host.empty());
        require(url.target.substr(0, url.target.find('?')).find("/../") == std::string::npos);
    }
}

/// config.json; what its helper says is no part of it.
void credentials(const std::string& text) {
    const Json document = parse_json(text, "config.json");
    if (!document.is_object()) {
        return;
    }
    for (const char* host : {"r.example:5000", "docker.io"}) {
        const auto names = registry::detail::credential_names(host, "team/job");
        static_cast<void>(registry::detail::helper_for(document, names));
        const auto login = registry::detail::find_entry(document, names, "config.json");
        require(!login || !login->empty());
    }
}

void manifest(const std::string& text, const std::string& media_type) {
    const oci::RawManifest raw{.media_type = media_type, .body = text};
    oci::Image image{.manifest = oci::parse_manifest(raw, "x")};
    image.config = {{"rootfs", {{"type", "layers"}, {"diff_ids", Json::array()}}}};
    for (const oci::Descriptor& layer : image.layers()) {
        require(oci::is_digest(layer.digest));
        require(oci::Descriptor::from(layer.json(), "x").digest == layer.digest);
    }
    oci::check_image(image, "x");
}

void index(const std::string& text, const std::string& media_type) {
    const oci::RawManifest raw{.media_type = media_type, .body = text};
    const Json document = oci::parse_manifest(raw, "x");
    const oci::Platform wanted{.os = "linux", .architecture = "amd64"};
    require(oci::is_digest(oci::select(document, wanted, "x").digest));
}

/// The body of a refusal.
void refusal(const std::string& text) {
    require(registry::registry_message(text).find('\n') == std::string::npos);
    if (const auto missing = registry::missing_blobs(text)) {
        for (const std::string& digest : *missing) {
            require(oci::is_digest(digest));
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string text{reinterpret_cast<const char*>(data) + 1, size - 1};
    try {
        switch (data[0]) {
            case 'r':
                reference(text);
                break;
            case 'c':
                challenge(text);
                break;
            case 'l':
                location(text);
                break;
            case 'j':
                credentials(text);
                break;
            case 'm':
                manifest(text, std::string{oci::media_type::manifest});
                break;
            case 'd':
                manifest(text, std::string{oci::media_type::docker_manifest});
                break;
            case 'i':
                index(text, std::string{oci::media_type::index});
                break;
            case 'n':
                index(text, std::string{oci::media_type::docker_list});
                break;
            case 'e':
                refusal(text);
                break;
            default:
                break;
        }
    } catch (const Error&) {
        return 0;
    }
    return 0;
}
