// fairing/registry/lost_blobs.hpp - a registry may collect a blob as garbage after it said that it
// has it, and before the manifest comes: then the blob is sent once more.
#pragma once

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "registry_error.hpp"

namespace fairing::registry {

/// Which blobs a registry lacks: those that it named, or any when it named none.
class LostBlobs {
public:
    explicit LostBlobs(std::vector<std::string> digests) : digests_(std::move(digests)) {}
    [[nodiscard]] bool may_hold(const std::string& digest) const {
        return digests_.empty() ||
               std::find(digests_.begin(), digests_.end(), digest) != digests_.end();
    }

private:
    std::vector<std::string> digests_;
};

/// Calls `write`, which stores a manifest. When the registry has lost blobs of it, `send` is called
/// and `write` once more.
inline void write_in_spite_of_losses(const std::function<void()>& write,
                                     const std::function<void(const LostBlobs&)>& send) {
    try {
        write();
    } catch (const MissingBlobs& missing) {
        send(LostBlobs{missing.digests()});
        write();
    }
}

}  // namespace fairing::registry
