// fairing/deployers/google/traffic.hpp - how the models of an endpoint share its traffic.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "../../core/json.hpp"
#include "../../core/json_text.hpp"
#include "../../kube/document.hpp"

namespace fairing::google {

/// Percents by the ids of deployed models; the whole is 100, or nothing.
using TrafficSplit = std::map<std::string, int>;

[[nodiscard]] inline TrafficSplit traffic_of(const Json& endpoint) {
    TrafficSplit split;
    const Json& shares = kube::member(endpoint, {"trafficSplit"});
    for (const auto& [id, share] : shares.items()) {
        const std::int64_t percent = share.is_number_integer() ? share.get<std::int64_t>() : 0;
        if (percent > 0 && percent <= 100) {
            split[id] = static_cast<int>(percent);
        }
    }
    return split;
}

/// `split` scaled to `total`; what rounding leaves is the largest one's.
[[nodiscard]] inline TrafficSplit shared_traffic(TrafficSplit split, int total) {
    int whole = 0, given = 0;
    for (const auto& [id, share] : split) {
        whole += share;
    }
    for (auto& [id, share] : split) {
        share = share * total / whole;
        given += share;
    }
    const auto largest =
        std::max_element(split.begin(), split.end(),
                         [](const auto& a, const auto& b) { return a.second < b.second; });
    if (largest != split.end()) {
        largest->second += total - given;
    }
    return split;
}

/// The split when the newest deployed model gets `percent`, and the others share the rest as they
/// do now; one that had nothing gets it when nobody else is there. Empty when there is no model to
/// share with, and `percent` is less than all.
[[nodiscard]] inline TrafficSplit traffic_with_newest(const Json& endpoint, int percent) {
    std::string newest, before, newest_time, before_time;
    for (const Json& deployed : kube::list(endpoint, {"deployedModels"})) {
        const std::string id = text_or(deployed, "id"), time = text_or(deployed, "createTime");
        if (newest.empty() || time > newest_time) {
            before = std::exchange(newest, id);
            before_time = std::exchange(newest_time, time);
        } else if (before.empty() || time > before_time) {
            before = id;
            before_time = time;
        }
    }
    TrafficSplit others = traffic_of(endpoint);
    others.erase(newest);
    if (others.empty() && !before.empty()) {
        others = {{before, 100}};
    }
    if (newest.empty() || (others.empty() && percent < 100)) {
        return {};
    }
    others = shared_traffic(std::move(others), 100 - percent);
    others[newest] = percent;
    return others;
}

/// The split when the deployed model `id` goes; empty when it was the only one. When it had all the
/// traffic, the newest of the others gets it.
[[nodiscard]] inline TrafficSplit traffic_without(const Json& endpoint, const std::string& id) {
    TrafficSplit split = traffic_of(endpoint);
    split.erase(id);
    if (split.empty()) {
        std::string newest_time;
        for (const Json& other : kube::list(endpoint, {"deployedModels"})) {
            const std::string other_id = text_or(other, "id"), time = text_or(other, "createTime");
            if (other_id != id && (split.empty() || time > newest_time)) {
                split = {{other_id, 100}};
                newest_time = time;
            }
        }
    }
    return shared_traffic(std::move(split), 100);
}

}  // namespace fairing::google
