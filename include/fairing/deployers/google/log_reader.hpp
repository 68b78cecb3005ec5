// fairing/deployers/google/log_reader.hpp - the lines of a job in Cloud Logging, each of them once
// (cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list).
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <initializer_list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "client.hpp"

namespace fairing::google {

/// Where the lines of a job or of a model are.
struct LogPlace {
    std::string endpoint = {};  ///< empty: Google's own
    std::string project = {};
    std::string filter = {};   ///< what its entries have in common; empty: there are none
    std::string subject = {};  ///< "job 1234"
};

/// `labels` by their paths: {"resource.labels.job_id", "1234"}.
[[nodiscard]] inline std::string log_filter(
    const std::string& type, std::initializer_list<std::pair<const char*, std::string>> labels) {
    std::string text = "resource.type=" + filter_string(type);
    for (const auto& [path, value] : labels) {
        text += std::string{" AND "} + path + '=' + filter_string(value);
    }
    return text;
}

/// The lines of a job, of both services.
[[nodiscard]] inline LogPlace job_log(const GoogleOptions& options, const std::string& project,
                                      const std::string& id) {
    return {.endpoint = options.logging_endpoint,
            .project = project,
            .filter = log_filter("ml_job", {{"resource.labels.job_id", id}}),
            .subject = "job " + id};
}

/// Entries come late and not in the order of their times, so each reading goes back two minutes
/// before the newest one and drops what it has seen.
class LogReader {
public:
    static constexpr std::chrono::seconds overlap{120};

    explicit LogReader(LogPlace place) : place_(std::move(place)) {
        place_.endpoint = place_.endpoint.empty() ? std::string{"https://logging.googleapis.com"}
                                                  : cloud::checked_endpoint(place_.endpoint);
    }

    /// Gives what is new, oldest first.
    void read(const Client& client, const OutputSink& sink) {
        if (place_.filter.empty()) {
            return;
        }
        Json body{{"resourceNames", {"projects/" + place_.project}},
                  {"filter", filter()},
                  {"orderBy", "timestamp asc"},
                  {"pageSize", 1000}};
        const Time now = client.control().now();
        for (bool more = true; more;) {
            const Json page = client.post(place_.endpoint + "/v2/entries:list", body,
                                          "read the log of", place_.subject);
            for (const Json& entry : kube::list(page, {"entries"})) {
                take(entry, now, sink);
            }
            const std::string next = text_or(page, "nextPageToken");
            more = !next.empty() && next != text_or(body, "pageToken");  // else it goes in circles
            body["pageToken"] = next;
        }
        std::erase_if(seen_, [&](const auto& each) { return each.second < newest_ - overlap; });
    }

private:
    using Time = std::chrono::system_clock::time_point;

    [[nodiscard]] std::string filter() const {
        std::string text = place_.filter;
        if (newest_ != Time{}) {
            text += " AND timestamp>=\"" +
                    cloud::utc_text(newest_ - overlap, "%Y-%m-%dT%H:%M:%SZ") + '"';
        }
        return text;
    }

    /// A program may date its lines as it likes: none of them moves the window past `now`.
    void take(const Json& entry, Time now, const OutputSink& sink) {
        const Time time = cloud::parse_utc(text_or(entry, "timestamp")).value_or(Time{});
        const std::string id = text_or(entry, "insertId");
        if (!id.empty() && !seen_.emplace(id, time).second) {
            return;
        }
        newest_ =
            std::max(newest_, std::min(time, Time{std::chrono::floor<std::chrono::seconds>(now)}));
        if (const std::optional<std::string> text = text_of(entry)) {
            const std::string task = kube::text(entry, {"resource", "labels", "task_name"});
            give(task.empty() ? kube::text(entry, {"labels", "replica_id"}) : task, *text, sink);
        }
    }

    /// `task` is "workerpool0-0", "master-replica-0", of a model the id of its replica.
    static void give(const std::string& task, std::string_view text, const OutputSink& sink) {
        if (text.ends_with('\n')) {
            text.remove_suffix(1);
        }
        for (std::size_t end = 0; end != std::string_view::npos;) {
            end = text.find('\n');
            sink({.pod = task, .text = std::string{text.substr(0, end)}});
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        }
    }
    /// nullopt for what no program said, such as audit records.
    [[nodiscard]] static std::optional<std::string> text_of(const Json& entry) {
        if (entry.contains("textPayload")) {
            return text_or(entry, "textPayload");
        }
        const Json& payload = kube::member(entry, {"jsonPayload"});
        if (!payload.is_object()) {
            return std::nullopt;
        }
        return payload.contains("message") ? text_or(payload, "message") : payload.dump();
    }

    LogPlace place_;
    Time newest_ = {};
    std::map<std::string, Time> seen_ = {};
};

}  // namespace fairing::google
