// fairing/packaging/collect.hpp - inputs of this machine (files, folders, globs) as the files of an
// image.
//
// Where things land: a path below the root at prefix/<path from the root>; a file outside the root
// at prefix/<its name>; a folder outside the root at prefix/<its name>/<path in it>. What the
// output map names lands where the map says and nowhere else, the more specific entry first.
// Folders as such are not stored, so an empty one vanishes.
//
// .dockerignore at the root is honoured for everything below the root. As in `docker build`, a
// named input of which it excludes all is an error, not a silent gap; add `!that/file` behind the
// rule to take it.
#pragma once

#include <sys/stat.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/utf8.hpp"
#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "arrange.hpp"
#include "context.hpp"
#include "destination.hpp"
#include "expand.hpp"
#include "glob.hpp"
#include "ignore.hpp"
#include "links.hpp"
#include "secrets.hpp"
#include "text.hpp"
#include "walk.hpp"

namespace fairing::packaging {

struct CollectOptions {
    /// Files, folders and globs, relative to the root or absolute. A path that exists is never read
    /// as a glob.
    std::vector<std::filesystem::path> inputs = {};
    /// Source (file or folder) to its place in the image: absolute, or below the prefix; with a
    /// slash at the end, a file keeps its name below it.
    std::map<std::string, std::string> output_map = {};
    std::string path_prefix = "/app/";
    std::filesystem::path root = {};  ///< the context root; empty: the working directory
    Symlinks symlinks = Symlinks::keep;
    Secrets secrets = Secrets::leave_out;
};

namespace detail {

/// `path` with all links resolved, or as it is when that is not possible.
[[nodiscard]] inline std::string real_path(const std::string& path) {
    const std::unique_ptr<char, void (*)(void*)> real{::realpath(path.c_str(), nullptr), std::free};
    return real ? real.get() : path;
}

/// The context root and the image, and the way from one to the other.
class Ground {
public:
    explicit Ground(const CollectOptions& options)
        : root_(absolute_root(options.root)), prefix_(image_prefix(options.path_prefix)) {
        for (const auto& [source, destination] : options.output_map) {
            const std::string path = locate(source);
            const bool into = destination.ends_with('/') && !is_folder(path);
            map_[path] = image_path(into ? join(destination, last_component(path)) : destination,
                                    prefix_, source);
        }
    }
    [[nodiscard]] const std::string& root() const noexcept { return root_; }
    /// Sources of the output map, absolute and clean, and where they land.
    [[nodiscard]] const std::map<std::string, std::string>& map() const noexcept { return map_; }

    /// A path of this machine, absolute and clean; below the root when it is so by whatever way.
    [[nodiscard]] std::string locate(std::string_view path) const {
        std::string found = clean(path.starts_with('/') ? std::string{path} : join(root_, path));
        if (is_within(found, root_)) {
            return found;
        }
        const std::string real = join(real_path(std::string{parent(found)}), last_component(found));
        const std::string real_root = real_path(root_);
        return is_within(real, real_root) ? join(root_, relative_to(real, real_root)) : found;
    }

    /// Whether the output map, and not the prefix, says where `path` lands.
    [[nodiscard]] bool mapped(std::string_view path) const { return owner(path) != nullptr; }

    /// Where a path that locate() gave lands.
    [[nodiscard]] std::string destination(std::string_view path) const {
        if (const auto* entry = owner(path)) {
            return join(entry->second, relative_to(path, entry->first));
        }
        return join(prefix_,
                    is_within(path, root_) ? relative_to(path, root_) : last_component(path));
    }

    /// What symbolic links of this input may not leave.
    [[nodiscard]] std::string boundary(const std::string& path) const {
        return is_within(path, root_) ? root_ : is_folder(path) ? path : std::string{parent(path)};
    }

    [[nodiscard]] static bool is_folder(const std::string& path) {
        struct stat status {};
        return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
    }

private:
    using Entry = std::map<std::string, std::string>::value_type;

    static std::string absolute_root(const std::filesystem::path& root) {
        if (root.is_absolute()) {
            return clean(root.native());
        }
        std::error_code failure;
        const std::filesystem::path here = std::filesystem::current_path(failure);
        if (failure) {
            throw system_error(failure.value(), "find", "the working directory");
        }
        return clean(join(here.native(), root.native()));
    }

    /// The entry for `path` or the nearest folder above it, or none.
    [[nodiscard]] const Entry* owner(std::string_view path) const {
        for (std::string_view at = map_.empty() ? "/" : path; at != "/"; at = parent(at)) {
            if (const auto found = map_.find(std::string{at}); found != map_.end()) {
                return &*found;
            }
        }
        return nullptr;
    }

