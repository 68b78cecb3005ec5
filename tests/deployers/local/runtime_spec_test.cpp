#include "fairing/deployers/local/runtime_spec.hpp"

#include <doctest/doctest.h>

using namespace fairing;
using namespace fairing::local;

TEST_CASE("the environment: the image's own, ours on top, what every job has") {
    Image image;
    image.environment = {{"SEED", "1"}, {"LANG", "C"}};
    CHECK(job_environment(image, {{"LANG", "de"}, {"PATH", "/opt/bin"}}) ==
          std::map<std::string, std::string>{{"FAIRING_RUNTIME", "1"},
                                             {"LANG", "C"},
                                             {"PATH", "/opt/bin"},
                                             {"PYTHONUNBUFFERED", "1"},
                                             {"SEED", "1"}});
    CHECK(job_environment(image).at("PATH").find("/usr/bin") != std::string::npos);
}

TEST_CASE("the spec says what runs and keeps what reaches out to itself") {
    Image image;
    image.command = {"python3", "/app/train.py"};
    const Json spec = runtime_spec(image, job_environment(image));
    CHECK(spec.at("ociVersion") == "1.0.2");
    CHECK(spec.at("process").at("args") == Json::array({"python3", "/app/train.py"}));
    CHECK(spec.at("process").at("cwd") == "/app/");
    CHECK(spec.at("process").at("noNewPrivileges") == true);
    CHECK(spec.at("process").at("env")[0] == "FAIRING_RUNTIME=1");
    CHECK(spec.at("root").at("path") == "rootfs");
    std::vector<std::string> namespaces;
    for (const Json& one : spec.at("linux").at("namespaces")) {
        namespaces.push_back(one.at("type").get<std::string>());
    }
    CHECK(namespaces ==
          std::vector<std::string>{"pid", "ipc", "uts", "mount"});  // the network is the host's
    for (const char* dangerous :
         {"CAP_SYS_ADMIN", "CAP_MKNOD", "CAP_NET_ADMIN", "CAP_SYS_PTRACE", "CAP_NET_RAW"}) {
        for (const char* set : {"bounding", "effective", "permitted"}) {
            for (const Json& capability : spec.at("process").at("capabilities").at(set)) {
                CHECK(capability != dangerous);
            }
        }
    }
    CHECK(runtime_spec(image, job_environment(image)).dump() == spec.dump());
}

TEST_CASE("without root a user namespace makes root inside this user, and sysfs is the host's") {
    Image image;
    image.command = {"true"};
    const Json spec = runtime_spec(image, {}, UserMapping{.user = 1000, .group = 100});
    CHECK(spec.at("linux").at("namespaces").back() == Json{{"type", "user"}});
    CHECK(spec.at("linux").at("uidMappings")[0] ==
          Json{{"containerID", 0}, {"hostID", 1000}, {"size", 1}});
    CHECK(spec.at("linux").at("gidMappings")[0].at("hostID") == 100);
    for (const Json& mount : spec.at("mounts")) {
        CHECK(mount.at("type") != "sysfs");
        for (const Json& option : mount.at("options")) {
            CHECK(option != "gid=5");
        }
    }
}
