// fairing/registry/upload_session.hpp - an upload under way (OCI distribution-spec, "Pushing
// blobs").
#pragma once

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "../core/control.hpp"
#include "api.hpp"

namespace fairing::registry {

/// An upload that was begun. The registry is told to forget it unless it was finished; that takes
/// at most ten seconds, and no failure of it matters. (docker-registry 2.8 forgets only an upload
/// that has no bytes yet: the state in our Location is the one before them. It purges the others by
/// itself after a week.)
class UploadSession {
public:
    /// `least_chunk`: the registry takes no smaller PATCH but the last (OCI-Chunk-Min-Length).
    UploadSession(Api& api, const Control& control, std::string location,
                  std::uint64_t least_chunk = 0)
        : api_(&api), control_(control), location_(std::move(location)), least_chunk_(least_chunk) {
        control_.stop = {};
        control_.progress = {};
    }
    UploadSession(UploadSession&& other) noexcept
        : api_(other.api_),
          control_(std::move(other.control_)),
          location_(std::exchange(other.location_, {})),
          least_chunk_(other.least_chunk_),
          interrupted_(other.interrupted_) {}
    UploadSession& operator=(UploadSession&& other) noexcept {
        std::swap(api_, other.api_);
        std::swap(control_, other.control_);
        std::swap(location_, other.location_);
        std::swap(least_chunk_, other.least_chunk_);
        std::swap(interrupted_, other.interrupted_);
        return *this;
    }
    ~UploadSession() {
        if (location_.empty()) {
            return;
        }
        if (interrupted_) {
            control_.sleep(std::chrono::milliseconds{250});
        }
        try {
            (void)api_->call(
                {.method = "DELETE", .url = location_, .deadline = std::chrono::seconds{10}},
                {.attempted = "cancel upload", .repeat = net::Repeat::never},
                api_->scopes(Access::push), control_);
        } catch (...) {
            // the registry removes it some day
        }
    }
    [[nodiscard]] const std::string& location() const noexcept { return location_; }
    [[nodiscard]] std::uint64_t least_chunk() const noexcept { return least_chunk_; }
    /// The registry names another place for what comes next.
    void moved(std::string location) { location_ = std::move(location); }
    void finished() noexcept { location_.clear(); }
    /// Bytes are under way. A registry that finds out only now that the connection broke would
    /// write its state anew after the DELETE, so that one comes a moment later.
    void sending() noexcept { interrupted_ = true; }
    void answered() noexcept { interrupted_ = false; }

private:
    Api* api_;
    Control control_;
    std::string location_;
    std::uint64_t least_chunk_ = 0;
    bool interrupted_ = false;
};

}  // namespace fairing::registry
