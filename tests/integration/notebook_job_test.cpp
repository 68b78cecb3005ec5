// A notebook that trains, as a job through both preprocessors (examples/02_notebook.cpp and
// 03_full_notebook.cpp), on a base image with papermill; its output notebook is read back. fairing
// itself makes that base, with the packages of tests/support/papermill.txt out of PyPI.
#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "../support/docker_site.hpp"
#include "../support/example_program.hpp"
#include "../support/shell.hpp"
#include "../support/site.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/files.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::contains;
using support::count;
using support::launch_example;
using support::Launched;
using support::run;
using support::ShellResult;
using support::Site;

namespace {

/// The base image with papermill; nullopt where PyPI can not be reached. The packages stay in the
/// user's own cache, so that they are fetched once.
std::optional<std::string> papermill_base(const Site& site, const support::Workspace& space) {
    space.file("nothing.py", "pass\n");
    const ShellResult built =
        site.fairing("build " + (space / "nothing.py") + " --map " + (space / "nothing.py") +
                         "=/nothing.py --requirements tests/support/papermill.txt "
                         "--python-version 3.11 --compression 1 --base-image " +
                         site.base() + " --registry " + site.host() + "/papermill",
                     "env -u FAIRING_CACHE");
    if (built.exit_code == 0) {
        return built.output.substr(0, built.output.size() - 1);
    }
    const ShellResult fetched =
        run("python3 -m pip download --quiet --no-deps --no-input --disable-pip-version-check -d " +
            (space / "fetched") + " papermill==2.6.0 2>&1");
    REQUIRE_MESSAGE(fetched.exit_code != 0, site.errors());
    MESSAGE("skipped: PyPI can not be reached: " << fetched.output);
    return std::nullopt;
}

/// What all cells of an executed notebook printed.
std::string printed_by(const Json& notebook) {
    std::string text;
    for (const Json& cell : notebook["cells"]) {
        for (const Json& output : cell.value("outputs", Json::array())) {
            for (const Json& line : output.value("text", Json::array())) {
                text += line.get<std::string>();
            }
        }
    }
    return text;
}

}  // namespace

TEST_CASE(
    "Fairing's train_job_api/train.ipynb: a notebook trains in dockerd, whole and as a script") {
    const auto* docker = support::missing_examples() ? nullptr : support::DockerSite::get();
    if (docker == nullptr || support::missing("crun")) {
        return;
    }
    const Site& site = docker->site();
    const support::Workspace space;
    const std::optional<std::string> base = papermill_base(site, space);
    if (!base) {
        return;
    }
    const std::string variables = "BASE=" + *base + " REGISTRY=" + site.host() + "/examples ";

    const Launched script = launch_example("02_notebook", variables);
    CAPTURE(script.said);
    CHECK(script.exit_code == 0);
    CHECK(count(script.output, " loss ") == 20);

    const Launched whole = launch_example("03_full_notebook", variables + "OUTPUT=/tmp/ran.ipynb");
    CAPTURE(whole.said);
    CHECK(whole.exit_code == 0);
    CHECK(count(whole.output, " loss ") == 7);
    // The same in dockerd, with an empty folder of this machine for the output notebook.
    space.folder("out");
    const std::string mount = "-v " + (space / "out");
    const ShellResult again = docker->engine().run_image(whole.image(), mount + ":/tmp");
    CAPTURE(again.output);
    CHECK(again.exit_code == 0);
    CHECK(count(again.output, " loss ") == 7);
    const Json ran = parse_json(read_file(space / "out/ran.ipynb"), "the output notebook");
    CHECK(ran["metadata"]["papermill"]["exception"].is_null());
    CHECK(ran["metadata"]["papermill"]["parameters"] == Json{{"epochs", 7}, {"rate", 0.05}});
    CHECK(count(printed_by(ran), " loss ") == 7);
    CHECK(contains(ran["cells"].back().dump(), "image/svg+xml"));

    // What else papermill can be told, and how it fails.
    const std::string notebook = "examples/train.ipynb --input examples/data ";
    const auto papermill = [&](const std::string& options) {
        const std::string image = site.build_job(
            notebook + "--preprocessor full_notebook --output-file /out/ran.ipynb " + options,
            *base);
        return docker->engine().run_image(image, mount + ":/out");
    };
    const ShellResult silent = papermill("--no-log-output");
    CHECK(silent.exit_code == 0);
    CHECK(count(silent.output, " loss ") == 0);
    CHECK(count(printed_by(parse_json(read_file(space / "out/ran.ipynb"), "the notebook")),
                " loss ") == 20);

    // What fails ends with a sentence of ours.
    const ShellResult unknown = papermill("--kernel fortran");
    CAPTURE(unknown.output);
    CHECK(unknown.exit_code == 65);
    CHECK(unknown.output ==
          "fairing: cannot run notebook /app/examples/train.ipynb: there is no kernel fortran "
          "here, only "
          "python3; name one that is here with --kernel, or install that one in the image\n");
    const ShellResult failing = papermill("--parameter epochs=many");
    CAPTURE(failing.output);
    CHECK(failing.exit_code == 1);
    CHECK(failing.output.find(
              "\nfairing: cannot run notebook /app/examples/train.ipynb: cell In [") !=
          std::string::npos);
    CHECK(failing.output.find(" failed: TypeError: ") != std::string::npos);
    const ShellResult bare = docker->run_job(notebook + "--preprocessor full_notebook");
    CHECK(bare.exit_code == 65);
    CHECK(bare.output ==
          "fairing: cannot run notebook /app/examples/train.ipynb: there is no papermill here; "
          "take a base "
          "image that has it, or install it with --requirements (papermill and ipykernel)\n");
}
