// tools/fairing/subcommands.hpp - one function per subcommand: adds itself to the parser, and gives
// what runs it.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <vector>

namespace command {

/// Runs the subcommand with what stood behind "--"; gives the exit code.
using Action = std::function<int(std::vector<std::string> arguments)>;

[[nodiscard]] Action add_run(CLI::App& app);
[[nodiscard]] Action add_build(CLI::App& app);
[[nodiscard]] Action add_render(CLI::App& app);
[[nodiscard]] Action add_list(CLI::App& app);
[[nodiscard]] Action add_status(CLI::App& app);
[[nodiscard]] Action add_logs(CLI::App& app);
[[nodiscard]] Action add_wait(CLI::App& app);
[[nodiscard]] Action add_delete(CLI::App& app);
[[nodiscard]] Action add_predict(CLI::App& app);
[[nodiscard]] Action add_traffic(CLI::App& app);
[[nodiscard]] Action add_inspect(CLI::App& app);
[[nodiscard]] Action add_copy(CLI::App& app);
[[nodiscard]] Action add_tags(CLI::App& app);
[[nodiscard]] Action add_attach(CLI::App& app);
[[nodiscard]] Action add_cache(CLI::App& app);

}  // namespace command
