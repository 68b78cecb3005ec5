#include "fairing/kube/watch_stream.hpp"

#include <doctest/doctest.h>

#include <span>
#include <string>
#include <vector>

using namespace fairing;

TEST_CASE("events come whole, however the bytes are cut; the unfinished one does not come") {
    const std::string text =
        "{\"type\":\"ADDED\",\"object\":{\"a\":\"x\\ny\"}}\n\r\n"
        "{\"type\":\"BOOKMARK\",\"object\":{}}\n{\"type\":\"DELETED\",\"obj";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        kube::WatchDecoder decoder;
        std::vector<std::string> types;
        for (std::size_t at = 0; at < text.size(); at += piece) {
            decoder.write(
                std::as_bytes(std::span{text}.subspan(at, std::min(piece, text.size() - at))),
                [&types](const kube::RawEvent& event) { types.push_back(event.type); });
        }
        CHECK(types == std::vector<std::string>{"ADDED", "BOOKMARK"});
    }
}

TEST_CASE("what is no event is refused") {
    for (const char* line : {"x", "[]", "{}", "{\"type\":\"ADDED\"}", "{\"type\":1,\"object\":{}}",
                             "{\"type\":\"ADDED\",\"object\":[]}"}) {
        CAPTURE(line);
        CHECK_THROWS_AS(static_cast<void>(kube::parse_watch_line(line)), Error);
    }
    CHECK_THROWS_AS(static_cast<void>(kube::parse_watch_line(
                        "{\"type\":\"A\",\"object\":{\"a\":" + std::string(1000, '[') + "}}")),
                    Error);
}
