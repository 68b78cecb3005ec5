// fairing/packaging/arrange.hpp - files into destination order, and the conflicts between them (OCI
// image-spec, layer.md: no duplicate paths; what is no folder replaces a folder wholesale).
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "context.hpp"
#include "destination.hpp"
#include "links.hpp"
#include "text.hpp"

namespace fairing::packaging {

namespace detail {

/// Whether both name one file of this machine.
[[nodiscard]] inline bool same_source(const ContextFile& a, const ContextFile& b) {
    if (a.source == b.source) {
        return true;
    }
    struct stat first {
    }, second{};
    return a.kind == b.kind && ::lstat(a.source.c_str(), &first) == 0 &&
           ::lstat(b.source.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/// Keeps one of the entries that say the same; throws Error{conflict} on two that do not.
inline void remove_repeated(std::vector<ContextFile>& files) {
    const auto repeats = [](const ContextFile& kept, const ContextFile& next) {
        if (kept.destination != next.destination) {
            return false;
        }
        if (!same_source(kept, next)) {
            throw Error{
                ErrorCode::conflict,
                {.attempted = "package",
                 .subject = escaped(kept.source.native()) + " and " + escaped(next.source.native()),
                 .answer = "both would become " + escaped(kept.destination),
                 .advice = "give one of them another place with the output map "
                           "(--map SRC=DST), or leave it out"}};
        }
        return true;
    };
    files.erase(std::unique(files.begin(), files.end(), repeats), files.end());
}

class Arrangement {
public:
    explicit Arrangement(const std::vector<ContextFile>& files) {
        by_destination_.reserve(files.size());
        for (const ContextFile& file : files) {
            by_destination_.emplace(file.destination, &file);
        }
    }

    /// Throws Error{conflict} when a file takes the place of a folder that another file needs.
    void check_folders(const std::vector<ContextFile>& files) const {
        std::string_view checked = "/";
        for (const ContextFile& file : files) {
            const std::string_view folder = parent(file.destination);
            for (std::string_view above = folder; above != "/" && !is_within(checked, above);
                 above = parent(above)) {
                if (const auto found = by_destination_.find(above);
                    found != by_destination_.end()) {
                    throw Error{ErrorCode::conflict,
                                {.attempted = "package",
                                 .subject = escaped(file.source.native()) + " as " +
                                            escaped(file.destination),
                                 .answer = escaped(found->second->source.native()) +
                                           " already is the file " + escaped(above),
                                 .advice = "one of them needs another place in the image"}};
                }
            }
            checked = folder;
        }
    }

    /// Throws Error{input} when a link would end nowhere in the image.
    void check_links(const std::vector<ContextFile>& files) {
        for (const ContextFile& file : files) {
            if (file.kind == FileKind::symlink) {
                list_folders(files);
                follow_link("/", relative_to(file.destination, "/"), file.link_target,
                            "is not packaged at that place of the image",
                            [this](const std::string& path) { return look('/' + path); });
            }
        }
    }

private:
    void list_folders(const std::vector<ContextFile>& files) {
        if (!folders_.empty()) {
            return;
        }
        for (const ContextFile& file : files) {
            std::string_view folder = parent(file.destination);
            while (folders_.insert(folder).second && folder != "/") {
                folder = parent(folder);
            }
        }
    }

    [[nodiscard]] Place look(const std::string& path) const {
        if (const auto found = by_destination_.find(path); found != by_destination_.end()) {
            return found->second->kind == FileKind::symlink
                       ? Place{.kind = Place::Kind::link, .target = found->second->link_target}
                       : Place{.kind = Place::Kind::file};
        }
        return {.kind = folders_.contains(path) ? Place::Kind::folder : Place::Kind::nothing};
    }

    std::unordered_map<std::string_view, const ContextFile*> by_destination_ = {};
    std::unordered_set<std::string_view> folders_ = {};
};

}  // namespace detail

/// Sorts by destination (bytes) and drops what is named twice. Throws Error{conflict} that names
/// both files when two want one place or a file the place of a folder, and Error{input} when a link
/// would point to nothing in the image.
inline void arrange(std::vector<ContextFile>& files) {
    std::sort(files.begin(), files.end(), [](const ContextFile& a, const ContextFile& b) {
        return std::tie(a.destination, a.source.native()) <
               std::tie(b.destination, b.source.native());
    });
    detail::remove_repeated(files);
    detail::Arrangement arrangement{files};
    arrangement.check_folders(files);
    arrangement.check_links(files);
}

}  // namespace fairing::packaging
