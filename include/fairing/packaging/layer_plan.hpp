// fairing/packaging/layer_plan.hpp - which files share a layer: a pure function of paths, kinds and
// sizes.
//
// What changes together belongs together, and what is dear to send apart from what is edited. A
// file goes, by itself and whatever the others are, to
//
//  - dependencies 1-5: below site-packages, node_modules and the like, by package; native
//    libraries, by path
//  - huge files 1-4: 16 MiB and more, by path
//  - large files 1-3: 1 MiB and more, by path
//  - data 1-3: 32 KiB and more (256 KiB when its name is one of text that people write: train.py,
//    params.yaml), by folder
//  - sources: everything else, on top
//
// A file whose stage names a layer (ContextFile::layer) goes to that one, however small, and to no
// other; such layers come on top of the 16.
//
// where "by" means: a hash of it picks the number. There is no running total, so a file that comes,
// goes or grows changes its own layer only (two when it crosses a limit). Only what holds a file
// becomes a layer: 16 at most. A context below 1 MiB is one layer; when it outgrows that, as much
// is sent again, once.
//
// Why these: an edit costs reading, hashing and sending its whole layer, so sources must not share
// one with data, be it in small files; several layers of a class halve what a changed data set
// costs, and let several be made and sent at once. The same limits stand in layer_plan_test.cpp.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "context.hpp"
#include "text.hpp"

namespace fairing::packaging {

/// The files of one layer, in the order of the context.
struct LayerGroup {
    std::string name = {};  ///< "sources", "dependencies 3": for people
    std::vector<ContextFile> files = {};
};

namespace detail {

inline constexpr std::uint64_t small_context = std::uint64_t{1} << 20;
inline constexpr std::uint64_t large_file = std::uint64_t{1} << 20;
inline constexpr std::uint64_t huge_file = std::uint64_t{16} << 20;
inline constexpr std::uint64_t data_file = std::uint64_t{32} << 10;
inline constexpr std::uint64_t data_text = std::uint64_t{256} << 10;  // named like a source

/// Layers come in this order, the lowest first.
enum class LayerClass { dependencies, huge, large, data, sources };

/// A class and a number within it.
using LayerKey = std::pair<LayerClass, std::uint64_t>;

/// FNV-1a, with its high bits folded in: short and the same everywhere.
[[nodiscard]] constexpr std::uint64_t path_hash(std::string_view text) {
    std::uint64_t hash = 0xcbf29ce484222325;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
    }
    return hash ^ hash >> 32;
}

/// Up to the package in the innermost folder of dependencies (with its @scope), or "" when there is
/// none.
[[nodiscard]] inline std::string_view package_of(std::string_view path) {
    constexpr std::array<std::string_view, 7> folders = {
        "site-packages", "dist-packages", "node_modules", "vendor", "third_party", "venv", ".venv"};
    std::string_view package;
    const auto parts = components(path);
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
        if (std::find(folders.begin(), folders.end(), parts[i]) != folders.end()) {
            const bool scoped = parts[i + 1].starts_with('@') && i + 2 < parts.size();
            const std::string_view last = parts[scoped ? i + 2 : i + 1];
            package =
                path.substr(0, static_cast<std::size_t>(last.data() - path.data()) + last.size());
        }
    }
    return package;
}

[[nodiscard]] inline bool is_native_library(std::string_view path) {
    const std::string_view name = last_component(path);
    constexpr std::array<std::string_view, 7> endings = {".so",  ".a",   ".dylib", ".dll",
                                                         ".pyd", ".whl", ".jar"};
    return name.find(".so.") != std::string_view::npos ||
           std::any_of(endings.begin(), endings.end(),
                       [&](std::string_view ending) { return name.ends_with(ending); });
}

/// Whether the name is one of text that people write and edit.
[[nodiscard]] inline bool is_source_name(std::string_view path) {
    constexpr std::array<std::string_view, 34> endings = {
        "py", "pyi", "pyx", "ipynb", "sh",  "toml", "cfg", "ini", "conf", "yaml", "yml",  "json",
        "md", "rst", "txt", "c",     "cc",  "cpp",  "h",   "hpp", "cu",   "cuh",  "java", "go",
        "rs", "js",  "ts",  "html",  "css", "sql",  "r",   "R",   "jl",   "proto"};
    const std::string_view name = last_component(path);
    const std::size_t dot = name.rfind('.');
    return dot != std::string_view::npos &&
           std::find(endings.begin(), endings.end(), name.substr(dot + 1)) != endings.end();
}

[[nodiscard]] inline std::string_view folder_of(std::string_view path) {
    return path.substr(0, path.rfind('/') == std::string_view::npos ? 0 : path.rfind('/'));
}

[[nodiscard]] inline LayerKey layer_of(const ContextFile& file) {
    const std::string_view path = file.destination;
    if (const std::string_view package = package_of(path); !package.empty()) {
        return {LayerClass::dependencies, path_hash(package) % 5};
    }
    if (file.kind == FileKind::regular && is_native_library(path)) {
        return {LayerClass::dependencies, path_hash(path) % 5};
    }
    if (file.kind == FileKind::regular && file.size >= huge_file) {
        return {LayerClass::huge, path_hash(path) % 4};
    }
    if (file.kind == FileKind::regular && file.size >= large_file) {
        return {LayerClass::large, path_hash(path) % 3};
    }
    if (file.kind == FileKind::regular &&
        file.size >= (is_source_name(path) ? data_text : data_file)) {
        return {LayerClass::data, path_hash(folder_of(path)) % 3};
    }
    return {LayerClass::sources, 0};
}

[[nodiscard]] inline std::string layer_name(const LayerKey& key) {
    const std::string number = ' ' + std::to_string(key.second + 1);
    switch (key.first) {
        case LayerClass::dependencies:
            return "dependencies" + number;
        case LayerClass::huge:
            return "huge files" + number;
        case LayerClass::large:
            return "large files" + number;
        case LayerClass::data:
            return "data" + number;
        case LayerClass::sources:
            break;
    }
    return "sources";
}

}  // namespace detail

/// The layers of these files, the lowest first, 16 at most; none when there is no file.
[[nodiscard]] inline std::vector<LayerGroup> plan(std::span<const ContextFile> files) {
    std::uint64_t total = 0;
    for (const ContextFile& file : files) {
        total +=
            file.layer.empty() ? std::min(file.size, detail::small_context) : 0;  // no overflow
    }
    std::map<detail::LayerKey, LayerGroup> groups;
    std::map<std::string, LayerGroup> named;
    for (const ContextFile& file : files) {
        if (!file.layer.empty()) {
            named[file.layer].files.push_back(file);
            continue;
        }
        const detail::LayerKey key = total < detail::small_context
                                         ? detail::LayerKey{detail::LayerClass::sources, 0}
                                         : detail::layer_of(file);
        groups[key].files.push_back(file);
    }
    std::vector<LayerGroup> layers;
    for (auto& [name, group] : named) {
        group.name = name;
        layers.push_back(std::move(group));
    }
    for (auto& [key, group] : groups) {
        group.name = detail::layer_name(key);
        layers.push_back(std::move(group));
    }
    return layers;
}

}  // namespace fairing::packaging
