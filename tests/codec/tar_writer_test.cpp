// The tar writer: our reader, GNU tar and python's tarfile read back what was said, or it is
// refused.
#include <doctest/doctest.h>

#include <algorithm>
#include <fairing/codec/tar.hpp>
#include <fairing/core/files.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../support/samples.hpp"
#include "../support/shell.hpp"

using namespace fairing;
using namespace fairing::codec;
using support::bytes_of;

namespace {

using Entries = std::vector<std::pair<TarEntry, std::string>>;

std::string header_of(const TarEntry& entry) {
    std::vector<std::byte> out;
    append_tar_header(entry, out);
    return support::text_of(out);
}

std::string archive_of(const Entries& entries) {
    std::vector<std::byte> out;
    for (auto [entry, content] : entries) {
        entry.size = content.size();
        append_tar_header(entry, out);
        const auto bytes = bytes_of(content);
        out.insert(out.end(), bytes.begin(), bytes.end());
        out.resize(out.size() + tar_padding(content.size()));
    }
    append_tar_end(out);
    return support::text_of(out);
}

Entries read_back(std::string_view archive) {
    Entries entries;
    TarReader reader{[&](const TarEntry& entry) { entries.emplace_back(entry, ""); },
                     [&](std::span<const std::byte> bytes) {
                         entries.back().second += support::text_of(bytes);
                     }};
    reader.write(bytes_of(archive));
    reader.finish();
    return entries;
}

/// A relative path of this many bytes, in parts of 47.
std::string path_of(std::size_t size) {
    std::string path;
    for (std::size_t i = 0; i < size; ++i) {
        path += i % 48 == 47 && i + 1 < size ? '/' : static_cast<char>('a' + i % 26);
    }
    return path;
}

std::string refusal(const TarEntry& entry) {
    std::vector<std::byte> out;
    try {
        append_tar_header(entry, out);
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::input);
        CHECK(out.empty());
        return error.what();
    }
    return "accepted";
}

Entries varied_entries() {
    Entries entries;
    for (const std::size_t size :
         {1U, 99U, 100U, 101U, 155U, 156U, 200U, 255U, 256U, 257U, 300U, 1000U}) {
        entries.push_back({{.path = path_of(size)}, "content of " + std::to_string(size)});
        entries.push_back(
            {{.path = "d" + path_of(size), .kind = TarKind::directory, .mode = 0750}, ""});
    }
    entries.push_back({{.path = "gr\xc3\xb6\xc3\x9f"
                                "e/\xf0\x9f\x9a\x80.txt",
                        .mode = 0600},
                       "utf-8"});
    entries.push_back({{.path = std::string(101, 'n')}, "one part, too long"});
    entries.push_back({{.path = std::string(150, 'p') + "/" + std::string(101, 'n')}, ""});
    entries.push_back({{.path = std::string(156, 'p') + "/n"}, "prefix too long"});
    entries.push_back({{.path = "run.sh", .mode = 04755}, std::string(512, 's')});
    entries.push_back({{.path = "a b'c\"d\\e$f*"}, std::string(513, 't')});
    entries.push_back(
        {{.path = "link", .kind = TarKind::symlink, .mode = 0777, .link_target = "../run.sh"}, ""});
    entries.push_back(
        {{.path = "far", .kind = TarKind::symlink, .mode = 0777, .link_target = path_of(300)}, ""});
    entries.push_back({{.path = "uni",
                        .kind = TarKind::symlink,
                        .mode = 0777,
                        .link_target = "gr\xc3\xb6\xc3\x9f"
                                       "e"},
                       ""});
    entries.push_back({{.path = "hard", .kind = TarKind::hardlink, .link_target = "run.sh"}, ""});
    entries.push_back(
        {{.path = "owned", .user = 2097151, .group = 2097151, .mtime = 8589934591}, ""});
    entries.push_back(
        {{.path = "owned more", .user = 2097152, .group = 4294967294, .mtime = 8589934592}, ""});
    entries.push_back({{.path = "old", .mtime = -5}, ""});
    return entries;
}

}  // namespace

