// Python functions as jobs in dockerd: one of a file, one that cloudpickle wrote, and what the job
// says when it can not call them.
#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../support/docker_site.hpp"
#include "../support/pythons.hpp"
#include "../support/shell.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::count;
using support::DockerSite;
using support::Python;
using support::run;
using support::ShellResult;

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
    const DockerSite* docker = DockerSite::get();
    if (docker == nullptr) {
        return;
    }
    const support::Workspace space;
    space.file("model.py", model);
    const std::string file = space / "model.py", inputs = support::with_data(space, "model.py");
    for (const std::string name : {"fit", "Model", "Model.missing", "Idle"}) {
        CAPTURE(name);
        const ShellResult ran = docker->run_job(file + ':' + name + inputs);
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
    const ShellResult other = docker->run_job(file + ":fit --python-version 3.9" + inputs);
    CHECK(other.exit_code == 65);
    CHECK(other.output ==
          "fairing: cannot call fit: it was made with Python 3.9, and this is "
          "Python " +
              docker->base_python() + '\n');
}

TEST_CASE("a pickle of another Python, or for an image without cloudpickle, is one sentence") {
    const DockerSite* docker = DockerSite::get();
    if (docker == nullptr) {
        return;
    }
    const support::Workspace space;
    space.file("fit.pickle", "not read");
    const std::string here = docker->base_python();
    const std::string options =
        (space / "fit.pickle") + support::with_data(space, "fit.pickle") + "--python-version ";
    const ShellResult bare = docker->run_job(options + here);
    CHECK(bare.exit_code == 65);
    CHECK(bare.output ==
          "fairing: cannot call /app/fit.pickle: the image has no cloudpickle; add it to the "
          "requirements\n");
    const ShellResult other = docker->run_job(options + "3.2");
    CHECK(other.exit_code == 65);
    CHECK(other.output ==
          "fairing: cannot call /app/fit.pickle: it was made with Python 3.2, and "
          "this is Python " +
              here + '\n');
}

TEST_CASE("a function that cloudpickle wrote runs in dockerd, on the Python that wrote it") {
    const DockerSite* docker = DockerSite::get();
    if (docker == nullptr) {
        return;
    }
    const std::string version = docker->base_python();
    const std::vector<Python> all = support::pythons();
    const auto python = std::find_if(all.begin(), all.end(),
                                     [&](const Python& each) { return each.version() == version; });
    if (python == all.end()) {
        MESSAGE("skipped: the base image has Python " << version << ", and this machine has not");
        return;
    }
    const support::Workspace space;
    const std::string wrong = support::make_cloudpickle(*python, all, space / "venv");
    if (!wrong.empty()) {
        MESSAGE("skipped: no cloudpickle: " << wrong);
        return;
    }
    // By value: the job has no such module.
    space.file("write.py", std::string{model} +
                               "\n\nimport cloudpickle\nimport sys\n"
                               "cloudpickle.dump(fit, open(sys.argv[1], 'wb'))\n");
    const ShellResult written = run((space / "venv/bin/python") + ' ' + (space / "write.py") + ' ' +
                                    (space / "fit.pickle") + " 2>&1");
    REQUIRE_MESSAGE(written.exit_code == 0, written.output);
    space.file("requirements.txt", "cloudpickle==3.1.1\n");
    const ShellResult ran = docker->run_job(
        (space / "fit.pickle") + support::with_data(space, "fit.pickle") + "--python-version " +
        version + " --requirements " + (space / "requirements.txt"));
    CAPTURE(ran.output);
    CHECK(ran.exit_code == 0);
    CHECK(count(ran.output, " loss ") == 20);
    CHECK(count(ran.output, "slope ") == 1);
}
