// Python functions as jobs in dockerd: one of a file, one that cloudpickle wrote, and what the job
// says when it can not call them.
#include <doctest/doctest.h>

#include <string>

#include "../support/docker_registry.hpp"
#include "../support/shell.hpp"
#include "../support/site.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::count;
using support::missing;
using support::run;
using support::ShellResult;
using support::Site;

namespace {

constexpr const char* model = R"(import csv


class Model:
    def __init__(self, rate=0.1):
        self.rate = rate

    def train(self):
        with open("examples/data/houses.csv") as file:
            rows = list(csv.reader(file))[1:]
        data = [(float(row[0]) / 100, float(row[-1]) / 100) for row in rows]
        slope = offset = 0.0
        for epoch in range(20):
            errors = [slope * area + offset - price for area, price in data]
            slope -= self.rate * 2 * sum(e * area for e, (area, _) in zip(errors, data)) / len(data)
            offset -= self.rate * 2 * sum(errors) / len(data)
            print("epoch", epoch, "loss", sum(e * e for e in errors) / len(data))
        return "slope %.3f" % slope


def fit():
    return Model(0.05).train()


class Idle(Model):
    train = None
)";

}  // namespace

TEST_CASE("Python functions run in dockerd") {
    const Site* site = Site::get();
    if (site == nullptr || missing("dockerd")) {
        return;
    }
    const support::Workspace space;
    space.file("model.py", model);
    const support::DockerEngine engine{space.path()};
    if (!engine.running()) {
        MESSAGE("skipped: dockerd does not start here");
        return;
    }
    const std::string inputs =
        " --input examples/data --map " + (space / "model.py") + "=/app/model.py ";
    for (const std::string name : {"fit", "Model", "Model.missing", "Idle"}) {
        CAPTURE(name);
        const ShellResult ran =
            engine.run_image(site->build_job((space / "model.py") + ':' + name + inputs));
        CAPTURE(ran.output);
        if (name == "Model.missing" || name == "Idle") {
            CHECK(ran.exit_code == 65);
            CHECK(count(ran.output, "\n") == 1);
            CHECK(ran.output.starts_with("fairing: cannot call "));
            continue;
        }
        CHECK(ran.exit_code == 0);
        CHECK(count(ran.output, " loss ") == 20);
        CHECK(count(ran.output, "slope ") == 1);  // what it returned
    }
    const ShellResult other = engine.run_image(
        site->build_job((space / "model.py") + ":fit --python-version 3.9" + inputs));
    CHECK(other.exit_code == 65);
    CHECK(other.output ==
          "fairing: cannot call fit: it was made with Python 3.9, and this is Python 3.11\n");
}

TEST_CASE("a function that cloudpickle wrote runs in dockerd, on the Python that wrote it") {
    const Site* site = Site::get();
    if (site == nullptr || missing("dockerd")) {
        return;
    }
    const support::Workspace space;
    const std::string python = "PYTHONPATH=" + (space / "packages") + " python3 ";
    const ShellResult installed =
        run("python3 -m pip install --quiet --no-input --disable-pip-version-check --target " +
            (space / "packages") + " cloudpickle==3.1.1 2>&1");
    if (installed.exit_code != 0) {
        MESSAGE("skipped: no cloudpickle: " << installed.output);
        return;
    }
    // By value: the job has no such module.
    space.file("write.py", std::string{model} +
                               "\n\nimport cloudpickle\nimport sys\n"
                               "cloudpickle.dump(fit, open(sys.argv[1], 'wb'))\n");
    const ShellResult written =
        run(python + (space / "write.py") + ' ' + (space / "fit.pickle") + " 2>&1");
    REQUIRE_MESSAGE(written.exit_code == 0, written.output);
    const std::string version =
        run("python3 -c 'import sys; print(\"%d.%d\" % sys.version_info[:2], end=\"\")'").output;
    const support::DockerEngine engine{space.path()};
    if (!engine.running()) {
        MESSAGE("skipped: dockerd does not start here");
        return;
    }
    space.file("requirements.txt", "cloudpickle==3.1.1\n");
    const std::string options = (space / "fit.pickle") + " --input examples/data --map " +
                                (space / "fit.pickle") + "=/app/fit.pickle ";
    const ShellResult bare = engine.run_image(site->build_job(options + "--python-version 3.11"));
    CHECK(bare.exit_code == 65);
    CHECK(bare.output.find("the image has no cloudpickle; add it to the requirements\n") !=
          std::string::npos);
    if (version == "3.11") {  // the base's
        const ShellResult ran = engine.run_image(
            site->build_job(options + "--requirements " + (space / "requirements.txt")));
        CAPTURE(ran.output);
        CHECK(ran.exit_code == 0);
        CHECK(count(ran.output, " loss ") == 20);
        CHECK(count(ran.output, "slope ") == 1);
    }
    const ShellResult other = engine.run_image(site->build_job(options + "--python-version 3.12"));
    CHECK(other.exit_code == 65);
    CHECK(other.output.find("it was made with Python 3.12, and this is Python 3.11\n") !=
          std::string::npos);
}
