#include "fairing/engine/socket.hpp"

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "fairing/core/files.hpp"

using namespace fairing;

namespace {

/// Sets a variable for a scope.
class Variable {
public:
    Variable(const char* name, const std::string& value) : name_(name), before_(env(name)) {
        ::setenv(name, value.c_str(), 1);
    }
    Variable(Variable&&) = delete;
    Variable& operator=(Variable&&) = delete;
    ~Variable() {
        if (before_) {
            ::setenv(name_, before_->c_str(), 1);
        } else {
            ::unsetenv(name_);
        }
    }

private:
    const char* name_;
    std::optional<std::string> before_;
};

}  // namespace

TEST_CASE(
    "DOCKER_HOST decides alone; without it Docker comes before Podman, the machine's before the "
    "user's") {
    const Variable runtime{"XDG_RUNTIME_DIR", "/run/user/7"};
    {
        const Variable host{"DOCKER_HOST", "unix:///my/engine.sock"};
        CHECK(engine::socket_candidates() == std::vector<std::filesystem::path>{"/my/engine.sock"});
    }
    {
        const Variable host{"DOCKER_HOST", "tcp://10.0.0.1:2375"};
        CHECK_THROWS_WITH_AS(static_cast<void>(engine::socket_candidates()),
                             doctest::Contains("DOCKER_HOST"), Error);
    }
    const Variable host{"DOCKER_HOST", ""};
    CHECK(engine::socket_candidates() ==
          std::vector<std::filesystem::path>{"/var/run/docker.sock", "/run/user/7/docker.sock",
                                             "/run/podman/podman.sock",
                                             "/run/user/7/podman/podman.sock"});
}

TEST_CASE("only a socket is one") {
    const TemporaryDirectory folder;
    const std::filesystem::path path = folder.path() / "e.sock";
    const Variable host{"DOCKER_HOST", "unix://" + path.string()};
    CHECK_FALSE(engine::find_socket());
    write_file(path, std::string_view{"a file"});
    CHECK_FALSE(engine::find_socket());
    std::filesystem::remove(path);
    const UniqueFd listener{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(path.string().size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, path.c_str(), path.string().size());
    REQUIRE(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
            0);
    CHECK(engine::find_socket() == path);
}
