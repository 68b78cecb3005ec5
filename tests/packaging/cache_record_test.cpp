#include "fairing/packaging/cache_record.hpp"

#include <doctest/doctest.h>

using fairing::packaging::RecordReader;
using fairing::packaging::RecordWriter;

namespace {

std::string sample_record() {
    RecordWriter writer{"sample"};
    writer.number(7);
    writer.text("seven");
    const std::array<std::byte, 32> digest = {std::byte{9}};
    writer.raw(digest);
    return writer.finish();
}

}  // namespace

TEST_CASE("a record is read as it was written") {
    const std::string record = sample_record();
    RecordReader reader{record, "sample"};
    CHECK(reader.number() == 7);
    CHECK(reader.text() == "seven");
    CHECK_FALSE(reader.done());
    CHECK(reader.digest()[0] == std::byte{9});
    CHECK(reader.done());
    CHECK(reader.number() == 0);
    CHECK_FALSE(reader.ok());
}

TEST_CASE("another kind, a torn record, and every damaged byte are seen") {
    const std::string record = sample_record();
    CHECK_FALSE(RecordReader{record, "other"}.ok());
    for (std::size_t size = 0; size < record.size(); ++size) {
        CHECK_FALSE(RecordReader{record.substr(0, size), "sample"}.ok());
    }
    for (std::size_t i = 0; i < record.size(); ++i) {
        std::string damaged = record;
        damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
        CHECK_FALSE(RecordReader{damaged, "sample"}.ok());
    }
}
