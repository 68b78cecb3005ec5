// fairing/pods/volumes.hpp - volume claims, secrets and config maps, mounted into the main
// container.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "../codec/sha256.hpp"
#include "../core/error.hpp"
#include "../kube/document.hpp"
#include "../kube/names.hpp"
#include "mutator.hpp"

namespace fairing {

enum class VolumeType { pvc, secret, config_map };

/// What is mounted: an object of the workload's namespace, whole or one path in it.
struct VolumeMount {
    VolumeType type = VolumeType::pvc;
    std::string name = {};        ///< of the claim, secret or config map
    std::string mount_path = {};  ///< absolute, in the container
    std::string sub_path = {};    ///< in the volume; empty: all of it
};

namespace detail {

[[nodiscard]] inline Error bad_volume(std::string_view text, std::string answer) {
    return Error{ErrorCode::usage,
                 {.attempted = "use volume",
                  .subject = kube::detail::quoted(text),
                  .answer = std::move(answer),
                  .advice = "write pvc|secret|config_map:NAME:PATH[:SUBPATH]"}};
}

inline constexpr std::array<std::pair<std::string_view, VolumeType>, 3> volume_types{
    {{"pvc", VolumeType::pvc},
     {"secret", VolumeType::secret},
     {"config_map", VolumeType::config_map}}};

/// As it may stand in a volume's name.
[[nodiscard]] inline std::string type_name(VolumeType type) {
    return type == VolumeType::pvc ? "pvc" : type == VolumeType::secret ? "secret" : "config-map";
}

/// "pvc:NAME:PATH[:SUBPATH]".
[[nodiscard]] inline VolumeMount parse_volume(const std::string& text) {
    std::array<std::string, 4> parts;
    std::size_t count = 0;
    for (std::size_t start = 0;; ++count) {
        if (count == parts.size()) {
            throw bad_volume(text, "it has more than four parts");
        }
        const std::size_t colon = text.find(':', start);
        parts.at(count) = text.substr(start, colon - start);
        if (colon == std::string::npos) {
            break;
        }
        start = colon + 1;
    }
    const auto* const type = std::find_if(volume_types.begin(), volume_types.end(),
                                          [&](const auto& each) { return each.first == parts[0]; });
    if (type == volume_types.end()) {
        throw bad_volume(text, "it begins with no type of volume");
    }
    if (parts[1].empty() || parts[2].empty()) {
        throw bad_volume(text, "a name or a path is missing");
    }
    return {.type = type->second, .name = parts[1], .mount_path = parts[2], .sub_path = parts[3]};
}

/// "fairing-volume-NAME", made to fit into 63 characters and to hold no dot.
[[nodiscard]] inline std::string volume_name(const std::string& object) {
    std::string name = "fairing-volume-" + object;
    std::replace(name.begin(), name.end(), '.', '-');
    if (name.size() > 63) {
        name = name.substr(0, 54) + '-' + codec::sha256_hex(object).substr(0, 8);
    }
    return name;
}

[[nodiscard]] inline Json volume_source(const VolumeMount& mount) {
    switch (mount.type) {
        case VolumeType::pvc:
            return {{"persistentVolumeClaim", {{"claimName", mount.name}}}};
        case VolumeType::secret:
            return {{"secret", {{"secretName", mount.name}}}};
        case VolumeType::config_map:
            break;
    }
    return {{"configMap", {{"name", mount.name}}}};
}

inline void check_mount(const VolumeMount& mount) {
    kube::check_dns_subdomain("volume", mount.name);
    if (!mount.mount_path.starts_with('/') || mount.mount_path.find(':') != std::string::npos) {
        throw bad_volume(mount.mount_path, "it is not an absolute path without colons");
    }
    if (mount.sub_path.starts_with('/') ||
        ('/' + mount.sub_path + '/').find("/../") != std::string::npos) {
        throw bad_volume(mount.sub_path, "the path in the volume is absolute or leaves it");
    }
}

inline void mount_volume(const VolumeMount& mount, PodSpec& pod) {
    Json volume = volume_source(mount);
    std::string name = volume_name(mount.name);
    for (const Json& other : kube::list(pod.json(), {"volumes"})) {
        Json source = other;
        if (kube::text(other, {"name"}) == name && source.erase("name") > 0 && source != volume) {
            // A claim and a secret, say, of one name.
            name = volume_name(mount.name + '-' + type_name(mount.type));
        }
    }
    volume["name"] = name;
    pod.set_volume(volume);
    Json entry{{"name", name}, {"mountPath", mount.mount_path}};
    if (!mount.sub_path.empty()) {
        entry["subPath"] = mount.sub_path;
    }
    pod.set_mount(entry);
}

}  // namespace detail

/// A mount, or its text "pvc|secret|config_map:NAME:PATH[:SUBPATH]" as on the command line.
class Volume {
public:
    Volume(const char* text) : Volume(std::string{text}) {}
    Volume(const std::string& text) : mount_(detail::parse_volume(text)) {
        detail::check_mount(mount_);
    }
    Volume(VolumeMount mount) : mount_(std::move(mount)) { detail::check_mount(mount_); }
    [[nodiscard]] const VolumeMount& mount() const noexcept { return mount_; }

private:
    VolumeMount mount_;
};

/// Mounts it; two mounts of one object share its volume.
[[nodiscard]] inline PodSpecMutator volume_mounts(VolumeMount mount) {
    detail::check_mount(mount);
    return [mount = std::move(mount)](PodSpec& pod, PodContext& /*context*/) {
        detail::mount_volume(mount, pod);
    };
}

}  // namespace fairing
