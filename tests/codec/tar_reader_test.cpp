// The tar reader: archives of GNU tar and python in all their formats, and archives that nobody
// should trust.
#include <doctest/doctest.h>

#include <algorithm>
#include <cstdint>
#include <fairing/codec/tar.hpp>
#include <fairing/core/files.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../support/samples.hpp"
#include "../support/shell.hpp"
#include "ustar_header.hpp"

using namespace fairing;
using namespace fairing::codec;
using codec_test::Header;
using support::bytes_of;

namespace {

using Entries = std::vector<std::pair<TarEntry, std::string>>;

Entries read_archive(std::string_view archive, std::size_t piece = ~std::size_t{0}) {
    Entries entries;
    TarReader reader{[&](const TarEntry& entry) { entries.emplace_back(entry, ""); },
                     [&](std::span<const std::byte> bytes) {
                         entries.back().second += support::text_of(bytes);
                     }};
    for (std::size_t at = 0; at < archive.size(); at += std::min(piece, archive.size() - at)) {
        reader.write(bytes_of(archive.substr(at, piece)));
    }
    reader.finish();
    return entries;
}

std::string refusal(std::string_view archive, ErrorCode code = ErrorCode::integrity) {
    try {
        static_cast<void>(read_archive(archive));
    } catch (const Error& error) {
        CHECK(error.code() == code);
        return error.details().answer;
    }
    return "accepted";
}

std::string padded(std::string_view content) {
    return std::string{content} + std::string(tar_padding(content.size()), '\0');
}
std::string extended(char type, std::string_view content) {
    return Header{"extended", type}.size(content.size()).block() + padded(content);
}
std::string record(const std::string& key, const std::string& value) {
    return codec::detail::pax_record(key, value);
}

const std::string end_marker(1024, '\0');
const std::string some_file = Header{"file"}.size(5).block() + padded("hello");

}  // namespace

TEST_CASE("tar reader: the end of an archive") {
    CHECK(read_archive("").empty());
    CHECK(read_archive(end_marker).empty());
    CHECK(read_archive(some_file + end_marker).size() == 1);
    CHECK(read_archive(some_file + end_marker + "anything").size() == 1);
    CHECK(read_archive(some_file).size() == 1);
    CHECK(read_archive(some_file + std::string(512, '\0')).size() == 1);
    CHECK(refusal(some_file + std::string(512, '\0') + some_file) ==
          "an entry follows half an end marker");
    for (std::size_t size = 1; size < some_file.size(); ++size) {
        REQUIRE(refusal(some_file.substr(0, size)) == "the archive is cut off");
    }
}

TEST_CASE("tar reader: every split gives the same") {
    const std::string archive = extended('g', record("mtime", "7")) +
                                extended('x', record("path", "long/" + std::string(300, 'n'))) +
                                some_file + extended('L', std::string(200, 'g') + '\0') +
                                some_file + end_marker;
    for (const std::size_t piece : {1U, 2U, 3U, 100U, 511U, 512U, 513U, 1000U, 5000U}) {
        const Entries entries = read_archive(archive, piece);
        REQUIRE(entries.size() == 2);
        CHECK(entries[0].first.path == "long/" + std::string(300, 'n'));
        CHECK(entries[0].first.mtime == 7);
        CHECK(entries[1].first.path == std::string(200, 'g'));
        CHECK(entries[0].second == "hello");
        CHECK(entries[1].second == "hello");
    }
}

TEST_CASE("tar reader: kinds") {
    const auto kind_of = [](char type, std::string_view name = "n") {
        return read_archive(Header{name, type}.at(157, "target").block()).at(0).first.kind;
    };
    CHECK(kind_of('0') == TarKind::file);
    CHECK(kind_of('7') == TarKind::file);
    CHECK(kind_of('\0') == TarKind::file);
    CHECK(kind_of('\0', "n/") == TarKind::directory);
    CHECK(kind_of('1') == TarKind::hardlink);
    CHECK(kind_of('2') == TarKind::symlink);
    CHECK(kind_of('3') == TarKind::character_device);
    CHECK(kind_of('4') == TarKind::block_device);
    CHECK(kind_of('5', "n/") == TarKind::directory);
    CHECK(kind_of('6') == TarKind::fifo);
    CHECK(refusal(Header{"n", 'S'}.block(), ErrorCode::unsupported) ==
          "an entry of the unknown type \"S\"");
    CHECK(refusal(Header{"n", '\x1b'}.block(), ErrorCode::unsupported) ==
          "an entry of the unknown type \"\\x1b\"");
    // Only files have bytes, whatever the size says.
    CHECK(read_archive(Header{"h", '1'}.at(157, "t").size(5).block() + some_file).size() == 2);
    CHECK(read_archive(Header{"f", '0'}.at(157, "stale").block()).at(0).first.link_target.empty());
}

