// tests/support/google_server.hpp - Vertex AI, AI Platform v1, Cloud Logging and the metadata
// server as a script: as a transport in memory, or on a port of this machine. Every body is held
// against its published shape, and what Google would refuse is refused in Google's words.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fairing/core/json.hpp"
#include "fairing/core/json_text.hpp"
#include "fairing/net/message.hpp"
#include "fairing/net/transport.hpp"
#include "fairing/net/url.hpp"
#include "google_shapes.hpp"
#include "http_server.hpp"

namespace support {

struct GoogleRequest {
    std::string method = {}, path = {}, query = {}, token = {};
    fairing::Json body = {};
};

/// The services. A test sets what it wants before the first request and reads `requests` at the
/// end.
class GoogleServer {
public:
    using Json = fairing::Json;
    using Reply = std::pair<int, Json>;

    /// States that a job goes through, one a look; the last one stays.
    std::vector<std::string> states = {"JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING",
                                       "JOB_STATE_SUCCEEDED"};
    std::string failure = {};  ///< of the job, with its last state
    /// Entries of the log by the number of the reading from which on they are there.
    std::multimap<int, Json> entries = {};
    int page_size = 1000;
    std::set<std::string> tokens = {"token-1"};  ///< good ones
    std::string metadata_token = "token-1";      ///< what the metadata server gives
    /// What an operation says at its end, by a part of its target: {"code": 9, "message": "…"}.
    std::map<std::string, Json> operation_failures = {};
    int operation_looks = 1;  ///< before an operation is done
    /// Said instead of an answer to the next requests whose "METHOD path" holds the text. `is_done`
    /// ones are obeyed nevertheless: only the answer is lost. Status 0 breaks the connection, and
    /// of 200 the reason is the whole body.
    struct Fault {
        std::string where = {};
        int status = 0;
        std::string reason = {};
        bool is_done = false;
        int times = 1;
    };
    std::deque<Fault> faults = {};
    std::string retry_after = {};  ///< of every refusal by a fault
    /// Called with every request, before it is answered.
    std::function<void(const GoogleRequest&)> on_request = {};
    /// Called when a request was obeyed, before its answer goes out (listen()).
    std::function<void(const std::string& method, const std::string& target)> on_obeyed = {};

    std::vector<GoogleRequest> requests = {};
    std::map<std::string, Json> resources = {};  ///< by their names

    /// Models Transport.
    fairing::net::Response send(const fairing::net::Request& request,
                                const fairing::net::BodySink& /*sink*/, std::stop_token stop) {
        if (stop.stop_requested()) {
            throw fairing::Cancelled{fairing::ErrorCode::cancelled, {.attempted = "reach"}};
        }
        std::string body;
        if (request.body.write) {
            request.body.write([&](std::span<const std::byte> bytes) {
                body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            });
        }
        const std::string target = fairing::net::parse_url(request.url).target;
        fairing::net::Response response = answer(
            request.method, target, fairing::net::header(request.headers, "Authorization"), body);
        if (stop.stop_requested()) {  // while it was obeyed
            throw fairing::Cancelled{fairing::ErrorCode::cancelled, {.attempted = "reach"}};
        }
        return response;
    }

    /// The same on a port of this machine, as long as the result lives.
    [[nodiscard]] std::unique_ptr<fairing::test::HttpServer> listen() {
        return std::make_unique<fairing::test::HttpServer>([this](fairing::test::Peer& peer) {
            for (std::string head = peer.head(); !head.empty(); head = peer.head()) {
                const std::size_t first = head.find(' '), second = head.find(' ', first + 1);
                const auto value = [&](const std::string& name) {
                    const std::size_t at = head.find("\r\n" + name + ": ");
                    return at == std::string::npos
                               ? std::string{}
                               : head.substr(at + name.size() + 4,
                                             head.find("\r\n", at + 2) - at - name.size() - 4);
                };
                const std::string length = value("Content-Length");
                const std::string body = peer.body(length.empty() ? 0 : std::stoul(length));
                const std::string method = head.substr(0, first);
                const std::string target = head.substr(first + 1, second - first - 1);
                const auto said = answer(method, target, value("Authorization"), body);
                if (on_obeyed) {
                    on_obeyed(method, target);
                }
                if (said.status == 0) {
                    peer.reset();
                    return;
                }
                peer.answer(std::to_string(said.status) + " X", said.body,
                            "Content-Type: application/json\r\nMetadata-Flavor: Google\r\n");
            }
        });
    }

