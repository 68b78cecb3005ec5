// fairing/deployers/local/output_spool.hpp - the lines of a program, kept for as many readers as
// come, whenever they come.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <cstring>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../../core/files.hpp"

namespace fairing::local {

/// One writer, any number of readers. The lines lie in a temporary file without a name, so that a
/// program never waits for a reader and its output takes no memory.
class OutputSpool {
public:
    static constexpr std::size_t tail_lines = 20;

    /// Throws Error when the temporary file can not grow.
    void add(const std::string& line) {
        const auto length = static_cast<std::uint32_t>(line.size());
        std::string record(sizeof length, '\0');
        std::memcpy(record.data(), &length, sizeof length);
        record += line;
        file_.append(std::as_bytes(std::span{record}));
        const std::lock_guard lock{mutex_};
        written_ = file_.size();
        tail_.push_back(line);
        if (tail_.size() > tail_lines) {
            tail_.pop_front();
        }
        changed_.notify_all();
    }

    /// No line comes any more.
    void close() {
        const std::lock_guard lock{mutex_};
        closed_ = true;
        changed_.notify_all();
    }

    /// The lines from `offset` on, which is moved behind them; waits for some. Empty: there are no
    /// more. nullopt: a stop.
    [[nodiscard]] std::optional<std::vector<std::string>> next(std::uint64_t& offset,
                                                               const std::stop_token& stop) {
        std::uint64_t end = 0;
        {
            std::unique_lock lock{mutex_};
            if (!changed_.wait(lock, stop, [&] { return closed_ || written_ > offset; })) {
                return std::nullopt;
            }
            end = written_;
        }
        std::vector<std::string> lines;
        constexpr std::uint64_t portion = std::uint64_t{256} << 10;
        const std::string bytes = read(offset, std::min(end - offset, portion));
        std::size_t at = 0;
        while (at + sizeof(std::uint32_t) <= bytes.size()) {
            std::uint32_t length = 0;
            std::memcpy(&length, bytes.data() + at, sizeof length);
            const std::size_t begin = at + sizeof length;
            if (begin + length > bytes.size()) {
                if (!lines.empty()) {
                    break;
                }
                lines.push_back(read(offset + begin, length));  // longer than a portion
            } else {
                lines.push_back(bytes.substr(begin, length));
            }
            at = begin + length;
        }
        offset += at;
        return lines;
    }

    /// The last lines so far.
    [[nodiscard]] std::vector<std::string> tail() const {
        const std::lock_guard lock{mutex_};
        return {tail_.begin(), tail_.end()};
    }

private:
    [[nodiscard]] std::string read(std::uint64_t offset, std::uint64_t size) const {
        std::string bytes(size, '\0');
        std::size_t done = 0;
        while (done < bytes.size()) {
            const ssize_t got = ::pread(file_.fd(), bytes.data() + done, bytes.size() - done,
                                        static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) {
                continue;
            }
            if (got <= 0) {
                throw system_error(got < 0 ? errno : EIO, "read back", "a program's output",
                                   ErrorCode::internal);
            }
            done += static_cast<std::size_t>(got);
        }
        return bytes;
    }

    TemporaryFile file_ = TemporaryFile{};
    mutable std::mutex mutex_;
    std::condition_variable_any changed_;
    std::uint64_t written_ = 0;
    bool closed_ = false;
    std::deque<std::string> tail_ = {};
};

}  // namespace fairing::local
