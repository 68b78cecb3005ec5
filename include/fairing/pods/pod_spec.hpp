// fairing/pods/pod_spec.hpp - the specification of a pod (core/v1 PodSpec): a JSON document with
// short ways to what is changed often.
#pragma once

#include <algorithm>
#include <string>
#include <utility>

#include "../core/json.hpp"

namespace fairing {

/// `text` as a command or a variable's value that means itself: Kubernetes expands $(NAME) in them,
/// and reads $$ as $.
[[nodiscard]] inline std::string literal_text(const std::string& text) {
    std::string result;
    for (const char c : text) {
        result += c;
        if (c == '$') {
            result += c;
        }
    }
    return result;
}

/// The document is the truth: json() is open for everything that has no member here. The main
/// container is the first one.
class PodSpec {
public:
    PodSpec() = default;
    explicit PodSpec(Json json) : json_(std::move(json)) {}

    [[nodiscard]] Json& json() noexcept { return json_; }
    [[nodiscard]] const Json& json() const noexcept { return json_; }
    [[nodiscard]] Json& container() { return json_["containers"][0]; }

    /// Sets a variable of the main container; one of that name is replaced where it stands.
    void set_env(const std::string& name, const std::string& value) {
        put(container()["env"], "name", name) = Json{{"name", name}, {"value", value}};
    }
    /// The same with a value that stays in a secret of the cluster.
    void set_env_from_secret(const std::string& name, const std::string& secret,
                             const std::string& key) {
        put(container()["env"], "name", name) = Json{
            {"name", name}, {"valueFrom", {{"secretKeyRef", {{"name", secret}, {"key", key}}}}}};
    }
    /// Adds a volume, or replaces the one of that name; `volume` is a core/v1 Volume.
    void set_volume(const Json& volume) {
        put(json_["volumes"], "name", volume.at("name").get<std::string>()) = volume;
    }
    /// Mounts a volume into the main container; `mount` is a core/v1 VolumeMount, and what was
    /// mounted at its path goes.
    void set_mount(const Json& mount) {
        put(container()["volumeMounts"], "mountPath", mount.at("mountPath").get<std::string>()) =
            mount;
    }
    void add_image_pull_secret(const std::string& name) {
        put(json_["imagePullSecrets"], "name", name) = Json{{"name", name}};
    }

private:
    /// The entry of `list` whose `key` is `value`; a new one at its end when there is none.
    static Json& put(Json& list, const char* key, const std::string& value) {
        if (!list.is_array()) {
            list = Json::array();
        }
        const auto found = std::find_if(list.begin(), list.end(), [&](const Json& each) {
            return each.is_object() && each.contains(key) && each[key] == value;
        });
        if (found != list.end()) {
            return *found;
        }
        list.push_back(Json());
        return list.back();
    }

    Json json_ = Json{{"containers", Json::array({Json{{"name", "model"}}})}};
};

}  // namespace fairing
