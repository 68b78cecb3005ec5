// tools/fairing/options.hpp - the command line: every option of every stage, out of the stages'
// field tables.
#pragma once

#include <CLI/CLI.hpp>
#include <fairing/core/json.hpp>
#include <fairing/stage/any.hpp>
#include <fairing/stage/registries.hpp>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace command {

/// "--run-id" of the key "run_id"; `option` is the field's own name on the command line, if any.
[[nodiscard]] std::string option_name(std::string_view key, std::string_view option);

/// The defaults of a configuration file: `file`, or ./fairing.json when it is empty and there is
/// one. Throws Error when a name or a key in it is wrong.
[[nodiscard]] fairing::Json read_config(std::string file);

/// The table "registries" of such a configuration.
[[nodiscard]] fairing::Registries registries_of(const fairing::Json& config);

/// What a subcommand that prepares an image takes: ENTRY, the stages and their options, and the
/// program's arguments.
class LaunchOptions {
public:
    /// Adds the options to a subcommand of the parser: of those of the stages the ones that `words`
    /// name, or all when there are no words, or one asks for help. CLI11 compares each with all
    /// before it, which would take longer than all else until the first request.
    LaunchOptions(CLI::App& parser, const std::vector<std::string>& words);

    /// The stages, out of fairing.json (or --config) and then the command line. Throws Error{usage}
    /// for what does not fit together.
    struct Stages {
        fairing::AnyPreprocessor preprocessor;
        fairing::AnyBuilder builder;
        fairing::AnyDeployer deployer;
        std::vector<std::string> notes = {};  ///< what the deployer can not express
    };
    [[nodiscard]] Stages stages() const;
    /// The table of fairing.json, with --mirror.
    [[nodiscard]] fairing::Registries registries() const;

    /// One option of a stage, set as if it had been given, unless it was.
    void set_default(const std::string& option, const std::string& value);

    /// Whether the local deployer was chosen, and whether anything names a registry.
    [[nodiscard]] bool is_local() const;
    [[nodiscard]] bool has_registry() const;
    /// Whether the builder makes the image in a container engine, or loads it into one.
    [[nodiscard]] bool uses_engine() const;
    [[nodiscard]] const std::string& report() const { return report_; }
    [[nodiscard]] bool quiet() const { return quiet_; }
    [[nodiscard]] bool verbose() const { return verbose_; }

    /// What an option is that only other deployers have.
    enum class Foreign { refuse, note };
    Foreign foreign = Foreign::refuse;
    bool is_rehearsal = false;  ///< no cluster is to build anything

    std::vector<std::string> arguments =
        {};  ///< what stood behind "--": appended to the command of the image

private:
    enum class Kind { text, number, real, flag, inverse_flag, words, list, pairs, values };
    struct Option {
        Kind kind = Kind::text;
        std::vector<std::string> values = {};
        /// "builder append" → JSON pointer of its field: "/tag", "/resources/cpu"
        std::map<std::string, std::string> keys = {};
        std::string help = {};
        std::map<std::string, std::vector<std::string>> meanings =
            {};                     ///< sentence → the stages that it is of
        std::string type = "TEXT";  ///< as --help shows it
    };

    template <class Stage>
    void declare(const std::string& stage, const std::string& path = "/");
    template <class Member>
    static void describe(const Member& value, Option& option, bool& is_on);
    [[nodiscard]] bool is_wanted(std::string_view name) const;
    void add_to(CLI::App& parser, const std::string& name, Option& option);
    [[nodiscard]] fairing::Json value_of(const std::string& name, const Option& option) const;
    [[nodiscard]] fairing::Json options_for(const std::string& role, const std::string& name,
                                            const fairing::Json& defaults) const;
    [[nodiscard]] static std::string help_of(const Option& option);
    [[nodiscard]] static std::string group_of(const Option& option);
    [[nodiscard]] static bool is_of_deployers(const Option& option);
    [[nodiscard]] bool given(const std::string& option) const;
    [[nodiscard]] std::string chosen(const fairing::Json& config, const std::string& role,
                                     const std::string& given) const;
    [[nodiscard]] bool guesses_preprocessor(const fairing::Json& config) const;
    [[nodiscard]] fairing::Json preprocessor_options(const std::string& name,
                                                     const fairing::Json& config) const;

    std::vector<std::string> wanted_ = {};  ///< words; empty: all options are
    std::map<std::string, Option> options_ = {};
    std::string entry_ = {}, config_file_ = {}, report_ = {};
    std::string preprocessor_ = {}, builder_ = {}, deployer_ = {};
    std::vector<std::string> mirrors_ = {};
    bool quiet_ = false, verbose_ = false;
};

}  // namespace command
