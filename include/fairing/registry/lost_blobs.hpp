// fairing/registry/lost_blobs.hpp - a registry may collect a blob as garbage after it said that it
// has it, and before the manifest comes: then the blob is sent once more.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <set>
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

/// Calls `write`, which stores a manifest or several. When the registry has lost blobs of it,
/// `send` is called and `write` once more; no blob is sent twice, and one that is missing then is
/// an error.
inline void write_in_spite_of_losses(const std::function<void()>& write,
                                     const std::function<void(const LostBlobs&)>& send) {
    std::set<std::string> sent;
    while (true) {
        try {
            return write();
        } catch (const MissingBlobs& missing) {
            // Some registries name one at a time, and some none: "" stands for all of them.
            std::vector<std::string> digests = missing.digests();
            std::size_t news = digests.empty() && sent.insert("").second ? 1 : 0;
            for (const std::string& digest : digests) {
                news += sent.insert(digest).second ? 1 : 0;
            }
            if (news == 0) {
                throw;
            }
            send(LostBlobs{std::move(digests)});
        }
    }
}

}  // namespace fairing::registry
