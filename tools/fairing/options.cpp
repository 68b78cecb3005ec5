// tools/fairing/options.cpp - see options.hpp.
#include "options.hpp"

#include <charconv>
#include <fairing.hpp>
#include <sstream>
#include <tuple>
#include <type_traits>

namespace command {

using fairing::Error;
using fairing::ErrorCode;
using fairing::Json;

namespace {

[[nodiscard]] std::string option_name(std::string_view key, std::string_view option) {
    std::string name = "--" + std::string{option.empty() ? key : option};
    std::replace(name.begin(), name.end(), '_', '-');
    return name;
}

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

}  // namespace

template <class Stage>
void LaunchOptions::declare(const std::string& role, const std::string& name) {
    const Stage defaults;
    const auto add = [&](const auto& field) {
        if (field.option == fairing::not_an_option) {
            return;
        }
        using Member = std::remove_cvref_t<decltype(defaults.*field.member)>;
        Kind kind = Kind::text;
        std::string help{field.help};
        bool on = false;
        if constexpr (std::is_same_v<Member, bool>) {
            on = defaults.*field.member;
            kind = on ? Kind::inverse_flag : Kind::flag;
        } else if constexpr (std::is_arithmetic_v<Member>) {
            kind = Kind::number;
        } else if constexpr (std::is_same_v<Member, std::vector<std::string>>) {
            kind = Kind::words;
        } else if constexpr (std::is_same_v<Member, std::map<std::string, std::string>>) {
            kind = Kind::pairs;
        } else if constexpr (std::is_same_v<Member, std::map<std::string, Json>>) {
            kind = Kind::values;
        } else if constexpr (std::is_enum_v<Member>) {
            help += ": " + choices<Member>();
        } else if constexpr (!std::is_same_v<Member, std::string> &&
                             !std::is_same_v<Member, std::filesystem::path>) {
            kind = Kind::list;
        }
        const std::string flag = on ? "--no-" + option_name(field.name, field.option).substr(2)
                                    : option_name(field.name, field.option);
        Option& option = options_[flag];
        option.kind = kind;
        option.help = option.help.empty() ? help : option.help;
        option.keys[role + ' ' + name] = std::string{field.name};
    };
    std::apply([&add](const auto&... each) { (add(each), ...); }, fairing::fields<Stage>);
}

LaunchOptions::LaunchOptions(CLI::App& parser) {
    parser
        .add_option("ENTRY", entry_,
                    "what to run: train.py, notebook.ipynb, file.py:function, a program, a script, "
                    "a folder with __main__.py")
        ->required();
    parser.add_option("--preprocessor", preprocessor_,
                      "how the code is packaged: python, notebook, full_notebook, function or "
                      "python_function (default: what ENTRY looks like)");
    parser.add_option("--builder", builder_, "how the image is made: append");
    parser.add_option("--deployer", deployer_, "where it runs: local (default)");
    parser.add_option("--config", config_file_,
                      "defaults for all options (default: ./fairing.json, if there is one)");
    parser.add_option("--report", report_, "write what was done, as JSON, to this file");
    parser.add_flag("--quiet", quiet_, "say nothing but errors");
    parser.add_flag("--verbose", verbose_, "say more: requests, retries, choices");

    declare<fairing::PythonPreprocessor>("preprocessor", "python");
    declare<fairing::NotebookPreprocessor>("preprocessor", "notebook");
    declare<fairing::FullNotebookPreprocessor>("preprocessor", "full_notebook");
    declare<fairing::FunctionPreprocessor>("preprocessor", "function");
    declare<fairing::PythonFunctionPreprocessor>("preprocessor", "python_function");
    declare<fairing::AppendBuilder>("builder", "append");
    declare<fairing::LocalDeployer>("deployer", "local");
    for (auto& [name, option] : options_) {
        add_to(parser, name, option);
    }
}

void LaunchOptions::add_to(CLI::App& parser, const std::string& name, Option& option) {
    if (option.kind == Kind::flag || option.kind == Kind::inverse_flag) {
        parser.add_flag_callback(
            name, [&option] { option.values = {"true"}; }, option.help);
        return;
    }
    if (option.kind == Kind::text || option.kind == Kind::number) {
        parser
            .add_option_function<std::string>(
                name, [&option](const std::string& value) { option.values = {value}; }, option.help)
            ->type_name(option.kind == Kind::number ? "NUMBER" : "TEXT");
        return;
    }
    parser.add_option(name, option.values, option.help)
        ->allow_extra_args(false)
        ->type_name(option.kind == Kind::pairs || option.kind == Kind::values ? "KEY=VALUE"
                    : option.kind == Kind::list                               ? "PATH"
                                                                              : "WORDS");
}

bool LaunchOptions::given(const std::string& option) const {
    const auto found = options_.find(option);
    return found != options_.end() && !found->second.values.empty();
}

bool LaunchOptions::is_local() const {
    return chosen(read_config(), "deployer", deployer_) == "local";
}

bool LaunchOptions::has_registry() const {
    const Json builder = read_config().value("builder", Json::object());
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
        case Kind::number: {
            std::int64_t number = 0;
            const auto [end, failure] =
                std::from_chars(first.data(), first.data() + first.size(), number);
            if (failure != std::errc{} || end != first.data() + first.size()) {
                throw usage(name, '"' + first + "\" is not a number");
            }
            return number;
        }
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
        Json parsed = option.kind == Kind::values ? Json::parse(text, nullptr, false) : Json(text);
        pairs[value.substr(0, equals)] = parsed.is_discarded() ? Json(text) : std::move(parsed);
    }
    return pairs;
}

Json LaunchOptions::read_config() const {
    std::filesystem::path file = config_file_;
    if (file.empty()) {
        file = "fairing.json";
        if (!std::filesystem::exists(file)) {
            return Json::object();
        }
    }
    Json config = fairing::parse_json(fairing::read_file(file), file.string());
    // Checks names and keys of the whole file, also of what the command line overrides.
    static_cast<void>(fairing::Config{config});
    return config;
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
        section.erase("name");
        result = std::move(section);
    }
    for (const auto& [flag, option] : options_) {
        const auto key = option.keys.find(role + ' ' + name);
        if (!option.values.empty() && key != option.keys.end()) {
            result[key->second] = value_of(flag, option);
        }
    }
    return result;
}

LaunchOptions::Stages LaunchOptions::stages() const {
    const Json config = read_config();
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
    for (const auto& [flag, option] : options_) {
        bool used = option.values.empty();
        for (const auto& [role, name] : names) {
            used = used || option.keys.contains(role + ' ' + name);
        }
        if (!used) {
            throw usage(flag, "none of the chosen stages has it",
                        "it belongs to " + option.keys.begin()->first);
        }
    }
    const Json preprocessor = preprocessor_options(names.at("preprocessor"), config);
    fairing::Config stages;
    stages.set_preprocessor(names.at("preprocessor"), preprocessor)
        .set_builder(names.at("builder"), options_for("builder", names.at("builder"), config))
        .set_deployer(names.at("deployer"), options_for("deployer", names.at("deployer"), config));
    return {stages.preprocessor(), stages.builder(), stages.deployer()};
}

}  // namespace command
