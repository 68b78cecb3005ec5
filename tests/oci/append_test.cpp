#include "fairing/oci/append.hpp"

#include <doctest/doctest.h>

using namespace fairing;

namespace {

oci::Image base() {
    oci::Image image = oci::scratch(oci::parse_platform("linux/amd64"));
    image.manifest["layers"].push_back(
        oci::Descriptor{.media_type = std::string{oci::media_type::layer_zstd},
                        .digest = oci::digest_of("b"),
                        .size = 1}
            .json());
    image.manifest["layers"][0]["urls"] = {"https://example/x"};
    image.manifest["x-unknown"] = {{"kept", true}};
    image.config["rootfs"]["diff_ids"].push_back(oci::digest_of("bb"));
    image.config["history"].push_back({{"created_by", "base"}});
    image.config["x-config"] = 1;
    image.config["config"] = {{"Env", {"PATH=/bin", "KEEP=1"}},
                              {"Entrypoint", {"/entry"}},
                              {"Labels", {{"a", "b"}}},
                              {"StopSignal", "SIGINT"}};
    return image;
}

const std::vector<oci::NewLayer> layers{
    {.descriptor = {.media_type = std::string{oci::media_type::layer_gzip},
                    .digest = oci::digest_of("n"),
                    .size = 9},
     .diff_id = oci::digest_of("nn"),
     .comment = "3 files"}};

const oci::Overrides overrides{.command = {"python3", "/app/t.py"},
                               .user = "0",
                               .working_directory = "/app/",
                               .environment = {{"FAIRING_RUNTIME", "1"}, {"PATH", "/usr/bin"}},
                               .base_name = "h.example/b:1",
                               .base_digest = oci::digest_of("base")};

}  // namespace

TEST_CASE("the base comes first and unchanged, unknown members survive") {
    const oci::Image image = oci::append(base(), layers, overrides);
    CHECK(image.manifest["layers"].size() == 2);
    CHECK(image.manifest["layers"][0] == base().manifest["layers"][0]);
    CHECK(image.manifest["x-unknown"]["kept"] == true);
    CHECK(image.config["x-config"] == 1);
    CHECK(image.config["rootfs"]["diff_ids"] == Json{oci::digest_of("bb"), oci::digest_of("nn")});
    CHECK(image.config["history"].size() == 2);
    CHECK(image.setting("StopSignal") == "SIGINT");
    CHECK_NOTHROW(oci::check_image(image, "x"));
}

TEST_CASE("command, user, directory and environment take the place of the base's") {
    const oci::Image image = oci::append(base(), layers, overrides);
    CHECK(image.setting("Cmd") == Json{"python3", "/app/t.py"});
    CHECK(image.setting("Entrypoint").is_null());
    CHECK(image.setting("User") == "0");
    CHECK(image.setting("WorkingDir") == "/app/");
    CHECK(image.setting("Env") == Json{"PATH=/usr/bin", "KEEP=1", "FAIRING_RUNTIME=1"});
    CHECK(image.setting("Labels")["a"] == "b");
}

TEST_CASE("our layers are counted in a label, over several appends") {
    const oci::Image once = oci::append(base(), layers, overrides);
    CHECK(oci::own_layers(base()) == 0);
    CHECK(oci::own_layers(once) == 1);
    CHECK(oci::own_layers(oci::append(once, layers, overrides)) == 2);
    oci::Image liar = once;
    liar.config["config"]["Labels"][oci::layers_label] = "99999999999999999999";
    CHECK(oci::own_layers(liar) == 0);
}

TEST_CASE(
    "the config descriptor is that of the config's bytes, and equal input gives equal bytes") {
    const oci::Image image = oci::append(base(), layers, overrides);
    CHECK(image.manifest["config"]["digest"] == oci::digest_of(image.config.dump()));
    CHECK(image.manifest["config"]["size"] == image.config.dump().size());
    CHECK(oci::serialize(image).body ==
          oci::serialize(oci::append(base(), layers, overrides)).body);
    CHECK(image.manifest["annotations"]["org.opencontainers.image.base.name"] == "h.example/b:1");
    CHECK(image.manifest["annotations"]["org.opencontainers.image.base.digest"] ==
          oci::digest_of("base"));
}

TEST_CASE("a Docker base stays Docker: types, and no annotations") {
    oci::Image docker = base();
    docker.manifest["mediaType"] = oci::media_type::docker_manifest;
    const oci::Image image = oci::append(docker, layers, overrides);
    CHECK(oci::serialize(image).media_type == oci::media_type::docker_manifest);
    CHECK(image.manifest["config"]["mediaType"] == oci::media_type::docker_config);
    CHECK(oci::layer_media_type(docker) == oci::media_type::docker_layer_gzip);
    CHECK_FALSE(image.manifest.contains("annotations"));
}

TEST_CASE("zstd layers are OCI's; a Docker base refuses them with what to do") {
    CHECK(oci::layer_media_type(base()) == oci::media_type::layer_gzip);
    CHECK(oci::layer_media_type(base(), "zstd") == oci::media_type::layer_zstd);
    oci::Image docker = base();
    docker.manifest["mediaType"] = oci::media_type::docker_manifest;
    try {
        static_cast<void>(oci::layer_media_type(docker, "zstd"));
        FAIL("accepted");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::unsupported);
        CHECK(error.details().answer.find("Docker") != std::string::npos);
        CHECK(error.details().advice.find("OCI manifest") != std::string::npos);
    }
}

TEST_CASE("row 24: a base without history gets none") {
    oci::Image old = base();
    old.config.erase("history");
    CHECK_FALSE(oci::append(old, layers, overrides).config.contains("history"));
    CHECK(oci::append(old, {}, overrides).layers().size() == 1);
}

TEST_CASE("row 46: newlines, quotes and $(…) in command and environment are kept literally") {
    const oci::Image image = oci::append(
        base(), layers,
        {.command = {"sh", "-c", "echo \"$(id)\"\n'x'"}, .environment = {{"A", "b\nc=\"$(d)\""}}});
    const Json reread = Json::parse(image.config.dump());
    CHECK(reread["config"]["Cmd"][2] == "echo \"$(id)\"\n'x'");
    CHECK(reread["config"]["Env"].back() == "A=b\nc=\"$(d)\"");
}