    [[nodiscard]] std::size_t count(const std::string& method, const std::string& part) const {
        const std::lock_guard lock{mutex_};
        return static_cast<std::size_t>(
            std::count_if(requests.begin(), requests.end(), [&](const GoogleRequest& each) {
                return each.method == method && each.path.find(part) != std::string::npos;
            }));
    }
    /// The body of the last request with one to a path with `part`.
    [[nodiscard]] Json body_of(const std::string& part) const {
        const std::lock_guard lock{mutex_};
        for (auto each = requests.rbegin(); each != requests.rend(); ++each) {
            if (each->path.find(part) != std::string::npos && !each->body.is_null()) {
                return each->body;
            }
        }
        return {};
    }

    /// Time goes by for all operations that are going on.
    void go_on() {
        const std::lock_guard lock{mutex_};
        std::vector<std::string> over;
        for (auto& [name, resource] : resources) {
            if (resource.contains("looks") && !resource.contains("done")) {
                const int looks = resource["looks"].get<int>();
                resource["looks"] = std::max(0, looks - 1);
                if (looks <= 1) {
                    over.push_back(name);
                }
            }
        }
        for (const std::string& name : over) {
            static_cast<void>(finished(name));
        }
    }

    /// An entry as a container writes it.
    [[nodiscard]] static Json entry(const std::string& id, const std::string& second,
                                    const std::string& text,
                                    const std::string& task = "workerpool0-0") {
        return {{"insertId", id},
                {"timestamp", "2026-01-01T00:00:" + second + ".5Z"},
                {"textPayload", text},
                {"resource", {{"type", "ml_job"}, {"labels", {{"task_name", task}}}}}};
    }

    /// The same of a model's container.
    [[nodiscard]] static Json endpoint_entry(const std::string& id, const std::string& second,
                                             const std::string& text,
                                             const Json& labels = {{"replica_id", "r1"}}) {
        Json made = entry(id, second, text);
        made["resource"] = {{"type", "aiplatform.googleapis.com/Endpoint"},
                            {"labels", Json::object()}};
        made["labels"] = labels;
        return made;
    }

private:
    [[nodiscard]] static fairing::net::Response say(int status, const Json& body) {
        return {.status = status,
                .headers = {{"Content-Type", "application/json"}, {"Metadata-Flavor", "Google"}},
                .body = body.dump()};
    }
    [[nodiscard]] static Json error(int status, const std::string& message) {
        static const std::map<int, std::string> names{
            {400, "INVALID_ARGUMENT"}, {401, "UNAUTHENTICATED"}, {403, "PERMISSION_DENIED"},
            {404, "NOT_FOUND"},        {409, "ALREADY_EXISTS"},  {429, "RESOURCE_EXHAUSTED"},
            {500, "INTERNAL"},         {503, "UNAVAILABLE"}};
        return {{"error", {{"code", status}, {"message", message}, {"status", names.at(status)}}}};
    }
    [[nodiscard]] static Reply refuse(int status, const std::string& message) {
        return {status, error(status, message)};
    }

    [[nodiscard]] fairing::net::Response answer(const std::string& method,
                                                const std::string& target,
                                                const std::string& authorization,
                                                const std::string& text) {
        const std::size_t question = std::min(target.find('?'), target.size());
        GoogleRequest request{
            .method = method,
            .path = target.substr(0, question),
            .query = question < target.size()
                         ? fairing::net::detail::percent_decode(target.substr(question + 1), "it")
                         : "",
            .token = authorization.substr(std::min<std::size_t>(7, authorization.size())),
            .body = text.empty() ? Json() : Json::parse(text, nullptr, false)};
        if (on_request) {
            on_request(request);
        }
        const std::lock_guard lock{mutex_};
        requests.push_back(request);
        if (request.path.starts_with("/computeMetadata/v1/")) {
            return metadata(request.path);
        }
        const std::string line = method + ' ' + request.path;
        const auto fault = std::find_if(faults.begin(), faults.end(), [&](const Fault& each) {
            return line.find(each.where) != std::string::npos;
        });
        if (fault == faults.end()) {
            const Reply reply = checked(request);
            return say(reply.first, reply.second);
        }
        const Fault now = *fault;
        if (--fault->times == 0) {
            faults.erase(fault);
        }
        if (now.is_done) {
            static_cast<void>(checked(request));
        }
        if (now.status == 0) {
            throw fairing::Error{fairing::ErrorCode::unavailable,
                                 {.attempted = "reach", .answer = "connection reset"}};
        }
        if (now.status == 200) {
            return {.status = 200, .body = now.reason};
        }
        fairing::net::Response refusal = say(now.status, error(now.status, now.reason));
        refusal.headers.emplace("Retry-After", retry_after);
        return refusal;
    }

