// fairing/core/yaml.hpp - JSON documents as YAML: the only header that includes yaml-cpp, and only with FAIRING_YAML.
#pragma once

#include <string>

#include "error.hpp"
#include "json.hpp"
#include "version.hpp"

#if FAIRING_YAML
#include <yaml-cpp/yaml.h>
#endif

namespace fairing {

inline namespace FAIRING_ABI {

#if FAIRING_YAML

namespace detail {

inline void emit(YAML::Emitter& out, const Json& value) {
    switch (value.type()) {
        case Json::value_t::object:
            out << (value.empty() ? YAML::Flow : YAML::Block) << YAML::BeginMap;
            for (const auto& [key, member] : value.items()) {
                out << YAML::Key << key << YAML::Value;
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
            // Always quoted: no text is ever taken for a number, a boolean or null by another reader.
            out << YAML::DoubleQuoted << value.get_ref<const std::string&>();
            return;
        default:
            out << value.dump();  // null, booleans and numbers are written alike in both languages
    }
}

}  // namespace detail

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
