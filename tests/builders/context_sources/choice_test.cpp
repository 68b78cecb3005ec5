#include "fairing/builders/context_sources/choice.hpp"

#include <doctest/doctest.h>

#include "../../support/context_site.hpp"

using namespace fairing;

TEST_CASE("every option belongs to some of the sources") {
    const auto refusal = [](const ContextSourceOptions& options) {
        return support::error_of([&options] { detail::check_context_source(options); });
    };
    using enum ContextStore;
    CHECK(refusal({}).empty());
    CHECK(refusal({.image = "r.example/box:1"}).empty());
    CHECK(refusal({.name = minio, .bucket = "b", .endpoint = "http://minio:9000"}).empty());
    CHECK(refusal({.name = azure_files, .account = "a", .container = "share"}).empty());
    CHECK(support::contains(refusal({.name = gcs, .region = "r"}), "it belongs to s3, minio, cos"));
    CHECK(support::contains(refusal({.name = s3, .image = "x"}), "it belongs to registry"));
    CHECK(support::contains(refusal({.name = minio}), "--context-endpoint"));
    CHECK_FALSE(refusal({.image = "a b"}).empty());
}

TEST_CASE("a source by its name: what is given replaces its defaults") {
    support::ContextSite site;
    site.put("Secret", "cos", {{"cos_credentials", codec::base64_encode("not JSON")}});
    const cloud::Connection connection = site.connection();
    const kube::Client client = site.client();
    const ContextUpload upload{site.archive, site.hash, connection, &client, "team"};
    const std::string said = support::error_of([&] {
        static_cast<void>(
            detail::upload_to_store({.name = ContextStore::cos, .secret = "cos"}, upload));
    });
    CHECK(support::contains(said, "secret cos"));
    CHECK_THROWS_AS(static_cast<void>(detail::upload_to_store({}, upload)), Error);
}
