#include "fairing/builders/dockerfile.hpp"

#include <doctest/doctest.h>

#include "../support/workspace.hpp"

using namespace fairing;

namespace {

Context context_with(const std::vector<std::string>& destinations) {
    Context context{.command = {"python3", "/app/train.py"}};
    for (const std::string& destination : destinations) {
        context.files.push_back({.source = "/src/" + destination, .destination = destination});
    }
    return context;
}

std::string refusal(const Context& context, const std::string& base = "python:3") {
    return support::error_of([&] { static_cast<void>(dockerfile::generate(context, base)); });
}

const std::vector<std::string> hostile = {"a\nRUN x", "a\"b", "$(touch x)", "${HOME}",
                                          "`id`",     "a\\",  "a'b",        "a*",
                                          "a[b",      "<<E",  "#x",         "a\x01"};

}  // namespace

TEST_CASE("FROM, USER, WORKDIR, ENV, the requirements, the code, what lies elsewhere, CMD") {
    Context context =
        context_with({"/app/constraints.txt", "/app/data/requirements.txt", "/app/requirements.txt",
                      "/app/train.py", "/etc/a.conf", "/etc/b.conf"});
    context.environment = {{"FAIRING_RUNTIME", "1"}, {"SEED", "a \"b\" $c \\d"}};
    context.search_paths = {{"PYTHONPATH", "/app/lib"}};
    CHECK(dockerfile::generate(context, "localhost:5000/base:1") ==
          R"(FROM localhost:5000/base:1
USER 0
WORKDIR /app/
ENV FAIRING_RUNTIME="1" SEED="a \"b\" \$c \\d" PYTHONPATH="/app/lib${PYTHONPATH:+:$PYTHONPATH}"
COPY ["app/constraints.txt","app/requirements.txt","/app/"]
RUN ["env","PIP_BREAK_SYSTEM_PACKAGES=1","PIP_ROOT_USER_ACTION=ignore","python3","-m","pip","install","--no-cache-dir","--disable-pip-version-check","--no-input","-r","/app/requirements.txt"]
COPY ["app/","/app/"]
COPY ["etc/a.conf","etc/b.conf","/etc/"]
ENTRYPOINT []
CMD ["python3","/app/train.py"]
)");
    // Packages that are in the context already are not installed again.
    context.files.back().layer = "requirements";
    CHECK(dockerfile::generate(context, "scratch").find("RUN [") == std::string::npos);
    CHECK(dockerfile::generate(Context{}, "scratch") ==
          "FROM scratch\nUSER 0\nWORKDIR /app/\nENTRYPOINT []\n");
    Context at_root = context_with({"/b/y", "/x"});
    at_root.working_directory = "/";
    CHECK(support::contains(dockerfile::generate(at_root, "scratch"),
                            "COPY [\"x\",\"/\"]\nCOPY [\"b/y\",\"/b/\"]\n"));
}

TEST_CASE("row 46: the command is literal, whatever it holds") {
    Context context;
    context.command = hostile;
    context.command.emplace_back("-flag");
    context.command.emplace_back("ü");
    const std::string text = dockerfile::generate(context, "scratch");
    const std::size_t at = text.find("CMD ") + 4;
    CHECK(text.find('\n', at) == text.size() - 1);
    CHECK(Json::parse(text.substr(at)).get<std::vector<std::string>>() == context.command);
    CHECK(std::all_of(text.begin(), text.end(),
                      [](char c) { return static_cast<unsigned char>(c) < 0x7f; }));
    context.command = {"a\xff"};
    CHECK(support::contains(refusal(context), "not UTF-8"));
    context.command = {std::string("a\0b", 3)};
    CHECK(support::contains(refusal(context), "NUL"));
}

TEST_CASE(
    "row 46: names below the working directory never reach the Dockerfile, others are refused") {
    for (const std::string& name : hostile) {
        CAPTURE(name);
        CHECK(dockerfile::generate(context_with({"/app/" + name}), "scratch") ==
              dockerfile::generate(context_with({"/app/plain"}), "scratch"));
        CHECK(support::contains(refusal(context_with({"/etc/" + name})), "write to a Dockerfile"));
        CHECK(support::contains(refusal(context_with({"/" + name + "/x"})), "--builder append") ==
              false);
        CHECK_FALSE(refusal(context_with({"/" + name + "/x"})).empty());
        Context context;
        context.working_directory = "/" + name;
        CHECK_FALSE(refusal(context).empty());
        context.working_directory = name;
        CHECK_FALSE(refusal(context).empty());
        CHECK_FALSE(refusal({}, name).empty());
        CHECK_FALSE(refusal({}, "python:" + name).empty());
        context = {};
        context.environment = {{name, "x"}};
        CHECK_FALSE(refusal(context).empty());
        context.environment = {};
        context.search_paths = {{name, "x"}};
        CHECK_FALSE(refusal(context).empty());
    }
    CHECK_FALSE(refusal(context_with({"/-x"})).empty());
    CHECK_FALSE(refusal({}, "--platform=x").empty());
    CHECK_FALSE(refusal({}, "python:3 AS x").empty());
    CHECK_FALSE(refusal({}, "").empty());
    Context context;
    context.environment = {{"A", "line\nline"}};
    CHECK(support::contains(refusal(context), "the value of A \"line\\x0aline\""));
    context.environment = {{"1A", "x"}};
    CHECK_FALSE(refusal(context).empty());
    context = context_with({"/etc/link"});
    context.files.front().kind = FileKind::symlink;
    CHECK(support::contains(refusal(context), "would be followed"));
}

TEST_CASE("the images that a Dockerfile needs, and no others") {
    std::string names;
    for (const oci::Reference& each : dockerfile::images_of(
             "# FROM comment \\\nARG V=1\nfrom --platform=linux/amd64 debian:12 As Made\n"
             "RUN echo FROM as other.example/x\nFROM localhost:5000/base@sha256:" +
             std::string(64, 'a') +
             "\nCOPY --from=made /a /b\nCOPY --from=0 /a /b\nCOPY --chown=1 --from=other.example/x "
             "/a /b\n  FROM made\nFROM scratch\nFROM x:${V}\n"
             "RUN --mount=type=cache,target=/c \\\n  "
             "--mount=type=bind,from=tools.example/y,target=/t \\\n"
             "  --mount=from=MADE /t/y\n")) {
        names += each.host + '/' + each.repository + ' ';
    }
    CHECK(names == "docker.io/library/debian localhost:5000/base other.example/x tools.example/y ");
}
