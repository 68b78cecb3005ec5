// tests/support/memory_registry.hpp - a registry in memory, as a transport (OCI distribution-spec):
// what the tests of whole pushes and pulls talk to. It refuses manifests whose parts it has not
// got.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fairing/core/json_text.hpp"
#include "fairing/net/message.hpp"
#include "fairing/net/url.hpp"
#include "fairing/oci/referrers.hpp"

namespace support {

/// Models Transport; lend it with std::ref. Thread-safe. Hosts do not matter: it answers for all.
class MemoryRegistry {
public:
    using Response = fairing::net::Response;
    struct Repository {
        std::map<std::string, std::string> blobs = {};
        std::map<std::string, fairing::oci::RawManifest> manifests = {};  ///< by digest and by tag
    };

    bool has_referrers_api = true;
    std::size_t page_size = 1000;  ///< of lists, whatever a client asks for
    /// Collected as garbage just before the next manifest comes.
    std::set<std::string> lost = {};
    std::map<std::string, Repository> repositories = {};
    std::vector<std::string> requests = {};  ///< "PUT /v2/team/job/manifests/v1"

    Response send(const fairing::net::Request& request, const fairing::net::BodySink& sink,
                  const std::stop_token& /*stop*/) {
        std::string body;
        if (request.body.write) {
            request.body.write([&body](std::span<const std::byte> bytes) {
                body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            });
        }
        Response response;
        {
            const std::lock_guard lock{mutex_};
            response = answer(request, std::move(body));
        }
        if (sink && response.status == 200) {
            sink(std::as_bytes(std::span{response.body}));
            response.body.clear();
        }
        return response;
    }
    [[nodiscard]] std::size_t count(const std::string& begin) const {
        return static_cast<std::size_t>(
            std::count_if(requests.begin(), requests.end(),
                          [&begin](const std::string& each) { return each.starts_with(begin); }));
    }

private:
    using Json = fairing::Json;

    static Response refused(int status, const std::string& code, const std::string& detail = {}) {
        return {
            .status = status,
            .body = Json{{"errors", {{{"code", code}, {"detail", {{"digest", detail}}}}}}}.dump()};
    }
    /// The value of a parameter in a query; "" when there is none.
    static std::string parameter(const std::string& query, const std::string& name) {
        const std::size_t at = ('&' + query).find('&' + name + '=');
        if (at == std::string::npos) {
            return {};
        }
        const std::string value = query.substr(at + name.size() + 1);
        return fairing::net::detail::percent_decode(value.substr(0, value.find('&')), query);
    }

    Response answer(const fairing::net::Request& request, std::string body) {
        const std::string url = request.url;
        const std::string target = url.substr(url.find('/', url.find("//") + 2));
        requests.push_back(request.method + ' ' + target);
        const std::string path = target.substr(0, target.find('?'));
        const std::string query =
            path.size() < target.size() ? target.substr(path.size() + 1) : std::string{};
        for (const char* part :
             {"/blobs/uploads/", "/blobs/", "/manifests/", "/tags/list", "/referrers/"}) {
            const std::size_t at = path.find(part);
            if (at == std::string::npos || at < 4) {
                continue;
            }
            const std::string kind = part;
            const std::string repository = path.substr(4, at - 4);
            const std::string name = path.substr(at + kind.size());
            if (kind == "/blobs/uploads/") {
                return upload(request.method, repository, path, query, std::move(body));
            }
            if (kind == "/manifests/" && request.method == "PUT") {
                return put_manifest(repositories[repository], name,
                                    fairing::net::header(request.headers, "Content-Type"), body);
            }
            const auto found = repositories.find(repository);
            if (found == repositories.end()) {
                return refused(404, "NAME_UNKNOWN");
            }
            return read(request.method, found->second, kind, name, query, path);
        }
        return {.status = path == "/v2/" ? 200 : 404};
    }

