// fairing/runs/submission.hpp - creating a run's objects: all of them, or none.
#pragma once

#include <chrono>
#include <exception>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../kube/client.hpp"
#include "../kube/object.hpp"
#include "stop_after.hpp"

namespace fairing::kubernetes {

/// What was created: the main object as the server stored it, and what stands beside it.
struct Submitted {
    Json main = {};
    std::vector<kube::ObjectKey> beside = {};
};

/// How long removing what an unfinished run left may take.
inline constexpr std::chrono::seconds cleanup_limit{10};

/// Removes an object of a run. One that does not carry the run's label is somebody else's, and
/// stays.
inline void remove_own(const kube::Client& client, const kube::ObjectKey& key,
                       const std::string& run_id) {
    const std::optional<Json> found = client.find(key);
    if (found && kube::label_of(*found, kube::run_label) == run_id) {
        static_cast<void>(client.remove(key, {.uid = kube::uid_of(*found)}));
    }
}

/// Removes the objects of a run again unless told to keep them. What does not carry the run's label
/// is somebody else's, and stays.
class CreatedObjects {
public:
    CreatedObjects(const kube::Client& client, std::string run_id)
        : client_(client.with(client.control().with_tame_log())), run_id_(std::move(run_id)) {}
    CreatedObjects(CreatedObjects&&) = delete;
    CreatedObjects& operator=(CreatedObjects&&) = delete;
    ~CreatedObjects() {
        try {
            remove_all();
        } catch (...) {
            // A destructor has nowhere to put it.
        }
    }

    /// Before the request, for its reply may get lost.
    void add(kube::ObjectKey key) { entries_.push_back({.key = std::move(key)}); }
    /// The server said that the last one is there.
    void confirm_last() { entries_.back().is_confirmed = true; }
    /// The server said no: there is nothing of ours.
    void drop_last() { entries_.pop_back(); }
    void keep() noexcept { entries_.clear(); }

private:
    struct Entry {
        kube::ObjectKey key = {};
        bool is_confirmed = false;
    };

    void remove_all() {
        if (entries_.empty()) {
            return;
        }
        // The caller's stop is why we are here, more often than not.
        const StopAfter limit{cleanup_limit};
        const kube::Client client = client_.with_stop(limit.token());
        for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
            try {
                remove(client, *entry);
            } catch (const Error& error) {
                client_.control().say(Level::warning,
                                      entry->key.text() + " may be left behind: " + error.what());
            }
        }
    }
    void remove(const kube::Client& client, const Entry& entry) const {
        const std::optional<Json> found = look_for(client, entry);
        if (found && kube::label_of(*found, kube::run_label) == run_id_) {
            static_cast<void>(client.remove(
                entry.key,
                {.propagation = kube::Propagation::foreground, .uid = kube::uid_of(*found)}));
        }
    }
    /// A request that nobody answered may still be on its way to the server, and overtaken by the
    /// question whether the object is there: that is asked for some time.
    [[nodiscard]] static std::optional<Json> look_for(const kube::Client& client,
                                                      const Entry& entry) {
        using std::chrono::milliseconds;
        constexpr milliseconds longest{1000};
        for (milliseconds pause{125};; pause *= 2) {
            std::optional<Json> found = client.find(entry.key);
            if (found || entry.is_confirmed || pause > longest) {
                return found;
            }
            client.control().sleep(pause);
        }
    }

    kube::Client client_;
    std::string run_id_;
    std::vector<Entry> entries_ = {};
};

namespace detail {

/// Creates one object under the guard; a refusal of the server leaves nothing to remove.
inline Json create_guarded(const kube::Client& client, const Json& object,
                           CreatedObjects& created) {
    created.add(kube::key_of(object, client.cluster().namespace_));
    try {
        Json stored = client.create(object);
        created.confirm_last();
        return stored;
    } catch (const kube::StatusError&) {
        created.drop_last();
        throw;
    }
}

/// So that the cluster removes `object` when `owner` goes, whoever removes it.
inline void set_owner(const kube::Client& client, const kube::ObjectKey& object,
                      const Json& owner) {
    const Json reference{{"apiVersion", owner.at("apiVersion")},
                         {"kind", owner.at("kind")},
                         {"name", kube::name_of(owner)},
                         {"uid", kube::uid_of(owner)}};
    const Json change{{"metadata", {{"ownerReferences", Json::array({reference})}}}};
    static_cast<void>(client.patch(object, kube::PatchType::merge, change));
}

}  // namespace detail

/// Creates `objects`, of which the last is the main one, and makes it the owner of the others. The
/// same run again finds what there is. Throws what the server says, and leaves nothing then.
[[nodiscard]] inline Submitted submit(const kube::Client& client, const std::vector<Json>& objects,
                                      const std::string& run_id) {
    CreatedObjects created{client, run_id};
    Submitted result;
    for (std::size_t i = 0; i + 1 < objects.size(); ++i) {
        const Json stored = detail::create_guarded(client, objects[i], created);
        result.beside.push_back(kube::key_of(stored, client.cluster().namespace_));
    }
    result.main = detail::create_guarded(client, objects.back(), created);
    for (const kube::ObjectKey& key : result.beside) {
        detail::set_owner(client, key, result.main);
    }
    created.keep();
    return result;
}

/// What the server would store: every object is checked and admitted, and none is kept.
[[nodiscard]] inline std::vector<Json> dry_run(const kube::Client& client,
                                               const std::vector<Json>& objects) {
    std::vector<Json> stored;
    stored.reserve(objects.size());
    for (const Json& object : objects) {
        stored.push_back(client.create(object, {.dry_run = kube::DryRun::server}));
    }
    return stored;
}

}  // namespace fairing::kubernetes
