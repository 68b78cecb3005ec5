// tests/support/pod_runner.hpp - one pod on the test kubelet: its containers as local processes
// over the image's fairing layers, or as a script says, and its status in the API.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "container_log.hpp"
#include "fairing/codec/base64.hpp"
#include "fairing/core/control.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/files.hpp"
#include "fairing/core/process.hpp"
#include "fairing/deployers/local/process_run.hpp"
#include "fairing/oci/append.hpp"
#include "fairing/oci/image.hpp"
#include "fairing/oci/unpack.hpp"
#include "fairing/registry/open.hpp"
#include "kube_api.hpp"
#include "pod_names.hpp"
#include "pod_prober.hpp"

namespace support {

/// How one run of a container ended.
struct ContainerEnd {
    int exit_code = 0;
    std::string reason = {};   ///< empty: Completed or Error
    std::string message = {};  ///< what it wrote to /dev/termination-log
};

/// The annotation that makes a pod play a failure instead of pulling its image. A JSON object:
/// container name, or "*", to a list of runs (the last one is repeated), each a list of steps:
///   {"say": TEXT}             TEXT as it is, newlines and all; with "times": N so many times
///   {"lines": N, "from": K}   "line K" … "line K+N-1"
///   {"one_time": true}        all that follows gets the same time stamp; false ends it
///   {"wait_ms": N}
///   {"waiting": REASON, "message": TEXT}   does not start, and waits for ever
///   {"exit": CODE, "reason": REASON}       ends; without one the exit code is 0
///   {"evict": MESSAGE}                     the whole pod fails as Evicted
///   {"hang": true}                         goes on until the pod is deleted
inline constexpr const char* script_annotation = "test-kubelet/script";

/// Runs a pod from its first sight to its end, on a thread of its own. Every change goes to the API
/// at once.
class PodRunner {
public:
    PodRunner(const KubeApi& api, fairing::Json pod, fairing::net::AnyTransport registries)
        : api_(api), pod_(std::move(pod)), registries_(std::move(registries)) {
        const fairing::Json& metadata = pod_["metadata"];
        uid_ = metadata["uid"].get<std::string>();
        path_ = "/api/v1/namespaces/" + metadata["namespace"].get<std::string>() + "/pods/" +
                metadata["name"].get<std::string>();
        const fairing::Json annotations = metadata.value("annotations", fairing::Json::object());
        if (const std::string script = fairing::text_or(annotations, script_annotation);
            !script.empty()) {
            script_ = fairing::parse_json(script, script_annotation);
        }
        restart_policy_ = fairing::text_or(pod_["spec"], "restartPolicy", "Always");
        const bool has_init = !pod_["spec"].value("initContainers", fairing::Json::array()).empty();
        for (const char* kind : {"initContainers", "containers"}) {
            for (const fairing::Json& spec : pod_["spec"].value(kind, fairing::Json::array())) {
                containers_.push_back(std::make_unique<Container>(Container{
                    .spec = spec,
                    .name = spec["name"].get<std::string>(),
                    .init = std::string_view{kind} == "initContainers",
                    .state = {
                        {"waiting",
                         {{"reason", has_init ? "PodInitializing" : "ContainerCreating"}}}}}));
            }
        }
        thread_ = std::jthread{[this] { run(); }};
    }
    PodRunner(PodRunner&&) = delete;
    PodRunner& operator=(PodRunner&&) = delete;
    ~PodRunner() {
        abandoned_ = true;
        stop_.request_stop();
    }

    [[nodiscard]] const std::string& uid() const noexcept { return uid_; }
    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] bool ended() const {
        const std::lock_guard lock{mutex_};
        return ended_;
    }
    /// Ends what runs; the status says so. The object itself is the caller's to remove.
    void stop() { stop_.request_stop(); }

