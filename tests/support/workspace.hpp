// A private folder for a test: files are made in it by short calls, and it goes with everything in
// it.
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <fairing/core/control.hpp>
#include <fairing/core/files.hpp>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace support {

class Workspace {
public:
    [[nodiscard]] std::filesystem::path path() const { return directory_.path(); }
    [[nodiscard]] std::string operator/(std::string_view name) const {
        return (directory_.path() / name).string();
    }
    /// Writes a file, and the folders above it.
    void file(std::string_view name, std::string_view text = "x", mode_t mode = 0644) const {
        const std::filesystem::path path = directory_.path() / name;
        std::filesystem::create_directories(path.parent_path());
        fairing::write_file(path, text, mode);
    }
    void folder(std::string_view name) const {
        std::filesystem::create_directories(directory_.path() / name);
    }
    void link(std::string_view name, std::string_view target) const {
        const std::filesystem::path path = directory_.path() / name;
        std::filesystem::create_directories(path.parent_path());
        std::filesystem::create_symlink(target, path);
    }

private:
    fairing::TemporaryDirectory directory_ = fairing::TemporaryDirectory{};
};

/// Keeps what is logged.
struct Log {
    std::vector<std::string> lines = {};
    [[nodiscard]] fairing::Control control() {
        return {.log = [this](fairing::LogRecord record) { lines.push_back(record.text); }};
    }
};

/// What the Error says that `call` throws; "" when it throws none.
template <class Call>
std::string error_of(const Call& call) {
    try {
        call();
    } catch (const fairing::Error& error) {
        return error.what();
    }
    return "";
}

[[nodiscard]] inline bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

}  // namespace support
