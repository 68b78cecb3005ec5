// How fast the codecs are (Google Benchmark; bytes per second of plain data), and their peers
// beside them: zlib with -DBENCH_ZLIB -lz, libdeflate with -DBENCH_LIBDEFLATE -ldeflate, ISA-L with
// -DBENCH_ISAL -lisal, OpenSSL with -DBENCH_OPENSSL -lcrypto.
//
//   c++ -std=c++20 -O2 -I include tests/bench/codec_bench.cpp -o codec_bench -lbenchmark -lpthread
//   FAIRING_BENCH_FILE=some_file ./codec_bench
//   ./codec_bench --ratios 5 FILE...   a table of ratios: rounds in turn, process time, medians;
//                                      and how fast each step of our levels is alone
//   tools/bench --codecs               the same with all peers that are there, on four corpora
//
// Without FAIRING_BENCH_FILE the data is the prose of tests/support/samples.hpp.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fairing/codec/crc32.hpp>
#include <fairing/codec/gzip.hpp>
#include <fairing/codec/sha256.hpp>
#include <fairing/core/env.hpp>
#include <fairing/core/files.hpp>
#include <fstream>
#include <functional>
#include <iterator>
#include <span>
#include <string>
#include <vector>

#include "../support/samples.hpp"

#if defined(BENCH_ZLIB)
#include <zlib.h>
#endif
#if defined(BENCH_LIBDEFLATE)
#include <libdeflate.h>
#endif
#if defined(BENCH_ISAL)
#include <isa-l/igzip_lib.h>
#endif
#if defined(BENCH_OPENSSL)
#include <openssl/evp.h>
#endif

namespace {

using namespace fairing::codec;
using support::bytes_of;

const std::string& text() {
    static const std::string data = [] {
        const auto path = fairing::env("FAIRING_BENCH_FILE");
        return path ? fairing::read_file(*path) : support::prose(std::size_t{16} << 20, 1);
    }();
    return data;
}

void count_bytes(benchmark::State& state, std::size_t size) {
    state.SetBytesProcessed(static_cast<std::int64_t>(size) * state.iterations());
}

void sha256_of(benchmark::State& state) {
    const Sha256Implementation implementation =
        sha256_implementations().at(static_cast<std::size_t>(state.range(0)));
    const std::string& data = text();  // made before the clock runs
    for (auto _ : state) {
        Sha256 hash{implementation};
        hash.update(data);
        benchmark::DoNotOptimize(hash.finish());
    }
    count_bytes(state, text().size());
}
BENCHMARK(sha256_of)->DenseRange(0, static_cast<int>(sha256_implementations().size()) - 1);

void crc32_of(benchmark::State& state) {
    const Crc32Implementation implementation =
        crc32_implementations().at(static_cast<std::size_t>(state.range(0)));
    const auto data = bytes_of(text());
    for (auto _ : state) {
        benchmark::DoNotOptimize(fairing::codec::crc32(data, 0, implementation));
    }
    count_bytes(state, text().size());
}
BENCHMARK(crc32_of)->DenseRange(0, static_cast<int>(crc32_implementations().size()) - 1);

void compress_blocks(benchmark::State& state, const std::string& data) {
    const GzipCompressor compressor{.level = static_cast<int>(state.range(0))};
    std::size_t packed = 0;
    for (auto _ : state) {
        std::vector<std::byte> out;
        auto left = bytes_of(data);
        while (!left.empty()) {
            const auto block = left.first(std::min(left.size(), compressor.block_size()));
            compressor.block(block, out);
            left = left.subspan(block.size());
        }
        packed = out.size();
    }
    count_bytes(state, data.size());
    state.counters["ratio"] = static_cast<double>(packed) / static_cast<double>(data.size());
}
void deflate_text(benchmark::State& state) { compress_blocks(state, text()); }
BENCHMARK(deflate_text)->DenseRange(0, 9)->Unit(benchmark::kMillisecond);

void deflate_random(benchmark::State& state) {
    static const std::string noise = support::random_bytes(std::size_t{16} << 20, 1);
    compress_blocks(state, noise);
}
BENCHMARK(deflate_random)->Arg(6)->Unit(benchmark::kMillisecond);

void gunzip_text(benchmark::State& state) {
    const std::string file = gzip(text());
    for (auto _ : state) {
        GunzipReader reader{
            [](std::span<const std::byte> bytes) { benchmark::DoNotOptimize(bytes.data()); }};
        reader.write(bytes_of(file));
        reader.finish();
    }
    count_bytes(state, text().size());
}
BENCHMARK(gunzip_text)->Unit(benchmark::kMillisecond);

#if defined(BENCH_ZLIB)

void zlib_crc32_of(benchmark::State& state) {
    for (auto _ : state) {
        benchmark::DoNotOptimize(::crc32(0, reinterpret_cast<const Bytef*>(text().data()),
                                         static_cast<uInt>(text().size())));
    }
    count_bytes(state, text().size());
}
BENCHMARK(zlib_crc32_of);

std::vector<Bytef> zlib_compressed(int level) {
    uLongf size = ::compressBound(static_cast<uLong>(text().size()));
    std::vector<Bytef> out(size);
    ::compress2(out.data(), &size, reinterpret_cast<const Bytef*>(text().data()),
                static_cast<uLong>(text().size()), level);
    out.resize(size);
    return out;
}

void zlib_deflate_text(benchmark::State& state) {
    std::size_t packed = 0;
    for (auto _ : state) {
        packed = zlib_compressed(static_cast<int>(state.range(0))).size();
    }
    count_bytes(state, text().size());
    state.counters["ratio"] = static_cast<double>(packed) / static_cast<double>(text().size());
}
BENCHMARK(zlib_deflate_text)->Arg(1)->Arg(6)->Arg(9)->Unit(benchmark::kMillisecond);

void zlib_inflate_text(benchmark::State& state) {
    const std::vector<Bytef> packed = zlib_compressed(6);
    std::vector<Bytef> out(text().size());
    for (auto _ : state) {
        uLongf size = static_cast<uLongf>(out.size());
        ::uncompress(out.data(), &size, packed.data(), static_cast<uLong>(packed.size()));
        benchmark::DoNotOptimize(out.data());
    }
    count_bytes(state, text().size());
}
BENCHMARK(zlib_inflate_text)->Unit(benchmark::kMillisecond);

#endif

/// One way to pack a stream: returns the packed size.
struct Packer {
    std::string name;
    std::function<std::size_t(std::span<const std::byte>)> pack;
    bool is_ours = false;
    std::vector<double> seconds = {};
    std::size_t size = 0;

