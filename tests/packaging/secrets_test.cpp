#include <doctest/doctest.h>

#include <fairing/packaging/secrets.hpp>

using fairing::packaging::secret_rule;

TEST_CASE("44 names that usually hold secrets") {
    CHECK(secret_rule(".git") == ".git");
    CHECK(secret_rule("a/.git/config") == ".git");
    CHECK(secret_rule(".env") == ".env*");
    CHECK(secret_rule("x/.env.production") == ".env*");
    CHECK(secret_rule(".aws/credentials") == ".aws");
    CHECK(secret_rule("/home/me/.ssh/known_hosts") == ".ssh");
    CHECK(secret_rule(".kube/config") == ".kube");
    CHECK(secret_rule(".docker/config.json") == ".docker/config.json");
    CHECK(secret_rule("a/server.pem") == "*.pem");
    CHECK(secret_rule("id_rsa") == "id_*");
    CHECK(secret_rule("id_ed25519_work.bak") == "id_*");
    CHECK(secret_rule("keys/id_of_mine") == "id_*");
    CHECK(secret_rule(".netrc") == ".netrc");
    CHECK(secret_rule("gcp/application_default_credentials.json") ==
          "application_default_credentials.json");
}

TEST_CASE("44 names that only look like that") {
    for (const char* path :
         {"train.py", "id_rsa.pub", "id_mine.pub", "id_mapping.csv", ".gitignore", "environment",
          "config.json", ".docker/buildx", "pem", "docker/config.json", "", "git/x"}) {
        CAPTURE(path);
        CHECK_FALSE(secret_rule(path));
    }
}
