// tests/support/pod_names.hpp - the cluster's DNS for pods that are processes of one machine: what
// their variables say of each other leads to its loopback.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "child_process.hpp"

namespace support {

/// A free port of this machine for an address of the cluster, the same one for all who ask.
inline int port_of(const std::string& address) {
    static std::mutex mutex;
    static std::map<std::string, int> ports;
    const std::lock_guard lock{mutex};
    int& port = ports[address];
    if (port == 0) {
        port = fairing::test::free_port();
    }
    return port;
}

/// `value` with every HOST.`subdomain` in it as this machine.
inline std::string with_subdomain_here(std::string value, const std::string& subdomain) {
    const std::size_t dot = value.find('.' + subdomain);
    if (subdomain.empty() || dot == std::string::npos) {
        return value;
    }
    const std::size_t before =
        value.find_last_not_of("abcdefghijklmnopqrstuvwxyz0123456789-", dot - 1);
    const std::size_t start = before == std::string::npos ? 0 : before + 1;
    return value.replace(start, dot + 1 + subdomain.size() - start, "127.0.0.1");
}

/// `value` with the replicas of a job in it, as Kubeflow's operators write them, on this machine:
/// JOB-worker-0.NAMESPACE.svc:2222 and JOB-master-0:2222, and in `variable` …ADDR JOB-master-0
/// alone.
inline std::string with_replicas_here(std::string value, const std::string& job,
                                      std::string_view variable) {
    const std::string digits = "0123456789", letters = "abcdefghijklmnopqrstuvwxyz";
    const std::string start = job + '-';
    for (std::size_t at = value.find(start); !job.empty() && at != std::string::npos;
         at = value.find(start, at + 1)) {
        std::size_t end = at + start.size();
        const auto skip = [&](const std::string& characters) {
            end = std::min(value.find_first_not_of(characters, end), value.size());
        };
        skip(letters + '-');
        skip(digits);
        const std::size_t name_end = end;
        if (value.compare(end, 1, ".") == 0) {
            skip(letters + digits + ".-");
        }
        std::string here = "127.0.0.1";
        if (value.compare(end, 1, ":") == 0) {
            ++end;
            skip(digits);
            here += ':' + std::to_string(port_of(value.substr(at, end - at)));
        } else if (end == name_end && variable.find("ADDR") == std::string_view::npos) {
            continue;
        }
        value.replace(at, end - at, here);
    }
    return value;
}

}  // namespace support
