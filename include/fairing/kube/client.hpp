// fairing/kube/client.hpp - objects on a Kubernetes API server (kubernetes.io/docs/reference/
// using-api/api-concepts): created once, read, changed, removed.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "../core/control.hpp"
#include "../core/json_text.hpp"
#include "../net/exchange.hpp"
#include "api_server.hpp"
#include "cluster.hpp"
#include "credentials.hpp"
#include "discovery.hpp"
#include "object.hpp"
#include "status_error.hpp"

namespace fairing::kube {

/// `server`: everything is checked and admitted, nothing is stored.
enum class DryRun { off, server };

/// What happens to the objects that a removed one owns.
enum class Propagation { background, foreground, orphan };

enum class PatchType { merge, strategic_merge, json, server_side_apply };

/// Whether a server-side apply takes over fields that somebody else manages.
enum class Conflicts { refuse, take_over };

struct CreateOptions {
    DryRun dry_run = DryRun::off;
};

struct PatchOptions {
    DryRun dry_run = DryRun::off;
    std::string subresource = {};  ///< "status"
    Conflicts conflicts = Conflicts::refuse;
};

struct ReplaceOptions {
    DryRun dry_run = DryRun::off;
    std::string subresource = {};
};

struct DeleteOptions {
    Propagation propagation = Propagation::background;
    std::string uid = {};  ///< which object of that name; looked up when empty
    DryRun dry_run = DryRun::off;
};

struct ListOptions {
    std::string label_selector = {};
    std::string field_selector = {};
    int page = 500;
};

/// Objects, each with apiVersion and kind, and the version of the collection: a watch starts there.
struct ObjectList {
    std::vector<Json> items = {};
    std::string resource_version = {};
};

/// Which part of a container's log.
struct LogQuery {
    std::string container = {};
    bool follow = false, previous = false, timestamps = false;
    std::string since_time = {};   ///< RFC 3339; the server counts whole seconds
    std::optional<int> tail = {};  ///< only so many of the last lines
};

/// What a Service is asked; a body is JSON.
struct ServiceRequest {
    std::string method = "POST";
    std::string path = {};
    Query query = {};
    std::string body = {};
    net::Repeat repeat = net::Repeat::never;
    std::chrono::milliseconds deadline = {};  ///< zero: that of the client's options
};

/// Cheap to copy; copies share what was discovered and the credentials. All members may be called
/// from any thread. What the server refuses is a StatusError. A stop of the Control ends whatever a
/// member waits for.
class Client {
public:
    Client(Cluster cluster, net::AnyTransport transport, Control control,
           ClientOptions options = {}, std::shared_ptr<Credentials> credentials = {})
        : server_(std::move(cluster), std::move(transport), std::move(control), std::move(options),
                  std::move(credentials)) {}

    /// The same client, which stops and speaks as `control` says.
    [[nodiscard]] Client with(Control control) const {
        Client copy = *this;
        copy.server_ = server_.with(std::move(control));
        return copy;
    }
    /// The same client, stopped by another token.
    [[nodiscard]] Client with_stop(std::stop_token stop) const {
        Control stopped = control();
        stopped.stop = std::move(stop);
        return with(std::move(stopped));
    }
    [[nodiscard]] const Cluster& cluster() const noexcept { return server_.cluster(); }
    [[nodiscard]] const Control& control() const noexcept { return server_.control(); }
    [[nodiscard]] const net::RetryPolicy& retry() const noexcept { return server_.options().retry; }

    /// Plural, scope and verbs of a kind; asks once for each group version.
    [[nodiscard]] Resource discover(const std::string& api_version, const std::string& kind) const {
        return discovery_->find(api_version, kind, [this](const std::string& version) {
            return server_.find(
                {.path = group_path(version), .attempted = "discover", .subject = version});
        });
    }

    /// The OpenAPI v3 document of a group version, "GROUP/VERSION"; nullopt when there is none.
    [[nodiscard]] std::optional<Json> find_schema(const std::string& api_version) const {
        return server_.find({.path = "/openapi/v3" + group_path(api_version),
                             .attempted = "read the schema of",
                             .subject = api_version});
    }

    /// Creates `object` once, whatever happens to replies: after a lost one, and when there is an
    /// object of that name already, the one that carries the run label of `object` is given. Its
    /// name must be its own (no generateName) for that.
    Json create(const Json& object, const CreateOptions& options = {}) const;

    [[nodiscard]] Json get(const ObjectKey& key, const std::string& subresource = {}) const {
        return server_.ask(on_object(key, subresource, "get"));
    }
    /// nullopt when there is none.
    [[nodiscard]] std::optional<Json> find(const ObjectKey& key) const {
        return server_.find(on_object(key, {}, "get"));
    }
    /// Of all namespaces when `namespace_` is empty. Comes in pages; should a list expire between
    /// two of them, it is read anew.
    [[nodiscard]] ObjectList list(const std::string& api_version, const std::string& kind,
                                  const std::string& namespace_,
                                  const ListOptions& options = {}) const;

