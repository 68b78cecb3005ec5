// fairing/registry/uploads_ahead.hpp - uploads that are begun before their blobs are known: a blob
// then waits for one answer of the registry instead of two.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <stop_token>
#include <system_error>
#include <utility>

#include "../core/control.hpp"
#include "../core/error.hpp"
#include "../core/parallel.hpp"
#include "api.hpp"
#include "blob_upload.hpp"
#include "upload_session.hpp"

namespace fairing::registry {

/// Of one repository. What nobody takes is cancelled at the registry, all at once, and an answer
/// that nobody needs is not waited for.
class UploadsAhead {
public:
    UploadsAhead(Api& api, const Control& control)
        : api_(api), control_(control), on_stop_{control.stop, [this] { stop_.request_stop(); }} {
        control_.stop = stop_.get_token();
    }
    UploadsAhead(const UploadsAhead&) = delete;
    UploadsAhead& operator=(const UploadsAhead&) = delete;
    ~UploadsAhead() {
        stop_.request_stop();
        parallel_for(begun_.size(), begun_.size(), [this](std::size_t index) {
            const auto unused = std::exchange(begun_[index], {});
        });
    }

    /// Begins so many more, if the system has threads for them, and does not wait.
    void begin(std::size_t count) {
        const std::lock_guard lock{mutex_};
        try {
            for (; count > 0; --count) {
                begun_.push_back(std::async(std::launch::async, [this] {
                    return BlobUpload{api_, control_}.begin();
                }));
            }
        } catch (const std::system_error&) {
            // then they are begun when their blobs are there
        }
    }
    /// The oldest, as soon as it has begun; nullopt when there is none or the registry refused: who
    /// begins an upload anew is told why.
    [[nodiscard]] std::optional<UploadSession> take() {
        std::future<std::optional<UploadSession>> oldest;
        {
            const std::lock_guard lock{mutex_};
            if (begun_.empty()) {
                return std::nullopt;
            }
            oldest = std::move(begun_.front());
            begun_.pop_front();
        }
        try {
            return oldest.get();
        } catch (const Error&) {
            return std::nullopt;
        }
    }

private:
    Api& api_;
    Control control_;
    std::stop_source stop_;
    std::stop_callback<std::function<void()>> on_stop_;
    std::mutex mutex_;
    std::deque<std::future<std::optional<UploadSession>>> begun_;
};

}  // namespace fairing::registry
