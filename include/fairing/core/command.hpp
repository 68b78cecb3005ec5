// fairing/core/command.hpp - a program with its arguments and environment, and where it is
// (execve(2), environ(7)).
#pragma once

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "env.hpp"
#include "error.hpp"

namespace fairing {

enum class BaseEnvironment { inherit, clean };

/// A program and how to start it. The first argument is its name, looked up in the PATH that it
/// will see, or a path.
struct Command {
    std::vector<std::string> arguments = {};
    std::map<std::string, std::string> environment = {};  ///< added to the base
    BaseEnvironment base = BaseEnvironment::inherit;
    std::filesystem::path directory = {};  ///< ours when empty
    std::vector<std::string> unset = {};   ///< taken out of the base
    /// Programs with their arguments, run one after the other should we die before the program has
    /// ended: what our destructors would have done. Those that are not found are left out.
    std::vector<std::vector<std::string>> if_we_die = {};
};

/// Where `name` is in `search_path` (a list like PATH, by default that of this process); a name
/// with a slash is itself. nullopt when there is no such executable file.
[[nodiscard]] inline std::optional<std::filesystem::path> find_program(
    const std::string& name,
    const std::string& search_path = env("PATH", "/usr/local/bin:/usr/bin:/bin")) {
    const auto runnable = [](const std::filesystem::path& path) {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
               ::access(path.c_str(), X_OK) == 0;
    };
    if (name.find('/') != std::string::npos) {
        return runnable(name) ? std::optional<std::filesystem::path>{name} : std::nullopt;
    }
    for (std::size_t start = 0; !name.empty() && start <= search_path.size();) {
        const std::size_t end = std::min(search_path.find(':', start), search_path.size());
        if (end > start) {
            std::filesystem::path path =
                std::filesystem::path{search_path.substr(start, end - start)} / name;
            if (runnable(path)) {
                return path;
            }
        }
        start = end + 1;
    }
    return std::nullopt;
}

namespace detail {

/// A Command as execve(2) wants it.
class PreparedCommand {
public:
    explicit PreparedCommand(const Command& command)
        : arguments_(command.arguments), last_(command.if_we_die) {
        if (arguments_.empty() || arguments_.front().empty()) {
            throw Error{ErrorCode::usage,
                        {.attempted = "run a program", .answer = "the command is empty"}};
        }
        std::map<std::string, std::string> variables = base(command);
        for (const auto& [name, value] : command.environment) {
            if (name.empty() || name.find('=') != std::string::npos) {
                throw Error{ErrorCode::input,
                            {.attempted = "run",
                             .subject = arguments_.front(),
                             .answer = "\"" + name + "\" is no name of an environment variable"}};
            }
            variables.insert_or_assign(name, value);
        }
        for (const auto& [name, value] : variables) {
            environment_.push_back(name + '=' + value);
        }
        for (const auto* list : {&arguments_, &environment_}) {
            for (const std::string& text : *list) {
                if (text.find('\0') != std::string::npos) {
                    throw Error{ErrorCode::input,
                                {.attempted = "run",
                                 .subject = arguments_.front(),
                                 .answer = "an argument or variable holds a NUL byte"}};
                }
            }
        }
        const auto path = variables.find("PATH");
        find_candidates(path == variables.end() ? "/usr/local/bin:/usr/bin:/bin" : path->second);
        argument_pointers_ = pointers(arguments_);
        environment_pointers_ = pointers(environment_);
        candidate_pointers_ = pointers(candidates_);
        for (std::vector<std::string>& program : last_) {
            if (const auto found =
                    find_program(program.empty() ? std::string{} : program.front())) {
                program.front() = found->string();
                last_pointers_.push_back(pointers(program));
                last_starts_.push_back(last_pointers_.back().data());
            }
        }
        last_starts_.push_back(nullptr);
    }
    PreparedCommand(PreparedCommand&&) = delete;
    PreparedCommand& operator=(PreparedCommand&&) = delete;
    ~PreparedCommand() = default;

    [[nodiscard]] char* const* arguments() const noexcept { return argument_pointers_.data(); }
    [[nodiscard]] char* const* environment() const noexcept { return environment_pointers_.data(); }
    [[nodiscard]] const char* const* candidates() const noexcept {
        return candidate_pointers_.data();
    }

    /// Argument lists, the first of each a path; a null pointer ends them.
    [[nodiscard]] char* const* const* if_we_die() const noexcept { return last_starts_.data(); }

private:
    static std::map<std::string, std::string> base(const Command& command) {
        std::map<std::string, std::string> variables;
        if (command.base == BaseEnvironment::inherit) {
            for (char** entry = ::environ; entry != nullptr && *entry != nullptr; ++entry) {
                const std::string_view text{*entry};
                if (const std::size_t equals = text.find('='); equals != std::string_view::npos) {
                    variables.try_emplace(std::string{text.substr(0, equals)},
                                          text.substr(equals + 1));
                }
            }
        }
        for (const std::string& name : command.unset) {
            variables.erase(name);
        }
        return variables;
    }

    void find_candidates(const std::string& search_path) {
        const std::string& name = arguments_.front();
        if (name.find('/') != std::string::npos) {
            candidates_.push_back(name);
            return;
        }
        for (std::size_t start = 0; start <= search_path.size();) {
            const std::size_t end = std::min(search_path.find(':', start), search_path.size());
            if (end > start) {
                candidates_.push_back(search_path.substr(start, end - start) + '/' + name);
            }
            start = end + 1;
        }
    }

    static std::vector<char*> pointers(std::vector<std::string>& texts) {
        std::vector<char*> result;
        result.reserve(texts.size() + 1);
        for (std::string& text : texts) {
            result.push_back(text.data());
        }
        result.push_back(nullptr);
        return result;
    }

    std::vector<std::string> arguments_, environment_ = {}, candidates_ = {};
    std::vector<char*> argument_pointers_ = {}, environment_pointers_ = {},
                       candidate_pointers_ = {};
    std::vector<std::vector<std::string>> last_;
    std::vector<std::vector<char*>> last_pointers_ = {};
    std::vector<char* const*> last_starts_ = {};
};

}  // namespace detail

}  // namespace fairing
