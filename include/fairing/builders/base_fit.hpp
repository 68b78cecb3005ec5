// fairing/builders/base_fit.hpp - what a context needs of its base image, looked up in the layers
// of that.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/elf.hpp"
#include "../core/control.hpp"
#include "../core/env.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/json_text.hpp"
#include "../oci/image.hpp"
#include "../oci/store.hpp"
#include "../oci/unpack.hpp"
#include "../packaging/context.hpp"
#include "../packaging/elf_file.hpp"
#include "../packaging/text.hpp"

namespace fairing {

/// The shared libraries in the linker's own folders of an image.
struct BaseLibraries {
    /// By file name, all links followed: the versions that it defines.
    std::map<std::string, std::set<std::string>> versions = {};

    /// The minor version of glibc 2; nullopt when there is none.
    [[nodiscard]] std::optional<int> glibc() const {
        const auto found = versions.find("libc.so.6");
        std::optional<int> newest;
        for (const std::string& each :
             found == versions.end() ? std::set<std::string>{} : found->second) {
            newest = std::max(newest, codec::glibc_minor(each));
        }
        return newest;
    }
};

namespace detail {

/// Gathers libraries from layer upon layer.
class LibraryScan {
public:
    explicit LibraryScan(std::string architecture) : architecture_(std::move(architecture)) {}

    void read(oci::Store& store, const oci::Descriptor& layer, const Control& control) {
        std::vector<std::string> hidden;  // by whiteouts: of the layers below only
        std::map<std::string, Entry> added;
        std::string path, bytes;
        const auto finish = [&] {
            if (!path.empty()) {
                added[path] = {.versions = versions_in(bytes, path)};
            }
            path.clear();
            bytes.clear();
        };
        codec::TarReader reader{
            [&](const codec::TarEntry& entry) {
                finish();
                const std::string place = folder_as_merged(entry.path);
                const std::string_view name = packaging::last_component(place);
                if (name.starts_with(".wh.")) {
                    hidden.push_back(place);
                } else if (!is_place_of_libraries(place) ||
                           name.find(".so") == std::string_view::npos) {
                    return;
                } else if (entry.kind == codec::TarKind::symlink) {
                    added[place] = {.link = entry.link_target};
                } else if (entry.kind == codec::TarKind::file && entry.size <= largest) {
                    path = place;
                }
            },
            [&](std::span<const std::byte> data) {
                if (!path.empty()) {
                    bytes.append(reinterpret_cast<const char*>(data.data()), data.size());
                }
            }};
        oci::read_layer(store, layer, reader, control);
        finish();
        hide(hidden);
        for (auto& [place, entry] : added) {
            entries_[place] = std::move(entry);
        }
    }

    [[nodiscard]] BaseLibraries take() const {
        BaseLibraries libraries;
        for (const auto& [place, entry] : entries_) {
            std::string at = place;
            auto found = entries_.find(at);
            for (int links = 0; found != entries_.end() && !found->second.link.empty(); ++links) {
                const std::string& link = found->second.link;
                at = folder_as_merged(packaging::clean(
                    link.starts_with('/') ? link.substr(1)
                                          : packaging::join(packaging::parent(at), link)));
                found = links < 16 ? entries_.find(at) : entries_.end();
            }
            if (found != entries_.end() && found->second.versions) {
                libraries.versions[std::string{packaging::last_component(place)}] =
                    *found->second.versions;
            }
        }
        return libraries;
    }

private:
    static constexpr std::uint64_t largest = std::uint64_t{256} << 20;

    struct Entry {
        std::optional<std::set<std::string>> versions = {};  // nullopt: no library
        std::string link = {};
    };

    /// "lib/…" as "usr/lib/…": one is a link to the other, or holds its own libraries.
    static std::string folder_as_merged(std::string_view path) {
        std::string place = packaging::clean(path);
        return place.starts_with("lib/") || place.starts_with("lib64/") ? "usr/" + place : place;
    }

