// How fast the codecs are (Google Benchmark; bytes per second of plain data), and zlib beside them
// with -DBENCH_ZLIB -lz.
//
//   c++ -std=c++20 -O2 -I include tests/bench/codec_bench.cpp -o codec_bench -lbenchmark -lpthread
//   FAIRING_BENCH_FILE=some_file ./codec_bench
//
// Without FAIRING_BENCH_FILE the data is the prose of tests/support/samples.hpp.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <fairing/codec/crc32.hpp>
#include <fairing/codec/gzip.hpp>
#include <fairing/codec/sha256.hpp>
#include <fairing/core/env.hpp>
#include <fairing/core/files.hpp>
#include <span>
#include <string>
#include <vector>

#include "../support/samples.hpp"

#if defined(BENCH_ZLIB)
#include <zlib.h>
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
BENCHMARK(deflate_text)->DenseRange(1, 9)->Unit(benchmark::kMillisecond);

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

}  // namespace

BENCHMARK_MAIN();
