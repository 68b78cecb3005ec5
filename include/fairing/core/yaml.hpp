// fairing/core/yaml.hpp - JSON documents as YAML and back: the only header that includes yaml-cpp,
// and only with FAIRING_YAML.
#pragma once

#include <string>
#include <string_view>

#include "error.hpp"
#include "json.hpp"
#include "version.hpp"

#if FAIRING_YAML
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <utility>
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

/// A YAML document on its way to a Json. Anchors may grow a small text beyond all measure, or hold
/// themselves: depth and count are bounded.
class YamlReader {
public:
    explicit YamlReader(const std::string& subject) : subject_(subject) {}

    [[nodiscard]] Json read(const YAML::Node& node, std::size_t depth = 0) {
        constexpr std::size_t deepest = 256;
        constexpr std::size_t most = 1000000;
        if (depth > deepest || ++count_ > most) {
            throw refuse(node, "it is nested too deep or grows too large");
        }
        switch (node.Type()) {
            case YAML::NodeType::Map:
                return read_map(node, depth);
            case YAML::NodeType::Sequence: {
                Json list = Json::array();
                for (const YAML::Node& element : node) {
                    list.push_back(read(element, depth + 1));
                }
                return list;
            }
            case YAML::NodeType::Scalar:
                return node.Tag() == "?" ? plain_scalar(node.Scalar()) : Json(node.Scalar());
            default:
                return nullptr;
        }
    }

    [[nodiscard]] Error refuse(const YAML::Mark& mark, std::string answer) const {
        return Error{ErrorCode::input,
                     {.attempted = "read",
                      .subject = subject_,
                      .answer = std::move(answer) + " (line " + std::to_string(mark.line + 1) +
                                ", column " + std::to_string(mark.column + 1) + ')'}};
    }

private:
    [[nodiscard]] Error refuse(const YAML::Node& node, std::string answer) const {
        return refuse(node.Mark(), std::move(answer));
    }

    [[nodiscard]] Json read_map(const YAML::Node& node, std::size_t depth) {
        Json object = Json::object();
        for (const auto& member : node) {
            if (!member.first.IsScalar()) {
                throw refuse(member.first, "a key that is no text");
            }
            const std::string& key = member.first.Scalar();
            if (object.contains(key)) {
                throw refuse(member.first, "a key that was there before");
            }
            object.emplace(key, read(member.second, depth + 1));
        }
        return object;
    }

    /// null, a boolean or a number in the forms that JSON shares with YAML 1.2, else a text. A
    /// number of more digits than we can hold stays a text.
    [[nodiscard]] static Json plain_scalar(const std::string& text) {
        if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
            return nullptr;
        }
        if (text == "true" || text == "True" || text == "TRUE") {
            return true;
        }
        if (text == "false" || text == "False" || text == "FALSE") {
            return false;
        }
        if (text.size() <= 18 && (text.front() == '-' || std::isdigit(byte(text.front())) != 0)) {
            Json number = Json::parse(text, nullptr, false);
            if (number.is_number()) {
                return number;
            }
        }
        return text;
    }
    [[nodiscard]] static int byte(char c) { return static_cast<unsigned char>(c); }

    const std::string& subject_;
    std::size_t count_ = 0;
};

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

/// The first YAML document in `text`; null when there is none. Throws Error{input} that names
/// `subject` and the place, and never quotes the text: it may hold credentials.
[[nodiscard]] inline Json parse_yaml(std::string_view text, const std::string& subject) {
    detail::YamlReader reader{subject};
    try {
        return reader.read(YAML::Load(std::string{text}));
    } catch (const YAML::Exception& error) {
        throw reader.refuse(error.mark, "not valid YAML");
    }
}

#else

/// Without yaml-cpp there is no YAML.
[[nodiscard]] inline Json parse_yaml(std::string_view /*text*/, const std::string& subject) {
    throw Error{ErrorCode::unsupported,
                {.attempted = "read",
                 .subject = subject,
                 .answer = "it is YAML, and this program was built without yaml-cpp (FAIRING_YAML)",
                 .advice = "give it as JSON; of a kubeconfig, what kubectl config view --raw "
                           "--flatten -o json prints"}};
}

[[nodiscard]] inline std::string to_yaml(const Json& /*document*/) {
    throw Error{ErrorCode::unsupported,
                {.attempted = "write YAML",
                 .answer = "this program was built without yaml-cpp (FAIRING_YAML)",
                 .advice = "ask for JSON"}};
}

#endif

}  // inline namespace FAIRING_ABI

}  // namespace fairing
