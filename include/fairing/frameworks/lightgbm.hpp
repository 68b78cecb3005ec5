// fairing/frameworks/lightgbm.hpp - LightGBM's command line as a job: its config file says what is
// trained or predicted, and on how many machines.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../builders/append.hpp"
#include "../core/files.hpp"
#include "../deployers/job.hpp"
#include "../deployers/training_jobs.hpp"
#include "../pipeline.hpp"
#include "../pods/cloud_credentials.hpp"
#include "../preprocessors/payload.hpp"
#include "../stage/any.hpp"
#include "../stage/concepts.hpp"
#include "lightgbm/config.hpp"
#include "lightgbm/runner.hpp"

namespace fairing {

/// A preprocessor that knows its own pipeline. Data and models that are here go along, below the
/// path prefix; those at gs:// or s3:// are copied by the job (gsutil or gcloud, aws), as whom the
/// secrets user-gcp-sa and aws-secret say where the namespace has them. With num_machines
/// above 1 it is a TFJob of a chief and workers; a data- or voting-parallel learner gives each of
/// them one of the files that `data` lists. Results go where the config says: to gs:// or s3://
/// when the program has ended, else to a path of the pod, best on a volume.
struct LightGBM {
    std::filesystem::path config_file = {};  ///< LightGBM's own; empty: `parameters` alone
    lightgbm::Parameters parameters = {};    ///< over those of the file
    std::string base_image = {};             ///< holds the program and python3
    std::string registry = {};
    KubernetesOptions kubernetes = {};
    std::string program = "lightgbm";
    std::string path_prefix = "/app/";

    /// The parameters of both. Throws Error{input} for a file that can not be read as such.
    [[nodiscard]] lightgbm::Parameters config() const {
        lightgbm::Parameters all;
        if (!config_file.empty()) {
            all = lightgbm::parse_config(read_file(config_file), config_file.string());
        }
        lightgbm::override_with(all, parameters);
        return all;
    }

    /// Throws Error{input} for a config that names no data, a file that is not there, a store that
    /// the job can not copy from, and as many files as machines where that has to be.
    [[nodiscard]] Context prepare(const Session& session) const;

    /// The pipeline: one machine is a Job, several are a TFJob.
    [[nodiscard]] Fairing<AnyPreprocessor, AppendBuilder, AnyDeployer> fairing() const;
    /// Fairing::start(): the handle, when the job is stored.
    [[nodiscard]] Workload start(const Session& session = {}) const {
        return fairing().start(session);
    }
    /// Fairing::run(): to the end, with the log.
    Workload run(const Session& session = {}) const { return fairing().run(session); }
};

namespace detail {

/// What the job fetches, and what goes along.
class LightGBMFiles {
public:
    explicit LightGBMFiles(const LightGBM& stage) : stage_(stage) {}

    /// The path in the job of one that a parameter names, and of LightGBM's side files.
    [[nodiscard]] std::string take(const std::string& parameter, const std::string& path,
                                   Json& fetch) {
        std::string name = std::filesystem::path{path}.filename().string();
        if (lightgbm::is_remote(path)) {
            check_store(parameter, path);
            claim(name, path);
            fetch.push_back({path, name, false});
        } else {
            if (!payload::is_file(path)) {
                throw lightgbm::detail::bad_config(parameter, path + " is no file here",
                                                   "give its path from this directory, or a URL");
            }
            package(name, path);
        }
        if (parameter != "input_model") {
            take_side_files(path, name, fetch);
        }
        return name;
    }
    /// The same for all that a parameter lists.
    void take_all(lightgbm::Parameters& config, const std::string& parameter, Json& fetch) {
        std::string names;
        for (const std::string& path : lightgbm::paths_of(config, parameter)) {
            names += (names.empty() ? "" : ",") + take(parameter, path, fetch);
        }
        if (!names.empty()) {
            config[parameter] = names;
        }
    }
    /// Where a result is written; copied to the store afterwards when it is to be there.
    void put(lightgbm::Parameters& config, const std::string& parameter, Json& store) {
        const std::string path = lightgbm::value_of(config, parameter);
        if (lightgbm::is_remote(path)) {
            check_store(parameter, path);
            config[parameter] = std::filesystem::path{path}.filename().string();
            store.push_back({config[parameter], path});
        }
    }
    [[nodiscard]] packaging::CollectOptions collect_options() const {
        packaging::CollectOptions options{.output_map = output_map_,
                                          .path_prefix = stage_.path_prefix};
        for (const auto& [source, destination] : output_map_) {
            options.inputs.push_back(source);
        }
        return options;
    }

private:
    /// Weights, query groups and initial scores, which LightGBM finds by their names.
    static constexpr std::array<const char*, 3> side_files = {".weight", ".query", ".init"};

