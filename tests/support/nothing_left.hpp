// tests/support/nothing_left.hpp - checks at the end of a scope that no descriptor and no thread is
// left of it.
#pragma once

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <thread>

namespace support {

class NothingLeft {
public:
    NothingLeft() = default;
    NothingLeft(NothingLeft&&) = delete;
    NothingLeft& operator=(NothingLeft&&) = delete;
    ~NothingLeft() {
        // Look-ups end on their own, and a thread is there for a moment after its join.
        for (int i = 0; i < 3000 && (count("fd") > descriptors_ || count("task") > threads_); ++i) {
            std::this_thread::sleep_for(std::chrono::milliseconds{20});
        }
        CHECK(count("fd") <= descriptors_);
        CHECK(count("task") <= threads_);
    }

private:
    static std::size_t count(const char* what) {
        const std::filesystem::directory_iterator entries{std::filesystem::path{"/proc/self"} /
                                                          what};
        return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
    }

    std::size_t descriptors_ = count("fd"), threads_ = count("task");
};

}  // namespace support