TEST_CASE("tar writer: our reader gives back every member, in every split") {
    Entries entries = varied_entries();
    entries.push_back(
        {{.path = "null", .kind = TarKind::character_device, .device_major = 1, .device_minor = 3},
         ""});
    entries.push_back(
        {{.path = "sda", .kind = TarKind::block_device, .device_major = 8, .device_minor = 2097151},
         ""});
    entries.push_back({{.path = "queue", .kind = TarKind::fifo}, ""});
    entries.push_back(
        {{.path = "attributes", .pax = {{"SCHILY.xattr.user.a", std::string{"\0\n=\xff", 4}}}},
         "x"});
    const std::string archive = archive_of(entries);
    CHECK(archive.size() % 512 == 0);
    const Entries again = read_back(archive);
    REQUIRE(again.size() == entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
        CAPTURE(entries[i].first.path);
        entries[i].first.size = entries[i].second.size();
        CHECK(bool{again[i].first == entries[i].first});
        CHECK(again[i].second == entries[i].second);
    }
}

TEST_CASE("tar writer: ustar when it fits, pax when not") {
    CHECK(header_of({.path = path_of(100)}).size() == 512);
    CHECK(header_of({.path = path_of(101)}).size() == 512);
    CHECK(header_of({.path = std::string(155, 'p') + "/" + std::string(100, 'n')}).size() == 512);
    CHECK(header_of({.path = std::string(155, 'p') + "/" + std::string(99, 'n'),
                     .kind = TarKind::directory})
              .size() == 512);
    CHECK(header_of({.path = std::string(155, 'p') + "/" + std::string(100, 'n'),
                     .kind = TarKind::directory})
              .size() == 1536);
    CHECK(header_of({.path = std::string(156, 'p') + "/n"}).size() == 1536);
    CHECK(header_of({.path = std::string(101, 'n')}).size() == 1536);
    CHECK(header_of({.path = "l", .kind = TarKind::symlink, .link_target = std::string(100, 't')})
              .size() == 512);
    CHECK(header_of({.path = "l", .kind = TarKind::symlink, .link_target = std::string(101, 't')})
              .size() == 1536);
    CHECK(header_of({.path = "big", .size = 8589934591}).size() == 512);
    CHECK(header_of({.path = "big", .size = 8589934592}).size() == 1536);
    CHECK(header_of({.path = "\xc3\xa9"}).size() == 1536);
    // The length of a record counts its own digits: 99 and 100 and 101 bytes.
    for (std::size_t size = 80; size < 110; ++size) {
        const std::string path = "\xc3\xa9" + std::string(size, 'x');
        CHECK(read_back(archive_of({{{.path = path}, ""}})).at(0).first.path == path);
    }
}

TEST_CASE("tar writer: equal entries, equal bytes, without time, user and name") {
    const TarEntry entry{.path = path_of(300)};
    CHECK(header_of(entry) == header_of(entry));
    const std::string header = header_of({.path = "file", .mode = 0640, .size = 5});
    CHECK(header.substr(0, 257) == "file" + std::string(96, '\0') +
                                       std::string{"0000640\0"
                                                   "0000000\0"
                                                   "0000000\0"
                                                   "00000000005\0"
                                                   "00000000000\0",
                                                   48} +
                                       std::string{"010036\0 0", 9} + std::string(100, '\0'));
    CHECK(header.substr(257) == std::string{"ustar\0"
                                            "00",
                                            8} +
                                    std::string(64, '\0') +
                                    std::string{"0000000\0"
                                                "0000000\0",
                                                16} +
                                    std::string(167, '\0'));
}

TEST_CASE("tar writer: names that are refused, and shown without harm") {
    CHECK(refusal({.path = ""}) == "cannot pack \"\": its name is empty");
    CHECK(refusal({.path = "/etc/passwd"}) == "cannot pack \"/etc/passwd\": its name is absolute");
    CHECK(refusal({.path = "a/../b"}) == "cannot pack \"a/../b\": its name has the part \"..\"");
    for (const char* path : {"..", ".", "./a", "a/.", "a//b", "a/", "/", "../a", "a/.."}) {
        CAPTURE(path);
        CHECK(refusal({.path = path}) != "accepted");
        CHECK(refusal({.path = path, .kind = TarKind::directory}) != "accepted");
        CHECK(refusal({.path = "h", .kind = TarKind::hardlink, .link_target = path}) != "accepted");
    }
    CHECK(refusal({.path = "...", .mode = 0}) == "accepted");
    CHECK(refusal({.path = "caf\xe9"}) ==
          "cannot pack \"caf\\xe9\": its name is not UTF-8: \"caf\\xe9\"");
    CHECK(refusal({.path = "a\nb"}) ==
          "cannot pack \"a\\x0ab\": its name has a control character: \"a\\x0ab\"");
    CHECK(refusal({.path = std::string{"a\0b", 3}}).find("a\\x00b") != std::string::npos);
    CHECK(refusal({.path = "a\x1b[2J"}).find("\\x1b") != std::string::npos);
    CHECK(refusal({.path = "a\x7f"}).find("\\x7f") != std::string::npos);
}

