// fairing/registry/copy.hpp - an image, or an index with all its images, from one store to another:
// registries, layouts, archives.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/parallel.hpp"
#include "../oci/image.hpp"
#include "../oci/store.hpp"
#include "lost_blobs.hpp"

namespace fairing::registry {

/// Whether what refers to an image, such as its signatures, is copied with it.
enum class Referrers { leave, copy };

struct CopyOptions {
    std::optional<oci::Platform> platform = {};  ///< one image of an index; empty: all of it
    Referrers referrers = Referrers::leave;
    std::string mount_from = {};  ///< the source's repository when both are at one registry
};

/// What a copy came to.
struct Copied {
    oci::Descriptor root = {};  ///< the index, or the manifest
    std::size_t manifests = 0;
    std::size_t present = 0, mounted = 0, uploaded = 0;  ///< blobs
    std::uint64_t bytes = 0;                             ///< of those that were uploaded
};

namespace detail {

/// One copy. All manifests are read first; then the blobs go over, several at once, each verified
/// while it is read and never held; then the manifests, children before what names them.
class CopyRun {
public:
    CopyRun(oci::Store& from, oci::Store& to, const CopyOptions& options, Control control)
        : from_(from), to_(to), options_(options), control_(std::move(control)) {}

    [[nodiscard]] Copied copy(const std::string& wanted, const std::string& tag,
                              const std::string& subject) {
        subject_ = subject;
        oci::RawManifest root = find(wanted);
        if (options_.platform && oci::media_type::is_index(root.media_type)) {
            const Json index = oci::parse_manifest(root, subject_);
            root = find(oci::select(index, *options_.platform, subject_).digest);
        }
        gather(root, Role::root);
        std::vector<oci::Descriptor> blobs;
        for (const auto& [digest, blob] : blobs_) {
            blobs.push_back(blob);
        }
        send(blobs);
        for (const auto& [manifest, role] : manifests_) {
            control_.check("copy " + subject_);
            write_in_spite_of_losses([&, &raw = manifest, as = role] { write(raw, as, tag); },
                                     [&](const LostBlobs& lost) {
                                         std::vector<oci::Descriptor> again;
                                         for (const oci::Descriptor& blob : blobs) {
                                             if (lost.may_hold(blob.digest)) {
                                                 again.push_back(blob);
                                             }
                                         }
                                         send(again);
                                     });
        }
        copied_.manifests = manifests_.size();
        copied_.root = root.descriptor();
        return copied_;
    }

private:
    enum class Role { child, root, referrer };
    static constexpr std::size_t blobs_at_once = 4, most_manifests = 1000;

    [[nodiscard]] oci::RawManifest find(const std::string& wanted) {
        control_.check("copy " + subject_);
        auto manifest = from_.find_manifest(wanted);
        if (!manifest) {
            throw Error{ErrorCode::not_found,
                        {.attempted = "copy",
                         .subject = subject_,
                         .answer = wanted.empty() ? "there is no image in it"
                                                  : "there is no manifest " + wanted,
                         .advice = "check its name and tag"}};
        }
        return *std::move(manifest);
    }

    void gather(const oci::RawManifest& manifest, Role role) {
        const std::string digest = manifest.descriptor().digest;
        if (!seen_.insert(digest).second) {
            return;
        }
        if (seen_.size() > most_manifests) {
            throw Error{
                ErrorCode::unsupported,
                {.attempted = "copy",
                 .subject = subject_,
                 .answer = "it is of more than " + std::to_string(most_manifests) + " manifests"}};
        }
        const Json document = oci::parse_manifest(manifest, subject_);
        if (oci::media_type::is_index(manifest.media_type)) {
            for (const Json& entry : document.at("manifests")) {
                gather(find(oci::Descriptor::from(entry, "the index of " + subject_).digest),
                       Role::child);
            }
        } else {
            add_blob(document.value("config", Json()));
            for (const Json& layer : document.at("layers")) {
                add_blob(layer);
            }
        }
        manifests_.emplace_back(manifest, role);
        if (options_.referrers == Referrers::copy) {
            for (const Json& each : from_.find_referrers(digest)) {
                gather(find(oci::Descriptor::from(each, "the referrers of " + subject_).digest),
                       Role::referrer);
            }
        }
    }
    /// Foreign layers are in no registry.
    void add_blob(const Json& entry) {
        const auto blob = oci::Descriptor::from(entry, "a manifest of " + subject_);
        if (!oci::media_type::is_foreign(blob.media_type)) {
            blobs_.emplace(blob.digest, blob);
        }
    }

    void send(const std::vector<oci::Descriptor>& blobs) {
        parallel_for(blobs.size(), blobs_at_once, [&](std::size_t index) {
            control_.check("copy " + subject_);
            const oci::Descriptor& blob = blobs[index];
            const net::Body body{.size = blob.size, .write = [&](const net::BodySink& sink) {
                                     from_.read_blob(blob, sink);
                                 }};
            const oci::Transfer transfer = to_.write_blob(blob, body, options_.mount_from);
            const std::lock_guard lock{mutex_};
            copied_.present += transfer == oci::Transfer::present ? 1 : 0;
            copied_.mounted += transfer == oci::Transfer::mounted ? 1 : 0;
            copied_.uploaded += transfer == oci::Transfer::uploaded ? 1 : 0;
            copied_.bytes += transfer == oci::Transfer::uploaded ? blob.size : 0;
        });
    }
    void write(const oci::RawManifest& manifest, Role role, const std::string& tag) {
        switch (role) {
            case Role::child:
                return to_.write_child(manifest);
            case Role::root:
                return to_.write_manifest(manifest, tag);
            case Role::referrer:
                return to_.write_referrer(manifest);
        }
    }

    oci::Store& from_;
    oci::Store& to_;
    const CopyOptions& options_;
    Control control_;
    std::string subject_ = {};
    std::set<std::string> seen_ = {};
    std::map<std::string, oci::Descriptor> blobs_ = {};
    std::vector<std::pair<oci::RawManifest, Role>> manifests_ = {};  ///< children first
    std::mutex mutex_ = {};
    Copied copied_ = {};
};

}  // namespace detail

/// Copies what `wanted` (a tag or digest) names in `from`, with all that it names, under `tag` to
/// `to`; the digests stay what they are. `subject` is the source as the user wrote it. Throws
/// Error{not_found} for an image, a platform or a part of an index that is not there, and what the
/// stores throw; the tag never points at half an image.
inline Copied copy(oci::Store& from, const std::string& wanted, oci::Store& to,
                   const std::string& tag, const std::string& subject,
                   const CopyOptions& options = {}, const Control& control = {}) {
    return detail::CopyRun{from, to, options, control}.copy(wanted, tag, subject);
}

}  // namespace fairing::registry
