#include "fairing/kube/log_lines.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using namespace fairing;

namespace {

/// What of `lines` a cursor has not seen.
std::vector<std::string> fresh(kube::LogCursor& cursor, const std::vector<std::string>& lines) {
    std::vector<std::string> result;
    for (const std::string& text : lines) {
        const kube::LogLine line = kube::parse_log_line(text);
        if (cursor.take(line)) {
            result.push_back(line.text);
        }
    }
    return result;
}

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("a line of a log is a time and a text") {
    const kube::LogLine line = kube::parse_log_line("2024-05-06T07:08:09.123456789Z  epoch 1 ");
    REQUIRE(line.time);
    CHECK(line.time->nanoseconds == 123456789);
    CHECK(line.text == " epoch 1 ");
    CHECK(kube::parse_log_line("2024-05-06T07:08:09Z ").text.empty());
    CHECK(kube::parse_log_line("2024-05-06T07:08:09Z").time);
    CHECK(kube::parse_log_line("2024-05-06T07:08:09+02:00 x").text == "x");
    CHECK(kube::parse_log_line("no time here").text == "no time here");
    CHECK_FALSE(kube::parse_log_line("no time here").time);
    CHECK(kube::is_word_of_node(
        kube::parse_log_line("unable to retrieve container logs for containerd://1")));
    CHECK_FALSE(kube::is_word_of_node(kube::parse_log_line(
        "2024-05-06T07:08:09Z unable to retrieve container logs for containerd://1")));
}

TEST_CASE("fault 51: lines of the same time are neither lost nor repeated") {
    kube::LogCursor cursor;
    CHECK(cursor.since_time().empty());
    CHECK(fresh(cursor, {"2024-01-01T00:00:05.5Z a", "2024-01-01T00:00:05.5Z b",
                         "2024-01-01T00:00:05.5Z b"}) == Lines{"a", "b", "b"});
    CHECK(cursor.since_time() == "2024-01-01T00:00:04Z");
    cursor.reopen();
    CHECK(fresh(cursor, {"2024-01-01T00:00:05.5Z a", "2024-01-01T00:00:05.5Z b",
                         "2024-01-01T00:00:05.5Z b", "2024-01-01T00:00:05.5Z b",
                         "2024-01-01T00:00:05.5Z c", "2024-01-01T00:00:06Z d"}) ==
          Lines{"b", "c", "d"});
    CHECK(cursor.since_time() == "2024-01-01T00:00:05Z");
}

TEST_CASE("lines a little out of order survive a new connection") {
    kube::LogCursor cursor;
    CHECK(fresh(cursor, {"2024-01-01T00:00:09.9Z 1", "2024-01-01T00:00:10.1Z 2"}).size() == 2);
    cursor.reopen();
    CHECK(fresh(cursor, {"2024-01-01T00:00:09.9Z 1", "2024-01-01T00:00:10.1Z 2",
                         "2024-01-01T00:00:09.95Z 3"}) == Lines{"3"});
    cursor.reopen();
    CHECK(fresh(cursor, {"2024-01-01T00:00:09.9Z 1", "2024-01-01T00:00:10.1Z 2",
                         "2024-01-01T00:00:09.95Z 3", "2024-01-01T00:00:10.2Z 4"}) == Lines{"4"});
}

TEST_CASE("lines that the node has rotated away are not waited for") {
    kube::LogCursor cursor;
    CHECK(fresh(cursor, {"2024-01-01T00:00:01.1Z 1", "2024-01-01T00:00:01.2Z 2",
                         "2024-01-01T00:00:01.3Z 3"})
              .size() == 3);
    cursor.reopen();
    CHECK(fresh(cursor, {"2024-01-01T00:00:01.3Z 3", "2024-01-01T00:00:01.4Z 4"}) == Lines{"4"});
    cursor.reopen();
    CHECK(fresh(cursor, {"2024-01-01T00:00:07Z 5", "2024-01-01T00:00:07Z 5"}) == Lines{"5", "5"});
}

TEST_CASE("pieces of a line without an end come once, and the rest of an old one not at all") {
    kube::LogCursor cursor;
    const Lines pieces = {"2024-01-01T00:00:01Z head", "tail", "2024-01-01T00:00:01Z next"};
    CHECK(fresh(cursor, pieces) == Lines{"head", "tail", "next"});
    cursor.reopen();
    CHECK(fresh(cursor, pieces).empty());
    CHECK(fresh(cursor, {"2024-01-01T00:00:09Z new"}) == Lines{"new"});
    cursor.reopen();
    CHECK(fresh(cursor, {"tail of something old", "2024-01-01T00:00:09Z new"}).empty());
}

TEST_CASE("a clock that is set back repeats lines, and loses none") {
    kube::LogCursor cursor;
    CHECK(fresh(cursor, {"2024-01-01T10:00:00Z a", "2024-01-01T09:00:00Z b"}) == Lines{"a", "b"});
    CHECK(cursor.since_time() == "2024-01-01T08:59:59Z");
}

TEST_CASE("lines that Katib's collector repeats are the program's again") {
    const std::string line = "I1126 04:05:06.789012      15 main.go:143] loss=0.5] I";
    CHECK(kube::original_line(kube::katib_collector, line) == "loss=0.5] I");
    CHECK(kube::original_line("trial", line) == line);
    for (const char* other : {"", "] ", "loss=0.5", "Info: [1] x", "x main.go:1] y"}) {
        CHECK(kube::original_line(kube::katib_collector, other) == other);
    }
}
