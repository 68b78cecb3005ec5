// fairing/codec/pax.hpp - the records of a pax header (POSIX.1-2017, pax), read.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <system_error>

#include "../core/error.hpp"
#include "tar_entry.hpp"
#include "tar_header.hpp"

namespace fairing::codec::detail {

/// "LENGTH KEY=VALUE\n" and so on.
[[nodiscard]] inline PaxRecords parse_pax(std::string_view rest, const std::string& after) {
    PaxRecords records;
    while (!rest.empty()) {
        std::size_t length = 0;
        const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), length);
        const auto digits = static_cast<std::size_t>(end - rest.data());
        if (error != std::errc{} || length > rest.size() || digits + 1 >= length ||
            rest[digits] != ' ' || rest[length - 1] != '\n') {
            malformed_tar(after, "a pax record with a wrong length");
        }
        const std::string_view record = rest.substr(digits + 1, length - digits - 2);
        const std::size_t equals = record.find('=');
        if (equals == std::string_view::npos || equals == 0 ||
            record.substr(0, equals).find('\0') != std::string_view::npos) {
            malformed_tar(after, "a pax record without a key");
        }
        if (record.starts_with("GNU.sparse.")) {
            malformed_tar(after, "a sparse file", ErrorCode::unsupported);
        }
        records.insert_or_assign(std::string{record.substr(0, equals)},
                                 std::string{record.substr(equals + 1)});
        rest.remove_prefix(length);
    }
    return records;
}

/// The records that a member of TarEntry stands for.
[[nodiscard]] inline bool is_tar_member(std::string_view key) {
    return key == "path" || key == "linkpath" || key == "size" || key == "uid" || key == "gid" ||
           key == "mtime";
}

[[nodiscard]] inline std::uint64_t pax_number(std::string_view text, const std::string& after) {
    std::int64_t value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error != std::errc{} || stop != end || value < 0 || text.starts_with('-')) {
        malformed_tar(after, "a pax record that is not a number");
    }
    return static_cast<std::uint64_t>(value);
}

/// Seconds with or without a fraction, rounded down.
[[nodiscard]] inline std::int64_t pax_time(std::string_view text, const std::string& after) {
    std::int64_t seconds = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, seconds);
    const std::string_view fraction{stop, static_cast<std::size_t>(end - stop)};
    const bool has_fraction = fraction.find_first_not_of('0', 1) < fraction.size();
    if (error != std::errc{} || (!fraction.empty() && !fraction.starts_with('.')) ||
        fraction.find_first_not_of("0123456789", 1) < fraction.size()) {
        malformed_tar(after, "a pax record that is not a time");
    }
    const bool below = text.starts_with('-') && has_fraction;
    if (below && seconds == std::numeric_limits<std::int64_t>::min()) {
        malformed_tar(after, "a pax record that is not a time");
    }
    return seconds - (below ? 1 : 0);
}

}  // namespace fairing::codec::detail
