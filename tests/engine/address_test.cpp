#include "fairing/engine/address.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <map>

#include "../support/variables.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using engine::Address;
using engine::Kind;

namespace {

/// All that the search looks at are gone, but for these.
struct Variables : support::Variables {
    explicit Variables(std::map<std::string, std::string> values)
        : support::Variables(among_all(std::move(values))) {}

private:
    static std::map<std::string, std::string> among_all(std::map<std::string, std::string> values) {
        for (const char* name :
             {"DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH",
              "DOCKER_TLS_VERIFY", "CONTAINER_HOST", "XDG_RUNTIME_DIR", "HOME"}) {
            values.try_emplace(name);
        }
        return values;
    }
};

std::string url_of(const std::string& given, Kind kind = Kind::any) {
    const auto found = engine::find(given, kind);
    return found ? found->url : "";
}

}  // namespace

TEST_CASE("a path, unix, tcp and https are addresses; what is none says what would be one") {
    const Variables none{{}};
    CHECK(url_of("/run/e.sock") == "http+unix://%2Frun%2Fe.sock");
    CHECK(url_of("unix:///run/e.sock") == "http+unix://%2Frun%2Fe.sock");
    CHECK(engine::find("unix:///run/e.sock")->socket == "/run/e.sock");
    CHECK(url_of("tcp://build.example") == "http://build.example:2375");
    CHECK(url_of("tcp://build.example:99/") == "http://build.example:99");
    CHECK(url_of("tcp://[::1]") == "http://[::1]:2375");
    CHECK(url_of("https://build.example:99") == "https://build.example:99");
    CHECK(engine::find("tcp://build.example")->socket.empty());
    for (const char* wrong : {"ssh://me@build.example", "npipe:////./pipe/x", "relative/e.sock",
                              "unix://relative", "tcp://a/b", "tcp://", "fd://", "tcp://-x:y"}) {
        CAPTURE(wrong);
        CHECK_THROWS_AS(static_cast<void>(engine::find(wrong)), Error);
    }
    CHECK(support::contains(support::error_of([] { (void)engine::find("ssh://me@host"); }),
                            "ssh -L"));
    CHECK(support::contains(support::error_of([] { (void)engine::find("dockerd"); }),
                            "unix:///PATH"));
}

TEST_CASE("DOCKER_HOST is Docker's, CONTAINER_HOST is Podman's, and what is given comes first") {
    const Variables both{{{"DOCKER_HOST", "unix:///d.sock"}, {"CONTAINER_HOST", "unix:///p.sock"}}};
    CHECK(engine::find()->name == "/d.sock");
    CHECK(engine::find({}, Kind::docker)->name == "/d.sock");
    CHECK(engine::find({}, Kind::podman)->name == "/p.sock");
    CHECK(engine::find("/given.sock", Kind::podman)->name == "/given.sock");
    const Variables podman{{{"CONTAINER_HOST", "unix:///p.sock"}}};
    CHECK(engine::find()->name == "/p.sock");
}

TEST_CASE("DOCKER_CERT_PATH and DOCKER_TLS_VERIFY make tcp speak TLS") {
    const support::Workspace space;
    space.file("ca.pem");
    space.file("cert.pem");
    space.file("key.pem");
    {
        const Variables set{
            {{"DOCKER_HOST", "tcp://build.example"}, {"DOCKER_CERT_PATH", space.path().string()}}};
        const Address address = *engine::find();
        CHECK(address.url == "https://build.example:2376");
        CHECK(address.ca_file == space / "ca.pem");
        CHECK(address.certificate_file == space / "cert.pem");
        CHECK(address.key_file == space / "key.pem");
        CHECK(address.verified);
    }
    const Variables set{{{"DOCKER_HOST", "tcp://build.example:9"},
                         {"DOCKER_TLS_VERIFY", "1"},
                         {"DOCKER_CONFIG", "/nowhere"}}};
    CHECK(engine::find()->url == "https://build.example:9");
    CHECK(engine::find()->ca_file.empty());
}

TEST_CASE("a context of Docker's, by its name, by DOCKER_CONTEXT and by docker context use") {
    const support::Workspace space;
    const auto add = [&](const std::string& name, const std::string& meta) {
        space.file("contexts/meta/" + codec::sha256_hex(name) + "/meta.json", meta);
    };
    add("far", R"({"Name":"far","Endpoints":{"docker":{"Host":"tcp://far.example:1"}}})");
    add("near", R"({"Endpoints":{"docker":{"Host":"unix:///near.sock","SkipTLSVerify":true}}})");
    add("empty", R"({"Endpoints":{}})");
    space.file("contexts/tls/" + codec::sha256_hex(std::string_view{"far"}) + "/docker/ca.pem");
    const std::string folder = space.path().string();
    {
        const Variables set{{{"DOCKER_CONFIG", folder}, {"DOCKER_CONTEXT", "far"}}};
        const Address address = *engine::find();
        CHECK(address.name == "context:far");
        CHECK(address.url == "https://far.example:1");
        CHECK(support::contains(address.ca_file, "/docker/ca.pem"));
        CHECK(address.certificate_file.empty());
        CHECK(address.verified);
        CHECK(engine::find("context:far")->url == address.url);
        CHECK_FALSE(engine::find("context:near")->verified);
        CHECK(engine::find("context:near")->socket == "/near.sock");
        CHECK_THROWS_WITH_AS(static_cast<void>(engine::find("context:gone")),
                             doctest::Contains("docker context ls"), Error);
        CHECK_THROWS_WITH_AS(static_cast<void>(engine::find("context:empty")),
                             doctest::Contains("names no host"), Error);
    }
    space.file("config.json", R"({"currentContext":"near"})");
    const Variables set{{{"DOCKER_CONFIG", folder}}};
    CHECK(engine::find()->name == "context:near");
    const Variables host{{{"DOCKER_CONFIG", folder}, {"DOCKER_HOST", "unix:///d.sock"}}};
    CHECK(engine::find()->name == "/d.sock");
}

TEST_CASE("without a name Docker comes before Podman, the machine's socket before the user's") {
    const Variables set{{{"XDG_RUNTIME_DIR", "/run/user/7"}}};
    using Paths = std::vector<std::filesystem::path>;
    CHECK(engine::usual_sockets() == Paths{"/var/run/docker.sock", "/run/user/7/docker.sock",
                                           "/run/podman/podman.sock",
                                           "/run/user/7/podman/podman.sock"});
    CHECK(engine::usual_sockets(Kind::podman) ==
          Paths{"/run/podman/podman.sock", "/run/user/7/podman/podman.sock"});
}

TEST_CASE("row 60: only a socket is one, and those that are missing are named") {
    const support::Workspace space;
    const Variables set{{{"XDG_RUNTIME_DIR", space.path().string()}}};
    const std::filesystem::path path = space / "podman/podman.sock";
    std::error_code ignored;
    if (std::filesystem::exists("/run/podman/podman.sock", ignored)) {
        MESSAGE("skipped: this machine has a Podman of its own");
        return;
    }
    space.file("podman/podman.sock", "a file");
    CHECK_FALSE(engine::find({}, Kind::podman));
    const std::string error = support::error_of(
        [] { static_cast<void>(engine::require({}, Kind::podman, "build an image")); });
    CHECK(support::contains(error, "/run/podman/podman.sock, " + path.string()));
    CHECK(support::contains(error, "podman system service"));
    std::filesystem::remove(path);
    const UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.string().size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.string().size());
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    CHECK(engine::find({}, Kind::podman)->socket == path);
    CHECK(engine::require({}, Kind::podman, "build an image").socket == path);
}