    Json patch(const ObjectKey& key, PatchType type, const Json& change,
               const PatchOptions& options = {}) const {
        Call call = on_object(key, options.subresource, "patch");
        call.method = "PATCH";
        call.body = dump_json(change, call.attempted, call.subject);
        call.content_type = content_type(type);
        const bool apply = type == PatchType::server_side_apply;
        call.repeat = type == PatchType::json ? net::Repeat::never : net::Repeat::always;
        call.query = writing(options.dry_run);
        if (apply) {
            call.query.emplace_back("force",
                                    options.conflicts == Conflicts::take_over ? "true" : "false");
        }
        return server_.ask(call);
    }
    /// `object` holds the resourceVersion that it replaces: a change by somebody else meanwhile is
    /// a conflict.
    Json replace(const Json& object, const ReplaceOptions& options = {}) const {
        Call call = on_object(with_namespace(object), options.subresource, "replace");
        call.method = "PUT";
        call.body = dump_json(object, call.attempted, call.subject);
        call.query = writing(options.dry_run);
        return server_.ask(call);
    }
    /// Whether there was such an object. One of that name with another uid is left alone.
    bool remove(const ObjectKey& key, DeleteOptions options = {}) const;

    /// A container's log, or the part that `query` names, into `sink` until it ends. Is not
    /// repeated. `idle` is how long it may be silent.
    void read_log(const ObjectKey& pod, const LogQuery& query, const net::BodySink& sink,
                  std::chrono::milliseconds idle = std::chrono::minutes{5}) const {
        Call call = on_object(pod, "log", "read the log of");
        const auto flag = [](bool value) { return std::string{value ? "true" : ""}; };
        call.query = {{"container", query.container},
                      {"follow", flag(query.follow)},
                      {"previous", flag(query.previous)},
                      {"timestamps", flag(query.timestamps)},
                      {"sinceTime", query.since_time},
                      {"tailLines", query.tail ? std::to_string(*query.tail) : ""}};
        server_.stream(std::move(call), sink, idle);
    }
    /// A request to a port of a Service, by its number or name, through the API server
    /// (services/proxy): whoever answers, and with whatever status, it is given as it is.
    [[nodiscard]] net::Answer ask_service(const ObjectKey& service, const std::string& port,
                                          ServiceRequest request) const {
        ObjectKey at_port = service;
        at_port.name += ':' + port;
        Call call = on_object(at_port, "proxy" + request.path, "ask");
        call.method = std::move(request.method);
        call.query = std::move(request.query);
        call.body = std::move(request.body);
        call.repeat = request.repeat;
        call.deadline = request.deadline;
        return server_.send(call);
    }
    /// The bytes of one watch request (see watch.hpp) into `sink`. Is not repeated.
    void read_watch(const std::string& api_version, const std::string& kind,
                    const std::string& namespace_, Query query, const net::BodySink& sink,
                    std::chrono::milliseconds idle) const {
        Call call{.path = collection_path(discover(api_version, kind), namespace_),
                  .query = std::move(query),
                  .attempted = "watch",
                  .subject = plural_text(kind, namespace_)};
        call.query.emplace_back("watch", "true");
        server_.stream(std::move(call), sink, idle);
    }

private:
    [[nodiscard]] static std::string plural_text(const std::string& kind,
                                                 const std::string& namespace_) {
        return kind + " objects" + (namespace_.empty() ? "" : " in " + namespace_);
    }
    [[nodiscard]] ObjectKey with_namespace(const Json& object) const {
        return key_of(object, server_.cluster().namespace_);
    }
    [[nodiscard]] Call on_object(const ObjectKey& key, const std::string& subresource,
                                 std::string attempted) const {
        return {.path = object_path(discover(key.api_version, key.kind), key, subresource),
                .attempted = std::move(attempted),
                .subject = key.text()};
    }
    [[nodiscard]] static const char* content_type(PatchType type) {
        switch (type) {
            case PatchType::merge:
                return "application/merge-patch+json";
            case PatchType::strategic_merge:
                return "application/strategic-merge-patch+json";
            case PatchType::json:
                return "application/json-patch+json";
            case PatchType::server_side_apply:
                break;
        }
        return "application/apply-patch+yaml";  // JSON is YAML
    }
    /// What every writing request states: an unknown field is an error, not dropped in silence.
    [[nodiscard]] Query writing(DryRun dry_run) const {
        return {{"fieldManager", server_.options().field_manager},
                {"fieldValidation", "Strict"},
                {"dryRun", dry_run == DryRun::server ? "All" : ""}};
    }

    [[nodiscard]] std::optional<Json> find_own(const ObjectKey& key, const std::string& run) const;

