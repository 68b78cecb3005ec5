// Fuzz target (libFuzzer) of the streams of an API server: watches and logs.
// Meson builds it as fuzz-NAME with -Dfuzz=true and clang; then, from the root of the tree:
//
//   BUILD/tests/fuzz-kube_streams -max_len=2000 a_new_folder tests/fuzz/corpus/kube_streams
//
// The first byte says what follows: 0 a watch, 1 the lines of a log, anything else a log that is
// made of the bytes, cut, and read again from where the reader was: each line must come once.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fairing/core/line_splitter.hpp>
#include <fairing/kube/log_lines.hpp>
#include <fairing/kube/watch_stream.hpp>
#include <span>
#include <string>
#include <vector>

using namespace fairing;

namespace {

using Bytes = std::span<const std::byte>;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

/// The events, and "refused" where one was none.
std::vector<std::string> watch_in_pieces(Bytes bytes, std::size_t piece) {
    std::vector<std::string> events;
    kube::WatchDecoder decoder;
    try {
        for (; !bytes.empty(); bytes = bytes.subspan(std::min(piece, bytes.size()))) {
            decoder.write(bytes.first(std::min(piece, bytes.size())),
                          [&events](const kube::RawEvent& event) { events.push_back(event.type); });
        }
    } catch (const Error&) {
        events.emplace_back("refused");
    }
    return events;
}

void check_lines(Bytes bytes) {
    kube::LogCursor first;
    std::vector<kube::LogLine> lines;
    LineSplitter splitter;
    splitter.write(bytes, [&](std::string line) { lines.push_back(kube::parse_log_line(line)); });
    for (const kube::LogLine& line : lines) {
        require(first.take(line));
        require(!line.time || (line.time->nanoseconds >= 0 && line.time->nanoseconds < 1000000000));
    }
    static_cast<void>(first.since_time());
}

/// A log whose times go forward, or back by less than a second, is read with a cut after each line
/// that says so.
void check_reading(Bytes bytes) {
    std::vector<kube::LogLine> log;
    std::int64_t newest = 1704067200000;
    for (const std::byte byte : bytes) {
        const auto value = std::to_integer<std::int64_t>(byte);
        const std::int64_t now = newest + (value % 8 - 2) * 300;
        const std::int64_t time = std::max(now, newest - 900);
        newest = std::max(newest, time);
        log.push_back(
            {.time = kube::Time{.seconds = time / 1000,
                                .nanoseconds = static_cast<std::int32_t>(time % 1000) * 1000000},
             .text = std::to_string(value / 64)});
    }
    kube::LogCursor cursor;
    std::vector<std::string> told;
    std::size_t begin = 0;
    while (begin < log.size()) {
        const std::string since = cursor.since_time();
        const auto from = since.empty() ? kube::Time{} : *kube::parse_time(since);
        cursor.reopen();
        std::size_t at = 0;
        for (; at < log.size(); ++at) {
            if (*log[at].time < from) {
                continue;
            }
            if (cursor.take(log[at])) {
                told.push_back(log[at].text);
            }
            if (at >= begin && (std::to_integer<unsigned>(bytes[at]) & 32U) != 0) {
                break;
            }
        }
        begin = at + 1;
    }
    require(told.size() == log.size());
    for (std::size_t i = 0; i < log.size(); ++i) {
        require(told[i] == log[i].text);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const Bytes input = std::as_bytes(std::span{data + 1, size - 1});
    if (data[0] == 0) {
        const auto whole = watch_in_pieces(input, input.size());
        require(watch_in_pieces(input, 1) == whole);
        require(watch_in_pieces(input, 7) == whole);
    } else if (data[0] == 1) {
        check_lines(input);
    } else {
        check_reading(input);
    }
    return 0;
}