    /// usr/lib, usr/lib64, usr/local/lib and a folder like x86_64-linux-gnu in them.
    static bool is_place_of_libraries(std::string_view path) {
        for (const std::string_view folder : {"usr/lib/", "usr/lib64/", "usr/local/lib/"}) {
            if (path.starts_with(folder)) {
                const std::string_view rest = path.substr(folder.size());
                const std::size_t slash = rest.find('/');
                return slash == std::string_view::npos ||
                       (rest.find('/', slash + 1) == std::string_view::npos &&
                        rest.substr(0, slash).find("-linux-") != std::string_view::npos);
            }
        }
        return false;
    }

    void hide(const std::vector<std::string>& whiteouts) {
        for (const std::string& mark : whiteouts) {
            const std::string folder{packaging::parent(mark)};
            const std::string_view name = packaging::last_component(mark);
            const std::string gone =
                name == ".wh..wh..opq" ? folder : packaging::join(folder, name.substr(4));
            std::erase_if(entries_,
                          [&](const auto& each) { return packaging::is_within(each.first, gone); });
        }
    }

    [[nodiscard]] std::optional<std::set<std::string>> versions_in(const std::string& bytes,
                                                                   const std::string& path) const {
        try {
            const codec::ElfFile elf = codec::read_elf(bytes, packaging::escaped(path));
            if (elf.architecture() != architecture_) {
                return std::nullopt;
            }
            return std::set<std::string>{elf.versions.begin(), elf.versions.end()};
        } catch (const Error&) {
            return std::nullopt;  // a linker script, say
        }
    }

