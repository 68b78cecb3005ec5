// fairing/oci/unpack.hpp - layers onto a directory (OCI image-spec, layer.md, "Applying
// Changesets"). Layers are foreign input: nothing in them reaches a file outside the directory.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "../codec/gzip.hpp"
#include "../codec/tar.hpp"
#include "../codec/zstd.hpp"
#include "../core/control.hpp"
#include "../core/files.hpp"
#include "../core/rooted_tree.hpp"
#include "store.hpp"

namespace fairing::oci {

/// `ours`: everything belongs to this user, who can read all files and write all directories; no
/// setuid, setgid or sticky bits. `recorded`: owners and modes as in the layer, which takes root.
enum class Ownership { ours, recorded };

struct UnpackOptions {
    Ownership ownership = Ownership::ours;
};

enum class LayerCompression { none, gzip, zstd };

/// How a layer of that media type is compressed. Throws Error{unsupported} that names a type we can
/// not read; zstd takes FAIRING_ZSTD.
[[nodiscard]] inline LayerCompression layer_compression(const Descriptor& layer) {
    const std::string_view type = layer.media_type;
    if (type.ends_with("+gzip") || type.ends_with(".gzip")) {
        return LayerCompression::gzip;
    }
    if (type.ends_with(".tar")) {
        return LayerCompression::none;
    }
    const bool is_zstd = type.ends_with("+zstd") || type.ends_with(".zstd");
#if FAIRING_ZSTD
    if (is_zstd) {
        return LayerCompression::zstd;
    }
#endif
    throw Error{ErrorCode::unsupported,
                {.attempted = "unpack layer",
                 .subject = layer.digest,
                 .answer = "its media type is " + layer.media_type,
                 .advice = is_zstd ? "use an image with gzip layers, or build fairing with zstd "
                                     "(Meson: -Dzstd=enabled; the macro FAIRING_ZSTD=1)"
                                   : ""}};
}

/// Gives the tar archive of a layer, decompressed and verified against the descriptor.
inline void read_layer(Store& store, const Descriptor& layer, codec::TarReader& reader,
                       const Control& control) {
    Progress progress{.step = "unpack", .item = layer.digest, .total = layer.size};
    const auto pass = [&](auto&& write) {
        store.read_blob(layer, [&](std::span<const std::byte> bytes) {
            control.check("unpack layer " + layer.digest);
            write(bytes);
            progress.done += bytes.size();
            control.show(progress);
        });
    };
    const auto unpack_through = [&pass](auto&& decompressor) {
        pass([&decompressor](std::span<const std::byte> bytes) { decompressor.write(bytes); });
        decompressor.finish();
    };
    const codec::ByteSink tar = [&reader](std::span<const std::byte> bytes) {
        reader.write(bytes);
    };
    switch (layer_compression(layer)) {
        case LayerCompression::none:
            pass(tar);
            break;
        case LayerCompression::gzip:
            unpack_through(codec::GunzipReader{tar});
            break;
        case LayerCompression::zstd:
#if FAIRING_ZSTD
            unpack_through(codec::ZstdReader{tar});
#endif
            break;
    }
    reader.finish();
}

/// Applies layer upon layer. Device nodes are left out, with a notice: a runtime makes those that a
/// container needs, and without a device cgroup any other is a door to this machine's disks.
/// Extended attributes are left out.
class Unpacker {
public:
    /// `directory` must exist, belong to us, and be changed by nobody else meanwhile.
    explicit Unpacker(const std::filesystem::path& directory, const UnpackOptions& options = {},
                      Control control = {})
        : tree_(directory), options_(options), control_(std::move(control)) {}

    /// Throws Error that names the layer and the entry; what was written until then stays.
    void apply(Store& store, const Descriptor& layer) {
        layer_ = layer.digest;
        written_.clear();
        skipped_devices_ = 0;
        file_.reset();
        codec::TarReader reader{[this](const codec::TarEntry& entry) { begin(entry); },
                                [this](std::span<const std::byte> bytes) { data(bytes); }};
        try {
            read_layer(store, layer, reader, control_);
            end_file();
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            const std::string text = error.what();
            if (text.find(layer_) != std::string::npos) {
                throw;
            }
            throw Error{error.code(),
                        {.attempted = "unpack layer", .subject = layer_, .answer = text}};
        }
        if (skipped_devices_ != 0) {
            control_.say(Level::info, "left out " + std::to_string(skipped_devices_) +
                                          " device nodes of layer " + layer.digest);
        }
    }

private:
    using Place = RootedTree::Place;
    using Missing = RootedTree::Missing;