    [[nodiscard]] double median() const {
        std::vector<double> sorted = seconds;
        std::sort(sorted.begin(), sorted.end());
        return sorted[sorted.size() / 2];
    }
};

Packer ours(const std::string& name, int level) {
    return {.name = name,
            .pack =
                [level](std::span<const std::byte> input) {
                    static std::vector<std::byte> out;
                    out.clear();
                    const GzipCompressor compressor{.level = level};
                    while (!input.empty()) {
                        const auto block =
                            input.first(std::min(input.size(), compressor.block_size()));
                        compressor.block(block, out);
                        input = input.subspan(block.size());
                    }
                    return out.size();
                },
            .is_ours = true};
}

std::vector<Packer> packers() {
    std::vector<Packer> all = {ours("fast", deflate_fast), ours("balanced", deflate_balanced),
                               ours("best", deflate_best)};
#if defined(BENCH_LIBDEFLATE)
    for (const int level : {1, 6}) {
        all.push_back(
            {"libdeflate " + std::to_string(level), [level](std::span<const std::byte> input) {
                 static std::vector<std::byte> out;
                 libdeflate_compressor* const peer = ::libdeflate_alloc_compressor(level);
                 out.resize(::libdeflate_deflate_compress_bound(peer, input.size()));
                 const std::size_t size = ::libdeflate_deflate_compress(
                     peer, input.data(), input.size(), out.data(), out.size());
                 ::libdeflate_free_compressor(peer);
                 return size;
             }});
    }
#endif
#if defined(BENCH_ISAL)
    all.push_back(
        {"ISA-L 1", [](std::span<const std::byte> input) {
             static std::vector<std::uint8_t> out, level_buffer(ISAL_DEF_LVL1_EXTRA_LARGE);
             out.resize(input.size() + input.size() / 8 + 1024);
             isal_zstream stream;
             ::isal_deflate_init(&stream);
             stream.level = 1;
             stream.level_buf = level_buffer.data();
             stream.level_buf_size = ISAL_DEF_LVL1_EXTRA_LARGE;
             stream.end_of_stream = 1;
             stream.next_in =
                 const_cast<std::uint8_t*>(reinterpret_cast<const std::uint8_t*>(input.data()));
             stream.avail_in = static_cast<std::uint32_t>(input.size());
             stream.next_out = out.data();
             stream.avail_out = static_cast<std::uint32_t>(out.size());
             return ::isal_deflate(&stream) == COMP_OK ? std::size_t{stream.total_out} : 0;
         }});
#endif
#if defined(BENCH_ZLIB)
    all.push_back({"zlib 6", [](std::span<const std::byte> input) {
                       static std::vector<Bytef> out;
                       uLongf size = ::compressBound(static_cast<uLong>(input.size()));
                       out.resize(size);
                       ::compress2(out.data(), &size, reinterpret_cast<const Bytef*>(input.data()),
                                   static_cast<uLong>(input.size()), 6);
                       return std::size_t{size};
                   }});
#endif
    return all;
}

/// Seconds of processor time of this process: other processes count less than on a wall clock.
double process_seconds() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

/// The seconds of one round that a level spends in its steps: the look for random pieces, the
/// search, the count of symbols and what they cost, and the code and its bits.
struct Steps {
    std::array<double, 4> seconds = {};