    /// The log of the current run of a container, or of the one before; the text says why there is
    /// none.
    [[nodiscard]] std::pair<std::shared_ptr<ContainerLog>, std::string> log(const std::string& name,
                                                                            bool previous) const {
        const std::lock_guard lock{mutex_};
        for (const auto& each : containers_) {
            if (each->name != name) {
                continue;
            }
            const std::string pod = pod_["metadata"]["name"].get<std::string>();
            if (previous && each->logs.size() < 2) {
                return {nullptr, "previous terminated container \"" + name + "\" in pod \"" + pod +
                                     "\" not found"};
            }
            if (each->logs.empty()) {
                return {
                    nullptr,
                    "container \"" + name + "\" in pod \"" + pod + "\" is waiting to start: " +
                        fairing::text_or(each->state.value("waiting", fairing::Json{}), "reason")};
            }
            return {each->logs[each->logs.size() - (previous ? 2 : 1)], {}};
        }
        return {nullptr, "container " + name + " is not valid for this pod"};
    }

private:
    using Json = fairing::Json;
    using milliseconds = std::chrono::milliseconds;

    struct Container {
        Json spec = {};
        std::string name = {};
        bool init = false;
        Json state = Json::object();
        Json last_state = Json::object();
        int restarts = 0;
        bool ready = false;  ///< as its readiness probe says
        std::vector<std::shared_ptr<ContainerLog>> logs = {};
    };
    struct Evicted {
        std::string message = {};
    };

    // --- the pod
    // -----------------------------------------------------------------------------------------------------

    void run() {
        try {
            publish();
            if ((script_ || has_volumes()) && run_init_containers()) {
                run_containers();
            }
        } catch (const std::exception& error) {
            set_end("Failed", "TestKubelet", error.what());
        }
        publish();
        const std::lock_guard lock{mutex_};
        ended_ = true;
    }

    /// Makes a folder of each emptyDir, Secret and ConfigMap of the pod's volumes, and waits for
    /// these, as a kubelet does; false when the pod is deleted first. (Nothing is mounted: the
    /// containers are processes of this machine, and in_volumes() tells them where the folders
    /// are.)
    [[nodiscard]] bool has_volumes() {
        for (const Json& volume : pod_["spec"].value("volumes", Json::array())) {
            const std::filesystem::path folder =
                volumes_.path() / volume["name"].get<std::string>();
            std::filesystem::create_directories(folder);
            const bool is_secret = volume.contains("secret");
            if (!is_secret && !volume.contains("configMap")) {
                continue;
            }
            std::string reason;
            const Json& source = volume[is_secret ? "secret" : "configMap"];
            for (;;) {
                if (const auto data =
                        data_of(is_secret ? Kept::secret : Kept::config_map, source, reason)) {
                    write_data(folder, source, *data);
                    break;
                }
                report_event("FailedMount", "MountVolume.SetUp failed for volume \"" +
                                                volume["name"].get<std::string>() +
                                                "\" : " + reason);
                pause(milliseconds{1000});
                if (stop_.stop_requested()) {
                    return false;
                }
            }
        }
        return true;
    }

    /// Every key is a file, or those that `items` name.
    static void write_data(const std::filesystem::path& folder, const Json& source,
                           const std::map<std::string, std::string>& data) {
        if (!source.contains("items")) {
            for (const auto& [key, text] : data) {
                fairing::write_file(folder / key, text);
            }
            return;
        }
        for (const Json& item : source["items"]) {
            fairing::write_file(folder / item["path"].get<std::string>(),
                                data.at(item["key"].get<std::string>()));
        }
    }

