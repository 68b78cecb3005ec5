#include <doctest/doctest.h>

#include <algorithm>
#include <fairing/packaging/layer_plan.hpp>
#include <map>
#include <string>
#include <vector>

using namespace fairing::packaging;
using fairing::ContextFile;
using fairing::FileKind;

namespace {

constexpr std::uint64_t mebibyte = std::uint64_t{1} << 20;

ContextFile file(std::string destination, std::uint64_t size) {
    return {.destination = std::move(destination), .size = size};
}

/// A context as people have them: sources, data, a model, packages.
std::vector<ContextFile> project() {
    std::vector<ContextFile> files;
    for (int i = 0; i < 200; ++i) {
        const std::string number = std::to_string(i);
        files.push_back(file("/app/src/m" + number + ".py", 4000));
        files.push_back(file("/app/data/part" + number + ".csv", 2 * mebibyte));
        files.push_back(file("/app/data/" + number + "/small.csv", 100'000));
        files.push_back(file("/app/models/w" + number + ".bin", 64 * mebibyte));
        files.push_back(
            file("/app/venv/lib/python3.11/site-packages/p" + number + "/__init__.py", 10));
        files.push_back(
            file("/app/venv/lib/python3.11/site-packages/p" + number + "/big.so", 3 * mebibyte));
    }
    std::sort(files.begin(), files.end(),
              [](const auto& a, const auto& b) { return a.destination < b.destination; });
    return files;
}

std::map<std::string, std::string> layers_by_path(const std::vector<ContextFile>& files) {
    std::map<std::string, std::string> layers;
    for (const LayerGroup& group : plan(files)) {
        for (const ContextFile& each : group.files) {
            CHECK(layers.emplace(each.destination, group.name).second);
        }
    }
    CHECK(layers.size() == files.size());
    return layers;
}

}  // namespace

TEST_CASE("nothing is no layer, a small context one") {
    CHECK(plan({}).empty());
    const std::vector<ContextFile> small = {file("/app/node_modules/x/index.js", 100),
                                            file("/app/train.py", 2000)};
    REQUIRE(plan(small).size() == 1);
    CHECK(plan(small)[0].files.size() == 2);
    CHECK(plan(small)[0].name == "sources");
}

TEST_CASE("at most 16 layers, sources on top, order kept within each") {
    const auto groups = plan(project());
    CHECK(groups.size() == 16);
    CHECK(groups.back().name == "sources");
    for (const LayerGroup& group : groups) {
        CHECK(std::is_sorted(
            group.files.begin(), group.files.end(),
            [](const auto& a, const auto& b) { return a.destination < b.destination; }));
    }
}

TEST_CASE("each kind of file in its class") {
    const auto layers = layers_by_path(
        {file("/app/data.csv", 2 * mebibyte), file("/app/lib/libx.so.1", 100),
         file("/app/model.bin", 20 * mebibyte), file("/app/node_modules/@scope/a/x.js", 1),
         file("/app/node_modules/@scope/a/y.js", 1), file("/app/train.py", 1)});
    CHECK(layers.at("/app/data.csv").starts_with("large"));
    CHECK(layers.at("/app/lib/libx.so.1").starts_with("dependencies"));
    CHECK(layers.at("/app/model.bin").starts_with("huge"));
    CHECK(layers.at("/app/node_modules/@scope/a/x.js").starts_with("dependencies"));
    CHECK(layers.at("/app/node_modules/@scope/a/x.js") ==
          layers.at("/app/node_modules/@scope/a/y.js"));
    CHECK(layers.at("/app/train.py") == "sources");
}

TEST_CASE("data in small files is apart from sources, and stays together by folder") {
    constexpr std::uint64_t kibibyte = 1024;
    const auto layers = layers_by_path(
        {file("/app/data.bin", 2 * mebibyte), file("/app/data/a.csv", 40 * kibibyte),
         file("/app/data/b.npy", 900 * kibibyte), file("/app/data/tiny.csv", 31 * kibibyte),
         file("/app/long.py", 255 * kibibyte), file("/app/strange.py", 256 * kibibyte)});
    CHECK(layers.at("/app/data/a.csv").starts_with("data"));
    CHECK(layers.at("/app/data/a.csv") == layers.at("/app/data/b.npy"));
    CHECK(layers.at("/app/data/tiny.csv") == "sources");
    CHECK(layers.at("/app/long.py") == "sources");
    CHECK(layers.at("/app/strange.py").starts_with("data"));
}

TEST_CASE("a package stays together, and packages are spread") {
    const auto layers = layers_by_path(project());
    std::map<std::string, int> used;
    for (int i = 0; i < 200; ++i) {
        const std::string package = "/app/venv/lib/python3.11/site-packages/p" + std::to_string(i);
        CHECK(layers.at(package + "/__init__.py") == layers.at(package + "/big.so"));
        ++used[layers.at(package + "/big.so")];
    }
    CHECK(used.size() == 5);
    for (const auto& layer : used) {
        CAPTURE(layer.first);
        CHECK(layer.second > 10);
    }
}

TEST_CASE("an edit moves no other file") {
    const auto files = project();
    const auto before = layers_by_path(files);
    for (std::size_t i = 0; i < files.size(); i += 37) {
        auto fewer = files;
        fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
        auto grown = files;
        grown[i].size *= 10;
        for (const auto* edited : {&fewer, &grown}) {
            for (const auto& [path, layer] : layers_by_path(*edited)) {
                if (path != files[i].destination) {
                    CHECK(layer == before.at(path));
                }
            }
        }
    }
}

TEST_CASE("sizes that would overflow a sum do no harm") {
    const std::vector<ContextFile> files = {file("/app/a", ~std::uint64_t{0}),
                                            file("/app/b", ~std::uint64_t{0}), file("/app/c", 1)};
    CHECK(layers_by_path(files).at("/app/c") == "sources");
    CHECK(layers_by_path(files).at("/app/a").starts_with("huge"));
}

TEST_CASE("files of a named layer share it and no other, however small") {
    const std::vector<ContextFile> files{
        {.destination = "/app/lib/a.so", .size = 10, .layer = "libraries"},
        {.destination = "/app/lib/b.so", .size = 1 << 24, .layer = "libraries"},
        {.destination = "/app/train.py", .size = 10}};
    const auto groups = plan(files);
    REQUIRE(groups.size() == 2);
    CHECK(groups[0].name == "libraries");
    CHECK(groups[0].files.size() == 2);
    CHECK(groups[1].name == "sources");
}
