#include "fairing/core/command.hpp"

#include <doctest/doctest.h>

#include "fairing/core/files.hpp"

using namespace fairing;

TEST_CASE("a program is found in the first folder of the path that holds it") {
    const TemporaryDirectory folder;
    std::filesystem::create_directories(folder.path() / "a/tool");  // a directory is no program
    std::filesystem::create_directories(folder.path() / "b");
    std::filesystem::create_directories(folder.path() / "c");
    write_file(folder.path() / "b/tool", std::string_view{"text"}, 0644);  // nor is a plain file
    write_file(folder.path() / "c/tool", std::string_view{"#!/bin/sh\n"}, 0755);
    const std::string path = "::" + (folder.path() / "none").string() + ':' +
                             (folder.path() / "a").string() + ':' + (folder.path() / "b").string() +
                             ':' + (folder.path() / "c").string();
    CHECK(find_program("tool", path) == folder.path() / "c/tool");
    CHECK_FALSE(find_program("tool", ""));
    CHECK_FALSE(find_program("", path));
    CHECK(find_program((folder.path() / "c/tool").string(), "") == folder.path() / "c/tool");
    CHECK_FALSE(find_program((folder.path() / "b/tool").string()));
    CHECK(find_program("sh"));
}

TEST_CASE("what can not be a command is refused before anything runs") {
    CHECK_THROWS_WITH_AS(fairing::detail::PreparedCommand{Command{}},
                         "cannot run a program: the command is empty", Error);
    CHECK_THROWS_AS(
        (fairing::detail::PreparedCommand{Command{.arguments = {"a", std::string{"b\0c", 3}}}}),
        Error);
    CHECK_THROWS_WITH_AS((fairing::detail::PreparedCommand{
                             Command{.arguments = {"a"}, .environment = {{"X=Y", "z"}}}}),
                         "cannot run a: \"X=Y\" is no name of an environment variable", Error);
    CHECK_THROWS_AS(
        (fairing::detail::PreparedCommand{Command{.arguments = {"a"}, .environment = {{"", "z"}}}}),
        Error);
}

TEST_CASE("the environment is ordered, and what is added wins over what is there") {
    const fairing::detail::PreparedCommand prepared{Command{.arguments = {"tool"},
                                                            .environment = {{"B", "2"}, {"A", "1"}},
                                                            .base = BaseEnvironment::clean}};
    CHECK(std::string{prepared.environment()[0]} == "A=1");
    CHECK(std::string{prepared.environment()[1]} == "B=2");
    CHECK(prepared.environment()[2] == nullptr);
    CHECK(std::string{prepared.arguments()[0]} == "tool");
    CHECK(prepared.arguments()[1] == nullptr);
    CHECK(std::string{prepared.candidates()[0]} == "/usr/local/bin/tool");
}
