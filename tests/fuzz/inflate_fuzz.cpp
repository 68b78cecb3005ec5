// Fuzz target (libFuzzer) of the inflate and gzip readers and the deflate writer.
// Meson builds it as fuzz-NAME with -Dfuzz=true and clang; then, from the root of the tree:
//
//   BUILD/tests/fuzz-inflate -max_len=4000 a_new_folder tests/fuzz/corpus/inflate
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fairing/codec/gzip.hpp>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace fairing::codec;

constexpr std::size_t output_limit = std::size_t{256} << 10;

struct Enough {};

struct Outcome {
    std::string text = {};
    enum class End { open, done, refused, enough } end = End::open;
    std::size_t used = 0;
};

ByteSink collect(std::string& text) {
    return [&text](std::span<const std::byte> bytes) {
        text.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
        if (text.size() > output_limit) {
            throw Enough{};
        }
    };
}

Outcome inflate_in_pieces(std::span<const std::byte> stream, std::size_t piece) {
    Outcome outcome;
    Inflater inflater{collect(outcome.text)};
    try {
        while (outcome.used < stream.size() && !inflater.done()) {
            // A copy, so that AddressSanitizer sees reads beyond the piece.
            const auto part =
                stream.subspan(outcome.used, std::min(piece, stream.size() - outcome.used));
            const std::vector<std::byte> copy(part.begin(), part.end());
            outcome.used += inflater.write(copy);
        }
        outcome.end = inflater.done() ? Outcome::End::done : Outcome::End::open;
    } catch (const fairing::Error&) {
        outcome.end = Outcome::End::refused;
    } catch (const Enough&) {
        outcome.end = Outcome::End::enough;
    }
    return outcome;
}

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) {
        return 0;
    }
    const auto input = std::as_bytes(std::span{data + 2, size - 2});
    const std::size_t piece = 1 + data[0];
    const int level = data[1] % 10;

    // The split of the input does not matter.
    const Outcome whole = inflate_in_pieces(input, input.size());
    const Outcome pieces = inflate_in_pieces(input, piece);
    if (whole.end != Outcome::End::enough && pieces.end != Outcome::End::enough) {
        require(whole.end == pieces.end);
        require(whole.end == Outcome::End::refused || whole.text == pieces.text);
        require(whole.end != Outcome::End::done || whole.used == pieces.used);
    }

    std::string text;
    try {
        GunzipReader reader{collect(text)};
        reader.write(input);
        reader.finish();
    } catch (const fairing::Error&) {
    } catch (const Enough&) {
    }

    // What is written is read back, in one block or two.
    std::vector<std::byte> stream;
    const std::size_t half = std::min(piece, input.size());
    deflate(input.first(half), stream, {.level = level});
    deflate(input.subspan(half), stream, {.level = level, .end = DeflateEnd::last});
    const Outcome again = inflate_in_pieces(stream, stream.size());
    require(again.end == Outcome::End::done && again.used == stream.size());
    require(std::ranges::equal(std::as_bytes(std::span{again.text}), input));
    return 0;
}
