// fairing/registry/mirrored_store.hpp - a repository that is read from its mirrors, and from its
// origin where they do not serve.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../oci/digest.hpp"
#include "../oci/store.hpp"

namespace fairing::registry {

/// Mirrors are asked in order. One that has not got what is asked for is passed over; one that
/// fails is left alone from then on. What is written goes to the origin. A blob is verified as a
/// whole, whoever gave its parts.
class MirroredStore final : public oci::Store {
public:
    struct Mirror {
        std::string name = {};
        std::unique_ptr<oci::Store> store = {};
    };

    MirroredStore(std::vector<Mirror> mirrors, std::unique_ptr<oci::Store> origin, Control control)
        : mirrors_(std::move(mirrors)),
          failed_(mirrors_.size()),
          origin_(std::move(origin)),
          control_(std::move(control)) {}

    [[nodiscard]] std::optional<oci::RawManifest> find_manifest(
        const std::string& tag_or_digest) override {
        std::optional<oci::RawManifest> found;
        each_mirror([&](oci::Store& mirror) {
            found = mirror.find_manifest(tag_or_digest);
            return found.has_value();
        });
        return found ? found : origin_->find_manifest(tag_or_digest);
    }

    void read_blob(const oci::Descriptor& blob, const net::BodySink& sink) override {
        oci::Verifier verifier{blob.digest, blob.size, "blob " + blob.digest};
        std::uint64_t done = 0;
        const auto read_from = [&](oci::Store& store) {
            std::uint64_t skip = done;  // a mirror gave these, before it failed
            store.read_blob(blob, [&](std::span<const std::byte> bytes) {
                const auto known =
                    static_cast<std::size_t>(std::min<std::uint64_t>(skip, bytes.size()));
                skip -= known;
                bytes = bytes.subspan(known);
                verifier.update(bytes);
                done += bytes.size();
                sink(bytes);
            });
            return true;
        };
        if (!each_mirror(read_from)) {
            read_from(*origin_);
        }
        verifier.finish();
    }

    [[nodiscard]] std::string find_digest(const std::string& tag) override {
        std::string digest;
        each_mirror([&](oci::Store& mirror) {
            digest = mirror.find_digest(tag);
            return !digest.empty();
        });
        return digest.empty() ? origin_->find_digest(tag) : digest;
    }
    [[nodiscard]] std::vector<Json> find_referrers(const std::string& digest) override {
        return origin_->find_referrers(digest);
    }
    oci::Transfer write_blob(const oci::Descriptor& blob, const net::Body& body,
                             const std::string& mount_from) override {
        return origin_->write_blob(blob, body, mount_from);
    }
    void write_manifest(const oci::RawManifest& manifest, const std::string& tag) override {
        origin_->write_manifest(manifest, tag);
    }
    [[nodiscard]] std::uint64_t requests() const noexcept override {
        std::uint64_t sum = origin_->requests();
        for (const Mirror& mirror : mirrors_) {
            sum += mirror.store->requests();
        }
        return sum;
    }

private:
    /// Until `use` says that it was served.
    template <class Use>
    bool each_mirror(const Use& use) {
        for (std::size_t i = 0; i < mirrors_.size(); ++i) {
            if (failed_[i]) {
                continue;
            }
            try {
                if (use(*mirrors_[i].store)) {
                    return true;
                }
            } catch (const Cancelled&) {
                throw;
            } catch (const Error& error) {
                failed_[i] = error.code() != ErrorCode::not_found;
                control_.say(Level::info, "mirror " + mirrors_[i].name + ": " + error.what() +
                                              "; another is asked");
            }
        }
        return false;
    }

    std::vector<Mirror> mirrors_;
    std::vector<std::atomic<bool>> failed_;
    std::unique_ptr<oci::Store> origin_;
    Control control_;
};

}  // namespace fairing::registry
