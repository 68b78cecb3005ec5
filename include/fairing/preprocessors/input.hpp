// fairing/preprocessors/input.hpp - one thing to package.
#pragma once

#include <filesystem>
#include <string>
#include <utility>

namespace fairing {

/// A file, folder or glob. Not a bare string: so {{"a", "b"}} is two inputs and not a pair of
/// iterators.
class Input {
public:
    Input(const char* path) : path_(path) {}
    Input(std::string path) : path_(std::move(path)) {}
    Input(std::filesystem::path path) : path_(std::move(path)) {}
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

}  // namespace fairing
