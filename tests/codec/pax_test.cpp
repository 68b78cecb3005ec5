// The records of a pax header: what they say, and what is no record, no number and no time.
#include <doctest/doctest.h>

#include <cstdint>
#include <fairing/codec/pax.hpp>
#include <limits>
#include <string>
#include <string_view>

using namespace fairing::codec::detail;
using fairing::Error;
using fairing::ErrorCode;

namespace {

const std::string before = "a/b";

PaxRecords parsed(std::string_view text) { return parse_pax(text, before); }

/// What a reader says that refuses this.
template <class Call>
std::string refusal(const Call& call, ErrorCode code = ErrorCode::integrity) {
    try {
        static_cast<void>(call());
    } catch (const Error& error) {
        CHECK(error.code() == code);
        CHECK(error.details().subject == "a tar archive after \"a/b\"");
        return error.details().answer;
    }
    return "accepted";
}

}  // namespace

TEST_CASE("pax: a length counts the whole record, its own digits too") {
    CHECK(parsed("").empty());
    CHECK(parsed("6 a=b\n") == PaxRecords{{"a", "b"}});
    CHECK(parsed("5 a=\n") == PaxRecords{{"a", ""}});
    CHECK(parsed("008 a=b\n") == PaxRecords{{"a", "b"}});
    const std::string value(92, 'v');
    CHECK(parsed("99 k=" + value + "v\n") == PaxRecords{{"k", value + "v"}});
    CHECK(parsed("101 k=" + value + "vv\n") == PaxRecords{{"k", value + "vv"}});
    // So a value may hold what stands between records, and NUL.
    CHECK(parsed(std::string_view{"13 a=1\n2=3\0\xff\n", 13}) ==
          PaxRecords{{"a", std::string{"1\n2=3\0\xff", 7}}});
}

TEST_CASE("pax: of two records of one key the last holds") {
    CHECK(parsed("6 a=1\n6 b=2\n6 a=3\n") == PaxRecords{{"a", "3"}, {"b", "2"}});
    CHECK(parsed("6 a=1\n5 a=\n") == PaxRecords{{"a", ""}});
}

TEST_CASE("pax: what is no record") {
    for (const std::string_view records :
         {"x", "6", "6 a=b", "7 a=b\n", "5 a=b\n", "99999999999999999999 a=b\n", "0 a=b\n",
          "-6 a=b\n", "+6 a=b\n", " 6 a=b\n", "2 ", "6  a=b\n", "6\ta=b\n", "6 a=b\nx",
          "6 a=b\n7 a=b\n", "2\n\n"}) {
        CAPTURE(std::string{records});
        CHECK(refusal([&] { return parsed(records); }) == "a pax record with a wrong length");
    }
    for (const std::string_view records :
         {std::string_view{"3 \n"}, std::string_view{"6 abc\n"}, std::string_view{"6 =bc\n"},
          std::string_view{"7 a\0=b\n", 7}}) {
        CAPTURE(std::string{records});
        CHECK(refusal([&] { return parsed(records); }) == "a pax record without a key");
    }
    CHECK(refusal([] { return parsed("22 GNU.sparse.major=1\n"); }, ErrorCode::unsupported) ==
          "a sparse file");
}

TEST_CASE("pax: records that stand for a member of an entry") {
    for (const char* key : {"path", "linkpath", "size", "uid", "gid", "mtime"}) {
        CHECK(is_tar_member(key));
    }
    for (const char* key : {"", "Path", "uname", "atime", "SCHILY.xattr.path"}) {
        CHECK(!is_tar_member(key));
    }
}

TEST_CASE("pax: numbers are decimal, and have 63 bits") {
    const auto number_of = [](std::string_view text) { return pax_number(text, before); };
    CHECK(number_of("0") == 0);
    CHECK(number_of("0010") == 10);
    CHECK(number_of("8589934592") == 8589934592);
    CHECK(number_of("9223372036854775807") == std::numeric_limits<std::int64_t>::max());
    for (const std::string_view text : {"", "x", "-1", "-0", "+1", "1x", "0x1", " 1", "1 ", "1.5",
                                        "9223372036854775808", "99999999999999999999"}) {
        CAPTURE(std::string{text});
        CHECK(refusal([&] { return number_of(text); }) == "a pax record that is not a number");
    }
}

TEST_CASE("pax: times are rounded down to seconds") {
    const auto time_of = [](std::string_view text) { return pax_time(text, before); };
    CHECK(time_of("0") == 0);
    CHECK(time_of("1700000000.75") == 1700000000);
    CHECK(time_of("1.") == 1);
    CHECK(time_of("-1") == -1);
    CHECK(time_of("-1.5") == -2);
    CHECK(time_of("-0.5") == -1);
    CHECK(time_of("-1.000") == -1);
    CHECK(time_of("-0.0000000001") == -1);
    CHECK(time_of("9223372036854775807.9") == std::numeric_limits<std::int64_t>::max());
    CHECK(time_of("-9223372036854775808") == std::numeric_limits<std::int64_t>::min());
    CHECK(time_of("-9223372036854775808.0") == std::numeric_limits<std::int64_t>::min());
    for (const std::string_view text : {"", "x", "-", ".5", "-.5", "1x", "1.x", "1.5.5", "1,5",
                                        "1e3", "99999999999999999999", "-9223372036854775808.5"}) {
        CAPTURE(std::string{text});
        CHECK(refusal([&] { return time_of(text); }) == "a pax record that is not a time");
    }
}