    /// "--context=dir:///workspace": the path of a mount, at the beginning or behind "=" or "://",
    /// is that of its folder.
    [[nodiscard]] std::string in_volumes(const Container& container, std::string text,
                                         const std::filesystem::path& log) const {
        const auto replace = [&text](std::string path, const std::string& folder) {
            while (path.ends_with('/')) {
                path.pop_back();
            }
            const std::size_t at = text.find(path);
            const auto is_behind = [&](const std::string& mark) {
                return at >= mark.size() && text.compare(at - mark.size(), mark.size(), mark) == 0;
            };
            if (at != std::string::npos && (at == 0 || is_behind("=") || is_behind("://")) &&
                (at + path.size() == text.size() || text[at + path.size()] == '/')) {
                text.replace(at, path.size(), folder);
            }
        };
        replace("/dev/termination-log", log.string());
        for (const Json& mount : container.spec.value("volumeMounts", Json::array())) {
            const auto folder = volumes_.path() / mount["name"].get<std::string>();
            if (std::filesystem::exists(folder)) {
                replace(mount["mountPath"].get<std::string>(), folder.string());
            }
        }
        return text;
    }

    [[nodiscard]] bool run_init_containers() {
        for (const auto& each : containers_) {
            if (each->init && run_container(*each).exit_code != 0) {
                set_end("Failed", {}, {});
                return false;
            }
        }
        return !stop_.stop_requested();
    }

    void run_containers() {
        std::vector<std::jthread> threads;
        std::vector<ContainerEnd> ends(containers_.size());
        for (std::size_t i = 0; i < containers_.size(); ++i) {
            if (!containers_[i]->init) {
                threads.emplace_back(
                    [this, i, &ends] { ends[i] = run_container(*containers_[i]); });
            }
        }
        threads.clear();
        const bool good = std::all_of(ends.begin(), ends.end(),
                                      [](const ContainerEnd& end) { return end.exit_code == 0; });
        set_end(good ? "Succeeded" : "Failed", {}, {});
    }

    void set_end(std::string phase, std::string reason, std::string message) {
        const std::lock_guard lock{mutex_};
        if (end_phase_.empty()) {  // an eviction came first
            end_phase_ = std::move(phase);
            end_reason_ = std::move(reason);
            end_message_ = std::move(message);
        }
    }

    // --- one container
    // -----------------------------------------------------------------------------------------------

    /// Until it is not started again: by the restart policy, or on a stop.
    ContainerEnd run_container(Container& container) {
        for (std::size_t run = 0;; ++run) {
            const ContainerEnd end = run_once(container, run);
            const bool again =
                !stop_.stop_requested() && ((restart_policy_ == "Always" && !container.init) ||
                                            (restart_policy_ != "Never" && end.exit_code != 0));
            if (!again) {
                return end;
            }
            {
                const std::lock_guard lock{mutex_};
                container.last_state = container.state;
                container.state = {{"waiting",
                                    {{"reason", "CrashLoopBackOff"},
                                     {"message", "back-off 500ms restarting failed container " +
                                                     container.name}}}};
                ++container.restarts;
            }
            publish();
            pause(milliseconds{500});
        }
    }

    ContainerEnd run_once(Container& container, std::size_t run) {
        ContainerEnd end{.exit_code = 137, .reason = {}};
        const std::string started = rfc3339(now_in_nanoseconds(), 0);
        try {
            end = script_ ? play(container, run) : run_process(container);
        } catch (const Evicted& evicted) {
            set_end("Failed", "Evicted", evicted.message);
            stop_.request_stop();
        } catch (const fairing::Cancelled&) {
            // deleted: 137, unless it had not started
        }
        const std::lock_guard lock{mutex_};
        if (!container.logs.empty()) {
            container.logs.back()->close();
        }
        const std::string reason = !end.reason.empty()  ? end.reason
                                   : end.exit_code == 0 ? "Completed"
                                                        : "Error";
        container.state = {{"terminated",
                            {{"exitCode", end.exit_code},
                             {"reason", reason},
                             {"startedAt", started},
                             {"finishedAt", rfc3339(now_in_nanoseconds(), 0)}}}};
        if (!end.message.empty()) {
            container.state["terminated"]["message"] = end.message;
        }
        return end;
    }

