// tests/support/pod_documents.hpp - pods as a cluster would tell of them.
#pragma once

#include <string>

#include "fairing/core/json.hpp"

namespace fairing::test {

inline Json pod_document(const char* status) {
    return {{"metadata", {{"name", "p"}, {"uid", "u"}, {"resourceVersion", "1"}}},
            {"status", Json::parse(status)}};
}

inline Json waiting_pod(const std::string& reason, const std::string& message = "",
                        const char* group = "containerStatuses") {
    const Json status{{"name", "fairing-job"},
                      {"image", "r.example/a:1"},
                      {"state", {{"waiting", {{"reason", reason}, {"message", message}}}}}};
    Json pod = pod_document(R"({"phase": "Pending"})");
    pod["status"][group] = Json::array({status});
    return pod;
}

inline Json ended_pod(int code, const std::string& reason,
                      const char* group = "containerStatuses") {
    const Json status{
        {"name", "fairing-job"},
        {"state",
         {{"terminated",
           {{"exitCode", code}, {"reason", reason}, {"finishedAt", "2026-01-01T00:00:05Z"}}}}}};
    Json pod = pod_document(R"({"phase": "Failed"})");
    pod["status"][group] = Json::array({status});
    return pod;
}

}  // namespace fairing::test
