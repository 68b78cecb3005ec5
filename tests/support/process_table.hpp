// tests/support/process_table.hpp - what runs on this machine, as the tests see it: /proc and our
// own descriptors.
#pragma once

#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace support {

/// The command lines of all living processes that hold `mark`, this process apart.
inline std::vector<std::string> processes_with(const std::string& mark) {
    std::vector<std::string> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc", ignored}) {
        const std::string name = entry.path().filename().string();
        if (name.find_first_not_of("0123456789") != std::string::npos ||
            name == std::to_string(::getpid())) {
            continue;
        }
        std::ifstream file{entry.path() / "cmdline", std::ios::binary};
        std::stringstream text;
        text << file.rdbuf();
        if (text.str().find(mark) != std::string::npos) {
            found.push_back(text.str());
        }
    }
    return found;
}

/// Whether `condition` becomes true within a time that a loaded machine keeps.
template <class Condition>
bool eventually(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes{2};
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
    return true;
}

/// How many descriptors this process has open.
inline std::size_t open_descriptors() {
    std::size_t count = 0;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator{"/proc/self/fd"}) {
        ++count;
    }
    return count;
}

/// Our children, zombies among them: the supervisors that nobody collected.
inline std::string children() {
    std::string result;
    for (const auto& task : std::filesystem::directory_iterator{"/proc/self/task"}) {
        std::ifstream file{task.path() / "children"};
        std::stringstream text;
        text << file.rdbuf();
        result += text.str();
    }
    return result;
}

/// A text that no other process has in its arguments.
inline std::string unique_mark(const std::string& name) {
    return "fairing-test-" + name + '-' + std::to_string(::getpid());
}

}  // namespace support
