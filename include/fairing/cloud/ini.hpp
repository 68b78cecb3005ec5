// fairing/cloud/ini.hpp - the settings files of the aws and gcloud commands: sections of `key =
// value` lines.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "../core/error.hpp"
#include "../core/files.hpp"

namespace fairing::cloud {

/// Section -> key -> value.
using Ini = std::map<std::string, std::map<std::string, std::string>>;

/// Lines that are no setting are passed over, as the commands do; indented ones belong to a nested
/// setting and are passed over too. What comes later wins.
[[nodiscard]] inline Ini parse_ini(std::string_view text) {
    const auto trimmed = [](std::string_view part) {
        const std::size_t begin = part.find_first_not_of(" \t\r");
        return begin == std::string_view::npos
                   ? std::string{}
                   : std::string{part.substr(begin, part.find_last_not_of(" \t\r") - begin + 1)};
    };
    Ini sections;
    std::string section;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        const std::size_t equals = line.find('=');
        if (line.empty() || line[0] == '#' || line[0] == ';' || line[0] == ' ' || line[0] == '\t') {
            continue;
        }
        if (line[0] == '[') {
            section = trimmed(line.substr(1, line.find(']') - 1));
        } else if (equals != std::string_view::npos) {
            sections[section][trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
        }
    }
    return sections;
}

/// The same of a file; empty when there is none.
[[nodiscard]] inline Ini read_ini(const std::filesystem::path& path) {
    try {
        return path.empty() ? Ini{} : parse_ini(read_file(path, std::size_t{1} << 20));
    } catch (const Error& error) {
        if (error.code() == ErrorCode::not_found) {
            return {};
        }
        throw;
    }
}

/// A setting; empty when there is none.
[[nodiscard]] inline std::string setting(const Ini& ini, const std::string& section,
                                         const std::string& key) {
    const auto found = ini.find(section);
    if (found == ini.end()) {
        return {};
    }
    const auto value = found->second.find(key);
    return value == found->second.end() ? std::string{} : value->second;
}

}  // namespace fairing::cloud
