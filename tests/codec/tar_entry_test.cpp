// The layout of a header has no gap, and whole blocks follow it.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fairing/codec/tar_entry.hpp>
#include <initializer_list>
#include <string>

using namespace fairing::codec;
using namespace fairing::codec::detail;

TEST_CASE("tar entry: the fields lie as in POSIX's table, ustar Header Block") {
    const auto are_neighbours = [](std::initializer_list<TarField> fields, std::size_t end) {
        std::size_t at = fields.begin()->offset;
        for (const TarField& field : fields) {
            if (field.offset != at) {
                return false;
            }
            at += field.size;
        }
        return at == end;
    };
    CHECK(tar_name.offset == 0);
    // The magic has the version behind it; then the names of the owner, 32 bytes each.
    CHECK(are_neighbours({tar_name, tar_mode, tar_user, tar_group, tar_size, tar_mtime,
                          tar_checksum, tar_type, tar_link, tar_magic},
                         265));
    CHECK(are_neighbours({tar_device_major, tar_device_minor, tar_prefix}, 500));
    CHECK(tar_device_major.offset == 265 + 2 * 32);
    CHECK(tar_name.size == 100);
    CHECK(tar_link.size == 100);
    CHECK(tar_prefix.size == 155);
    CHECK(tar_magic_posix == std::string{"ustar\0"
                                         "00",
                                         8});
    CHECK(tar_magic_gnu == std::string{"ustar  \0", 8});
}

TEST_CASE("tar entry: the text of a field is all of it, NUL or not") {
    TarBlock block = {};
    std::fill(block.begin(), block.end(), '.');
    block[156] = '5';
    std::fill_n(block.begin() + 157, 100, 't');
    block[160] = '\0';
    CHECK(tar_text(block, tar_type) == "5");
    CHECK(tar_text(block, tar_link) == "ttt" + std::string(1, '\0') + std::string(96, 't'));
    CHECK(tar_text(block, tar_prefix) == std::string(155, '.'));
}

TEST_CASE("tar entry: zeros fill the last block") {
    CHECK(tar_padding(0) == 0);
    CHECK(tar_padding(1) == 511);
    CHECK(tar_padding(511) == 1);
    CHECK(tar_padding(512) == 0);
    CHECK(tar_padding(513) == 511);
    CHECK(tar_padding(~std::uint64_t{0}) == 1);
}