    [[nodiscard]] Error failure(int number, const std::string& path) const {
        return system_error(
            number, "unpack", RootedTree::shown(path) + " of layer " + layer_,
            number == ENOSPC || number == EDQUOT ? ErrorCode::internal : ErrorCode::input);
    }
    [[nodiscard]] Error refusal(const std::string& path, std::string answer) const {
        return Error{ErrorCode::integrity,
                     {.attempted = "unpack",
                      .subject = RootedTree::shown(path) + " of layer " + layer_,
                      .answer = std::move(answer)}};
    }
    void check(int result, const std::string& path) const {
        if (result != 0) {
            throw failure(errno, path);
        }
    }

    static bool climbs(std::string_view path) {
        return path == ".." || path.starts_with("../") || path.ends_with("/..") ||
               path.find("/../") != std::string_view::npos;
    }

    [[nodiscard]] std::optional<Place> find(const std::string& path, Missing missing) {
        if (climbs(path)) {
            throw refusal(path, "a path with \"..\"");
        }
        try {
            return tree_.place(path, missing);
        } catch (const Error& error) {
            throw Error{error.code(),
                        {.attempted = "unpack",
                         .subject = RootedTree::shown(path) + " of layer " + layer_,
                         .answer = error.details().answer}};
        }
    }

    void begin(const codec::TarEntry& entry) {
        end_file();
        std::string path = entry.path;
        while (path.ends_with('/')) {
            path.pop_back();
        }
        const std::size_t slash = path.rfind('/');
        const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
        if (name.starts_with(".wh.")) {
            whiteout(slash == std::string::npos ? std::string{} : path.substr(0, slash), name);
            return;
        }
        const Place place = *find(path, Missing::create);
        if (place.path.empty()) {
            apply_root(entry, place);
        } else {
            create(entry, place);
        }
    }

    void apply_root(const codec::TarEntry& entry, const Place& root) const {
        if (entry.kind != codec::TarKind::directory) {
            throw refusal(entry.path, "it would replace the root");
        }
        if (options_.ownership == Ownership::recorded) {
            set_metadata(entry, root);
        }
    }