    ContainerLog& set_running(Container& container) {
        std::shared_ptr<ContainerLog> log = std::make_shared<ContainerLog>();
        {
            const std::lock_guard lock{mutex_};
            container.logs.push_back(log);
            container.state = {{"running", {{"startedAt", rfc3339(now_in_nanoseconds(), 0)}}}};
            container.ready = !PodProber::has_probes(container.spec);
        }
        publish();
        return *log;
    }
    void set_ready(Container& container, bool ready) {
        {
            const std::lock_guard lock{mutex_};
            container.ready = ready;
        }
        publish();
    }
    void set_waiting(Container& container, const std::string& reason, const std::string& message) {
        {
            const std::lock_guard lock{mutex_};
            container.state = {{"waiting", {{"reason", reason}, {"message", message}}}};
        }
        publish();
    }
    [[noreturn]] void wait_for_ever() {
        while (!stop_.stop_requested()) {
            pause(milliseconds{1000});
        }
        throw_stopped();
    }
    [[noreturn]] static void throw_stopped() {
        throw fairing::Cancelled{fairing::ErrorCode::cancelled,
                                 {.attempted = "run", .answer = "the pod is deleted"}};
    }
    void pause(milliseconds duration) {
        std::unique_lock lock{mutex_};
        woken_.wait_for(lock, stop_.get_token(), duration, [] { return false; });
    }

    // --- a container by script
    // ---------------------------------------------------------------------------------------

    ContainerEnd play(Container& container, std::size_t run) {
        const Json runs =
            script_->value(container.name, script_->value("*", Json::array({Json::array()})));
        const Json& steps = runs.at(std::min(run, runs.size() - 1));
        ContainerLog* log = nullptr;
        for (const Json& step : steps) {
            if (step.contains("waiting")) {
                set_waiting(container, step["waiting"], fairing::text_or(step, "message"));
                wait_for_ever();
            }
            if (log == nullptr) {
                log = &set_running(container);
            }
            if (step.contains("exit")) {
                return {.exit_code = step["exit"], .reason = fairing::text_or(step, "reason")};
            }
            if (step.contains("evict")) {
                throw Evicted{step["evict"]};
            }
            if (step.contains("hang")) {
                wait_for_ever();
            }
            write_step(*log, step);
        }
        if (log == nullptr) {
            set_running(container);
        }
        return {};
    }

    void write_step(ContainerLog& log, const Json& step) {
        if (step.contains("say")) {
            std::string text;
            for (int i = step.value("times", 1); i > 0; --i) {
                text += step["say"].get<std::string>();
            }
            log.write(text);
        }
        if (step.contains("lines")) {
            const int from = step.value("from", 0);
            const int count = step["lines"];
            for (int i = from; i < from + count && !stop_.stop_requested(); ++i) {
                log.write("line " + std::to_string(i) + '\n');
            }
        }
        if (step.contains("one_time")) {
            log.set_time(step["one_time"].get<bool>() ? std::optional{now_in_nanoseconds()}
                                                      : std::nullopt);
        }
        if (step.contains("wait_ms")) {
            pause(milliseconds{step["wait_ms"].get<int>()});
            if (stop_.stop_requested()) {
                throw_stopped();
            }
        }
    }

    // --- a container as a process
    // ------------------------------------------------------------------------------------

    /// What the operators' init containers wait for or copy is a network's, which is not here.
    [[nodiscard]] static bool needs_network(const Container& container) {
        return container.init &&
               (container.name == "init-pytorch" || container.name == "kubectl-delivery");
    }