    std::string architecture_;
    std::map<std::string, Entry> entries_ = {};
};

/// Where what a base holds is remembered, by its manifest's digest; "" for nowhere.
[[nodiscard]] inline std::filesystem::path libraries_memory(const std::filesystem::path& cache,
                                                            const std::string& digest) {
    return cache.empty() || digest.empty() ? std::filesystem::path{}
                                           : cache / "libraries" / (digest.substr(7) + ".json");
}

[[nodiscard]] inline BaseLibraries scan_base(const oci::Image& base, oci::Store& store,
                                             const std::string& digest,
                                             const std::filesystem::path& cache_directory,
                                             const Control& control) {
    const std::filesystem::path memory = libraries_memory(cache_directory, digest);
    try {
        return {.versions = parse_json(read_file(memory), memory.string())
                                .get<std::map<std::string, std::set<std::string>>>()};
    } catch (const std::exception&) {
        // nothing that can be used: look
    }
    control.say(Level::info, "looking for the libraries of the base image");
    LibraryScan scan{base.platform().architecture};
    for (const oci::Descriptor& layer : base.layers()) {
        scan.read(store, layer, control);
    }
    BaseLibraries libraries = scan.take();
    try {
        if (!memory.empty()) {
            std::filesystem::create_directories(memory.parent_path());
            write_file(memory, Json(libraries.versions).dump());
        }
    } catch (const std::exception& error) {
        control.say(Level::debug, error.what());  // next time it takes as long
    }
    return libraries;
}

[[nodiscard]] inline Error does_not_fit(const std::string& file, const std::string& base,
                                        std::string answer, std::string advice) {
    return Error{ErrorCode::unsupported,
                 {.attempted = "run",
                  .subject = packaging::escaped(file) + " on base image " + base,
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// The files that a base must satisfy, as ELF.
using Programs = std::vector<std::pair<const ContextFile*, codec::ElfFile>>;

[[nodiscard]] inline Programs programs_of(const Context& context) {
    Programs programs;
    for (const ContextFile& file : context.files) {
        const auto& names = context.needs.programs;
        if (std::find(names.begin(), names.end(), file.destination) != names.end()) {
            programs.emplace_back(&file, packaging::read_elf_file(file.source));
        }
    }
    return programs;
}

/// Takes out the libraries that the base has in a version that will do for all that stay.
inline void leave_out_libraries(Context& context, const BaseLibraries& base,
                                const Control& control) {
    std::map<std::string, std::set<std::string>> wanted;
    for (const auto& [file, elf] : programs_of(context)) {
        for (const codec::ElfVersionNeed& need : elf.version_needs) {
            wanted[need.library].insert(need.version);
        }
    }
    std::string names;
    std::erase_if(context.files, [&](const ContextFile& file) {
        const std::string name{packaging::last_component(file.destination)};
        const auto found = base.versions.find(name);
        if (file.layer != "libraries" || found == base.versions.end() ||
            !std::includes(found->second.begin(), found->second.end(), wanted[name].begin(),
                           wanted[name].end())) {
            return false;
        }
        names += (names.empty() ? "" : ", ") + name;
        return true;
    });
    if (!names.empty()) {
        control.say(Level::info, "left to the base image: " + names);
    }
}

inline void check_glibc(const Context& context, const BaseLibraries& base,
                        const std::string& base_name) {
    const std::optional<int> present = base.glibc();
    for (const auto& [file, elf] : programs_of(context)) {
        std::optional<int> needed;
        for (const codec::ElfVersionNeed& need : elf.version_needs) {
            needed = std::max(needed, codec::glibc_minor(need.version));
        }
        if (needed && !present) {
            throw does_not_fit(
                file->source.native(), base_name,
                "it needs glibc 2." + std::to_string(*needed) + ", and the image has none",
                "take a base with glibc, such as debian:12-slim, or link the "
                "program statically");
        }
        if (needed && *needed > *present) {
            throw does_not_fit(file->source.native(), base_name,
                               "it needs glibc 2." + std::to_string(*needed) +
                                   ", and the image has 2." + std::to_string(*present),
                               "take a newer base, or build the program on an older system");
        }
    }
}

}  // namespace detail

/// The context's environment on this base: its search paths stand in front of the base's own.
[[nodiscard]] inline std::map<std::string, std::string> environment_on(const oci::Image& base,
                                                                       const Context& context) {
    std::map<std::string, std::string> environment = context.environment;
    for (const auto& [variable, folders] : context.search_paths) {
        std::string value = folders;
        const Json setting = base.setting("Env");
        for (const Json& entry : setting.is_array() ? setting : Json::array()) {
            const std::string text = entry.is_string() ? entry.get<std::string>() : "";
            if (text.starts_with(variable + '=') && text.size() > variable.size() + 1) {
                value += ':' + text.substr(variable.size() + 1);
            }
        }
        environment[variable] = value;
    }
    return environment;
}

/// Throws Error{unsupported} that names a file of the context which is a program or library for
/// another processor than that of one of `images`.
inline void check_portable(const Context& context, const std::vector<oci::StoredImage>& images,
                           const std::string& name) {
    for (const ContextFile& file : context.files) {
        std::string architecture;
        try {
            architecture = file.kind == FileKind::regular
                               ? packaging::read_elf_file(file.source).architecture()
                               : "";
        } catch (const Error&) {
            continue;  // no program
        }
        for (const oci::StoredImage& stored : images) {
            const oci::Platform platform = stored.image.platform();
            if (!architecture.empty() && platform.architecture != architecture) {
                throw detail::does_not_fit(
                    file.source.native(), name,
                    "it is for " + architecture + ", and one of the images for " + platform.text(),
                    "leave out --all-platforms, and name one with --platform");
            }
        }
    }
}

/// The context as it goes onto this base: search paths in front of the base's own, and its needs
/// met. Throws Error{unsupported} that names the file, what it needs and what the base has. A null
/// `store` is scratch: there the host's own libraries serve, and nothing is checked but the
/// processor. `name` and `digest` are the base's.
[[nodiscard]] inline Context fit_to_base(Context context, const oci::Image& base, oci::Store* store,
                                         const std::string& name, const std::string& digest,
                                         const std::filesystem::path& cache_directory,
                                         const Control& control) {
    context.environment = environment_on(base, context);
    context.search_paths.clear();
    bool linked = false;
    for (const auto& [file, elf] : detail::programs_of(context)) {
        if (elf.architecture() != base.platform().architecture) {
            throw detail::does_not_fit(file->source.native(), name,
                                       "it is for " + elf.architecture() + ", and the image for " +
                                           base.platform().architecture,
                                       "build the program for the image's processor, or choose "
                                       "another image with --platform");
        }
        linked = linked || !elf.needed.empty();
    }
    if (linked && store != nullptr) {
        const BaseLibraries libraries =
            detail::scan_base(base, *store, digest, cache_directory, control);
        if (context.needs.lean_libraries) {
            detail::leave_out_libraries(context, libraries, control);
        }
        detail::check_glibc(context, libraries, name);
    }
    return context;
}

}  // namespace fairing
