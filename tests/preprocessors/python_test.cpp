#include <doctest/doctest.h>

#include <fairing/preprocessors/python.hpp>
#include <filesystem>
#include <string>
#include <type_traits>
#include <vector>

#include "../support/workspace.hpp"

using fairing::Context;
using fairing::PythonPreprocessor;
using support::contains;
using support::error_of;

namespace {

/// The working directory of a test, for as long as it runs.
class Inside {
public:
    explicit Inside(const support::Workspace& space) {
        std::filesystem::current_path(space.path());
    }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { std::filesystem::current_path(before_); }

private:
    std::filesystem::path before_ = std::filesystem::current_path();
};

std::vector<std::string> destinations(const Context& context) {
    std::vector<std::string> names;
    for (const fairing::ContextFile& file : context.files) {
        names.push_back(file.destination);
    }
    return names;
}
using Names = std::vector<std::string>;

struct NoStage {
    [[nodiscard]] int prepare(const fairing::Session&) const { return 0; }
};

}  // namespace

static_assert(std::is_aggregate_v<PythonPreprocessor>);
static_assert(!fairing::Preprocessor<NoStage>);

TEST_CASE("the members keep their order") {
    const PythonPreprocessor stage{.executable = "a",
                                   .input_files = {"b"},
                                   .command = {"c"},
                                   .path_prefix = "/d/",
                                   .output_map = {{"e", "f"}},
                                   .follow_symlinks = true,
                                   .include_secrets = true,
                                   .requirements = "g",
                                   .python_version = "h",
                                   .wheel_platform = "i"};
    const auto& [executable, inputs, command, prefix, map, follow, secrets, packages, python,
                 platform] = stage;
    CHECK(packages == "g");
    CHECK(python == "h");
    CHECK(platform == "i");
    CHECK(executable == "a");
    CHECK(inputs.front().path() == "b");
    CHECK(command.front() == "c");
    CHECK(prefix == "/d/");
    CHECK(map.at("e") == "f");
    CHECK(follow);
    CHECK(secrets);
}

TEST_CASE("a program and its data") {
    const support::Workspace space;
    space.file("train.py");
    space.file("data/a.csv");
    const Inside here{space};
    const Context context =
        PythonPreprocessor{.executable = "train.py", .input_files = {"data/"}}.prepare({});
    CHECK(destinations(context) == Names{"/app/data/a.csv", "/app/train.py"});
    CHECK(context.command == Names{"python3", "/app/train.py"});
    CHECK(context.working_directory == "/app/");
    CHECK(context.environment == std::map<std::string, std::string>{{"FAIRING_RUNTIME", "1"}});

    const Context named = PythonPreprocessor{.executable = "train.py",
                                             .input_files = {"train.py", "data"},
                                             .command = {"python3", "-u"},
                                             .path_prefix = "/srv"}
                              .prepare({});
    CHECK(named.command == Names{"python3", "-u", "/srv/train.py"});
    CHECK(named.working_directory == "/srv/");
    CHECK(named.files.size() == 2);
}

TEST_CASE("without an executable, what there is only one of") {
    const support::Workspace space;
    space.file("only.sh");
    space.file("a.py");
    space.file("src/main.py");
    space.file("src/readme.txt");
    space.file("many/x.py");
    space.file("many/y.py");
    const Inside here{space};
    const auto program = [](std::vector<fairing::Input> inputs) {
        return PythonPreprocessor{.input_files = std::move(inputs)}.prepare({}).command.back();
    };
    CHECK(program({"only.sh"}) == "/app/only.sh");
    CHECK(program({"only.sh", "a.py", "many"}) == "/app/a.py");
    CHECK(program({"src"}) == "/app/src/main.py");
    CHECK(program({"only.sh", "src/*"}) == "/app/src/main.py");
    const std::string many = error_of([&] { (void)program({"many"}); });
    CHECK(contains(many, "/app/many/x.py, /app/many/y.py"));
    CHECK(contains(error_of([&] { (void)program({"a.py", "src/main.py"}); }), "a.py, src/main.py"));
    CHECK(contains(error_of([&] {
                       (void)program({"only.sh", "src/readme.txt"});
                   }),
                   "no Python file"));
    CHECK(contains(error_of([&] { (void)program({}); }), "no Python file"));
}

TEST_CASE("the output map moves the program too") {
    const support::Workspace space;
    space.file("train.py");
    const Inside here{space};
    const Context context = PythonPreprocessor{.executable = "train.py",
                                               .output_map = {{"train.py", "/opt/job/main.py"}}}
                                .prepare({});
    CHECK(context.command.back() == "/opt/job/main.py");
    CHECK(destinations(context) == Names{"/opt/job/main.py"});
}

TEST_CASE("a program outside the working directory lands by its name") {
    const support::Workspace space, other;
    other.file("far.py");
    const Inside here{space};
    CHECK(PythonPreprocessor{.executable = other / "far.py"}.prepare({}).command.back() ==
          "/app/far.py");
}

TEST_CASE("what can not be run is named") {
    const support::Workspace space;
    space.file("src/a.py");
    space.file(".env");
    const Inside here{space};
    const auto said = [](const PythonPreprocessor& stage) {
        return error_of([&] { (void)stage.prepare({}); });
    };
    CHECK(contains(said({.executable = "src"}), "src: it is a folder"));
    CHECK(contains(said({.executable = "gone.py"}), "gone.py"));
    CHECK(contains(said({.executable = "src/a.py", .path_prefix = "app"}), "not absolute"));
    CHECK(contains(said({.executable = "src/a.py", .input_files = {".env"}}), "include_secrets"));
    CHECK(
        said({.executable = "src/a.py", .input_files = {".env"}, .include_secrets = true}).empty());
}

TEST_CASE("links are kept, or followed on request") {
    const support::Workspace space, other;
    other.file("x");
    space.file("train.py");
    space.link("data", other.path().string());
    const Inside here{space};
    PythonPreprocessor stage{.executable = "train.py", .input_files = {"data"}};
    CHECK(contains(error_of([&] { (void)stage.prepare({}); }), "leaves the context root"));
    stage.follow_symlinks = true;
    CHECK(destinations(stage.prepare({})) == Names{"/app/data/x", "/app/train.py"});
}
