// A notebook that trains, as a job in dockerd through both preprocessors, on a base image with
// papermill; its output notebook is read back. fairing itself makes that base, with the packages of
// tests/support/papermill.txt out of PyPI.
#include <doctest/doctest.h>

#include <optional>
#include <string>

#include "../support/docker_site.hpp"
#include "../support/shell.hpp"
#include "../support/site.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/files.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::count;
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

/// examples/train.ipynb without its last cell, which needs matplotlib.
void write_notebook(const Site& site, const support::Workspace& space) {
    Json notebook = parse_json(read_file(site.source() + "/examples/train.ipynb"), "the example");
    notebook["cells"].erase(notebook["cells"].size() - 1);
    space.file("train.ipynb", notebook.dump());
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

TEST_CASE("a notebook trains in dockerd through both preprocessors") {
    const auto* docker = support::DockerSite::get();
    if (docker == nullptr) {
        return;
    }
    const Site& site = docker->site();
    const support::Workspace space;
    const std::optional<std::string> base = papermill_base(site, space);
    if (!base) {
        return;
    }
    write_notebook(site, space);
    const std::string inputs = (space / "train.ipynb") + support::with_data(space, "train.ipynb");

    const ShellResult script = docker->engine().run_image(site.build_job(inputs, *base));
    CAPTURE(script.output);
    CHECK(script.exit_code == 0);
    CHECK(count(script.output, " loss ") == 20);

    // What papermill runs; with an empty output folder of this machine in it.
    const auto papermill = [&](const std::string& options) {
        const std::string image = site.build_job(
            inputs + "--preprocessor full_notebook --output-file /out/ran.ipynb " + options, *base);
        return docker->engine().run_image(image, "-v " + (space / "out") + ":/out");
    };
    space.folder("out");
    const ShellResult whole = papermill("--parameter epochs=7");
    CAPTURE(whole.output);
    CHECK(whole.exit_code == 0);
    CHECK(count(whole.output, " loss ") == 7);
    const Json ran = parse_json(read_file(space / "out/ran.ipynb"), "the output notebook");
    CHECK(ran["metadata"]["papermill"]["exception"].is_null());
    CHECK(ran["metadata"]["papermill"]["parameters"] == Json{{"epochs", 7}});
    CHECK(count(printed_by(ran), " loss ") == 7);

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
          "fairing: cannot run notebook /app/train.ipynb: there is no kernel fortran here, only "
          "python3; name one that is here with --kernel, or install that one in the image\n");
    const ShellResult failing = papermill("--parameter epochs=many");
    CAPTURE(failing.output);
    CHECK(failing.exit_code == 1);
    CHECK(failing.output.find("\nfairing: cannot run notebook /app/train.ipynb: cell In [") !=
          std::string::npos);
    CHECK(failing.output.find(" failed: TypeError: ") != std::string::npos);
    const ShellResult bare = docker->run_job(inputs + "--preprocessor full_notebook");
    CHECK(bare.exit_code == 65);
    CHECK(bare.output ==
          "fairing: cannot run notebook /app/train.ipynb: there is no papermill here; take a base "
          "image that has it, or install it with --requirements (papermill and ipykernel)\n");
}
