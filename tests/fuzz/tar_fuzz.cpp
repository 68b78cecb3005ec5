// Fuzz target (libFuzzer) of the tar reader and writer.
// Meson builds it as fuzz-NAME with -Dfuzz=true and clang; then, from the root of the tree:
//
//   BUILD/tests/fuzz-tar -max_len=20000 a_new_folder tests/fuzz/corpus/tar
//
// So that mutations get anywhere, the checksum of each header is made to fit first, where a header
// may be.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fairing/codec/tar.hpp>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace fairing::codec;

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

struct Outcome {
    std::vector<std::pair<TarEntry, std::uint64_t>> entries = {};  ///< with the bytes that came
    bool is_refused = false;
};

Outcome read_in_pieces(std::span<const std::byte> archive, std::size_t piece) {
    Outcome outcome;
    TarReader reader{[&](const TarEntry& entry) { outcome.entries.emplace_back(entry, 0); },
                     [&](std::span<const std::byte> bytes) {
                         require(!outcome.entries.empty() && !bytes.empty());
                         outcome.entries.back().second += bytes.size();
                     }};
    try {
        for (; !archive.empty(); archive = archive.subspan(std::min(piece, archive.size()))) {
            const auto part = archive.first(std::min(piece, archive.size()));
            const std::vector<std::byte> copy(part.begin(), part.end());
            reader.write(copy);
        }
        reader.finish();
    } catch (const fairing::Error&) {
        outcome.is_refused = true;
    }
    return outcome;
}

void mend_checksums(std::vector<std::byte>& archive) {
    for (std::size_t at = 0; at + 512 <= archive.size(); at += 512) {
        if (archive[at + 257] != std::byte{'u'}) {
            continue;
        }
        unsigned sum = 0;
        for (std::size_t i = 0; i < 512; ++i) {
            sum += i >= 148 && i < 156 ? ' ' : std::to_integer<unsigned>(archive[at + i]);
        }
        std::array<char, 8> digits = {};
        std::snprintf(digits.data(), digits.size(), "%06o", sum);
        std::copy_n(std::as_bytes(std::span{digits}).begin(), 8,
                    archive.begin() + static_cast<std::ptrdiff_t>(at + 148));
    }
}

/// What the writer takes, the reader gives back.
void check_writer(const TarEntry& entry) {
    std::vector<std::byte> header;
    try {
        append_tar_header(entry, header);
    } catch (const fairing::Error&) {
        require(header.empty());
        return;
    }
    std::vector<TarEntry> again;
    TarReader reader{[&](const TarEntry& found) { again.push_back(found); },
                     [](std::span<const std::byte>) {}};
    reader.write(header);
    require(again.size() == 1 && again.front() == entry);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) {
        return 0;
    }
    const auto input = std::as_bytes(std::span{data + 1, size - 1});
    std::vector<std::byte> archive(input.begin(), input.end());
    mend_checksums(archive);
    const Outcome whole = read_in_pieces(archive, archive.size());
    const Outcome pieces = read_in_pieces(archive, 1 + data[0]);
    require(whole.is_refused == pieces.is_refused);
    require(whole.entries.size() == pieces.entries.size());
    for (std::size_t i = 0; i < whole.entries.size(); ++i) {
        const auto& [entry, bytes] = whole.entries[i];
        require(entry == pieces.entries[i].first && bytes == pieces.entries[i].second);
        require(!entry.path.empty() && entry.path.find('\0') == std::string::npos);
        require(entry.kind == TarKind::file || entry.size == 0);
        require(bytes == entry.size || (i + 1 == whole.entries.size() && whole.is_refused));
        check_writer(entry);
    }
    return 0;
}
