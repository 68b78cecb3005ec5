// fairing/builders/context_sources/context_source.hpp - how the context of a build reaches a pod
// that builds: uploaded to a store that both can reach.
#pragma once

#include <concepts>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "../../cloud/connection.hpp"
#include "../../cloud/content.hpp"
#include "../../core/control.hpp"
#include "../../pods/mutator.hpp"

namespace fairing {

inline namespace FAIRING_ABI {

/// What is uploaded, and what for. Valid during the call.
struct ContextUpload {
    const cloud::Content& archive;  ///< a tar in gzip
    /// Names it in the store, in hex or the like; of its own for every build, since it is removed
    /// with the build.
    const std::string& hash;
    const cloud::Connection& connection;
    const kube::Client* client = nullptr;  ///< of the cluster that builds, for keys in its secrets
    std::string namespace_ = {};
};

/// A context in a store, removed by the destructor: within ten seconds, without throwing, also
/// after a stop.
class UploadedContext {
public:
    struct Parts {
        std::string url = {};                     ///< as Kaniko's --context takes it
        PodSpecMutator prepare = {};              ///< lets the pod that builds read it
        std::vector<std::string> arguments = {};  ///< more ones for Kaniko
        std::function<void()> remove = {};
    };
    UploadedContext(Parts parts, Control control)
        : parts_(std::move(parts)), control_(std::move(control)) {}
    UploadedContext(UploadedContext&& other) noexcept
        : parts_(std::exchange(other.parts_, {})), control_(std::move(other.control_)) {}
    UploadedContext& operator=(UploadedContext&& other) noexcept {
        std::swap(parts_, other.parts_);
        std::swap(control_, other.control_);
        return *this;
    }
    ~UploadedContext() {
        try {
            remove();
        } catch (const std::exception& error) {
            try {
                control_.say(Level::warning, error.what());
            } catch (const std::exception&) {
                // a sink that throws must not end the program here
            }
        }
    }

    [[nodiscard]] const std::string& url() const noexcept { return parts_.url; }
    [[nodiscard]] const std::vector<std::string>& arguments() const noexcept {
        return parts_.arguments;
    }
    /// Changes the pod that builds: variables, mounts, and secrets to create with it.
    void prepare(PodSpec& pod, PodContext& context) const {
        if (parts_.prepare) {
            parts_.prepare(pod, context);
        }
    }
    /// Now, once.
    void remove() {
        if (const auto call = std::exchange(parts_.remove, {})) {
            call();
        }
    }
    /// It stays in the store.
    void keep() noexcept { parts_.remove = {}; }

private:
    Parts parts_;
    Control control_;
};

/// A store for contexts: upload() gives what the pod that builds needs, or throws Error and leaves
/// nothing behind.
template <class T>
concept ContextSource = requires(const T& source, const ContextUpload& upload) {
    { source.upload(upload) } -> std::same_as<UploadedContext>;
};

}  // inline namespace FAIRING_ABI

namespace detail {

/// One mutator after the other.
[[nodiscard]] inline PodSpecMutator in_order(std::vector<PodSpecMutator> mutators) {
    return [mutators = std::move(mutators)](PodSpec& pod, PodContext& context) {
        for (const PodSpecMutator& each : mutators) {
            each(pod, context);
        }
    };
}

/// Sets variables of the main container.
[[nodiscard]] inline PodSpecMutator plain_variables(
    std::vector<std::pair<std::string, std::string>> values) {
    return [values = std::move(values)](PodSpec& pod, PodContext& /*context*/) {
        for (const auto& [name, value] : values) {
            pod.set_env(name, value);
        }
    };
}

}  // namespace detail

}  // namespace fairing