    Response upload(const std::string& method, const std::string& repository,
                    const std::string& path, const std::string& query, std::string body) {
        Repository& target = repositories[repository];
        if (method == "POST") {
            const std::string digest = parameter(query, "mount");
            const Repository& from = repositories[parameter(query, "from")];
            if (!digest.empty() && from.blobs.contains(digest)) {
                target.blobs[digest] = from.blobs.at(digest);
                return {.status = 201};
            }
            return {.status = 202,
                    .headers = {{"Location", "/v2/" + repository + "/blobs/uploads/" +
                                                 std::to_string(++uploads_)}}};
        }
        std::string& bytes = begun_[path];
        bytes += body;
        if (method == "PATCH") {
            return {.status = 202, .headers = {{"Location", path}}};
        }
        const std::string digest = parameter(query, "digest");
        if (fairing::oci::digest_of(bytes) != digest) {
            return refused(400, "DIGEST_INVALID");
        }
        target.blobs[digest] = std::move(bytes);
        return {.status = 201};
    }

    Response put_manifest(Repository& target, const std::string& name, const std::string& type,
                          const std::string& body) {
        for (const std::string& digest : std::exchange(lost, {})) {
            target.blobs.erase(digest);
        }
        const Json document = fairing::parse_json(body, "a manifest");
        for (const Json& child : document.value("manifests", Json::array())) {
            if (!target.manifests.contains(child.at("digest").get<std::string>())) {
                return refused(400, "MANIFEST_UNKNOWN");
            }
        }
        Json parts = document.value("layers", Json::array());
        if (document.contains("config")) {
            parts.push_back(document["config"]);
        }
        for (const Json& part : parts) {
            const std::string digest = part.at("digest").get<std::string>();
            if (!target.blobs.contains(digest) && !part.contains("urls")) {
                return refused(400, "MANIFEST_BLOB_UNKNOWN", digest);
            }
        }
        const fairing::oci::RawManifest manifest{.media_type = type, .body = body};
        target.manifests[name] = manifest;
        target.manifests[fairing::oci::digest_of(body)] = manifest;
        return {.status = 201};
    }

    Response read(const std::string& method, const Repository& from, const std::string& kind,
                  const std::string& name, const std::string& query, const std::string& path) {
        if (kind == "/manifests/" && from.manifests.contains(name)) {
            const fairing::oci::RawManifest& manifest = from.manifests.at(name);
            return {.status = 200,
                    .headers = {{"Content-Type", manifest.media_type},
                                {"Docker-Content-Digest", manifest.descriptor().digest}},
                    .body = method == "HEAD" ? "" : manifest.body};
        }
        if (kind == "/blobs/" && from.blobs.contains(name)) {
            return {.status = 200, .body = method == "HEAD" ? "" : from.blobs.at(name)};
        }
        Json list = Json::array();
        if (kind == "/tags/list") {
            for (const auto& [tag, manifest] : from.manifests) {
                if (!fairing::oci::is_digest(tag)) {
                    list.push_back(tag);
                }
            }
            return page(list, "tags", "application/json", query, path);
        }
        if (kind == "/referrers/" && has_referrers_api) {
            for (const auto& [digest, manifest] : from.manifests) {
                if (fairing::oci::is_digest(digest) && fairing::oci::subject_of(manifest) == name) {
                    list.push_back(fairing::oci::referrer_descriptor(manifest));
                }
            }
            return page(list, "manifests", std::string{fairing::oci::media_type::index}, query,
                        path);
        }
        return refused(404, "UNKNOWN");
    }
    Response page(const Json& list, const char* member, const std::string& type,
                  const std::string& query, const std::string& path) const {
        const std::string last = parameter(query, "last");
        const std::size_t begin = last.empty() ? 0 : std::stoul(last);
        const std::size_t end = std::min(list.size(), begin + page_size);
        Response response{.status = 200, .headers = {{"Content-Type", type}}};
        Json part = Json::array();
        for (std::size_t i = begin; i < end; ++i) {
            part.push_back(list[i]);
        }
        response.body = Json{{member, std::move(part)}}.dump();
        if (end < list.size()) {
            response.headers.emplace(
                "Link", '<' + path + "?last=" + std::to_string(end) + ">; rel=\"next\"");
        }
        return response;
    }

    std::mutex mutex_ = {};
    int uploads_ = 0;
    std::map<std::string, std::string> begun_ = {};
};

}  // namespace support