    [[nodiscard]] fairing::net::Response metadata(const std::string& path) const {
        if (path.ends_with("/token")) {
            return say(200, {{"access_token", metadata_token}, {"expires_in", 3599}});
        }
        return {.status = 200, .headers = {{"Metadata-Flavor", "Google"}}, .body = "proj-1"};
    }

    [[nodiscard]] Reply checked(const GoogleRequest& request) {
        if (!tokens.contains(request.token)) {
            return refuse(401, "Request had invalid authentication credentials.");
        }
        if (request.body.is_discarded()) {
            return refuse(400, "Invalid JSON payload received.");
        }
        query_ = request.query;
        return request.method == "POST"     ? post(request)
               : request.method == "DELETE" ? remove(request)
               : request.method == "PATCH"  ? patch(request)
                                            : get(request);
    }

    /// The method of a path: what it takes and how it is obeyed.
    struct Method {
        std::string end;  ///< of the path
        std::string shape;
        Reply (GoogleServer::*obey)(const std::string& name, const Json& body);
    };

    [[nodiscard]] Reply post(const GoogleRequest& request) {
        static const std::vector<Method> methods{
            {"/v2/entries:list", "ListLogEntriesRequest", &GoogleServer::list_entries},
            {"/customJobs", "CustomJob", &GoogleServer::make_custom_job},
            {"/models:upload", "UploadModelRequest", &GoogleServer::upload},
            {"/endpoints", "Endpoint", &GoogleServer::make_endpoint},
            {":deployModel", "DeployModelRequest", &GoogleServer::deploy},
            {":undeployModel", "UndeployModelRequest", &GoogleServer::undeploy},
            {":predict", "PredictRequest", &GoogleServer::predict},
            {":cancel", "CancelRequest", &GoogleServer::cancel},
            {"/jobs", "Job", &GoogleServer::make_job},
            {"/versions", "Version", &GoogleServer::make_version},
            {"/models", "MlModel", &GoogleServer::make_model}};
        for (const Method& method : methods) {
            if (!request.path.ends_with(method.end)) {
                continue;
            }
            if (std::string wrong = shapes_.complaint(request.body, method.shape, method.shape);
                !wrong.empty()) {
                return refuse(400, wrong);
            }
            const std::string name =
                request.path.substr(4, request.path.size() - 4 - method.end.size());
            return (this->*method.obey)(name, request.body);
        }
        return refuse(404, "no method " + request.path);
    }

    [[nodiscard]] Reply get(const GoogleRequest& request) {
        const std::string name = request.path.substr(4);
        if (!request.query.empty()) {
            return list(name, request.query);
        }
        if (name.ends_with("/operations")) {
            return list_operations(name);
        }
        const auto found = resources.find(name);
        if (found == resources.end()) {
            return refuse(404, name + " is not found.");
        }
        Json& resource = found->second;
        if (resource.contains("looks") && resource["looks"].get<int>() > 0) {
            resource["looks"] = resource["looks"].get<int>() - 1;
            return {200, {{"name", name}}};
        }
        if (resource.contains("looks")) {
            return {200, finished(name)};
        }
        if (resource.contains("state")) {
            advance(resource);
        }
        return {200, resource};
    }

    [[nodiscard]] Reply list_operations(const std::string& collection) const {
        Json found = Json::array();
        for (const auto& [name, resource] : resources) {
            if (name.starts_with(collection + '/')) {
                found.push_back({{"name", name}, {"done", resource.contains("done")}});
            }
        }
        return {200, found.empty() ? Json::object() : Json{{"operations", found}}};
    }