TEST_CASE("tar writer: links and members that are refused") {
    const auto link = [](std::string target) {
        return refusal({.path = "l", .kind = TarKind::symlink, .link_target = std::move(target)});
    };
    CHECK(link("") == "cannot pack \"l\": its target is empty");
    CHECK(link("/usr/bin/python3") == "accepted");
    CHECK(link("../../x") == "accepted");
    CHECK(link("\xff") != "accepted");
    CHECK(link("a\nb") != "accepted");
    CHECK(refusal({.path = "d", .kind = TarKind::directory, .size = 1}) != "accepted");
    CHECK(refusal({.path = "d", .kind = TarKind::block_device, .device_major = 2097152}) !=
          "accepted");
    for (const char* key : {"path", "size", "mtime", "", "a=b", "a\nb"}) {
        CHECK(refusal({.path = "f", .pax = {{key, "1"}}}) != "accepted");
    }
    CHECK(refusal({.path = "f", .pax = {{"comment", ""}}}) != "accepted");
}

TEST_CASE("tar writer: GNU tar lists and extracts it") {
    if (!support::has_program("tar") ||
        support::run("tar --version").output.find("GNU tar") == std::string::npos) {
        MESSAGE("skipped: there is no GNU tar");
        return;
    }
    const TemporaryDirectory folder;
    const std::string archive = (folder.path() / "archive.tar").string();
    const std::string root = (folder.path() / "root").string();
    Entries entries;
    for (auto& [entry, content] : varied_entries()) {
        // A file system has names of at most 255 bytes.
        std::size_t longest = 0, part = 0;
        for (const char character : entry.path) {
            part = character == '/' ? 0 : part + 1;
            longest = std::max(longest, part);
        }
        if (longest <= 255 && !entry.path.starts_with("owned") && entry.mtime >= 0) {
            entries.emplace_back(entry, content);
        }
    }
    support::write_bytes(archive, archive_of(entries));
    std::string names;
    for (const auto& [entry, content] : entries) {
        names += entry.path + (entry.kind == TarKind::directory ? "/\n" : "\n");
    }
    CHECK(support::run("tar -t --quoting-style=literal -f " + archive + " 2>&1").output == names);
    CHECK(support::run("mkdir " + root + " && tar -x -p --no-same-owner -f " + archive + " -C " +
                       root + " 2>&1")
              .output == "");
    for (const auto& [entry, content] : entries) {
        const std::string& member = entry.path;
        CAPTURE(member);
        const std::filesystem::path path = std::filesystem::path{root} / entry.path;
        const auto status = std::filesystem::symlink_status(path);
        if (entry.kind == TarKind::symlink) {
            CHECK(std::filesystem::read_symlink(path) == entry.link_target);
        } else if (entry.kind == TarKind::directory) {
            CHECK(std::filesystem::is_directory(status));
        } else if (entry.kind == TarKind::file) {
            CHECK(read_file(path) == content);
        }
        if (entry.kind == TarKind::file) {
            CHECK(static_cast<unsigned>(status.permissions()) == entry.mode);
        }
    }
    CHECK(std::filesystem::hard_link_count(root + "/hard") == 2);
}

TEST_CASE("tar writer: GNU tar and python read sizes beyond 8 GiB and large owners") {
    if (!support::has_program("python3") || !support::has_program("tar")) {
        MESSAGE("skipped: there is no python3 or no tar");
        return;
    }
    const TemporaryDirectory folder;
    const std::string path = (folder.path() / "header.tar").string();
    const TarEntry entry{.path = path_of(300),
                         .mode = 0640,
                         .size = 8589934593,
                         .user = 3000000,
                         .group = 4000000,
                         .mtime = 8589934599};
    support::write_bytes(path, header_of(entry));
    const auto python = support::run(
        "python3 -c 'import tarfile; t = tarfile.open(\"" + path +
        "\").next(); print(t.name, oct(t.mode), t.size, t.uid, t.gid, int(t.mtime))' 2>&1");
    CHECK(python.output == entry.path + " 0o640 8589934593 3000000 4000000 8589934599\n");
    const auto tar = support::run("tar -tv --numeric-owner -f " + path + " 2>/dev/null");
    CHECK(tar.output.find("-rw-r----- 3000000/4000000 8589934593") == 0);
    CHECK(tar.output.find(entry.path) != std::string::npos);
}