    ApiServer server_;
    std::shared_ptr<Discovery> discovery_ = std::make_shared<Discovery>();
};

/// The object of that name when it carries the run label `run` and is not on its way out.
inline std::optional<Json> Client::find_own(const ObjectKey& key, const std::string& run) const {
    if (run.empty() || key.name.empty()) {
        return std::nullopt;
    }
    std::optional<Json> found = find(key);
    const bool is_own = found && label_of(*found, run_label) == run &&
                        metadata_text(*found, "deletionTimestamp").empty();
    return is_own ? std::move(found) : std::nullopt;
}

inline Json Client::create(const Json& object, const CreateOptions& options) const {
    const ObjectKey key = with_namespace(object);
    const std::string run = label_of(object, run_label);
    const bool is_findable = !run.empty() && !key.name.empty();
    const net::RetryPolicy& retry = server_.options().retry;
    Call call{.method = "POST",
              .path = collection_path(discover(key.api_version, key.kind), key.namespace_),
              .query = writing(options.dry_run),
              .body = dump_json(object, "create", key.text()),
              .attempted = options.dry_run == DryRun::server ? "try to create" : "create",
              .subject = key.text(),
              .repeat = net::Repeat::never};
    for (call.attempts = 1;; ++call.attempts) {
        std::string retry_after, why;
        try {
            const net::Answer answer = server_.send(call);
            if (answer.status == 409) {
                if (auto own = find_own(key, run)) {
                    return *std::move(own);
                }
            }
            retry_after = net::header(answer.headers, "Retry-After");
            // Of these a gateway, or etcd, may have lost the reply only.
            const bool is_lost =
                answer.status == 408 || answer.status == 502 || answer.status == 504;
            const bool is_told = net::is_temporary(answer.status) && !retry_after.empty();
            const bool may_repeat = answer.status == 429 || is_told || (is_lost && is_findable);
            if (!may_repeat || call.attempts >= retry.attempts) {
                return server_.document(call, answer);
            }
            why = net::status_text(answer.status);
        } catch (const StatusError&) {
            throw;
        } catch (const Cancelled&) {
            throw;
        } catch (const Error& error) {
            const bool is_lost =
                error.code() == ErrorCode::unavailable || error.code() == ErrorCode::timeout;
            const bool is_harmless = is_findable || options.dry_run == DryRun::server;
            if (!is_lost || !is_harmless || call.attempts >= retry.attempts) {
                throw;
            }
            why = error.details().answer;
        }
        control().say(Level::debug, "create " + key.text() + ": no answer that counts (" + why +
                                        "), looking whether it is there");
        control().sleep(net::retry_delay(retry, call.attempts, retry_after, control().now()));
        control().check("create " + key.text());
        if (options.dry_run == DryRun::off) {
            if (auto own = find_own(key, run)) {
                return *std::move(own);
            }
        }
    }
}

inline ObjectList Client::list(const std::string& api_version, const std::string& kind,
                               const std::string& namespace_, const ListOptions& options) const {
    Call call{.path = collection_path(discover(api_version, kind), namespace_),
              .attempted = "list",
              .subject = plural_text(kind, namespace_)};
    constexpr int most_restarts = 5;
    for (int restarts = 0;; ++restarts) {
        ObjectList result;
        std::string next;
        do {
            call.query = {{"labelSelector", options.label_selector},
                          {"fieldSelector", options.field_selector},
                          {"limit", std::to_string(options.page)},
                          {"continue", next}};
            const net::Answer answer = server_.send(call);
            if (answer.status == 410 && !next.empty() && restarts < most_restarts) {
                next = "expired";
                break;
            }
            Json page = server_.document(call, answer);
            const Json metadata = page.value("metadata", Json::object());
            next = text_or(metadata, "continue");
            result.resource_version = text_or(metadata, "resourceVersion");
            if (!page["items"].is_array() && !page["items"].is_null()) {
                throw Error{ErrorCode::integrity,
                            {.attempted = call.attempted,
                             .subject = call.subject,
                             .answer = "the API server's answer is no list"}};
            }
            for (Json& item : page["items"]) {
                if (!item.is_object()) {
                    continue;
                }
                item["apiVersion"] = api_version;  // the items of a list come without
                item["kind"] = kind;
                result.items.push_back(std::move(item));
            }
        } while (!next.empty());
        if (next.empty()) {
            return result;
        }
    }
}

inline bool Client::remove(const ObjectKey& key, DeleteOptions options) const {
    if (options.uid.empty()) {
        const std::optional<Json> found = find(key);
        if (!found) {
            return false;
        }
        options.uid = uid_of(*found);
    }
    const char* policy = options.propagation == Propagation::background   ? "Background"
                         : options.propagation == Propagation::foreground ? "Foreground"
                                                                          : "Orphan";
    Json body = {{"apiVersion", "v1"},
                 {"kind", "DeleteOptions"},
                 {"propagationPolicy", policy},
                 {"preconditions", {{"uid", options.uid}}}};
    if (options.dry_run == DryRun::server) {
        body["dryRun"] = Json::array({"All"});
    }
    Call call = on_object(key, {}, "delete");
    call.method = "DELETE";
    call.body = body.dump();
    const net::Answer answer = server_.send(call);
    if (answer.status == 404) {
        return false;
    }
    if (answer.status == 409) {
        // Most likely the object of that name is another one now: the one that was meant is gone.
        const std::optional<Json> found = find(key);
        if (!found || uid_of(*found) != options.uid) {
            return false;
        }
    }
    static_cast<void>(server_.document(call, answer));
    return true;
}

}  // namespace fairing::kube
