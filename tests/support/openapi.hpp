// tests/support/openapi.hpp - Kubernetes objects against the API's own schema (OpenAPI v2), more
// strictly than a server: a field that the schema does not name is a finding.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fairing/core/json.hpp"

namespace support {

class OpenApi {
public:
    using Json = fairing::Json;

    /// The schema of $FAIRING_TEST_DATA/k8s; null when it is not there.
    [[nodiscard]] static std::unique_ptr<OpenApi> find() {
        const char* data = std::getenv("FAIRING_TEST_DATA");
        const std::filesystem::path folder =
            std::filesystem::path{data == nullptr ? "" : data} / "k8s";
        if (data == nullptr || !std::filesystem::is_directory(folder)) {
            return nullptr;
        }
        for (const auto& entry : std::filesystem::directory_iterator{folder}) {
            if (entry.path().extension() == ".json") {
                std::ifstream stream{entry.path()};
                return std::make_unique<OpenApi>(Json::parse(stream));
            }
        }
        return nullptr;
    }
    explicit OpenApi(Json document) : document_(std::move(document)) {}

    /// "spec.runs: no such field", …; empty when the object is what its schema says.
    [[nodiscard]] std::vector<std::string> findings(const Json& object) const {
        std::vector<std::string> result;
        const std::string name = schema_name(object);
        if (name.empty()) {
            return {"no schema for " + object.value("apiVersion", "") + ' ' +
                    object.value("kind", "")};
        }
        check(object, document_["definitions"][name], "", result);
        return result;
    }

private:
    [[nodiscard]] std::string schema_name(const Json& object) const {
        const std::string api_version = object.value("apiVersion", "");
        const std::size_t slash = api_version.find('/');
        const std::string group = slash == std::string::npos ? "" : api_version.substr(0, slash);
        const std::string version =
            slash == std::string::npos ? api_version : api_version.substr(slash + 1);
        for (const auto& [name, schema] : document_["definitions"].items()) {
            for (const Json& kind :
                 schema.value("x-kubernetes-group-version-kind", Json::array())) {
                if (kind.value("group", "") == group && kind.value("version", "") == version &&
                    kind.value("kind", "") == object.value("kind", "")) {
                    return name;
                }
            }
        }
        return {};
    }

    void check(const Json& value, const Json& schema, const std::string& path,
               std::vector<std::string>& result) const {
        if (schema.contains("$ref")) {
            const std::string reference = schema["$ref"].get<std::string>();
            check(value, document_["definitions"][reference.substr(reference.rfind('/') + 1)], path,
                  result);
            return;
        }
        const std::string type = schema.value("type", "");
        const bool is_of_type =
            type.empty() || (type == "object" && value.is_object()) ||
            (type == "array" && value.is_array()) || (type == "string" && value.is_string()) ||
            (type == "integer" && value.is_number_integer()) ||
            (type == "number" && value.is_number()) || (type == "boolean" && value.is_boolean()) ||
            // A port by its number or by its name.
            (schema.value("format", "") == "int-or-string" && value.is_number_integer());
        if (!is_of_type) {
            result.push_back(path + ": not of type " + type);
            return;
        }
        if (value.is_array()) {
            for (std::size_t i = 0; i < value.size(); ++i) {
                check(value[i], schema.value("items", Json::object()),
                      path + '[' + std::to_string(i) + ']', result);
            }
        }
        if (value.is_object()) {
            check_members(value, schema, path, result);
        }
    }

    void check_members(const Json& value, const Json& schema, const std::string& path,
                       std::vector<std::string>& result) const {
        const Json properties = schema.value("properties", Json::object());
        for (const Json& name : schema.value("required", Json::array())) {
            if (!value.contains(name.get<std::string>())) {
                result.push_back(path + ": without " + name.get<std::string>());
            }
        }
        for (const auto& [key, member] : value.items()) {
            const std::string at = path.empty() ? key : path + '.' + key;
            if (properties.contains(key)) {
                check(member, properties[key], at, result);
            } else if (schema.contains("additionalProperties")) {
                check(member, schema["additionalProperties"], at, result);
            } else if (!properties.empty()) {
                result.push_back(at + ": no such field");
            }
        }
    }

    Json document_;
};

}  // namespace support
