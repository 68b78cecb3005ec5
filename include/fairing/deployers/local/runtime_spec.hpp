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

/// A container with its own processes, mounts and host name, and with the network of this machine,
/// so that data and servers that are reachable here are reachable there. Root inside, without the
/// capabilities that reach out; no cgroup, so no limits. With `mapping` a user namespace makes root
/// inside this user.
[[nodiscard]] inline Json runtime_spec(const Image& image,
                                       const std::map<std::string, std::string>& environment,
                                       const std::optional<UserMapping>& mapping = {}) {
    Json variables = Json::array();
    for (const auto& [name, value] : environment) {
        variables.push_back(name + '=' + value);
    }
    const Json capabilities = {"CAP_AUDIT_WRITE",      "CAP_CHOWN",   "CAP_DAC_OVERRIDE",
                               "CAP_FOWNER",           "CAP_FSETID",  "CAP_KILL",
                               "CAP_NET_BIND_SERVICE", "CAP_SETFCAP", "CAP_SETGID",
                               "CAP_SETPCAP",          "CAP_SETUID",  "CAP_SYS_CHROOT"};
    const auto mount = [](const char* destination, const char* type, const char* source,
                          std::vector<std::string> options) {
        return Json{
            {"destination", destination}, {"type", type}, {"source", source}, {"options", options}};
    };
    std::vector<std::string> pts{"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"};
    if (!mapping) {
        pts.emplace_back("gid=5");
    }
    Json mounts = Json::array(
        {mount("/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}),
         mount("/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}),
         mount("/dev/pts", "devpts", "devpts", pts),
         mount("/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777"}),
         mount("/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}),
         // A new sysfs shows the network namespace of its maker; who owns none gets this machine's.
         mapping ? mount("/sys", "none", "/sys", {"rbind", "nosuid", "noexec", "nodev", "ro"})
                 : mount("/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}),
         mount("/etc/resolv.conf", "bind", "/etc/resolv.conf", {"bind", "ro"}),
         mount("/etc/hosts", "bind", "/etc/hosts", {"bind", "ro"})});
    Json namespaces =
        Json::array({{{"type", "pid"}}, {{"type", "ipc"}}, {{"type", "uts"}}, {{"type", "mount"}}});
    Json spec = {{"ociVersion", "1.0.2"},
                 {"hostname", "fairing-job"},
                 {"process",
                  {{"terminal", false},
                   {"user", {{"uid", 0}, {"gid", 0}}},
                   {"args", image.command},
                   {"env", variables},
                   {"cwd", image.working_directory},
                   {"noNewPrivileges", true},
                   {"capabilities",
                    {{"bounding", capabilities},
                     {"effective", capabilities},
                     {"permitted", capabilities}}}}},
                 {"root", {{"path", "rootfs"}, {"readonly", false}}},
                 {"mounts", mounts},
                 {"linux",
                  {{"namespaces", namespaces},
                   {"maskedPaths",
                    {"/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                     "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                     "/proc/sched_debug", "/proc/scsi", "/sys/firmware"}},
                   {"readonlyPaths",
                    {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"}}}}};
    if (mapping) {
        Json& linux = spec["linux"];
        linux["namespaces"].push_back({{"type", "user"}});
        linux["uidMappings"] =
            Json::array({{{"containerID", 0}, {"hostID", mapping->user}, {"size", 1}}});
        linux["gidMappings"] =
            Json::array({{{"containerID", 0}, {"hostID", mapping->group}, {"size", 1}}});
    }
    return spec;
}

}  // namespace fairing::local
