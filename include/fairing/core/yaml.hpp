// fairing/core/yaml.hpp - JSON documents as YAML: the only header that includes yaml-cpp, and only
// with FAIRING_YAML.
#pragma once

#include <string>

#include "error.hpp"
#include "json.hpp"
#include "version.hpp"

#if FAIRING_YAML
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#endif

namespace fairing {

#if FAIRING_YAML

namespace detail {

/// Whether every reader takes `key` for a text when it stands without quotes: YAML 1.1 knows many
/// words for true and false.
[[nodiscard]] inline bool is_plain_key(std::string key) {
    constexpr std::array<std::string_view, 9> words = {"y",   "n",    "yes",   "no",  "on",
                                                       "off", "true", "false", "null"};
    if (key.empty() || std::isalpha(static_cast<unsigned char>(key.front())) == 0) {
        return false;
    }
    for (char& c : key) {
        c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    return std::find(words.begin(), words.end(), key) == words.end();
}

inline void emit(YAML::Emitter& out, const Json& value) {
    switch (value.type()) {
        case Json::value_t::object:
            out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
            for (const auto& [key, member] : value.items()) {
                out << YAML::Key;
                if (!is_plain_key(key)) {
                    out << YAML::DoubleQuoted;
                }
                out << key << YAML::Value;
                emit(out, member);
            }
            out << YAML::EndMap;
            return;
        case Json::value_t::array:
            out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginSeq;
            for (const Json& element : value) {
                emit(out, element);
            }
            out << YAML::EndSeq;
            return;
        case Json::value_t::string:
            // Always quoted: no text is ever taken for a number, a boolean or null by another
            // reader.
            out << YAML::DoubleQuoted << value.get_ref<const std::string&>();
            return;
        case Json::value_t::null:
            out << YAML::Null;
            return;
        default:
            out << value.dump();  // booleans and numbers are written alike in both languages
    }
}

}  // namespace detail

#endif

inline namespace FAIRING_ABI {

#if FAIRING_YAML

/// `document` as one YAML document (YAML 1.2), ended by a newline.
[[nodiscard]] inline std::string to_yaml(const Json& document) {
    YAML::Emitter out;
    detail::emit(out, document);
    return std::string{out.c_str(), out.size()} + '\n';
}

#else

[[nodiscard]] inline std::string to_yaml(const Json& /*document*/) {
    throw Error{ErrorCode::unsupported,
                {.attempted = "write YAML",
                 .answer = "this program was built without yaml-cpp (FAIRING_YAML)",
                 .advice = "ask for JSON"}};
}

#endif

}  // inline namespace FAIRING_ABI

}  // namespace fairing
