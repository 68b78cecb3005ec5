// tests/support/memory_api.hpp - a Kubernetes API server in memory, as a transport: it stores,
// lists, watches and removes; a test plays the controllers and the kubelet.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "fairing/core/error.hpp"
#include "fairing/core/json.hpp"
#include "fairing/net/message.hpp"
#include "fairing/net/transport.hpp"

namespace support {

/// Models Transport; lend it with std::ref. Thread-safe. Knows Jobs, InferenceServices, Pods,
/// Secrets, ConfigMaps and Events of one namespace, and does what their server does, but for
/// admission.
class MemoryApi {
public:
    using Json = fairing::Json;
    /// Answers a request in place of the server; nullopt lets the server answer.
    using Interceptor =
        std::function<std::optional<fairing::net::Response>(const std::string& request)>;

    /// As if a controller had stored it: `object` names kind, namespace and name. A new object gets
    /// a uid. Watches tell it.
    Json put(Json object) {
        const std::lock_guard lock{mutex_};
        return store(std::move(object));
    }
    [[nodiscard]] std::optional<Json> get(const std::string& kind, const std::string& name) {
        const std::lock_guard lock{mutex_};
        const auto found = objects_.find({plural(kind), name});
        return found == objects_.end() ? std::nullopt : std::optional{found->second};
    }
    /// Waits for an object of that kind; null after a minute.
    [[nodiscard]] Json await(const std::string& kind) {
        std::unique_lock lock{mutex_};
        const auto first = [&] {
            return std::find_if(objects_.begin(), objects_.end(),
                                [&](const auto& each) { return each.first.first == plural(kind); });
        };
        changed_.wait_for(lock, std::chrono::minutes{1}, [&] { return first() != objects_.end(); });
        return first() == objects_.end() ? Json() : first()->second;
    }
    /// Waits until a request begins with that text, for a minute at most.
    [[nodiscard]] bool await_request(const std::string& begin) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::minutes{1}, [&] {
            return std::any_of(requests_.begin(), requests_.end(),
                               [&](const std::string& each) { return each.starts_with(begin); });
        });
    }
    /// Waits until a watch has told of the last change of that kind, for a minute at most.
    [[nodiscard]] bool await_told(const std::string& kind) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, std::chrono::minutes{1}, [&] {
            const auto last =
                std::find_if(events_.rbegin(), events_.rend(),
                             [&](const Event& each) { return each.plural == plural(kind); });
            return last != events_.rend() && told_[last->plural] >= last->version;
        });
    }
    void remove(const std::string& kind, const std::string& name) {
        const std::lock_guard lock{mutex_};
        erase({plural(kind), name});
    }
    void set_log(const std::string& pod, std::vector<std::string> lines) {
        const std::lock_guard lock{mutex_};
        logs_[pod] = std::move(lines);
    }
    void intercept(Interceptor interceptor) {
        const std::lock_guard lock{mutex_};
        interceptor_ = std::move(interceptor);
    }
    /// "POST /apis/batch/v1/namespaces/ml/jobs?…", in the order in which they came.
    [[nodiscard]] std::vector<std::string> requests() {
        const std::lock_guard lock{mutex_};
        return requests_;
    }
    /// How many requests had come when the first watch had something to tell.
    [[nodiscard]] std::size_t requests_before_first_event() {
        const std::lock_guard lock{mutex_};
        return before_first_event_;
    }
    [[nodiscard]] std::size_t size() {
        const std::lock_guard lock{mutex_};
        return objects_.size();
    }

    fairing::net::Response send(const fairing::net::Request& request,
                                const fairing::net::BodySink& sink, std::stop_token stop) {
        if (stop.stop_requested()) {
            throw_cancelled();
        }
        const std::size_t start = request.url.find('/', request.url.find("//") + 2);
        const Call call = parse(request.method, request.url.substr(start));
        Interceptor interceptor;
        {
            const std::lock_guard lock{mutex_};
            requests_.push_back(request.method + ' ' + request.url.substr(start));
            interceptor = interceptor_;
            changed_.notify_all();
        }
        if (interceptor) {
            if (auto answer = interceptor(request.method + ' ' + request.url.substr(start))) {
                return *std::move(answer);
            }
        }
        if (call.query.contains("watch")) {
            watch(call, sink, stop);
            return {.status = 200};
        }
        std::string body;
        if (request.body.write) {
            request.body.write([&body](std::span<const std::byte> bytes) {
                body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            });
        }
        fairing::net::Response response = answer(call, body);
        if (sink && response.status == 200) {
            sink(std::as_bytes(std::span{response.body}));
            response.body.clear();
        }
        return response;
    }

