// fairing/deployers/google/vertex_names.hpp - where Vertex AI is, and the names of what it holds:
// projects/PROJECT/locations/REGION/COLLECTION/ID (google.aip.dev/122).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "../../stage/workload.hpp"
#include "client.hpp"
#include "options.hpp"

namespace fairing::detail {

inline constexpr const char* vertex_api = "aiplatform.googleapis.com/v1";

/// Where Vertex AI of the region is.
[[nodiscard]] inline std::string vertex_endpoint(const GoogleOptions& options) {
    return options.endpoint.empty() ? "https://" + options.region + "-aiplatform.googleapis.com"
                                    : cloud::checked_endpoint(options.endpoint);
}

[[nodiscard]] inline std::string vertex_place(const std::string& project,
                                              const GoogleOptions& options) {
    return "projects/" + project + "/locations/" + options.region;
}

/// Parts of the resource name projects/PROJECT/locations/REGION/COLLECTION/ID.
struct VertexName {
    std::string project = {}, region = {}, id = {};
};

/// Throws Error{usage} unless `name` is such a one in `collection`.
[[nodiscard]] inline VertexName parse_vertex_name(const std::string& name,
                                                  const std::string& collection) {
    std::vector<std::string> parts{""};
    for (const char c : name) {
        if (c == '/') {
            parts.emplace_back();
        } else {
            parts.back() += c;
        }
    }
    bool fine = parts.size() == 6 && parts[0] == "projects" && parts[2] == "locations" &&
                parts[4] == collection;
    for (const std::string& part : parts) {
        fine = fine && !part.empty();
    }
    if (!fine) {
        throw google::bad_option(
            "name", name, "it is not projects/PROJECT/locations/REGION/" + collection + "/ID");
    }
    google::check_characters("project", parts[1], "-:.");
    google::check_characters("region", parts[3], "-");
    google::check_characters("id", parts[5], "-_");
    return {parts[1], parts[3], parts[5]};
}

/// A client for what has this resource name. The options say how it is reached.
[[nodiscard]] inline google::Client client_for(const VertexName& name, GoogleOptions options,
                                               const Session& session) {
    options.project = name.project;
    options.region = name.region;
    google::check_options(options);
    return google::Client{options, session};
}

/// Throws Error{not_found} when that is the workload's state.
template <class Found>
[[nodiscard]] Found need_there(Found workload, const Session& session) {
    if (workload.status(session.stop).state == State::removed) {
        throw Error{
            ErrorCode::not_found,
            {.attempted = "find", .subject = workload.object().name, .answer = "it is not there"}};
    }
    return workload;
}

}  // namespace fairing::detail
