// fairing/preprocessors/payload.hpp - what the stages that package files share: their inputs, and
// files that they write themselves.
#pragma once

#include <sys/stat.h>

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../packaging/arrange.hpp"
#include "../packaging/collect.hpp"
#include "../packaging/context.hpp"
#include "../packaging/destination.hpp"
#include "../packaging/text.hpp"
#include "../stage/session.hpp"
#include "input.hpp"

namespace fairing::payload {

/// What a stage with the members of PythonPreprocessor packages.
template <class Stage>
[[nodiscard]] packaging::CollectOptions collect_options(const Stage& stage) {
    packaging::CollectOptions options{
        .output_map = stage.output_map,
        .path_prefix = stage.path_prefix,
        .symlinks = stage.follow_symlinks ? packaging::Symlinks::follow : packaging::Symlinks::keep,
        .secrets =
            stage.include_secrets ? packaging::Secrets::include : packaging::Secrets::leave_out};
    for (const Input& input : stage.input_files) {
        options.inputs.push_back(input.path());
    }
    return options;
}

/// The folder in the image where things of ours go, with a slash at the end.
[[nodiscard]] inline std::string own_folder(const std::string& path_prefix) {
    return packaging::join(packaging::image_prefix(path_prefix), ".fairing/");
}

/// A context of these files, with what every job has.
[[nodiscard]] inline Context context_of(const packaging::CollectOptions& options,
                                        const Session& session) {
    Context context;
    context.files = packaging::collect(options, session.control());
    context.environment = {{"FAIRING_RUNTIME", "1"}};
    context.working_directory = packaging::image_prefix(options.path_prefix);
    if (!context.working_directory.ends_with('/')) {
        context.working_directory += '/';
    }
    return context;
}

/// Files that a stage writes; they live as long as the context does.
class OwnFiles {
public:
    OwnFiles() : directory_(std::make_shared<const TemporaryDirectory>()) {}

    void add(std::string destination, std::string_view text) {
        const std::filesystem::path source = directory_->path() / std::to_string(files_.size());
        write_file(source, text);
        files_.push_back(
            {.source = source, .destination = std::move(destination), .size = text.size()});
    }

    /// Throws Error{conflict} when an input already has the place of one of them.
    void add_to(Context& context) const {
        for (const ContextFile& own : files_) {
            for (const ContextFile& file : context.files) {
                if (file.destination == own.destination) {
                    throw Error{ErrorCode::conflict,
                                {.attempted = "write",
                                 .subject = packaging::escaped(own.destination),
                                 .answer = packaging::escaped(file.source.native()) +
                                           " is packaged at that place",
                                 .advice = "leave it out, or give it another place with "
                                           "--map SRC=DST"}};
                }
            }
        }
        context.files.insert(context.files.end(), files_.begin(), files_.end());
        packaging::arrange(context.files);
        context.keeps.push_back(directory_);
    }

private:
    std::shared_ptr<const TemporaryDirectory> directory_;
    std::vector<ContextFile> files_ = {};
};

/// "a, b, c and 2 more".
[[nodiscard]] inline std::string shortlist(const std::vector<std::string>& all) {
    constexpr std::size_t shown = 6;
    std::string text;
    for (std::size_t i = 0; i < std::min(all.size(), shown); ++i) {
        text += (i == 0 ? "" : ", ") + packaging::escaped(all[i]);
    }
    return all.size() > shown ? text + " and " + std::to_string(all.size() - shown) + " more"
                              : text;
}

[[nodiscard]] inline bool is_file(const std::filesystem::path& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace fairing::payload
