// tools/fairing/options.cpp - see options.hpp.
#include "options.hpp"

#include <algorithm>
#include <charconv>
#include <fairing.hpp>
#include <optional>
#include <sstream>
#include <tuple>
#include <type_traits>

namespace command {

using fairing::Error;
using fairing::ErrorCode;
using fairing::Json;

namespace {

[[nodiscard]] Error usage(std::string option, std::string answer, std::string advice = {}) {
    return Error{ErrorCode::usage,
                 {.attempted = "use option",
                  .subject = std::move(option),
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

template <class Enumeration>
[[nodiscard]] std::string choices() {
    std::string all;
    for (const auto& [name, unused] : fairing::value_names<Enumeration>) {
        all += (all.empty() ? "" : "|") + std::string{name};
    }
    return all;
}

/// The type in an optional, else the type itself.
template <class T>
struct Inner {
    using Type = T;
};
template <class T>
struct Inner<std::optional<T>> {
    using Type = T;
};

template <class Number>
[[nodiscard]] Number parse_number(const std::string& name, const std::string& text) {
    Number number = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failure != std::errc{} || end != text.data() + text.size()) {
        throw usage(name, '"' + text + "\" is not a number");
    }
    return number;
}

/// Tells what would be built, and builds nothing.
template <class Stage>
struct ForeseeingBuilder {
    Stage builder = {};
    [[nodiscard]] fairing::Image build(const fairing::Context& context,
                                       const fairing::Session& session) const {
        return builder.foresee(context, session);
    }
};
template <class Stage>
[[nodiscard]] fairing::AnyBuilder foreseeing(const std::string& name, const Json& options) {
    return ForeseeingBuilder<Stage>{fairing::stage_from<Stage>(options, "builder " + name)};
}

}  // namespace

std::string option_name(std::string_view key, std::string_view option) {
    std::string name = "--" + std::string{option.empty() ? key : option};
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
}

Json read_config(std::string file) {
    if (file.empty()) {
        file = "fairing.json";
        if (!std::filesystem::exists(file)) {
            return Json::object();
        }
    }
    Json config = fairing::parse_json(fairing::read_file(file), file);
    // Checks names and keys of the whole file, also of what the command line overrides.
    static_cast<void>(fairing::Config{config});
    return config;
}

fairing::Registries registries_of(const Json& config) {
    return fairing::parse_registries(config.value("registries", Json::object()));
}

/// What kind of option a member makes; `is_on` tells a flag that is on unless it is turned off.
template <class Member>
void LaunchOptions::describe(const Member& value, Option& option, bool& is_on) {
    using Value = typename Inner<Member>::Type;
    if constexpr (std::is_same_v<Value, bool>) {
        is_on = value;
        option.kind = is_on ? Kind::inverse_flag : Kind::flag;
    } else if constexpr (std::is_integral_v<Value>) {
        option.kind = Kind::number;
        option.type = "NUMBER";
    } else if constexpr (std::is_floating_point_v<Value>) {
        option.kind = Kind::real;
        option.type = "NUMBER";
    } else if constexpr (std::is_same_v<Value, std::vector<std::string>>) {
        option.kind = Kind::words;
        option.type = "WORDS";
    } else if constexpr (std::is_same_v<Value, std::map<std::string, std::string>>) {
        option.kind = Kind::pairs;
        option.type = "KEY=VALUE";
    } else if constexpr (std::is_same_v<Value, std::map<std::string, Json>>) {
        option.kind = Kind::values;
        option.type = "KEY=VALUE";
    } else if constexpr (std::is_enum_v<Value>) {
        option.help += ": " + choices<Value>();
    } else if constexpr (!std::is_same_v<Value, std::string> &&
                         !std::is_same_v<Value, std::filesystem::path>) {
        option.kind = Kind::list;
        option.type = std::is_same_v<Value, std::vector<fairing::Input>> ? "PATH" : "TEXT";
    }
}

/// The options of a stage ("deployer job"), or of the part of it at `path`.
template <class Stage>
void LaunchOptions::declare(const std::string& stage, const std::string& path) {
    const auto add = [&](const auto& field) {
        using Member = std::remove_cvref_t<decltype(field.of(std::declval<const Stage&>()))>;
        if (!fairing::is_option(field.option)) {
            return;
        }
        if constexpr (fairing::has_fields<Member>) {
            declare<Member>(stage, path + std::string{field.name} + '/');
        } else if (const std::string name = option_name(field.name, field.option);
                   is_wanted(name)) {
            Option made{.help = std::string{field.help}};
            bool is_on = false;
            describe(field.of(Stage{}), made, is_on);
            const std::string flag = is_on ? "--no-" + name.substr(2) : name;
            const std::string help = std::exchange(made.help, {});
            Option& option = options_.try_emplace(flag, std::move(made)).first->second;
            option.meanings[help].push_back(stage.substr(stage.find(' ') + 1));
            option.keys[stage] = path + std::string{field.name};
        }
    };
    std::apply([&add](const auto&... each) { (add(each), ...); }, fairing::fields<Stage>);
}

LaunchOptions::LaunchOptions(CLI::App& parser, const std::vector<std::string>& words) {
    parser
        .add_option("ENTRY", entry_,
                    "what to run: train.py, notebook.ipynb, file.py:function, a program, a script, "
                    "a folder with __main__.py")
        ->required();
    parser.add_option("--preprocessor", preprocessor_,
                      "how the code is packaged: python, notebook, full_notebook, function or "
                      "python_function (default: what ENTRY looks like)");
    parser.add_option("--builder", builder_,
                      "how the image is made: append (default), docker, podman, or cluster (Kaniko "
                      "in Kubernetes)");
    parser.add_option(
        "--deployer", deployer_,
        "where it runs: local (default); in Kubernetes: job, tfjob, pytorchjob, "
        "xgboostjob, paddlejob, jaxjob, mpijob, trainjob, experiment (Katib), pipeline (Kubeflow "
        "Pipelines), serving (an endpoint), kfserving (KServe); in Google Cloud: vertex, "
        "vertex-serving (an endpoint), gcp and gcpserving (AI Platform v1, for gateways)");
    parser.add_option("--config", config_file_,
                      "defaults for all options (default: ./fairing.json, if there is one)");
    parser
        .add_option("--mirror", mirrors_,
                    "where base images of a registry are looked for first; docker.io=HOST[/PATH]")
        ->allow_extra_args(false)
        ->type_name("HOST=MIRROR");
    parser.add_option("--report", report_, "write what was done, as JSON, to this file");
    parser.add_flag("--quiet", quiet_, "say nothing but errors");
    parser.add_flag("--verbose", verbose_, "say more: requests, retries, choices");

    const auto is_help = [](const std::string& word) {
        return word == "--help" || word.starts_with("-h");  // "-hv", too
    };
    if (!words.empty() && std::none_of(words.begin(), words.end(), is_help)) {
        wanted_ = words;
        wanted_.insert(wanted_.end(), {"--no-push", "--registry"});  // set_default() sets these
    }
    fairing::for_each_stage([this](const auto& each) {
        using Stage = typename std::remove_cvref_t<decltype(each)>::Stage;
        declare<Stage>(std::string{each.role()} + ' ' + each.name);
    });
    for (auto& [name, option] : options_) {
        option.help = help_of(option);
        add_to(parser, name, option);
    }
}

/// Whether the words name the option, or turn it off.
bool LaunchOptions::is_wanted(std::string_view name) const {
    const auto names_it = [name](std::string_view word) {
        word = word.substr(0, word.find('='));
        return word == name || (word.starts_with("--no-") && word.substr(5) == name.substr(2));
    };
    return wanted_.empty() || std::any_of(wanted_.begin(), wanted_.end(), names_it);
}

void LaunchOptions::add_to(CLI::App& parser, const std::string& name, Option& option) {
    CLI::Option* added = nullptr;
    switch (option.kind) {
        case Kind::flag:
        case Kind::inverse_flag:
            added = parser.add_flag_callback(
                name, [&option] { option.values = {"true"}; }, option.help);
            break;
        case Kind::text:
        case Kind::number:
        case Kind::real:
            added = parser
                        .add_option_function<std::string>(
                            name, [&option](const std::string& value) { option.values = {value}; },
                            option.help)
                        ->type_name(option.type);
            break;
        case Kind::words:
        case Kind::list:
        case Kind::pairs:
        case Kind::values:
            added = parser.add_option(name, option.values, option.help)
                        ->allow_extra_args(false)
                        ->type_name(option.type);
            break;
    }
    if (is_of_deployers(option) && !option.keys.contains("deployer job")) {
        added->group("Options of " + group_of(option));
    } else if (is_of_deployers(option) && option.keys.size() == 1) {
        added->group("Options of the deployer job");
    } else if (option.keys.size() == 1 && option.keys.contains("builder cluster")) {
        added->group("Options of the builder cluster");
    }
}

/// One sentence; of an option that means different things, one for each, with the names of the
/// stages unless they are many.
std::string LaunchOptions::help_of(const Option& option) {
    std::string all;
    for (const auto& [help, stages] : option.meanings) {
        all += all.empty() ? "" : "; ";
        for (const std::string& stage : stages) {
            const bool named = option.meanings.size() > 1 && stages.size() <= 3;
            all += !named ? "" : stage + (stage == stages.back() ? ": " : ", ");
        }
        all += help;
    }
    return all;
}

/// Whose an option is, for --help.
std::string LaunchOptions::group_of(const Option& option) {
    if (option.keys.size() == 1) {
        return "the " + option.keys.begin()->first;
    }
    const bool is_google =
        std::all_of(option.keys.begin(), option.keys.end(), [](const auto& each) {
            return each.first.starts_with("deployer vertex") ||
                   each.first.starts_with("deployer gcp");
        });
    return is_google                                ? "the deployers to Google Cloud"
           : option.keys.contains("deployer tfjob") ? "the deployers of training jobs"
                                                    : "several deployers";
}

bool LaunchOptions::is_of_deployers(const Option& option) {
    // What says which cluster is the builder's too.
    const auto is_theirs = [](const auto& each) { return each.first.starts_with("deployer "); };
    return std::any_of(option.keys.begin(), option.keys.end(), is_theirs) &&
           std::all_of(option.keys.begin(), option.keys.end(), [&](const auto& each) {
               return is_theirs(each) || each.first == "builder cluster";
           });
}

fairing::Registries LaunchOptions::registries() const {
    fairing::Registries table = registries_of(read_config(config_file_));
    fairing::add_mirrors(table, mirrors_);
    return table;
}

bool LaunchOptions::given(const std::string& option) const {
    const auto found = options_.find(option);
    return found != options_.end() && !found->second.values.empty();
}

bool LaunchOptions::is_local() const {
    return chosen(read_config(config_file_), "deployer", deployer_) == "local";
}

bool LaunchOptions::uses_engine() const {
    const Json config = read_config(config_file_);
    const std::string builder = chosen(config, "builder", builder_);
    return given("--load") || builder == "docker" || builder == "podman" ||
           options_for("builder", builder, config).value("load", Json()) == Json(true);
}

bool LaunchOptions::has_registry() const {
    const Json builder = read_config(config_file_).value("builder", Json::object());
    return given("--registry") || builder.contains("registry");
}

void LaunchOptions::set_default(const std::string& option, const std::string& value) {
    if (!given(option)) {
        options_.at(option).values = {value};
    }
}

Json LaunchOptions::value_of(const std::string& name, const Option& option) const {
    const std::string& first = option.values.front();
    switch (option.kind) {
        case Kind::text:
            return first;
        case Kind::number:
            return parse_number<std::int64_t>(name, first);
        case Kind::real:
            return parse_number<double>(name, first);
        case Kind::flag:
            return true;
        case Kind::inverse_flag:
            return false;
        case Kind::list:
            return option.values;
        case Kind::words: {
            Json words = Json::array();
            for (const std::string& value : option.values) {
                std::istringstream stream{value};
                for (std::string word; stream >> word;) {
                    words.push_back(word);
                }
            }
            return words;
        }
        case Kind::pairs:
        case Kind::values:
            break;
    }
    Json pairs = Json::object();
    for (const std::string& value : option.values) {
        const std::size_t equals = value.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw usage(name, '"' + value + "\" is not KEY=VALUE");
        }
        if (pairs.contains(value.substr(0, equals))) {
            throw usage(name, '"' + value.substr(0, equals) + "\" is given twice");
        }
        const std::string text = value.substr(equals + 1);
        // What is no JSON is a text.
        const bool is_json = option.kind == Kind::values && Json::accept(text);
        pairs[value.substr(0, equals)] = is_json ? Json::parse(text) : Json(text);
    }
    return pairs;
}

std::string LaunchOptions::chosen(const Json& config, const std::string& role,
                                  const std::string& given) const {
    static const std::map<std::string, std::string> defaults{
        {"preprocessor", "python"}, {"builder", "append"}, {"deployer", "local"}};
    return !given.empty()
               ? given
               : fairing::text_or(config.value(role, Json::object()), "name", defaults.at(role));
}

bool LaunchOptions::guesses_preprocessor(const Json& config) const {
    return preprocessor_.empty() && !config.value("preprocessor", Json::object()).contains("name");
}

/// What was given, over what ENTRY tells.
Json LaunchOptions::preprocessor_options(const std::string& name, const Json& config) const {
    Json options = guesses_preprocessor(config) ? fairing::guess_entry(entry_).options
                                                : fairing::entry_for(entry_, name).options;
    const Json given = options_for("preprocessor", name, config);
    for (const auto& [key, value] : given.items()) {
        const bool both = key == "input_files" && options.contains(key);
        if (both) {
            for (const Json& each : value.is_array() ? value : Json::array({value})) {
                options[key].push_back(each);
            }
        } else {
            options[key] = value;
        }
    }
    return options;
}

Json LaunchOptions::options_for(const std::string& role, const std::string& name,
                                const Json& config) const {
    Json section = config.value(role, Json::object());
    Json result = Json::object();
    const bool guessed = role == "preprocessor" && guesses_preprocessor(config);
    if (guessed || chosen(config, role, {}) == name) {
        result = fairing::section_options(std::move(section));
    }
    for (const auto& [flag, option] : options_) {
        const auto key = option.keys.find(role + ' ' + name);
        if (!option.values.empty() && key != option.keys.end()) {
            result[Json::json_pointer{key->second}] = value_of(flag, option);
        }
    }
    return result;
}

LaunchOptions::Stages LaunchOptions::stages() const {
    const Json config = read_config(config_file_);
    const std::map<std::string, std::string> names{
        {"preprocessor", guesses_preprocessor(config)
                             ? fairing::guess_entry(entry_).preprocessor
                             : chosen(config, "preprocessor", preprocessor_)},
        {"builder", chosen(config, "builder", builder_)},
        {"deployer", chosen(config, "deployer", deployer_)}};
    // A wrong name comes before what follows from it.
    static_cast<void>(fairing::Config{}
                          .set_preprocessor(names.at("preprocessor"))
                          .set_builder(names.at("builder"))
                          .set_deployer(names.at("deployer")));
    std::vector<std::string> notes;
    for (const auto& [flag, option] : options_) {
        bool used = option.values.empty();
        for (const auto& [role, name] : names) {
            used = used || option.keys.contains(role + ' ' + name);
        }
        if (used) {
            continue;
        }
        if (foreign != Foreign::note || !is_of_deployers(option)) {
            std::string owners;
            for (const auto& [stage, path] : option.keys) {
                owners += (owners.empty() ? "it belongs to " : ", ") + stage;
            }
            throw usage(flag, "none of the chosen stages has it", owners);
        }
        notes.push_back("the deployer " + names.at("deployer") + " can not express " + flag +
                        ": it is left out");
    }
    const Json preprocessor = preprocessor_options(names.at("preprocessor"), config);
    fairing::Config stages;
    stages.set_preprocessor(names.at("preprocessor"), preprocessor)
        .set_builder(names.at("builder"), options_for("builder", names.at("builder"), config))
        .set_deployer(names.at("deployer"), options_for("deployer", names.at("deployer"), config));
    if (is_rehearsal) {
        const std::string name = names.at("builder");
        const Json options = options_for("builder", name, config);
        if (name == "cluster") {
            stages.set_builder(foreseeing<fairing::ClusterBuilder>(name, options));
        } else if (name == "docker") {
            stages.set_builder(foreseeing<fairing::DockerBuilder>(name, options));
        } else if (name == "podman") {
            stages.set_builder(foreseeing<fairing::PodmanBuilder>(name, options));
        }
    }
    return {stages.preprocessor(), stages.builder(), stages.deployer(), std::move(notes)};
}

}  // namespace command
