// tools/fairing/subcommands.hpp - one function per subcommand: gives its parser the options, and
// returns what runs it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace command {

/// Runs the subcommand with what stood behind "--"; gives the exit code.
using Action = std::function<int(std::vector<std::string> arguments)>;

/// The words of a command line ahead of "--". Those that launch have hundreds of options and add
/// only what the words name, unless they ask for help or there are none.
using Words = std::vector<std::string>;

[[nodiscard]] Action set_up_run(CLI::App& parser, const Words& words);
[[nodiscard]] Action set_up_build(CLI::App& parser, const Words& words);
[[nodiscard]] Action set_up_render(CLI::App& parser, const Words& words);
[[nodiscard]] Action set_up_list(CLI::App& parser);
[[nodiscard]] Action set_up_status(CLI::App& parser);
[[nodiscard]] Action set_up_logs(CLI::App& parser);
[[nodiscard]] Action set_up_wait(CLI::App& parser);
[[nodiscard]] Action set_up_delete(CLI::App& parser);
[[nodiscard]] Action set_up_predict(CLI::App& parser);
[[nodiscard]] Action set_up_traffic(CLI::App& parser);
[[nodiscard]] Action set_up_inspect(CLI::App& parser);
[[nodiscard]] Action set_up_copy(CLI::App& parser);
[[nodiscard]] Action set_up_tags(CLI::App& parser);
[[nodiscard]] Action set_up_attach(CLI::App& parser);
[[nodiscard]] Action set_up_cache(CLI::App& parser);

}  // namespace command