private:
    using Key = std::pair<std::string, std::string>;  // plural, name
    struct Call {
        std::string method = {}, plural = {}, name = {}, subresource = {};
        std::map<std::string, std::string> query = {};
        bool is_discovery = false, is_core = false;
    };
    struct Event {
        std::uint64_t version = 0;
        std::string type = {}, plural = {};
        Json object = {};
    };

    [[noreturn]] static void throw_cancelled() {
        throw fairing::Cancelled{fairing::ErrorCode::cancelled,
                                 {.attempted = "reach", .answer = "stopped"}};
    }
    static std::string plural(const std::string& kind) {
        std::string result;
        for (const char c : kind) {
            result += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        }
        return result + 's';
    }
    static std::string decoded(const std::string& text) {
        std::string result;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (text[i] == '%') {
                result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
                i += 2;
            } else {
                result += text[i];
            }
        }
        return result;
    }
    static std::vector<std::string> split(const std::string& text, char separator) {
        std::vector<std::string> parts(1);
        for (const char c : text) {
            if (c == separator) {
                parts.emplace_back();
            } else {
                parts.back() += c;
            }
        }
        return parts;
    }
    /// /api/v1/namespaces/NAMESPACE/PLURAL/NAME/SUBRESOURCE, or /apis/GROUP/VERSION/….
    static Call parse(const std::string& method, const std::string& target) {
        Call call{.method = method};
        const std::size_t mark = target.find('?');
        std::vector<std::string> path = split(target.substr(1, mark - 1), '/');
        if (mark != std::string::npos) {
            for (const std::string& pair : split(target.substr(mark + 1), '&')) {
                const std::size_t equals = pair.find('=');
                call.query[pair.substr(0, equals)] = decoded(pair.substr(equals + 1));
            }
        }
        call.is_core = path.front() == "api";
        path.erase(path.begin(), path.begin() + (call.is_core ? 2 : 3));
        call.is_discovery = path.empty();
        if (path.size() > 2) {
            call.plural = path[2];
            call.name = path.size() > 3 ? path[3] : "";
            call.subresource = path.size() > 4 ? path[4] : "";
        }
        return call;
    }
    static fairing::net::Response failure(int status, const std::string& reason) {
        return {.status = status,
                .body = Json{{"kind", "Status"},
                             {"apiVersion", "v1"},
                             {"status", "Failure"},
                             {"reason", reason},
                             {"message", reason},
                             {"code", status}}
                            .dump()};
    }

    Json store(Json object) {
        const Key key{plural(object.at("kind").get<std::string>()),
                      object.at("metadata").at("name").get<std::string>()};
        const auto found = objects_.find(key);
        ++version_;
        object["metadata"]["uid"] = found == objects_.end()
                                        ? "uid-" + std::to_string(version_)
                                        : found->second["metadata"]["uid"].get<std::string>();
        object["metadata"]["resourceVersion"] = std::to_string(version_);
        events_.push_back(
            {version_, found == objects_.end() ? "ADDED" : "MODIFIED", key.first, object});
        objects_[key] = object;
        changed_.notify_all();
        return object;
    }
    void erase(const Key& key) {
        const auto found = objects_.find(key);
        if (found == objects_.end()) {
            return;
        }
        ++version_;
        Json object = found->second;
        object["metadata"]["resourceVersion"] = std::to_string(version_);
        events_.push_back({version_, "DELETED", key.first, object});
        objects_.erase(found);
        // What it owns goes with it, as the garbage collector has it.
        std::vector<Key> owned;
        for (const auto& [other, each] : objects_) {
            for (const Json& owner : each["metadata"].value("ownerReferences", Json::array())) {
                if (owner["uid"] == object["metadata"]["uid"]) {
                    owned.push_back(other);
                }
            }
        }
        for (const Key& each : owned) {
            erase(each);
        }
        changed_.notify_all();
    }
    static bool is_chosen(const Json& object, const Call& call) {
        const auto chosen = [&](const char* which, const auto& value_of) {
            const auto selector = call.query.find(which);
            if (selector == call.query.end()) {
                return true;
            }
            for (const std::string& term : split(selector->second, ',')) {
                const std::vector<std::string> sides = split(term, '=');
                const std::string value = value_of(sides[0]);
                if (value.empty() || (sides.size() > 1 && value != sides[1])) {
                    return false;
                }
            }
            return true;
        };
        return chosen(
                   "labelSelector",
                   [&](const std::string& label) {
                       return object["metadata"].value("labels", Json::object()).value(label, "");
                   }) &&
               chosen("fieldSelector", [&](const std::string& path) {
                   std::string pointer = '/' + path;
                   std::replace(pointer.begin(), pointer.end(), '.', '/');
                   return object.value(Json::json_pointer{pointer}, "");
               });
    }

    fairing::net::Response answer(const Call& call, const std::string& body) {
        const std::lock_guard lock{mutex_};
        if (call.is_discovery) {
            return discovery(call.is_core);
        }
        if (call.method == "POST") {
            return create(call, Json::parse(body));
        }
        if (call.name.empty()) {
            return list(call);
        }
        const auto found = objects_.find({call.plural, call.name});
        if (found == objects_.end()) {
            return failure(404, "NotFound");
        }
        if (call.subresource == "log") {
            return log(call);
        }
        if (call.method == "DELETE") {
            const Json options = Json::parse(body);
            if (options["preconditions"]["uid"] != found->second["metadata"]["uid"]) {
                return failure(409, "Conflict");
            }
            erase(found->first);
            return {.status = 200, .body = R"({"kind": "Status", "status": "Success"})"};
        }
        if (call.method == "PUT") {
            Json changed = Json::parse(body);
            const bool is_newest = changed["metadata"]["resourceVersion"] ==
                                   found->second["metadata"]["resourceVersion"];
            return is_newest ? fairing::net::Response{.status = 200,
                                                      .body = store(std::move(changed)).dump()}
                             : failure(409, "Conflict");
        }
        if (call.method == "PATCH") {
            Json changed = found->second;
            changed.merge_patch(Json::parse(body));
            return {.status = 200, .body = store(changed).dump()};
        }
        return {.status = 200, .body = found->second.dump()};
    }
    fairing::net::Response create(const Call& call, Json object) {
        if (objects_.contains({call.plural, object["metadata"]["name"].get<std::string>()})) {
            return failure(409, "AlreadyExists");
        }
        if (call.query.contains("dryRun")) {
            object["metadata"]["uid"] = "dry";
            return {.status = 201, .body = object.dump()};
        }
        return {.status = 201, .body = store(std::move(object)).dump()};
    }
    fairing::net::Response list(const Call& call) {
        Json items = Json::array();
        for (const auto& [key, object] : objects_) {
            if (key.first == call.plural && is_chosen(object, call)) {
                items.push_back(object);
            }
        }
        return {.status = 200,
                .body = Json{
                    {"kind", "List"},
                    {"metadata", {{"resourceVersion", std::to_string(version_)}}},
                    {"items",
                     items}}.dump()};
    }
    static fairing::net::Response discovery(bool is_core) {
        Json resources = Json::array();
        const auto add = [&resources](const char* name, const char* kind) {
            resources.push_back({{"name", name},
                                 {"kind", kind},
                                 {"namespaced", true},
                                 {"verbs", {"create", "get", "list", "watch", "delete", "patch"}}});
        };
        if (is_core) {
            add("pods", "Pod");
            add("secrets", "Secret");
            add("configmaps", "ConfigMap");
            add("events", "Event");
            add("serviceaccounts", "ServiceAccount");
        } else {
            add("jobs", "Job");
            add("inferenceservices", "InferenceService");
        }
        return {.status = 200,
                .body = Json{{"kind", "APIResourceList"}, {"resources", resources}}.dump()};
    }
    fairing::net::Response log(const Call& call) {
        std::string text;
        std::size_t second = 0;
        for (const std::string& line : logs_[call.name]) {
            ++second;
            const std::string time = "2026-01-01T00:00:" + std::string(second < 10 ? "0" : "") +
                                     std::to_string(second) + ".000000001Z ";
            text += (call.query.contains("timestamps") ? time : "") + line + '\n';
        }
        return {.status = 200, .body = text};
    }

    /// Until the stop: a watch has no end of its own here.
    void watch(const Call& call, const fairing::net::BodySink& sink, const std::stop_token& stop) {
        std::uint64_t seen = std::stoull(call.query.at("resourceVersion"));
        for (;;) {
            std::string text;
            {
                std::unique_lock lock{mutex_};
                const auto next = [&] {
                    return std::find_if(events_.begin(), events_.end(), [&](const Event& each) {
                        return each.version > seen && each.plural == call.plural &&
                               is_chosen(each.object, call);
                    });
                };
                if (!changed_.wait(lock, stop, [&] { return next() != events_.end(); })) {
                    throw_cancelled();
                }
                const auto event = next();
                seen = event->version;
                text = Json{{"type", event->type}, {"object", event->object}}.dump() + '\n';
                if (before_first_event_ == 0) {
                    before_first_event_ = requests_.size();
                }
            }
            sink(std::as_bytes(std::span{text}));
            const std::lock_guard lock{mutex_};
            told_[call.plural] = seen;
            changed_.notify_all();
        }
    }

    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::uint64_t version_ = 100;
    std::map<Key, Json> objects_ = {};
    std::deque<Event> events_ = {};
    std::map<std::string, std::vector<std::string>> logs_ = {};
    std::vector<std::string> requests_ = {};
    std::size_t before_first_event_ = 0;
    std::map<std::string, std::uint64_t> told_ = {};  ///< versions, by plural
    Interceptor interceptor_ = {};
};

}  // namespace support
