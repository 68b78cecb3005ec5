#include "fairing/preprocessors/python_function.hpp"

#include <doctest/doctest.h>

#include "../support/shell.hpp"
#include "../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

constexpr const char* module_text =
    "import os\nfrom far import helper\ndef fit():\n    pass\nasync def later(): pass\n"
    "class Plain:\n    def run(self): pass\nclass Model(Base):\n    pass\n"
    "class Good:\n    def train(self):\n        pass\nmade = make()\n";

std::string said_of(const std::string& name) {
    return error_of([&] { function::check_defined(module_text, name, "m.py"); });
}

/// What the caller prints for these options, and its exit code in front.
std::string called(const support::Workspace& space, const std::string& options) {
    space.file("caller.py", function::caller);
    const auto result =
        support::run("cd " + space.path().string() + " && python3 caller.py " + options + " 2>&1");
    return std::to_string(result.exit_code) + ' ' + result.output;
}

}  // namespace

TEST_CASE("targets: a name of a file, of a module, a pickle") {
    CHECK(function::parse_python_target("a/b.py:C.d").file == "a/b.py");
    CHECK(function::parse_python_target("a/b.py:C.d").name == "C.d");
    CHECK(function::parse_python_target("a.b:c").module == "a.b");
    CHECK(function::parse_python_target("fit.pickle").pickle == "fit.pickle");
    CHECK(
        contains(error_of([] { (void)function::parse_python_target("a.py:"); }), "write file.py"));
    CHECK(contains(error_of([] { (void)function::parse_python_target("a b:c"); }), "no function"));
}

TEST_CASE("a function that is not there, and a class without train, are told at once") {
    for (const char* good : {"fit", "later", "Model", "Good", "made", "helper", "os.getpid"}) {
        CAPTURE(good);
        CHECK(said_of(good).empty());
    }
    CHECK(contains(said_of("fot"), "it defines no fot; did you mean fit?"));
    CHECK(contains(said_of("absent"), "it defines fit, later, Plain, Model, Good"));
    CHECK(contains(said_of("Plain"), "the class has no train()"));
}

TEST_CASE("files of the target are packaged, and our program calls it") {
    const support::Workspace space;
    space.file("m.py", std::string{"from kubeflow import fairing\n"} + module_text);
    const Context context = PythonFunctionPreprocessor{
        .function = (space / "m.py") + ":fit",
        .arguments = {"-x"}}.prepare({});
    CHECK(context.command[1] == "/app/.fairing/function.py");
    CHECK(context.command[2] == "--file");
    CHECK(context.command.back() == "-x");
    CHECK(context.search_paths.at("PYTHONPATH") == "/app/.fairing/shim");
    CHECK(context.files.size() == 4);
}

TEST_CASE("the caller: functions, classes, results, and one sentence for what is wrong") {
    if (!support::has_program("python3")) {
        MESSAGE("skipped: needs python3");
        return;
    }
    const support::Workspace space;
    space.file("m.py",
               "import sys\ndef fit(): return sys.argv[1:]\ndef quiet(): return 0\n"
               "class Model:\n    def train(self): return 'trained'\nclass Plain: pass\n"
               "async def later(): return 'late'\nvalue = 3\n"
               "if __name__ == '__main__': print('main')\n");
    CHECK(called(space, "--file m.py --name fit -- --epochs 3") == "0 ['--epochs', '3']\n");
    CHECK(called(space, "--module m --name Model") == "0 trained\n");
    CHECK(called(space, "--file m.py --name quiet") == "0 ");
    CHECK(called(space, "--file m.py --name later") == "0 late\n");
    CHECK(called(space, "--file m.py --name Plain") ==
          "65 fairing: cannot call class Plain: it has no train()\n");
    CHECK(contains(called(space, "--file m.py --name nope"), "there is no nope"));
    CHECK(contains(called(space, "--file m.py --name value"), "it is a int"));
    CHECK(contains(called(space, "--file m.py --name fit --python-version 2.6"),
                   "it was made with Python 2.6"));
}
