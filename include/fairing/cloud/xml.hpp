// fairing/cloud/xml.hpp - what the answers of S3, STS and Azure say: the only header that includes
// pugixml, and only with FAIRING_XML.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "../core/error.hpp"
#include "../core/version.hpp"

#if FAIRING_XML
#include <pugixml.hpp>
#endif

namespace fairing::cloud {

inline namespace FAIRING_ABI {

/// The text of the first element of that name, whatever its namespace; nullopt when `document` is
/// no XML or has no such element. Entities of a document's own are not known.
[[nodiscard]] inline std::optional<std::string> xml_text(std::string_view document,
                                                         std::string_view element) {
#if FAIRING_XML
    pugi::xml_document tree;
    if (!tree.load_buffer(document.data(), document.size(), pugi::parse_default,
                          pugi::encoding_utf8)) {
        return std::nullopt;
    }
    const pugi::xml_node found = tree.find_node([element](const pugi::xml_node& node) {
        std::string_view name = node.name();
        if (const std::size_t colon = name.find(':'); colon != std::string_view::npos) {
            name.remove_prefix(colon + 1);
        }
        return name == element;
    });
    return found ? std::optional<std::string>{found.child_value()} : std::nullopt;
#else
    static_cast<void>(document);
    static_cast<void>(element);
    return std::nullopt;
#endif
}

/// The same for an element that must be there and hold something. Throws Error: unavailable for an
/// answer without it, unsupported when this program can not read XML.
[[nodiscard]] inline std::string needed_xml_text(std::string_view document,
                                                 std::string_view element,
                                                 const std::string& subject) {
    if (const auto text = xml_text(document, element); text && !text->empty()) {
        return *text;
    }
    throw Error{FAIRING_XML ? ErrorCode::unavailable : ErrorCode::unsupported,
                {.attempted = "read the answer of",
                 .subject = subject,
                 .answer = FAIRING_XML ? "it holds no " + std::string{element}
                                       : "it is XML, and this program was built without pugixml "
                                         "(FAIRING_XML)"}};
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud
