// fairing/config.hpp - the pipeline with its stages chosen by name at run time: fairing.json, the
// command line.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/env.hpp"
#include "core/files.hpp"
#include "core/json_text.hpp"
#include "pipeline.hpp"
#include "run_main.hpp"
#include "stage/any.hpp"
#include "stage/fields.hpp"
#include "stage/registry_access.hpp"
#include "stages.hpp"

namespace fairing {

/// The options in a section of fairing.json, where "name" is the stage's: "object_name" is the
/// option "name".
[[nodiscard]] inline Json section_options(Json section) {
    if (section.is_object()) {
        section.erase("name");
        if (const auto found = section.find("object_name"); found != section.end()) {
            section["name"] = Json(*found);
            section.erase("object_name");
        }
    }
    return section;
}

using AnyFairing = Fairing<AnyPreprocessor, AnyBuilder, AnyDeployer>;

/// A pipeline that runs when it is called: with registries of its own, unless the session has some.
struct RemoteCall {
    AnyFairing pipeline;
    Registries registries = {};

    Workload operator()(Session session = {}) const {
        if (session.registries.empty()) {
            session.registries = registries;
        }
        return pipeline.run(session);
    }
};

/// The stages by name, with JSON options whose keys are the fields of the stage's table. A value,
/// no global:
///   Config{}.set_preprocessor("python", {{"executable", "train.py"}}).set_builder("append",
///   …).run(session)
/// An unknown name or key is an Error{usage} that lists those there are.
class Config {
public:
    Config() {
        for_each_stage([this](const auto& each) { add(each); });
        reset();
    }

    /// {"preprocessor": {"name": "python", …options}, "builder": {…}, "deployer": {…},
    /// "registries": {"docker.io": {"mirrors": […]}, …}}, each of them optional.
    explicit Config(const Json& document) : Config() {
        if (!document.is_object()) {
            throw Error{ErrorCode::input,
                        {.attempted = "read",
                         .subject = "the configuration",
                         .answer = "not a JSON object"}};
        }
        for (const auto& [key, value] : document.items()) {
            Json options = value;
            const std::string name = text_or(options, "name");
            if (options.is_object() && options.contains("name") && name.empty()) {
                throw Error{ErrorCode::usage,
                            {.attempted = "choose the " + key, .answer = "its name is not a text"}};
            }
            options = section_options(std::move(options));
            if (key == "preprocessor") {
                set_preprocessor(name.empty() ? "python" : name, options);
            } else if (key == "builder") {
                set_builder(name.empty() ? "append" : name, options);
            } else if (key == "deployer") {
                set_deployer(name.empty() ? "local" : name, options);
            } else if (key == "registries") {
                registries_ = parse_registries(value);
            } else {
                throw unknown_name("read", "the configuration", key,
                                   {"preprocessor", "builder", "deployer", "registries"});
            }
        }
    }
    [[nodiscard]] static Config from_file(const std::filesystem::path& file) {
        return Config{parse_json(read_file(file), file.string())};
    }

    Config& set_preprocessor(const std::string& name, const Json& options = Json::object()) {
        return set_preprocessor(find(preprocessors_, "preprocessor", name)(options));
    }
    Config& set_builder(const std::string& name, const Json& options = Json::object()) {
        return set_builder(find(builders_, "builder", name)(options));
    }
    Config& set_deployer(const std::string& name, const Json& options = Json::object()) {
        set_deployer(find(deployers_, "deployer", name)(options, mutators_));
        named_deployer_ = {name, options};
        return *this;
    }
    Config& set_preprocessor(AnyPreprocessor stage) {
        preprocessor_ = std::move(stage);
        return *this;
    }
    Config& set_builder(AnyBuilder stage) {
        builder_ = std::move(stage);
        return *this;
    }
    Config& set_deployer(AnyDeployer stage) {
        deployer_ = std::move(stage);
        named_deployer_.reset();
        return *this;
    }
    /// For the deployer that was, or will be, chosen by its name, when it is one of Kubernetes.
    Config& add_pod_spec_mutator(PodSpecMutator mutator) {
        mutators_.push_back(std::move(mutator));
        if (named_deployer_) {
            const auto [name, options] = *named_deployer_;
            set_deployer(name, options);
        }
        return *this;
    }

    /// Forgets what was set. Names that were made known stay so, and registries.
    Config& reset() {
        mutators_.clear();
        // In a notebook's own kernel that notebook is what runs.
        set_preprocessor(env("JPY_SESSION_NAME", "").ends_with(".ipynb") ? "notebook" : "python");
        return set_builder("append").set_deployer("local");
    }

    /// Makes a stage of one's own known by a name.
    Config& add_preprocessor(std::string name, std::function<AnyPreprocessor(const Json&)> make) {
        preprocessors_[std::move(name)] = std::move(make);
        return *this;
    }
    Config& add_builder(std::string name, std::function<AnyBuilder(const Json&)> make) {
        builders_[std::move(name)] = std::move(make);
        return *this;
    }
    Config& add_deployer(std::string name, std::function<AnyDeployer(const Json&)> make) {
        deployers_[std::move(name)] = [make = std::move(make)](const Json& options,
                                                               const Mutators&) {
            return make(options);
        };
        return *this;
    }

    [[nodiscard]] const AnyPreprocessor& preprocessor() const { return *preprocessor_; }
    [[nodiscard]] const AnyBuilder& builder() const { return *builder_; }
    [[nodiscard]] const AnyDeployer& deployer() const { return *deployer_; }

    [[nodiscard]] const Registries& registries() const { return registries_; }

    [[nodiscard]] AnyFairing fairing() const { return {preprocessor(), builder(), deployer()}; }
    /// With the configuration's registries, unless the session has some.
    Workload run(const Session& session = {}) const { return call(fairing())(session); }

    /// The same for an image that is there already, whose command runs.
    Workload deploy(const Image& image, const Session& session = {}) const {
        return call({AnyPreprocessor{NothingToPrepare{}}, AnyBuilder{Built{image}}, deployer()})(
            session);
    }

    /// What runs a function as the job when it is called, with the builder and the deployer that
    /// are set now: a job function of run_main(), or Python's "file.py:function".
    ///   const auto remote_train = config.fn(train);
    ///   remote_train(session);
    /// `options` are further ones of the preprocessor. Throws as job_function_name() does.
    [[nodiscard]] RemoteCall fn(JobFunction function, Json options = Json::object()) const {
        return call_of("function", job_function_name(function), std::move(options));
    }
    [[nodiscard]] RemoteCall fn(const std::string& function, Json options = Json::object()) const {
        return call_of("python_function", function, std::move(options));
    }

private:
    struct NothingToPrepare {
        [[nodiscard]] Context prepare(const Session& /*session*/) const { return {}; }
    };
    struct Built {
        Image image;
        [[nodiscard]] Image build(const Context& /*context*/, const Session& /*session*/) const {
            return image;
        }
    };
    [[nodiscard]] RemoteCall call(AnyFairing pipeline) const {
        return {.pipeline = std::move(pipeline), .registries = registries_};
    }
    [[nodiscard]] RemoteCall call_of(const std::string& preprocessor, const std::string& function,
                                     Json options) const {
        if (options.is_object()) {  // the preprocessor refuses what is none
            options["function"] = function;
        }
        return call(
            {find(preprocessors_, "preprocessor", preprocessor)(options), builder(), deployer()});
    }

    template <class Stage>
    using Makers = std::map<std::string, std::function<Stage(const Json&)>>;
    using Mutators = std::vector<PodSpecMutator>;
    using DeployerMaker = std::function<AnyDeployer(const Json&, const Mutators&)>;

    template <class Stage>
    void add(const NamedStage<Stage>& stage) {
        const std::string full_name = std::string{stage.role()} + ' ' + stage.name;
        if constexpr (Preprocessor<Stage>) {
            add_preprocessor(stage.name, maker<AnyPreprocessor, Stage>(full_name));
        } else if constexpr (Builder<Stage>) {
            add_builder(stage.name, maker<AnyBuilder, Stage>(full_name));
        } else {
            deployers_[stage.name] = deployer_maker<Stage>(full_name);
        }
    }
    template <class Any, class Stage>
    [[nodiscard]] static std::function<Any(const Json&)> maker(std::string name) {
        return [name = std::move(name)](const Json& options) -> Any {
            return stage_from<Stage>(options, name);
        };
    }
    template <class Stage>
    [[nodiscard]] static DeployerMaker deployer_maker(std::string name) {
        return [name = std::move(name)](const Json& options, const Mutators& mutators) {
            auto stage = stage_from<Stage>(options, name);
            if constexpr (std::is_same_v<Stage, TrainingJobDeployer>) {
                stage.kind = training_kind(name.substr(name.find(' ') + 1));
            }
            if constexpr (requires { stage.kubernetes.pod_spec_mutators; }) {
                stage.kubernetes.pod_spec_mutators = mutators;
            }
            return AnyDeployer{std::move(stage)};
        };
    }
    template <class Maker>
    [[nodiscard]] static const Maker& find(const std::map<std::string, Maker>& makers,
                                           const std::string& kind, const std::string& name) {
        const auto found = makers.find(name);
        if (found == makers.end()) {
            std::vector<std::string> names;
            names.reserve(makers.size());
            for (const auto& [known, unused] : makers) {
                names.push_back(known);
            }
            throw unknown_name("choose the " + kind, name, name, names);
        }
        return found->second;
    }

    Makers<AnyPreprocessor> preprocessors_ = {};
    Makers<AnyBuilder> builders_ = {};
    std::map<std::string, DeployerMaker> deployers_ = {};
    Mutators mutators_ = {};
    Registries registries_ = {};
    std::optional<std::pair<std::string, Json>> named_deployer_ = {};
    std::optional<AnyPreprocessor> preprocessor_ = {};  // never empty after construction
    std::optional<AnyBuilder> builder_ = {};
    std::optional<AnyDeployer> deployer_ = {};
};

}  // namespace fairing
