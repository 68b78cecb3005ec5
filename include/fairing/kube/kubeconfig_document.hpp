// fairing/kube/kubeconfig_document.hpp - kubeconfig files as documents: read, merged as kubectl
// merges them, and cut down to what one context uses
// (kubernetes.io/docs/concepts/configuration/organize-cluster-access-kubeconfig).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/base64.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/json_text.hpp"
#include "../core/version.hpp"
#include "../core/yaml.hpp"
#include "../net/url.hpp"

namespace fairing::kube {

/// A kubeconfig as it was read, and whence: relative paths in it start there.
struct KubeconfigFile {
    std::filesystem::path path = {};
    Json document = {};
};

namespace detail {

[[nodiscard]] inline Error bad_kubeconfig(std::string subject, std::string answer,
                                          std::string advice = {}) {
    return Error{ErrorCode::input,
                 {.attempted = "use kubeconfig",
                  .subject = std::move(subject),
                  .answer = std::move(answer),
                  .advice = std::move(advice)}};
}

/// One named entry of the lists `clusters`, `contexts` and `users`; what it holds is under `kind`.
class Entry {
public:
    Entry(const char* kind, std::string name, const Json& content)
        : kind_(kind), name_(std::move(name)), content_(content) {}

    [[nodiscard]] const Json& content() const noexcept { return content_; }
    [[nodiscard]] std::string title() const { return std::string{kind_} + " \"" + name_ + '"'; }
    [[nodiscard]] bool has(const char* key) const {
        return content_.contains(key) && !content_[key].is_null();
    }
    /// YAML makes numbers and booleans of texts without quotes: they are texts here.
    [[nodiscard]] std::string text(const char* key) const {
        return has(key) ? text_of(content_[key], key) : std::string{};
    }
    [[nodiscard]] std::string text_of(const Json& value, const std::string& key) const {
        if (value.is_string()) {
            return value.get<std::string>();
        }
        if (value.is_structured() || value.is_null()) {
            throw bad_kubeconfig(title(), key + " is not a text");
        }
        return value.dump();
    }
    /// True in the words of YAML 1.1, which kubectl reads.
    [[nodiscard]] bool flag(const char* key) const {
        constexpr std::array<std::string_view, 4> yes = {"true", "yes", "on", "y"};
        constexpr std::array<std::string_view, 5> no = {"", "false", "no", "off", "n"};
        std::string value = text(key);
        std::transform(value.begin(), value.end(), value.begin(), net::detail::lower);
        if (std::find(yes.begin(), yes.end(), value) != yes.end()) {
            return true;
        }
        if (std::find(no.begin(), no.end(), value) != no.end()) {
            return false;
        }
        throw bad_kubeconfig(title(), std::string{key} + " is neither true nor false");
    }
    [[nodiscard]] std::vector<std::string> texts(const char* key) const {
        std::vector<std::string> result;
        if (!has(key)) {
            return result;
        }
        if (!content_[key].is_array()) {
            throw bad_kubeconfig(title(), std::string{key} + " is not a list");
        }
        for (const Json& element : content_[key]) {
            result.push_back(text_of(element, key));
        }
        return result;
    }
    /// Member `key` in Base64, else the file that `file_key` names; empty without either. The error
    /// never quotes what is in them.
    [[nodiscard]] std::string data_or_file(const char* key, const char* file_key) const {
        if (const std::string data = text(key); !data.empty()) {
            try {
                return codec::base64_decode(without_spaces(data));
            } catch (const Error&) {
                throw bad_kubeconfig(title(), std::string{key} + " is not Base64");
            }
        }
        const std::string file = text(file_key);
        if (file.empty()) {
            return {};
        }
        try {
            return read_file(file, std::size_t{1} << 20);
        } catch (const Error& error) {
            throw bad_kubeconfig(
                title(), std::string{file_key} + ' ' + file + ": " + error.details().answer);
        }
    }

private:
    [[nodiscard]] static std::string without_spaces(std::string text) {
        std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
        return text;
    }