    ContainerEnd run_process(Container& container) {
        if (needs_network(container)) {
            set_running(container);
            return {};
        }
        const fairing::TemporaryDirectory directory;
        const fairing::oci::Image image = pull(container, directory.path() / "root");
        std::optional<Variables> environment;
        while (!environment) {
            std::string reason;
            environment = environment_of(container, image, reason);
            if (!environment) {
                set_waiting(container, "CreateContainerConfigError", reason);
                pause(milliseconds{500});
                if (stop_.stop_requested()) {
                    throw_stopped();
                }
            }
        }
        const fairing::Command command =
            command_of(container, image, directory.path() / "root", *std::move(environment));
        ContainerLog& log = set_running(container);
        try {
            fairing::Process process{command};
            std::stop_source ending;
            const std::stop_callback on_stop{stop_.get_token(), [&] { ending.request_stop(); }};
            const PodProber prober{
                container.spec,
                {.on_ready = [&](bool value) { set_ready(container, value); },
                 .on_unhealthy = [&](const auto& text) { report_event("Unhealthy", text); },
                 .on_dead = [&] { ending.request_stop(); }}};
            ContainerEnd end = follow(process, log, ending.get_token());
            if (const auto file = directory.path() / termination_log;
                std::filesystem::exists(file)) {
                end.message = fairing::read_file(file);
            }
            return end;
        } catch (const fairing::Cancelled&) {
            throw;
        } catch (const fairing::Error& error) {
            log.write(std::string{error.what()} + '\n');
            return {.exit_code = 128, .reason = "StartError"};
        }
    }

