// fairing/builders/context_sources/build_files.hpp - the files of a build: those of the context and
// the Dockerfile among them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../../core/error.hpp"
#include "../../core/files.hpp"
#include "../../packaging/context.hpp"
#include "../../packaging/context_digest.hpp"
#include "../../packaging/text.hpp"

namespace fairing::detail {

/// "/app/train.py" is ROOT/app/train.py here, and the Dockerfile ROOT/Dockerfile. Holds the
/// Dockerfile on disk for as long as it lives.
class BuildFiles {
public:
    /// `context` must outlive this object. `root` is "" or an absolute folder without a slash at
    /// its end. Throws Error{usage} for a file that would take the Dockerfile's place.
    BuildFiles(const Context& context, std::string_view dockerfile, std::string root)
        : context_(context), root_(std::move(root)) {
        const std::filesystem::path path = folder_.path() / "Dockerfile";
        write_file(path, dockerfile);
        files_ = context.files;
        const auto place = std::lower_bound(
            files_.begin(), files_.end(), dockerfile_name,
            [](const ContextFile& file, const char* name) { return file.destination < name; });
        if (place != files_.end() && place->destination == dockerfile_name) {
            throw Error{ErrorCode::usage,
                        {.attempted = "package",
                         .subject = packaging::escaped(place->source.native()),
                         .answer = "the build puts its own Dockerfile there",
                         .advice = "give it another place with --map"}};
        }
        files_.insert(place,
                      {.source = path, .destination = dockerfile_name, .size = dockerfile.size()});
        for (ContextFile& file : files_) {
            file.destination.insert(0, root_);
        }
    }

    [[nodiscard]] const std::vector<ContextFile>& files() const noexcept { return files_; }

    /// Some of these files as they were packed, and what they held, in their order.
    void add(const std::vector<ContextFile>& packed,
             const std::vector<packaging::ContentDigest>& contents) {
        std::vector<ContextFile> own;
        std::vector<packaging::ContentDigest> own_contents;
        for (std::size_t i = 0; i < packed.size(); ++i) {
            ContextFile file = packed[i];
            file.destination.erase(0, root_.size());
            if (file.destination != dockerfile_name) {
                own.push_back(std::move(file));
                own_contents.push_back(contents.at(i));
            }
        }
        digest_.add(own, own_contents);
    }
    /// The digest of the context itself, as every builder computes it, when all were added.
    [[nodiscard]] std::string finish() { return digest_.finish(context_); }

private:
    static constexpr const char* dockerfile_name = "/Dockerfile";

    const Context& context_;
    std::string root_;
    TemporaryDirectory folder_ = TemporaryDirectory{};
    std::vector<ContextFile> files_ = {};
    packaging::ContextDigest digest_ = {};
};

}  // namespace fairing::detail
