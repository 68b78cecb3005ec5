// fairing/deployers/local/runtime_spec.hpp - the config.json of a container (OCI
// runtime-spec 1.0.2). Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "../../core/json.hpp"
#include "../../stage/image.hpp"

namespace fairing::local {

/// What root inside is outside, for a runtime that this user starts without root.
struct UserMapping {
    unsigned user = 0, group = 0;
};

/// The image's environment and what every job has; `base` is that of the image's own configuration.
[[nodiscard]] inline std::map<std::string, std::string> job_environment(
    const Image& image, std::map<std::string, std::string> base = {}) {
    for (const auto& [name, value] : image.environment) {
        base.insert_or_assign(name, value);
    }
    base.insert_or_assign("FAIRING_RUNTIME", std::string{"1"});
    base.try_emplace("PYTHONUNBUFFERED", "1");  // so that lines come as they are printed
    base.try_emplace("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    return base;
}

namespace detail {

/// What every container has. Its network is this machine's, so there is no namespace for it; root
/// inside lacks the capabilities that reach out; there is no cgroup, so there are no limits.
inline constexpr const char* runtime_spec_defaults = R"({
    "ociVersion": "1.0.2",
    "hostname": "fairing-job",
    "process": {
        "terminal": false,
        "user": {"uid": 0, "gid": 0},
        "noNewPrivileges": true
    },
    "root": {"path": "rootfs", "readonly": false},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
         "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/etc/resolv.conf", "type": "bind", "source": "/etc/resolv.conf", "options": ["bind", "ro"]},
        {"destination": "/etc/hosts", "type": "bind", "source": "/etc/hosts", "options": ["bind", "ro"]}
    ],
    "linux": {
        "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}],
        "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                        "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    }
})";

/// As root: a sysfs of its own, and the terminals' group.
inline constexpr const char* runtime_spec_as_root = R"({
    "sys": {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    "capabilities": ["CAP_AUDIT_WRITE", "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL",
                     "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID", "CAP_SETPCAP", "CAP_SETUID",
                     "CAP_SYS_CHROOT"]
})";

/// In a user namespace: a new sysfs would show the network namespace of its maker, so this
/// machine's is bound.
inline constexpr const char* runtime_spec_rootless = R"({
    "sys": {"destination": "/sys", "type": "none", "source": "/sys",
            "options": ["rbind", "nosuid", "noexec", "nodev", "ro"]},
    "mapping": [{"containerID": 0, "size": 1}]
})";

}  // namespace detail

/// A container with its own processes, mounts and host name, and with the network of this machine,
/// so that data and servers that are reachable here are reachable there. With `mapping` a user
/// namespace makes root inside this user.
[[nodiscard]] inline Json runtime_spec(const Image& image,
                                       const std::map<std::string, std::string>& environment,
                                       const std::optional<UserMapping>& mapping = {}) {
    Json spec = Json::parse(detail::runtime_spec_defaults);
    const Json as_root = Json::parse(detail::runtime_spec_as_root);
    Json& process = spec["process"];
    std::vector<std::string> variables;
    variables.reserve(environment.size());
    for (const auto& [name, value] : environment) {
        variables.push_back(name + '=' + value);
    }
    process["args"] = image.command;
    process["env"] = variables;
    process["cwd"] = image.working_directory;
    for (const char* set : {"bounding", "effective", "permitted"}) {
        process["capabilities"][set] = as_root.at("capabilities");
    }
    if (!mapping) {
        spec["mounts"].push_back(as_root.at("sys"));
        spec["mounts"][2]["options"].push_back("gid=5");
        return spec;
    }
    const Json rootless = Json::parse(detail::runtime_spec_rootless);
    spec["mounts"].push_back(rootless.at("sys"));
    Json& linux = spec["linux"];
    linux["namespaces"].push_back(Json::parse(R"({"type": "user"})"));
    linux["uidMappings"] = rootless.at("mapping");
    linux["uidMappings"][0]["hostID"] = mapping->user;
    linux["gidMappings"] = rootless.at("mapping");
    linux["gidMappings"][0]["hostID"] = mapping->group;
    return spec;
}

}  // namespace fairing::local