    ContainerEnd follow(fairing::Process& process, ContainerLog& log, const std::stop_token& stop) {
        const auto sink = [&log](fairing::Stream, std::span<const std::byte> bytes) {
            log.write({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
        };
        try {
            return {.exit_code = process.read(sink, stop).exit_code, .reason = {}};
        } catch (const fairing::Cancelled&) {
            process.terminate(std::chrono::seconds{2});
            return {.exit_code = process.read(sink).exit_code, .reason = {}};
        }
    }

    /// The image's documents, its fairing layers unpacked into `root`. Tries again for ever, as a
    /// kubelet does.
    fairing::oci::Image pull(Container& container, const std::filesystem::path& root) {
        namespace oci = fairing::oci;
        const std::string name = fairing::text_or(container.spec, "image");
        std::optional<oci::Reference> reference;
        try {
            reference = oci::parse_reference(name);
        } catch (const fairing::Error& error) {
            set_waiting(container, "InvalidImageName",
                        "Failed to apply default image tag \"" + name + "\": " + error.what());
            wait_for_ever();
        }
        if (fairing::text_or(container.spec, "imagePullPolicy") == "Never") {
            set_waiting(
                container, "ErrImageNeverPull",
                "Container image \"" + name + "\" is not present with pull policy of Never");
            wait_for_ever();
        }
        for (;;) {
            try {
                return unpack(*reference, name, root);
            } catch (const fairing::Cancelled&) {
                throw;
            } catch (const fairing::Error& error) {
                report_event("Failed", "Failed to pull image \"" + name + "\": " + error.what());
                set_waiting(container, "ErrImagePull", error.what());
                pause(milliseconds{500});
                set_waiting(
                    container, "ImagePullBackOff",
                    "Back-off pulling image \"" + name + "\": ErrImagePull: " + error.what());
                pause(milliseconds{1500});
            }
            if (stop_.stop_requested()) {
                throw_stopped();
            }
        }
    }

    /// As files, for whoever pulls.
    [[nodiscard]] std::vector<std::filesystem::path> pull_secrets() const {
        std::vector<std::filesystem::path> files;
        for (const Json& each : pod_["spec"].value("imagePullSecrets", Json::array())) {
            std::string reason;
            if (const auto data = data_of(Kept::secret, each, reason)) {
                files.push_back(volumes_.path() / ("pull-secret-" + std::to_string(files.size())));
                fairing::write_file(files.back(), data->at(".dockerconfigjson"));
            }
        }
        return files;
    }

    fairing::oci::Image unpack(const fairing::oci::Reference& reference, const std::string& name,
                               const std::filesystem::path& root) {
        namespace oci = fairing::oci;
        const fairing::Control control{.stop = stop_.get_token()};
        const auto store = fairing::registry::open_store(
            reference,
            {.transport = registries_, .retry = {.attempts = 1}, .files = pull_secrets()}, control);
        oci::Image image =
            oci::load_image(*store, reference.wanted(), oci::host_platform(), name).image;
        const std::vector<oci::Descriptor> all = image.layers();
        const std::vector<oci::Descriptor> ours{
            all.end() - static_cast<std::ptrdiff_t>(oci::own_layers(image)), all.end()};
        fairing::TemporaryDirectory::remove_tree(root);
        std::filesystem::create_directory(root);
        oci::unpack(*store, ours, root, {.ownership = oci::Ownership::ours}, control);
        return image;
    }

    using Variables = std::map<std::string, std::string>;

    /// The pod's variables over the image's, as a kubelet makes them; nullopt, and why, when one
    /// comes from what is not there.
    std::optional<Variables> environment_of(const Container& container,
                                            const fairing::oci::Image& image,
                                            std::string& reason) const {
        Variables result;
        const Json own = image.setting("Env");
        for (const Json& entry : own.is_array() ? own : Json::array()) {
            const std::string text = entry.get<std::string>();
            const std::size_t equals = std::min(text.find('='), text.size());
            result.emplace(text.substr(0, equals), text.substr(std::min(equals + 1, text.size())));
        }
        result.erase("PATH");  // the programs are this machine's
        for (const Json& source : container.spec.value("envFrom", Json::array())) {
            for (const Kept kept : {Kept::secret, Kept::config_map}) {
                const char* key = kept == Kept::secret ? "secretRef" : "configMapRef";
                const auto all = source.contains(key) ? data_of(kept, source[key], reason)
                                                      : std::optional<Variables>{Variables{}};
                if (!all) {
                    return std::nullopt;
                }
                for (const auto& [name, value] : *all) {
                    result.insert_or_assign(fairing::text_or(source, "prefix") + name, value);
                }
            }
        }
        for (const Json& entry : container.spec.value("env", Json::array())) {
            std::optional<std::string> value = fairing::text_or(entry, "value");
            if (entry.contains("valueFrom")) {
                value = referred_value(entry["valueFrom"], reason);
            }
            if (value) {
                const auto name = entry["name"].get<std::string>();
                result.insert_or_assign(name, resolved(name, *std::move(value)));
            } else if (!reason.empty()) {
                return std::nullopt;
            }
        }
        return result;
    }

    /// What a variable says of the other pods of its run.
    [[nodiscard]] std::string resolved(const std::string& variable, std::string value) const {
        const Json labels = pod_["metadata"].value("labels", Json::object());
        return with_replicas_here(
            with_subdomain_here(std::move(value), fairing::text_or(pod_["spec"], "subdomain")),
            fairing::text_or(labels, "training.kubeflow.org/job-name"), variable);
    }

    enum class Kept { secret, config_map };

    /// What the API server keeps under the name in `reference`, without anything for an optional
    /// one that is not there; else nullopt and the kubelet's words.
    [[nodiscard]] std::optional<Variables> data_of(Kept kept, const Json& reference,
                                                   std::string& reason) const {
        const std::string name =
            fairing::text_or(reference, reference.contains("secretName") ? "secretName" : "name");
        const std::string kind = kept == Kept::secret ? "secret" : "configmap";
        const ApiAnswer found =
            api_.get(path_.substr(0, path_.rfind("/pods/")) + '/' + kind + "s/" + name);
        Variables result;
        if (found.status == 404 && !reference.value("optional", false)) {
            reason = kind + " \"" + name + "\" not found";
            return std::nullopt;
        }
        const Json data = found.body.value("data", Json::object());
        for (const auto& [key, value] : data.items()) {
            const std::string text = value.get<std::string>();
            result.emplace(key, kept == Kept::secret ? fairing::codec::base64_decode(text) : text);
        }
        return result;
    }

    /// Neither a value nor a reason: it is optional, and the variable is not set.
    [[nodiscard]] std::optional<std::string> referred_value(const Json& from,
                                                            std::string& reason) const {
        if (from.contains("fieldRef")) {
            return field_value(from["fieldRef"]["fieldPath"].get<std::string>());
        }
        const Kept kept = from.contains("secretKeyRef") ? Kept::secret : Kept::config_map;
        const Json& reference = from.at(kept == Kept::secret ? "secretKeyRef" : "configMapKeyRef");
        const auto data = data_of(kept, reference, reason);
        const std::string key = reference["key"].get<std::string>();
        if (!data || data->contains(key)) {
            return data ? std::optional{data->at(key)} : std::nullopt;
        }
        if (!reference.value("optional", false)) {
            const Json& metadata = pod_["metadata"];
            reason = "couldn't find key " + key + " in " +
                     (kept == Kept::secret ? "Secret " : "ConfigMap ") +
                     metadata["namespace"].get<std::string>() + '/' +
                     reference["name"].get<std::string>();
        }
        return std::nullopt;
    }

    /// "metadata.name", "metadata.labels['key']": what Jobs ask for.
    [[nodiscard]] std::string field_value(const std::string& path) const {
        const Json& metadata = pod_["metadata"];
        const std::size_t bracket = path.find("['");
        if (bracket == std::string::npos) {
            return fairing::text_or(metadata, path.substr(path.find('.') + 1).c_str());
        }
        const std::string map = path.substr(9, bracket - 9);
        const std::string key = path.substr(bracket + 2, path.size() - bracket - 4);
        return fairing::text_or(metadata.value(map, Json::object()), key.c_str());
    }

    static constexpr const char* termination_log = "termination-log";

    fairing::Command command_of(const Container& container, const fairing::oci::Image& image,
                                const std::filesystem::path& root, Variables environment) const {
        const auto log = root.parent_path() / termination_log;
        const auto words = [](const Json& list) {
            return list.is_array() ? list.get<std::vector<std::string>>()
                                   : std::vector<std::string>{};
        };
        std::vector<std::string> program = words(container.spec.value("command", Json{}));
        std::vector<std::string> rest = words(container.spec.value("args", Json{}));
        if (program.empty()) {
            program = words(image.setting("Entrypoint"));
            if (rest.empty()) {
                rest = words(image.setting("Cmd"));
            }
        }
        program.insert(program.end(), rest.begin(), rest.end());
        if (!program.empty() && program.front() == "/usr/sbin/sshd") {
            program = {"sleep", "infinity"};  // nobody could connect to it
        }
        const Json working = image.setting("WorkingDir");
        const std::string directory = fairing::text_or(
            container.spec, "workingDir",
            working.is_string() && !working.get<std::string>().empty() ? working.get<std::string>()
                                                                       : "/");
        fairing::local::PathMap map{root, directory};
        fairing::Command command{.base = fairing::BaseEnvironment::clean};
        command.directory = directory == "/" ? root : std::filesystem::path{map(directory)};
        std::filesystem::create_directories(command.directory);
        for (const std::string& word : program) {
            command.arguments.push_back(map(in_volumes(container, word, log)));
        }
        for (const auto& [name, value] : environment) {
            command.environment.emplace(name, map.list(in_volumes(container, value, log)));
        }
        command.environment.emplace("PATH", fairing::env("PATH", "/usr/bin:/bin"));
        command.environment.emplace("HOSTNAME", "test-kubelet");
        command.if_we_die = {{"rm", "-rf", "--", root.parent_path().string()}};
        return command;
    }

    // --- what the API hears
    // ------------------------------------------------------------------------------------------

    void report_event(const std::string& reason, const std::string& message) const {
        const Json& metadata = pod_["metadata"];
        const std::string now = rfc3339(now_in_nanoseconds(), 0);
        try {
            api_.post("/api/v1/namespaces/" + metadata["namespace"].get<std::string>() + "/events",
                      {{"metadata", {{"generateName", metadata["name"].get<std::string>() + '.'}}},
                       {"involvedObject",
                        {{"apiVersion", "v1"},
                         {"kind", "Pod"},
                         {"namespace", metadata["namespace"]},
                         {"name", metadata["name"]},
                         {"uid", uid_}}},
                       {"type", "Warning"},
                       {"reason", reason},
                       {"message", message.substr(0, 1000)},
                       {"source", {{"component", "kubelet"}}},
                       {"firstTimestamp", now},
                       {"lastTimestamp", now},
                       {"count", 1}});
        } catch (const fairing::Error&) {
            // an event is a courtesy
        }
    }

    [[nodiscard]] Json status() const {
        const std::lock_guard lock{mutex_};
        bool initialized = true;
        bool ready = true;
        bool running = false;
        Json statuses = Json::array();
        Json init_statuses = Json::array();
        for (const auto& each : containers_) {
            const bool runs = each->state.contains("running");
            const bool answers = runs && each->ready;
            const bool done =
                each->state.contains("terminated") && each->state["terminated"]["exitCode"] == 0;
            running = running || (!each->init && !each->logs.empty());
            (each->init ? initialized : ready) &= each->init ? done : answers;
            (each->init ? init_statuses : statuses)
                .push_back({{"name", each->name},
                            {"image", fairing::text_or(each->spec, "image")},
                            {"imageID", ""},
                            {"state", each->state},
                            {"lastState", each->last_state},
                            {"restartCount", each->restarts},
                            {"ready", each->init ? done : answers},
                            {"started", runs}});
        }
        const auto condition = [](const char* type, bool value) {
            return Json{{"type", type}, {"status", value ? "True" : "False"}};
        };
        Json result = {{"phase", !end_phase_.empty() ? end_phase_
                                 : running           ? "Running"
                                                     : "Pending"},
                       {"hostIP", "127.0.0.1"},
                       {"startTime", started_},
                       {"conditions", Json::array({condition("Initialized", initialized),
                                                   condition("Ready", ready),
                                                   condition("ContainersReady", ready)})},
                       {"containerStatuses", statuses}};
        if (!init_statuses.empty()) {
            result["initContainerStatuses"] = init_statuses;
        }
        if (const std::string address = machine_address(); !address.empty()) {
            result["podIP"] = address;
            result["podIPs"] = Json::array({{{"ip", address}}});
        }
        if (!end_reason_.empty()) {
            result["reason"] = end_reason_;
            result["message"] = end_message_;
        }
        return result;
    }

    /// Until the API has taken it, or the pod is gone.
    void publish() {
        const std::lock_guard lock{publishing_};
        while (!abandoned_) {
            try {
                const ApiAnswer answer = api_.patch(
                    path_ + "/status", {{"metadata", {{"uid", uid_}}}, {"status", status()}},
                    KubeApi::strategic_patch);
                if (answer.ok() || answer.status == 404 || answer.status == 409 ||
                    answer.status == 422) {
                    return;
                }
            } catch (const fairing::Error&) {
                // the API server is away
            }
            std::this_thread::sleep_for(milliseconds{100});
        }
    }

    const KubeApi& api_;
    Json pod_;
    fairing::net::AnyTransport registries_;
    fairing::TemporaryDirectory volumes_ = fairing::TemporaryDirectory{};
    std::string uid_ = {}, path_ = {}, restart_policy_ = {};
    std::optional<Json> script_ = {};
    std::string started_ = rfc3339(now_in_nanoseconds(), 0);
    mutable std::mutex mutex_;
    std::mutex publishing_;
    std::condition_variable_any woken_;
    std::vector<std::unique_ptr<Container>> containers_ = {};
    std::string end_phase_ = {}, end_reason_ = {}, end_message_ = {};
    bool ended_ = false;
    std::atomic<bool> abandoned_ = false;
    std::stop_source stop_ = {};
    std::jthread thread_ = {};  // last: it uses all of the above
};

}  // namespace support