TEST_CASE("tar reader: names are what the archive says, but for slashes at the end and NUL") {
    const auto name_of = [](const Header& header) {
        return read_archive(header.block()).at(0).first.path;
    };
    CHECK(name_of(Header{"../a"}) == "../a");
    CHECK(name_of(Header{"/etc/passwd"}) == "/etc/passwd");
    CHECK(name_of(Header{"./a"}) == "./a");
    CHECK(name_of(Header{"./", '5'}) == ".");
    CHECK(name_of(Header{"/", '5'}) == "/");
    CHECK(name_of(Header{"a///", '5'}) == "a");
    CHECK(name_of(Header{"caf\xe9"}) == "caf\xe9");
    CHECK(name_of(Header{"n"}.at(345, "p")) == "p/n");
    CHECK(refusal(Header{""}.block()) == "an entry without a name");
    CHECK(refusal(extended('x', record("path", std::string{"a\0b", 3})) + some_file) ==
          "a name with a NUL");
    CHECK(refusal(extended('x', record("linkpath", std::string{"a\0b", 3})) +
                  Header{"l", '2'}.block()) == "a name with a NUL");
    CHECK(refusal(Header{"l", '2'}.block()) == "a link without a target");
}

TEST_CASE("tar reader: each number out of its field") {
    const auto entry_of = [](const Header& header) {
        return read_archive(header.block()).at(0).first;
    };
    CHECK(entry_of(Header{"f"}.at(100, "100644 ")).mode == 0644);
    const TarEntry entry = entry_of(Header{"d", '3'}
                                        .at(108, "0000007")
                                        .at(116, "0000010")
                                        .at(136, "00000000011")
                                        .at(329, "0000001")
                                        .at(337, "0000003"));
    CHECK(entry.user == 7);
    CHECK(entry.group == 8);
    CHECK(entry.mtime == 9);
    CHECK(entry.device_major == 1);
    CHECK(entry.device_minor == 3);
    CHECK(entry_of(Header{"f"}.at(136, std::string(12, '\xff'))).mtime == -1);
    CHECK(refusal(Header{"f"}.at(124, std::string(12, '\xff')).block()) == "a negative size");
    CHECK(refusal(Header{"f"}.at(108, "0000008").block()) == "a user that is not a number");
    CHECK(refusal(Header{"f"}.at(136, std::string{"\x80\0\0\1\0\0\0\0\0\0\0\0", 12}).block()) ==
          "a time that is too large");
}

TEST_CASE("tar reader: a header that is none") {
    std::string broken = some_file;
    broken[0] = 'g';
    CHECK(refusal(broken) == "a header does not match its checksum");
    CHECK(refusal(std::string(512, 'x')) == "a checksum that is not a number");
}

TEST_CASE("tar reader: pax records") {
    const auto entry_of = [](const std::string& records) {
        return read_archive(extended('x', records) + some_file).at(0).first;
    };
    const TarEntry entry = entry_of(record("path", "p") + record("uid", "5000000") +
                                    record("gid", "6000000") + record("mtime", "1700000000.75") +
                                    record("SCHILY.xattr.a", "v") + record("uname", "who"));
    CHECK(entry.path == "p");
    CHECK(entry.user == 5000000);
    CHECK(entry.group == 6000000);
    CHECK(entry.mtime == 1700000000);
    CHECK(entry.pax ==
          std::map<std::string, std::string>{{"SCHILY.xattr.a", "v"}, {"uname", "who"}});
    CHECK(entry_of(record("path", "")).path == "file");
    CHECK(entry_of(record("comment", "a=b\nc")).pax.at("comment") == "a=b\nc");
    // The size of the record counts, not that of the header.
    CHECK(read_archive(extended('x', record("size", "3")) + Header{"f"}.size(0).block() +
                       padded("abc"))
              .at(0)
              .second == "abc");
    CHECK(refusal(extended('x', "6 abc\n") + some_file) == "a pax record without a key");
    CHECK(refusal(extended('x', record("size", "1.5")) + some_file) ==
          "a pax record that is not a number");
    CHECK(refusal(extended('x', record("mtime", "x")) + some_file) ==
          "a pax record that is not a time");
    CHECK(refusal(extended('x', record("GNU.sparse.major", "1")) + some_file,
                  ErrorCode::unsupported) == "a sparse file");
}

TEST_CASE("tar reader: global records hold until they are taken back") {
    const Entries entries = read_archive(
        extended('g', record("uid", "7") + record("comment", "of git")) + some_file +
        extended('x', record("uid", "8")) + some_file + extended('x', record("uid", "")) +
        some_file + extended('g', record("uid", "")) + some_file);
    REQUIRE(entries.size() == 4);
    CHECK(entries[0].first.user == 7);
    CHECK(entries[0].first.pax.empty());
    CHECK(entries[1].first.user == 8);
    CHECK(entries[2].first.user == 0);
    CHECK(entries[3].first.user == 0);
}

