// tests/support/token_server.hpp - the token server of a registry (distribution "Token
// Authentication Specification"), for user "me" with password "s3cret" or the identity token
// "1dentity".
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "fairing/codec/base64.hpp"
#include "fairing/core/files.hpp"
#include "fairing/core/json.hpp"
#include "fairing/net/url.hpp"
#include "http_server.hpp"

namespace support {

class TokenServer {
public:
    TokenServer() : server_([this](fairing::test::Peer& peer) { serve(peer); }) {
        const std::string script = "cd '" + directory_.path().string() +
                                   "' && openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem"
                                   " -out cert.pem -subj /CN=tokens -days 2 >/dev/null 2>&1";
        made_ = std::system(script.c_str()) == 0;
    }
    /// Whether the openssl program made its key.
    [[nodiscard]] bool made() const noexcept { return made_; }
    /// The registry's configuration.
    [[nodiscard]] std::string auth() const {
        return "auth:\n  token:\n    realm: " + server_.url("/token") +
               "\n    service: tests\n    issuer: tokens\n    rootcertbundle: " +
               (directory_.path() / "cert.pem").string() + "\n";
    }
    /// From now on tokens end after that many seconds, although they promise more. Registries take
    /// them for a minute longer.
    void set_lifetime(int seconds) { lifetime_ = seconds; }
    [[nodiscard]] std::vector<std::string> tokens() const {
        const std::lock_guard lock{mutex_};
        return tokens_;
    }
    /// The methods of the requests for them: "POST", "GET".
    [[nodiscard]] std::vector<std::string> methods() const {
        const std::lock_guard lock{mutex_};
        return methods_;
    }

private:
    static std::string base64url(const std::string& bytes) {
        std::string text = fairing::codec::base64_encode(bytes);
        std::replace(text.begin(), text.end(), '+', '-');
        std::replace(text.begin(), text.end(), '/', '_');
        return text.substr(0, text.find('='));
    }
    /// The values of `name` in "a=b&name=c".
    static std::vector<std::string> values(std::string_view query, const std::string& name) {
        std::vector<std::string> found;
        while (!query.empty()) {
            const std::string_view one = query.substr(0, query.find('&'));
            query.remove_prefix(std::min(one.size() + 1, query.size()));
            if (one.starts_with(name + '=')) {
                found.push_back(
                    fairing::net::detail::percent_decode(one.substr(name.size() + 1), "the query"));
            }
        }
        return found;
    }
    void serve(fairing::test::Peer& peer) {
        for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
            const bool post = head.starts_with("POST ");
            std::string query;
            bool known = false;
            if (post) {
                const std::size_t length = head.find("Content-Length: ") + 16;
                query = peer.body(std::strtoul(head.c_str() + length, nullptr, 10));
                known = values(query, "refresh_token") == std::vector<std::string>{"1dentity"};
            } else {
                const std::string target = head.substr(0, head.find(" HTTP/"));
                query = target.substr(std::min(target.find('?'), target.size() - 1) + 1);
                known =
                    head.find("Authorization: Basic " + fairing::codec::base64_encode("me:s3cret") +
                              "\r\n") != std::string::npos;
            }
            const std::string token = known ? make(query) : "";
            {
                const std::lock_guard lock{mutex_};
                methods_.emplace_back(post ? "POST" : "GET");
                if (known) {
                    tokens_.push_back(token);
                }
            }
            if (!known) {
                peer.answer("401 Unauthorized", R"({"details":"incorrect username or password"})");
            } else {
                const fairing::Json answer = {{post ? "access_token" : "token", token},
                                              {"expires_in", 3600}};
                peer.answer("200 OK", answer.dump());
            }
        }
    }
    /// A token for every scope that is asked for, signed by our key (RFC 7519).
    [[nodiscard]] std::string make(const std::string& query) const {
        fairing::Json access = fairing::Json::array();
        for (const std::string& scopes : values(query, "scope")) {
            for (std::string_view rest = scopes; !rest.empty();) {
                const std::string_view scope = rest.substr(0, rest.find(' '));
                rest.remove_prefix(std::min(scope.size() + 1, rest.size()));
                const std::size_t first = scope.find(':'), last = scope.rfind(':');
                fairing::Json actions = fairing::Json::array();
                for (std::string_view names = scope.substr(last + 1); !names.empty();) {
                    const std::string_view name = names.substr(0, names.find(','));
                    names.remove_prefix(std::min(name.size() + 1, names.size()));
                    actions.push_back(name);
                }
                access.push_back({{"type", scope.substr(0, first)},
                                  {"name", scope.substr(first + 1, last - first - 1)},
                                  {"actions", actions}});
            }
        }
        const auto now = static_cast<std::int64_t>(std::time(nullptr));
        const fairing::Json claims = {{"iss", "tokens"},  {"sub", "me"},
                                      {"aud", "tests"},   {"iat", now - 300},
                                      {"nbf", now - 300}, {"exp", now + lifetime_},
                                      {"jti", "1"},       {"access", access}};
        std::string certificate = fairing::read_file(directory_.path() / "cert.pem");
        certificate = certificate.substr(certificate.find('\n') + 1);
        certificate = certificate.substr(0, certificate.find("-----END"));
        std::erase(certificate, '\n');
        const fairing::Json head = {
            {"typ", "JWT"}, {"alg", "RS256"}, {"x5c", fairing::Json::array({certificate})}};
        const std::string text = base64url(head.dump()) + '.' + base64url(claims.dump());
        return text + '.' + base64url(sign(text));
    }
    [[nodiscard]] std::string sign(const std::string& text) const {
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file{
            std::fopen((directory_.path() / "key.pem").c_str(), "r"), &std::fclose};
        const std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> key{
            ::PEM_read_PrivateKey(file.get(), nullptr, nullptr, nullptr), &::EVP_PKEY_free};
        const std::unique_ptr<EVP_MD_CTX, decltype(&::EVP_MD_CTX_free)> context{::EVP_MD_CTX_new(),
                                                                                &::EVP_MD_CTX_free};
        const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
        std::size_t size = 512;
        std::string signature(size, '\0');
        ::EVP_DigestSignInit(context.get(), nullptr, ::EVP_sha256(), nullptr, key.get());
        ::EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                         bytes, text.size());
        signature.resize(size);
        return signature;
    }

    fairing::TemporaryDirectory directory_ = fairing::TemporaryDirectory{};
    bool made_ = false;
    std::atomic<int> lifetime_ = 3600;
    mutable std::mutex mutex_;
    std::vector<std::string> tokens_ = {}, methods_ = {};
    fairing::test::HttpServer server_;
};

}  // namespace support
