#include <doctest/doctest.h>

#include <fairing/preprocessors/input.hpp>
#include <filesystem>
#include <string>
#include <vector>

using fairing::Input;

TEST_CASE("two names in double braces are two inputs") {
    const std::vector<Input> inputs = {{"a", "b"}};
    REQUIRE(inputs.size() == 2);
    CHECK(inputs[0].path() == "a");
    CHECK(inputs[1].path() == "b");
}

TEST_CASE("strings and paths are inputs") {
    const std::string text = "data/";
    const std::vector<Input> inputs = {"x", text, std::filesystem::path{"y"}};
    CHECK(inputs[1].path() == "data/");
    CHECK(inputs[2].path() == "y");
}