TEST_CASE("tar reader: extended headers that are too long, or stand alone") {
    CHECK(refusal(Header{"x", 'x'}.size((1 << 20) + 1).block()) ==
          "an extended header of 1048577 bytes");
    CHECK(refusal(Header{"L", 'L'}.size(8589934591).block()) ==
          "an extended header of 8589934591 bytes");
    CHECK(refusal(extended('g', record("comment", std::string(100'000, 'c'))) + some_file) ==
          "a global pax record of 100000 bytes");
    for (const char type : {'x', 'L', 'K'}) {
        CHECK(refusal(extended(type, record("path", "p"))) ==
              "an extended header without an entry");
        CHECK(refusal(extended(type, record("path", "p")) + end_marker) ==
              "an extended header without an entry");
    }
    CHECK(read_archive(extended('g', record("uid", "7")) + end_marker).empty());
    CHECK(read_archive(extended('x', "") + some_file).at(0).first.path == "file");
}

TEST_CASE("tar reader: every format of GNU tar and python") {
    if (!support::has_program("tar") || !support::has_program("python3")) {
        MESSAGE("skipped: there is no tar or no python3");
        return;
    }
    const TemporaryDirectory folder;
    const std::string root = (folder.path() / "root").string();
    const std::string deep =
        std::string(90, 'a') + "/" + std::string(90, 'b') + "/" + std::string(60, 'c');
    REQUIRE(support::run("mkdir -p " + root + "/" + deep + " && cd " + root + " && printf deep > " +
                         deep +
                         "/f && printf 123 > gr\xc3\xbcn && chmod 751 gr\xc3\xbcn && touch -d "
                         "@1234567890 gr\xc3\xbcn"
                         " && ln -s " +
                         deep +
                         "/f link && ln gr\xc3\xbcn other && mkfifo queue"
                         " && head -c 70000 /dev/zero > zeros")
                .exit_code == 0);
    const std::string archive = (folder.path() / "archive.tar").string();
    std::vector<std::string> commands;
    for (const char* format : {"gnu", "posix", "oldgnu"}) {
        commands.push_back(std::string{"tar -c --sort=name --format="} + format + " -C " + root +
                           " -f " + archive + " .");
    }
    for (const char* format : {"GNU_FORMAT", "PAX_FORMAT"}) {
        commands.push_back("cd " + root + " && python3 -c 'import tarfile; t = tarfile.open(\"" +
                           archive + "\", \"w\", format=tarfile." + format +
                           "); t.add(\".\"); t.close()'");
    }
    for (const std::string& command : commands) {
        CAPTURE(command);
        REQUIRE(support::run(command + " 2>&1").output.empty());
        std::map<std::string, std::pair<TarEntry, std::string>> found;
        for (const auto& [entry, content] : read_archive(read_file(archive), 777)) {
            const std::string path =
                entry.path.starts_with("./") ? entry.path.substr(2) : entry.path;
            found[path] = {entry, content};
        }
        CHECK(found.size() == 10);
        CHECK(found[deep + "/f"].second == "deep");
        CHECK(found[deep].first.kind == TarKind::directory);
        CHECK(found["link"].first.link_target == deep + "/f");
        CHECK(found["queue"].first.kind == TarKind::fifo);
        CHECK(found["zeros"].second == std::string(70000, '\0'));
        const bool first_is_file = found["gr\xc3\xbcn"].first.kind == TarKind::file;
        const auto& file = found[first_is_file ? "gr\xc3\xbcn" : "other"];
        CHECK(file.second == "123");
        CHECK(file.first.mode == 0751);
        CHECK(file.first.mtime == 1234567890);
        CHECK(found[first_is_file ? "other" : "gr\xc3\xbcn"].first.kind == TarKind::hardlink);
    }
}

TEST_CASE("tar reader: a flipped bit never harms") {
    const std::string archive = extended('x', record("path", "long") + record("size", "5")) +
                                some_file + extended('L', "name") + some_file;
    std::size_t accepted = 0, refused = 0;
    for (std::size_t bit = 0; bit < 8 * archive.size(); bit += 3) {
        std::string broken = archive;
        broken[bit / 8] = static_cast<char>(broken[bit / 8] ^ 1 << bit % 8);
        try {
            static_cast<void>(read_archive(broken));
            ++accepted;
        } catch (const Error& error) {
            const bool is_named =
                error.code() == ErrorCode::integrity || error.code() == ErrorCode::unsupported;
            REQUIRE(is_named);
            ++refused;
        }
    }
    CHECK(accepted > 0);
    CHECK(refused > accepted / 2);
}