    /// Of an endpoint's traffic.
    [[nodiscard]] Reply patch(const GoogleRequest& request) {
        const auto found = resources.find(request.path.substr(4));
        if (found == resources.end()) {
            return refuse(404, request.path + " is not found.");
        }
        Json endpoint = request.body;
        endpoint["displayName"] = "needed only when it is made";
        if (std::string wrong = shapes_.complaint(endpoint, "Endpoint", "Endpoint");
            !wrong.empty() || request.query != "updateMask=trafficSplit") {
            return refuse(400, wrong);
        }
        found->second["trafficSplit"] = request.body["trafficSplit"];
        return {200, found->second};
    }

    void advance(Json& job) {
        if (!job.contains("look")) {
            return;  // cancelled
        }
        const std::size_t at = std::min(job["look"].get<std::size_t>(), states.size() - 1);
        job["look"] = at + 1;
        job["state"] = states[at];
        if (at + 1 == states.size() && !failure.empty()) {
            if (states[at].starts_with("JOB_STATE_")) {
                job["error"] = {{"code", 3}, {"message", failure}};
            } else {
                job["errorMessage"] = failure;
            }
        }
    }

    /// The string at the end of a filter; nullopt when it is not the end.
    [[nodiscard]] static std::optional<std::string> wanted_by(const std::string& filter) {
        std::string value;
        std::size_t at = std::min(filter.find('"'), filter.size()) + 1;
        for (; at < filter.size() && filter[at] != '"'; ++at) {
            at += filter[at] == '\\' ? 1U : 0U;
            value += filter[at];
        }
        return at + 1 == filter.size() ? std::optional{value} : std::nullopt;
    }
    [[nodiscard]] Reply list(const std::string& collection, const std::string& query) {
        Json found = Json::array();
        const std::optional<std::string> wanted = wanted_by(query);
        if (!wanted) {
            return refuse(400, "Invalid list filter.");
        }
        for (const auto& [name, resource] : resources) {
            const bool fits =
                query.starts_with("filter=labels.")
                    ? resource.contains("labels") && resource["labels"]["fairing-id"] == *wanted
                    : query.starts_with("filter=display_name=") &&
                          fairing::text_or(resource, "displayName") == *wanted;
            if (name.starts_with(collection + '/') && fits) {
                found.push_back(resource);
            }
        }
        const std::string key = collection.substr(collection.rfind('/') + 1);
        return {200, found.empty() ? Json::object() : Json{{key, found}}};
    }

    [[nodiscard]] Reply remove(const GoogleRequest& request) {
        const std::string name = request.path.substr(4);
        const auto found = resources.find(name);
        if (found == resources.end()) {
            return refuse(404, name + " is not found.");
        }
        if (found->second.contains("deployedModels") && !found->second["deployedModels"].empty()) {
            return refuse(400, "Endpoint " + name + " has deployed models.");
        }
        for (const auto& [other, resource] : resources) {
            if (other.starts_with(name + "/versions/") &&
                other.find("/operations/") == std::string::npos) {
                return refuse(400, "Model " + name + " has versions.");
            }
            if (deployed_id(resource, name)) {
                return refuse(400, "Model " + name + " is deployed to " + other + '.');
            }
        }
        claims_.erase(name);
        return operation(name, "delete", Json::object(), [this, name] { resources.erase(name); });
    }

    /// Begins one; `effect` is what it does at its end.
    [[nodiscard]] Reply operation(const std::string& name, const std::string& what,
                                  const Json& response, std::function<void()> effect) {
        const std::string id = name + "/operations/" + what + std::to_string(++numbers_);
        Json made{{"name", id}, {"looks", operation_looks}, {"response", response}};
        for (const auto& [part, failing] : operation_failures) {
            if (what == part) {
                made["error"] = failing;
                made.erase("response");
                effect = [] {};
            }
        }
        resources[id] = made;
        effects_[id] = std::move(effect);
        return {200, operation_looks == 0 ? finished(id) : Json{{"name", id}}};
    }
    [[nodiscard]] Json finished(const std::string& id) {
        std::exchange(effects_[id], [] {})();
        resources.at(id)["done"] = true;
        Json operation = resources.at(id);
        operation.erase("looks");
        return operation;
    }

