#include "fairing/deployers/local/process_run.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using namespace fairing::local;

TEST_CASE("paths under the prefix and files of ours are mapped, everything else stays") {
    const support::Workspace space;
    space.file("root/app/train.py");
    space.file("root/data/set.csv");
    space.link("root/data/link.csv", "/data/set.csv");
    const std::string root = space / "root";
    PathMap map{root, "/app/"};
    CHECK(map("/app/train.py") == root + "/app/train.py");
    CHECK(map("/app/model.txt") == root + "/app/model.txt");  // not there yet
    CHECK(map("/app") == root + "/app");
    CHECK(map("/app/") == root + "/app/");
    CHECK(map("/data/set.csv") == root + "/data/set.csv");
    CHECK(map("/data/link.csv") == root + "/data/link.csv");
    CHECK(map("/data") == "/data");
    CHECK(map("/application") == "/application");
    CHECK(map("/usr/bin/python3") == "/usr/bin/python3");
    CHECK(map("python3") == "python3");
    CHECK(map("app/train.py") == "app/train.py");
    CHECK(map("--data=/app/x") == "--data=/app/x");
    CHECK(map("").empty());
    CHECK(map.list("/app/lib:/usr/lib::/app") == root + "/app/lib:/usr/lib::" + root + "/app");
}

TEST_CASE("the prefix / maps files of ours alone") {
    const support::Workspace space;
    space.file("root/train.py");
    const std::string root = space / "root";
    PathMap map{root, "/"};
    CHECK(map("/train.py") == root + "/train.py");
    CHECK(map("/bin/sh") == "/bin/sh");
    CHECK(map("/") == "/");
}

TEST_CASE("the command: mapped arguments, directory and variables; what every job has") {
    const support::Workspace space;
    space.file("root/app/train.py");
    const std::string root = space / "root";
    Image image;
    image.command = {"python3", "/app/train.py", "--epochs", "3"};
    image.environment = {{"PYTHONPATH", "/app/lib:/opt"}, {"SEED", "1"}};
    const Command command = host_command(image, root);
    CHECK(command.arguments ==
          std::vector<std::string>{"python3", root + "/app/train.py", "--epochs", "3"});
    CHECK(command.directory == root + "/app/");
    CHECK(command.environment ==
          std::map<std::string, std::string>{{"FAIRING_RUNTIME", "1"},
                                             {"PYTHONPATH", root + "/app/lib:/opt"},
                                             {"PYTHONUNBUFFERED", "1"},
                                             {"SEED", "1"}});
    image.environment = {{"PYTHONUNBUFFERED", ""}};
    CHECK(host_command(image, root).environment.at("PYTHONUNBUFFERED").empty());
}