    void create(const codec::TarEntry& entry, const Place& place) {
        const char* name = place.name.c_str();
        Place source;
        if (entry.kind == codec::TarKind::hardlink) {
            source = hard_link_source(entry);
            if (source.path == place.path) {
                return;
            }
        }
        written_.insert(place.path);
        make_room(entry.kind, place);
        switch (entry.kind) {
            case codec::TarKind::directory:
                if (::mkdirat(place.fd(), name, 0700) != 0 && errno != EEXIST) {
                    throw failure(errno, entry.path);
                }
                break;
            case codec::TarKind::file:
                file_ = UniqueFd{::openat(
                    place.fd(), name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
                if (!file_) {
                    throw failure(errno, entry.path);
                }
                entry_ = entry;  // the rest is done behind its data
                return;
            case codec::TarKind::symlink:
                check(::symlinkat(entry.link_target.c_str(), place.fd(), name), entry.path);
                break;
            case codec::TarKind::hardlink:
                check(::linkat(source.fd(), source.name.c_str(), place.fd(), name, 0), entry.path);
                return;
            case codec::TarKind::fifo:
                check(::mkfifoat(place.fd(), name, 0600), entry.path);
                break;
            case codec::TarKind::character_device:
            case codec::TarKind::block_device:
                ++skipped_devices_;
                return;
        }
        set_metadata(entry, place);
    }

    [[nodiscard]] Place hard_link_source(const codec::TarEntry& entry) {
        std::optional<Place> source = find(entry.link_target, Missing::absent);
        struct stat status {};
        if (!source || !RootedTree::look(*source, status)) {
            throw refusal(entry.path, "a hard link to " + RootedTree::shown(entry.link_target) +
                                          ", which is not there");
        }
        if (S_ISDIR(status.st_mode)) {
            throw refusal(entry.path, "a hard link to a directory");
        }
        return *std::move(source);
    }

    /// A directory stays when a directory comes; everything else gives way.
    void make_room(codec::TarKind kind, const Place& place) {
        struct stat status {};
        if (RootedTree::look(place, status) &&
            !(S_ISDIR(status.st_mode) && kind == codec::TarKind::directory)) {
            tree_.remove(place);
        }
    }

    void data(std::span<const std::byte> bytes) {
        if (file_) {
            write_all(file_.get(), bytes, RootedTree::shown(entry_.path) + " of layer " + layer_);
        }
    }

    void end_file() {
        if (!file_) {
            return;
        }
        const UniqueFd file = std::move(file_);
        file_ = {};
        if (options_.ownership == Ownership::recorded) {
            check(::fchown(file.get(), static_cast<uid_t>(entry_.user),
                           static_cast<gid_t>(entry_.group)),
                  entry_.path);
        }
        check(::fchmod(file.get(), mode_of(entry_)), entry_.path);
        // Python's compiled files know the time of their source; to set it is worth a try.
        const struct timespec times[2] = {
            {.tv_sec = 0, .tv_nsec = UTIME_OMIT},
            {.tv_sec = static_cast<time_t>(entry_.mtime), .tv_nsec = 0}};
        static_cast<void>(::futimens(file.get(), times));
    }

    [[nodiscard]] mode_t mode_of(const codec::TarEntry& entry) const {
        if (options_.ownership == Ownership::recorded) {
            return static_cast<mode_t>(entry.mode & 07777);
        }
        const unsigned least = entry.kind == codec::TarKind::directory ? 0700 : 0400;
        return static_cast<mode_t>((entry.mode & 0777) | least);
    }

    void set_metadata(const codec::TarEntry& entry, const Place& place) const {
        if (options_.ownership == Ownership::recorded) {
            check(::fchownat(place.fd(), place.name.c_str(), static_cast<uid_t>(entry.user),
                             static_cast<gid_t>(entry.group), AT_SYMLINK_NOFOLLOW),
                  entry.path);
        }
        if (entry.kind != codec::TarKind::symlink) {
            check(::fchmodat(place.fd(), place.name.c_str(), mode_of(entry), 0), entry.path);
        }
    }

    /// ".wh.NAME" hides NAME of the layers below, ".wh..wh..opq" all of the directory; what this
    /// layer itself brings stays, wherever in the archive it stands.
    void whiteout(const std::string& directory, const std::string& name) {
        constexpr std::string_view opaque = ".wh..wh..opq";
        if (name == opaque) {
            const std::optional<Place> place = find(directory, Missing::absent);
            struct stat status {};
            if (place && RootedTree::look(*place, status) && S_ISDIR(status.st_mode)) {
                remove_children(*place);
            }
            return;
        }
        const std::string hidden = name.substr(4);
        if (hidden.starts_with(".wh.")) {
            return;  // aufs keeps notes of its own under such names
        }
        if (hidden.empty() || hidden == "." || hidden == "..") {
            throw refusal(directory + '/' + name, "a whiteout of nothing");
        }
        if (const std::optional<Place> place = find(directory + '/' + hidden, Missing::absent)) {
            remove_lower(*place);
        }
    }

    void remove_children(const Place& place) {
        for (const Place& child : RootedTree::children(place)) {
            remove_lower(child);
        }
    }

    /// Removes what the layers below brought.
    void remove_lower(const Place& place) {
        const auto next = written_.lower_bound(place.path + '/');
        const bool holds_ours = next != written_.end() && next->starts_with(place.path + '/');
        struct stat status {};
        if (!RootedTree::look(place, status)) {
            return;
        }
        if (!holds_ours && !written_.contains(place.path)) {
            tree_.remove(place);
        } else if (S_ISDIR(status.st_mode)) {
            remove_children(place);
        }
    }

    RootedTree tree_;
    UnpackOptions options_;
    Control control_;
    std::string layer_ = {};
    std::set<std::string> written_ = {};  ///< paths of this layer
    std::size_t skipped_devices_ = 0;
    UniqueFd file_ = {};  ///< the file whose data comes now
    codec::TarEntry entry_ = {};
};

/// Applies `layers` in order onto an existing directory.
inline void unpack(Store& store, std::span<const Descriptor> layers,
                   const std::filesystem::path& directory, const UnpackOptions& options = {},
                   const Control& control = {}) {
    Unpacker unpacker{directory, options, control};
    for (const Descriptor& layer : layers) {
        unpacker.apply(store, layer);
    }
}

}  // namespace fairing::oci