    [[nodiscard]] Reply make_custom_job(const std::string& place, const Json& body) {
        const Json& pools = body["jobSpec"]["workerPoolSpecs"];
        if (pools[0].value("replicaCount", Json(1)) != 1) {
            return refuse(400, "The first worker pool must have one replica.");
        }
        const std::string name = place + "/customJobs/" + std::to_string(1000 + ++numbers_);
        Json job = body;
        job["name"] = name;
        job["state"] = "JOB_STATE_PENDING";
        job["look"] = 0;
        resources[name] = job;
        return {200, job};
    }
    [[nodiscard]] Reply make_job(const std::string& place, const Json& body) {
        const std::string name = place + "/jobs/" + body["jobId"].get<std::string>();
        if (resources.contains(name)) {
            return refuse(409, "Field: job.job_id Error: A job with this id already exists.");
        }
        Json job = body;
        job["state"] = "QUEUED";
        job["look"] = 0;
        resources[name] = job;
        return {200, job};
    }
    [[nodiscard]] Reply cancel(const std::string& name, const Json& /*body*/) {
        const auto found = resources.find(name);
        if (found == resources.end()) {
            return refuse(404, name + " is not found.");
        }
        Json& job = found->second;
        if (name.find("/operations/") != std::string::npos) {
            if (!job.contains("done")) {
                effects_[name] = [] {};
                job["looks"] = 0;
                job["error"] = {{"code", 1}, {"message", "The operation was cancelled."}};
            }
            return {200, Json::object()};
        }
        job.erase("look");
        job["state"] =
            name.find("/customJobs/") == std::string::npos ? "CANCELLED" : "JOB_STATE_CANCELLED";
        return {200, Json::object()};
    }

    [[nodiscard]] Reply upload(const std::string& place, const Json& body) {
        const std::string name = place + "/models/" + body.value("modelId", std::string{"1"});
        if (resources.contains(name) || !claims_.insert(name).second) {
            return refuse(409, "Model " + name + " is there, or being made.");
        }
        Json model = body["model"];
        model["name"] = name;
        return operation(place, "upload", {{"model", name}, {"modelVersionId", "1"}},
                         [this, name, model] { resources[name] = model; });
    }
    [[nodiscard]] Reply make_endpoint(const std::string& place, const Json& body) {
        const std::string wanted = query_.starts_with("endpointId=")
                                       ? query_.substr(11)
                                       : std::to_string(2000 + ++numbers_);
        const std::string name = place + "/endpoints/" + wanted;
        if (resources.contains(name) || !claims_.insert(name).second) {
            return refuse(409, "Endpoint " + name + " is there, or being made.");
        }
        Json endpoint = body;
        endpoint["name"] = name;
        return operation(place, "endpoint", {{"name", name}},
                         [this, name, endpoint] { resources[name] = endpoint; });
    }
    [[nodiscard]] Reply deploy(const std::string& name, const Json& body) {
        if (!resources.contains(name)) {
            return refuse(404, name + " is not found.");
        }
        if (!resources.contains(body["deployedModel"]["model"].get<std::string>())) {
            return refuse(400, "There is no such model.");
        }
        Json deployed = body["deployedModel"];
        const std::string id = deployed.value("id", std::to_string(3000 + ++numbers_));
        if (id.size() > 10 || id.find_first_not_of("0123456789") != std::string::npos) {
            return refuse(400, "The id of a deployed model is of ten digits at most.");
        }
        if (!claims_.insert(name + ':' + id).second) {
            return refuse(400, "The deployed model " + id + " is there, or being deployed.");
        }
        deployed["id"] = id;
        deployed["createTime"] = "2026-01-01T00:00:" + std::to_string(10 + ++numbers_) + 'Z';
        return operation(name, "deploy", {{"deployedModel", deployed}},
                         [this, name, deployed, id, split = body["trafficSplit"]] {
                             Json& endpoint = resources[name];
                             endpoint["deployedModels"].push_back(deployed);
                             endpoint["trafficSplit"] = split;
                             endpoint["trafficSplit"][id] = split["0"];
                             endpoint["trafficSplit"].erase("0");
                         });
    }
    [[nodiscard]] Reply undeploy(const std::string& name, const Json& body) {
        Json& endpoint = resources.at(name);
        const std::string id = body["deployedModelId"].get<std::string>();
        const bool is_last = endpoint["deployedModels"].size() == 1;
        const bool has_traffic = endpoint["trafficSplit"].value(id, 0) > 0;
        if (!is_last && has_traffic &&
            (!body.contains("trafficSplit") || body["trafficSplit"].contains(id))) {
            return refuse(400, "The deployed model has traffic.");
        }
        claims_.erase(name + ':' + id);
        return operation(name, "undeploy", Json::object(),
                         [this, name, id, split = body.value("trafficSplit", Json::object())] {
                             Json rest = Json::array();
                             for (const Json& each : resources[name]["deployedModels"]) {
                                 if (each["id"] != id) {
                                     rest.push_back(each);
                                 }
                             }
                             resources[name]["deployedModels"] = rest;
                             resources[name]["trafficSplit"] =
                                 rest.empty() ? Json::object() : split;
                         });
    }
    [[nodiscard]] Reply predict(const std::string& name, const Json& body) {
        const bool is_there =
            name.find("/versions/") != std::string::npos
                ? resources.contains(name)
                : resources.contains(name) && resources[name].contains("deployedModels");
        if (!is_there) {
            return refuse(404, name + " is not found.");
        }
        Json predictions = Json::array();
        for (const Json& each : body["instances"]) {
            predictions.push_back(each[0].get<double>() * 2);
        }
        return {200, {{"predictions", predictions}}};
    }