    const char* kind_;
    std::string name_;
    const Json& content_;
};

/// Members of an entry that name files, which are relative to the kubeconfig's own folder.
inline void make_absolute(Json& content, const std::filesystem::path& folder) {
    const auto fix = [&folder](Json& value) {
        const std::string text = value.is_string() ? value.get<std::string>() : "";
        if (!text.empty() && !text.starts_with('/')) {
            value = (folder / text).lexically_normal().string();
        }
    };
    for (const char* key :
         {"certificate-authority", "client-certificate", "client-key", "tokenFile"}) {
        if (content.contains(key)) {
            fix(content[key]);
        }
    }
    if (content.contains("exec") && content["exec"].is_object() &&
        text_or(content["exec"], "command").find('/') != std::string::npos) {
        fix(content["exec"]["command"]);
    }
}

/// Adds the entries of `from` that `into` does not have yet. A list that names something twice is
/// an error: nobody could say which one is meant.
inline void merge_entries(Json& into, const KubeconfigFile& from, const char* list,
                          const char* kind) {
    const Json& entries = from.document.contains(list) ? from.document[list] : Json();
    if (entries.is_null()) {
        return;
    }
    if (!entries.is_array()) {
        throw bad_kubeconfig(from.path.string(), std::string{list} + " is not a list");
    }
    std::vector<std::string> own;
    for (const Json& entry : entries) {
        if (!entry.is_object() || !entry.contains("name")) {
            throw bad_kubeconfig(from.path.string(),
                                 std::string{"an entry of "} + list + " has no name");
        }
        const Entry reader{kind, "", entry};
        const std::string name = reader.text("name");
        if (std::find(own.begin(), own.end(), name) != own.end()) {
            throw bad_kubeconfig(from.path.string(),
                                 std::string{list} + " names \"" + name + "\" twice");
        }
        own.push_back(name);
        const bool known = std::any_of(into[list].begin(), into[list].end(),
                                       [&](const Json& other) { return other["name"] == name; });
        if (known) {
            continue;
        }
        Json content = entry.value(kind, Json::object());
        content = content.is_null() ? Json::object() : content;
        if (!content.is_object()) {
            throw bad_kubeconfig(from.path.string(),
                                 std::string{kind} + " \"" + name + "\" is not a map");
        }
        make_absolute(content, from.path.parent_path());
        into[list].push_back({{"name", name}, {kind, std::move(content)}});
    }
}

[[nodiscard]] inline std::string names_of(const Json& list) {
    std::string names;
    for (const Json& entry : list) {
        names += (names.empty() ? "" : ", ") + text_or(entry, "name");
    }
    return names.empty() ? "none" : names;
}

/// The entry of that name. `why` says who names it.
[[nodiscard]] inline Entry find_entry(const Json& config, const char* list, const char* kind,
                                      const std::string& name, const std::string& why) {
    for (const Json& entry : config[list]) {
        if (text_or(entry, "name") == name) {
            return Entry{kind, name, entry[kind]};
        }
    }
    throw bad_kubeconfig(std::string{kind} + " \"" + name + '"', "there is none of that name" + why,
                         std::string{"there are: "} + names_of(config[list]));
}

}  // namespace detail

inline namespace FAIRING_ABI {

/// A kubeconfig in JSON or YAML; an empty one is an empty object. Throws Error{input} that names
/// `subject` and never quotes the text.
[[nodiscard]] inline Json parse_kubeconfig(std::string_view text, const std::string& subject) {
    const std::size_t start = text.find_first_not_of(" \t\r\n");
    if (start == std::string_view::npos) {
        return Json::object();
    }
    // JSON needs no yaml-cpp; what only looks like it may be a map of YAML.
    Json document;
    if (text[start] == '{' && !is_too_deep(text)) {
        document = Json::parse(text, nullptr, false);
    }
    if (!document.is_object()) {
        document = parse_yaml(text, subject);
    }
    if (document.is_null()) {
        return Json::object();
    }
    if (!document.is_object()) {
        throw detail::bad_kubeconfig(subject, "it is not a map");
    }
    if (const std::string kind = text_or(document, "kind", "Config"); kind != "Config") {
        throw detail::bad_kubeconfig(subject, "its kind is not Config");
    }
    return document;
}

/// One kubeconfig out of several: of each entry, and of current-context, the first file's wins as a
/// whole. Paths are absolute afterwards.
[[nodiscard]] inline Json merge_kubeconfigs(const std::vector<KubeconfigFile>& files) {
    Json merged = {{"apiVersion", "v1"},        {"kind", "Config"},
                   {"clusters", Json::array()}, {"contexts", Json::array()},
                   {"current-context", ""},     {"users", Json::array()}};
    for (const KubeconfigFile& file : files) {
        detail::merge_entries(merged, file, "clusters", "cluster");
        detail::merge_entries(merged, file, "contexts", "context");
        detail::merge_entries(merged, file, "users", "user");
        if (merged["current-context"] == "" && file.document.contains("current-context")) {
            merged["current-context"] =
                detail::Entry{"kubeconfig", file.path.string(), file.document}.text(
                    "current-context");
        }
    }
    return merged;
}

/// Only what `context` (or current-context when it is empty) uses of a merged kubeconfig. Throws
/// Error{input} that names the missing context, cluster or user.
[[nodiscard]] inline Json minify_kubeconfig(const Json& merged, std::string context = {}) {
    if (context.empty()) {
        context = text_or(merged, "current-context");
    }
    if (context.empty()) {
        throw detail::bad_kubeconfig(
            "", "it has no current-context",
            "choose one with --context; there are: " + detail::names_of(merged["contexts"]));
    }
    const detail::Entry chosen =
        detail::find_entry(merged, "contexts", "context", context, std::string{});
    const std::string why = ", which " + chosen.title() + " names";
    const std::string cluster = chosen.text("cluster");
    if (cluster.empty()) {
        throw detail::bad_kubeconfig(chosen.title(), "it names no cluster");
    }
    Json result = {{"apiVersion", "v1"},
                   {"kind", "Config"},
                   {"clusters", Json::array()},
                   {"contexts", Json::array({{{"name", context}, {"context", chosen.content()}}})},
                   {"current-context", context},
                   {"users", Json::array()}};
    result["clusters"].push_back(
        {{"name", cluster},
         {"cluster", detail::find_entry(merged, "clusters", "cluster", cluster, why).content()}});
    if (const std::string user = chosen.text("user"); !user.empty()) {
        result["users"].push_back(
            {{"name", user},
             {"user", detail::find_entry(merged, "users", "user", user, why).content()}});
    }
    return result;
}

}  // inline namespace FAIRING_ABI

}  // namespace fairing::kube