    std::string root_, prefix_;
    std::map<std::string, std::string> map_ = {};
};

class Collection {
public:
    Collection(const CollectOptions& options, const Control& control)
        : options_(options), control_(control), ground_(options), ignore_(ignore_rules()) {
        for (const auto& [source, destination] : ground_.map()) {
            mapped_.insert(source);
        }
        Walker walker{{.root = ground_.root(),
                       .symlinks = options.symlinks,
                       .secrets = options.secrets,
                       .ignore = &ignore_,
                       .elsewhere = &mapped_},
                      control};
        for (const auto& [source, destination] : ground_.map()) {
            take_named(walker, source, source);
        }
        for (const std::filesystem::path& input : options.inputs) {
            take(walker, input.native());
        }
        report_secrets(walker.secrets());
        files_ = std::move(walker.files());
        arrange(files_);
    }
    [[nodiscard]] std::vector<ContextFile>& files() noexcept { return files_; }

private:
    [[nodiscard]] IgnoreRules ignore_rules() const {
        constexpr std::size_t limit = std::size_t{1} << 20;
        try {
            return IgnoreRules{read_file(join(ground_.root(), ".dockerignore"), limit)};
        } catch (const Error& error) {
            if (error.code() == ErrorCode::not_found) {
                return {};
            }
            throw;
        }
    }

    void take(Walker& walker, const std::string& input) {
        struct stat status {};
        const std::string path = ground_.locate(input);
        if (input.empty() || input.find('\0') != std::string::npos) {
            throw Error{ErrorCode::input,
                        {.attempted = "package",
                         .subject = codec::in_quotes(input),
                         .answer = "no name of a file",
                         .advice = "name a file, a folder or a glob; . is the context root"}};
        }
        if (::lstat(path.c_str(), &status) == 0 || !Glob::is_pattern(input)) {
            take_named(walker, path, input);
        } else {
            take_glob(walker, path, input);
        }
    }

    void take_named(Walker& walker, const std::string& path, const std::string& input) {
        const std::string_view judged = is_within(path, ground_.root())
                                            ? relative_to(path, ground_.root())
                                            : std::string_view{path};
        if (const auto rule = secret_rule(judged); rule && options_.secrets == Secrets::leave_out) {
            throw Error{ErrorCode::denied,
                        {.attempted = "package",
                         .subject = escaped(input),
                         .answer = "it looks like a secret (" + std::string{*rule} + ')',
                         .advice = "leave it out, or ask for it with --include-secrets "
                                   "(include_secrets)"}};
        }
        const std::size_t files = walker.files().size(), ignored = walker.ignored();
        take_path(walker, path);
        if (walker.files().size() == files && walker.ignored() > ignored) {
            refuse_ignored(input, judged);
        }
    }

    void take_glob(Walker& walker, const std::string& pattern, const std::string& input) {
        const auto paths = expand(pattern, control_);
        if (paths.empty()) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "package",
                         .subject = escaped(input),
                         .answer = "no file matches below " + escaped(ground_.root())}};
        }
        const std::size_t files = walker.files().size(), ignored = walker.ignored();
        for (const std::string& path : paths) {
            take_path(walker, path);
        }
        if (walker.files().size() == files && walker.ignored() > ignored) {
            refuse_ignored(input, input);
        }
    }

    /// Each path once, and what the output map places only by its own entry.
    void take_path(Walker& walker, const std::string& path) {
        if (!taken_.insert(path).second || (ground_.mapped(path) && !mapped_.contains(path))) {
            return;
        }
        walker.take(path, ground_.destination(path), ground_.boundary(path));
    }

    [[noreturn]] void refuse_ignored(std::string_view input, std::string_view path) const {
        throw Error{ErrorCode::input,
                    {.attempted = "package",
                     .subject = escaped(input),
                     .answer = escaped(join(ground_.root(), ".dockerignore")) + " leaves it out",
                     .advice = "do not name it, or add the line !" + escaped(path) + " there"}};
    }

    void report_secrets(const std::vector<std::string>& names) const {
        if (names.empty()) {
            return;
        }
        std::string list;
        for (const std::string& name : std::set<std::string>{names.begin(), names.end()}) {
            list.append(list.empty() ? "" : ", ").append(name);
        }
        control_.say(Level::warning, "left out of the image because they look like secrets: " +
                                         list + "; --include-secrets (include_secrets) takes them");
    }

    const CollectOptions& options_;
    const Control& control_;
    Ground ground_;
    IgnoreRules ignore_;
    std::set<std::string> mapped_ = {}, taken_ = {};
    std::vector<ContextFile> files_ = {};
};

}  // namespace detail

/// The files of an image, sorted by destination (bytes), each destination once; modes are those of
/// the files, & 0777.
///
/// Symbolic links stay links (or see Symlinks). Hard links become files. Files that look like
/// secrets (secrets.hpp) are left out, and one warning lists them; one that is named itself is
/// Error{denied}. Named errors: a path that does not exist, a glob without a match, what can not be
/// read, a FIFO, socket or device, a link that leaves the root, dangles or loops, two sources for
/// one destination, a file in the place of a folder, a name that no layer can hold.
[[nodiscard]] inline std::vector<ContextFile> collect(const CollectOptions& options,
                                                      const Control& control) {
    return std::move(detail::Collection{options, control}.files());
}

/// Where an input of these options lands in the image: what a command names it by. Looks at
/// folders, not at files.
[[nodiscard]] inline std::string destination_of(const std::filesystem::path& input,
                                                const CollectOptions& options) {
    const detail::Ground ground{options};
    return ground.destination(ground.locate(input.native()));
}

}  // namespace fairing::packaging