    void take_side_files(const std::string& path, const std::string& name, Json& fetch) {
        for (const std::string extension : side_files) {
            if (lightgbm::is_remote(path)) {
                fetch.push_back({path + extension, name + extension, true});
            } else if (payload::is_file(path + extension)) {
                package(name + extension, path + extension);
            }
        }
    }
    void package(const std::string& name, const std::string& path) {
        claim(name, path);
        output_map_[path] = packaging::join(packaging::image_prefix(stage_.path_prefix), name);
    }
    void claim(const std::string& name, const std::string& path) {
        if (const auto [other, is_new] = names_.emplace(name, path);
            !is_new && other->second != path) {
            throw lightgbm::detail::bad_config(
                path, "in the job it would have the name of " + other->second,
                "rename one of them");
        }
    }
    static void check_store(const std::string& parameter, const std::string& path) {
        if (!path.starts_with("gs://") && !path.starts_with("s3://")) {
            throw lightgbm::detail::bad_config(
                parameter, path + " is neither at gs:// nor at s3://", "copy it here first");
        }
        if (path.find('/', std::string_view{"gs://"}.size()) == std::string::npos ||
            path.ends_with('/')) {
            throw lightgbm::detail::bad_config(parameter, path + " is a bucket or a folder",
                                               "name a file in it");
        }
    }

    const LightGBM& stage_;
    std::map<std::string, std::string> names_ = {};  ///< in the job -> whence
    std::map<std::string, std::string> output_map_ = {};
};

/// What each machine trains on, when each has data of its own; else the one file of all.
[[nodiscard]] inline Json take_training_data(lightgbm::Parameters& config, int machines,
                                             LightGBMFiles& files, Json& fetch) {
    const std::vector<std::string> data = lightgbm::paths_of(config, "data");
    Json partitions = Json::array();
    if (machines > 1 && lightgbm::splits_data(config)) {
        if (data.size() != static_cast<std::size_t>(machines)) {
            throw lightgbm::detail::bad_config(
                "data",
                "it lists " + std::to_string(data.size()) + " files for " +
                    std::to_string(machines) + " machines",
                "a data- or voting-parallel tree_learner wants one for each");
        }
        for (const std::string& path : data) {
            Json own = Json::array();
            const std::string name = files.take("data", path, own);
            partitions.push_back({{"data", name}, {"fetch", std::move(own)}});
        }
        // Else each machine would drop the rows that it takes for the others'.
        config.emplace("pre_partition", "true");
        return partitions;
    }
    if (data.size() > 1) {
        throw lightgbm::detail::bad_config(
            "data", "it lists " + std::to_string(data.size()) + " files",
            "set tree_learner to data or voting, and num_machines to their number");
    }
    files.take_all(config, "data", fetch);
    return partitions;
}

}  // namespace detail

inline Context LightGBM::prepare(const Session& session) const {
    lightgbm::Parameters all = config();
    const int machines = lightgbm::machines_of(all);
    for (const char* ours : {"local_listen_port", "machine_list_filename", "machines"}) {
        if (all.erase(ours) > 0) {
            session.control().say(Level::info,
                                  std::string{ours} + " of LightGBM's config is set by the job");
        }
    }
    if (lightgbm::value_of(all, "data").empty() && lightgbm::value_of(all, "valid").empty()) {
        throw lightgbm::detail::bad_config(config_file.string(), "it names no data",
                                           "set data to a file to train on");
    }
    detail::LightGBMFiles files{*this};
    Json fetch = Json::array();
    Json store = Json::array();
    Json partitions = detail::take_training_data(all, machines, files, fetch);
    files.take_all(all, "valid", fetch);
    files.take_all(all, "input_model", fetch);
    files.put(all, "output_model", store);
    files.put(all, "output_result", store);

    Context context = payload::context_of(files.collect_options(), session);
    const std::string folder = payload::own_folder(path_prefix);
    payload::OwnFiles own;
    own.add(folder + "lightgbm.py", lightgbm::runner);
    own.add(folder + "lightgbm.json", Json{{"parameters", all},
                                           {"machines", machines},
                                           {"fetch", std::move(fetch)},
                                           {"partitions", std::move(partitions)},
                                           {"store", std::move(store)},
                                           {"program", program}}
                                              .dump(2) +
                                          '\n');
    own.add_to(context);
    context.command = {"python3", folder + "lightgbm.py"};
    return context;
}

inline Fairing<AnyPreprocessor, AppendBuilder, AnyDeployer> LightGBM::fairing() const {
    const lightgbm::Parameters all = config();
    const int machines = lightgbm::machines_of(all);
    KubernetesOptions options = kubernetes;
    std::vector<PodSpecMutator>& mutators = options.pod_spec_mutators;
    // Before the caller's own, which may know better.
    if (lightgbm::uses_store(all, "s3://")) {
        mutators.insert(mutators.begin(), aws_credentials_if_exists());
    }
    if (lightgbm::uses_store(all, "gs://")) {
        mutators.insert(mutators.begin(), gcp_credentials_if_exists());
    }
    AnyDeployer deployer = machines == 1
                               ? AnyDeployer{JobDeployer{.kubernetes = std::move(options)}}
                               : AnyDeployer{TFJobDeployer{.kubernetes = std::move(options),
                                                           .worker_count = machines - 1,
                                                           .chief_count = 1}};
    return {AnyPreprocessor{*this}, AppendBuilder{.base_image = base_image, .registry = registry},
            std::move(deployer)};
}

static_assert(Preprocessor<LightGBM>);

}  // namespace fairing