    template <class Parser>
    void measure(std::span<const std::byte> input, Parser parser) {
        constexpr std::size_t piece = detail::BlockSplitter::longest_chunk;
        static detail::Sequences sequences{detail::BlockSplitter::capacity};
        static std::vector<std::byte> out;
        out.clear();
        detail::BitWriter writer{out};
        detail::RandomnessProbe probe{input};
        detail::MatchCost cost;
        for (std::size_t position = 0; position < input.size();) {
            const std::size_t begin = position;
            const std::size_t size = std::min(piece, input.size() - position);
            double before = process_seconds();
            const auto end_step = [&](std::size_t step) {
                const double now = process_seconds();
                seconds[step] += now - before;
                before = now;
            };
            const bool is_random = probe.looks_random(position, size);
            end_step(0);
            if (is_random) {
                position += size;
                continue;
            }
            sequences.clear();
            position = parser.parse(position, position + size, cost, sequences);
            end_step(1);
            const detail::Histogram histogram = sequences.count({}, sequences.mark());
            learn(histogram, cost);
            benchmark::DoNotOptimize(histogram.cost());
            end_step(2);
            write_block(sequences, {}, sequences.mark(), histogram,
                        input.subspan(begin, position - begin), writer);
            end_step(3);
        }
    }
};

void print_steps(std::span<const std::byte> data, int level, const char* name) {
    static detail::FastTable table;
    static detail::MatchTables<32> few;
    static detail::MatchTables<64> many;
    Steps steps;
    const std::size_t block_size = GzipCompressor{}.block_size();
    for (auto left = data; !left.empty();) {
        const auto block = left.first(std::min(left.size(), block_size));
        left = left.subspan(block.size());
        const auto& effort =
            detail::search_efforts.at(static_cast<std::size_t>(std::max(level, 2) - 2));
        if (level == deflate_fast) {
            steps.measure(block, detail::FastParser{block, table});
        } else if (level <= deflate_balanced) {
            steps.measure(block, detail::LazyParser<32>{block, effort, few});
        } else {
            steps.measure(block, detail::LazyParser<64>{block, effort, many});
        }
    }
    std::printf("  %-12s", name);
    const std::array<const char*, 4> names = {"probe", "search", "count", "write"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        std::printf(" %s %.2f ns/byte%s", names[i],
                    steps.seconds[i] * 1e9 / static_cast<double>(data.size()),
                    i + 1 < names.size() ? "," : "\n");
    }
}

void print_ratios(const std::string& path, int rounds) {
    std::ifstream file{path, std::ios::binary};
    const std::string data{std::istreambuf_iterator<char>{file}, {}};
    std::vector<Packer> all = packers();
    for (int round = 0; round < rounds; ++round) {
        for (Packer& packer : all) {
            const double before = process_seconds();
            packer.size = packer.pack(bytes_of(data));
            packer.seconds.push_back(process_seconds() - before);
        }
    }
    const auto total = static_cast<double>(data.size());
    std::printf("%s, %zu bytes, %d rounds\n", path.c_str(), data.size(), rounds);
    for (const Packer& packer : all) {
        std::printf("  %-12s %7.1f MB/s  %.4f", packer.name.c_str(), total / packer.median() / 1e6,
                    static_cast<double>(packer.size) / total);
        for (const Packer& peer : all) {
            if (packer.is_ours && !peer.is_ours) {
                std::printf(" | %s: %.2f x speed, %.4f x size", peer.name.c_str(),
                            peer.median() / packer.median(),
                            static_cast<double>(packer.size) / static_cast<double>(peer.size));
            }
        }
        std::printf("\n");
    }
    print_steps(bytes_of(data), deflate_fast, "fast");
    print_steps(bytes_of(data), deflate_balanced, "balanced");
    print_steps(bytes_of(data), deflate_best, "best");
    std::fflush(stdout);
}

#if defined(BENCH_OPENSSL)
void openssl_sha256_of(benchmark::State& state) {
    for (auto _ : state) {
        unsigned char digest[EVP_MAX_MD_SIZE];
        unsigned size = 0;
        ::EVP_Digest(text().data(), text().size(), digest, &size, ::EVP_sha256(), nullptr);
        benchmark::DoNotOptimize(digest);
    }
    count_bytes(state, text().size());
}
BENCHMARK(openssl_sha256_of);
#endif

void peers_deflate_text(benchmark::State& state) {
    std::vector<Packer> all = packers();
    Packer& packer = all[static_cast<std::size_t>(state.range(0))];
    for (auto _ : state) {
        packer.size = packer.pack(bytes_of(text()));
    }
    state.SetLabel(packer.name);
    count_bytes(state, text().size());
    state.counters["ratio"] = static_cast<double>(packer.size) / static_cast<double>(text().size());
}
BENCHMARK(peers_deflate_text)
    ->DenseRange(0, static_cast<int>(packers().size()) - 1)
    ->Unit(benchmark::kMillisecond);

}  // namespace

int main(int count, char** arguments) {
    if (count > 3 && std::string{arguments[1]} == "--ratios") {
        for (int i = 3; i < count; ++i) {
            print_ratios(arguments[i], std::max(1, std::atoi(arguments[2])));
        }
        return 0;
    }
    benchmark::Initialize(&count, arguments);
    if (benchmark::ReportUnrecognizedArguments(count, arguments)) {
        return 1;
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