    [[nodiscard]] Reply make_model(const std::string& place, const Json& body) {
        const std::string name = place + "/models/" + body["name"].get<std::string>();
        if (resources.contains(name)) {
            return refuse(409, "A model with this name is there.");
        }
        resources[name] = body;
        return {200, body};
    }
    [[nodiscard]] Reply make_version(const std::string& model, const Json& body) {
        if (!resources.contains(model)) {
            return refuse(404, model + " is not found.");
        }
        const std::string name = model + "/versions/" + body["name"].get<std::string>();
        return operation(model, "version", body, [this, name, body] {
            resources[name] = body;
            resources[name]["state"] = "READY";
        });
    }

    /// Of a model on an endpoint.
    [[nodiscard]] static std::optional<std::string> deployed_id(const Json& endpoint,
                                                                const std::string& model) {
        if (endpoint.contains("deployedModels")) {
            for (const Json& each : endpoint["deployedModels"]) {
                if (each["model"] == model) {
                    return each["id"].get<std::string>();
                }
            }
        }
        return std::nullopt;
    }

    /// Whether all that a filter says about what an entry has is so.
    [[nodiscard]] static bool matches(const Json& entry, const std::string& filter) {
        const auto says = [&filter](const std::string& path, const Json& value) {
            const std::size_t at = filter.find(path + "=\"");
            return at == std::string::npos ||
                   filter.compare(at + path.size() + 2, value.get<std::string>().size() + 1,
                                  value.get<std::string>() + '"') == 0;
        };
        bool fine = filter.find("resource.type=\"") == 0 &&
                    says("resource.type", entry["resource"]["type"]);
        for (const auto& [key, value] : entry["resource"]["labels"].items()) {
            fine = fine && says("resource.labels." + key, value);
        }
        const Json labels = entry.value("labels", Json::object());
        for (const auto& [key, value] : labels.items()) {
            fine = fine && says(" labels." + key, value);
        }
        return fine;
    }

    [[nodiscard]] Reply list_entries(const std::string& /*name*/, const Json& body) {
        const std::string filter = body["filter"].get<std::string>();
        const std::string token = body.value("pageToken", std::string{});
        readings_ += token.empty() ? 1 : 0;
        const std::size_t since = filter.find("timestamp>=\"");
        std::vector<Json> found;
        for (const auto& [reading, entry] : entries) {
            const bool is_new =
                since == std::string::npos || entry["timestamp"].get<std::string>().substr(0, 19) >=
                                                  filter.substr(since + 12, 19);
            if (reading <= readings_ && is_new && matches(entry, filter)) {
                found.push_back(entry);
            }
        }
        const std::size_t begin = token.empty() ? 0 : std::stoul(token);
        const std::size_t end = std::min(found.size(), begin + static_cast<std::size_t>(page_size));
        Json page = Json::object();
        if (begin < end) {
            page["entries"] = std::vector<Json>(found.begin() + static_cast<std::ptrdiff_t>(begin),
                                                found.begin() + static_cast<std::ptrdiff_t>(end));
        }
        if (end < found.size()) {
            page["nextPageToken"] = std::to_string(end);
        }
        return {200, page};
    }

    mutable std::mutex mutex_ = {};
    GoogleShapes shapes_ = {};
    int numbers_ = 0, readings_ = 0;
    std::map<std::string, std::function<void()>> effects_ = {};
    std::set<std::string> claims_ = {};  ///< names that are taken, from the request on
    std::string query_ = {};             ///< of the request that is answered
};

}  // namespace support
