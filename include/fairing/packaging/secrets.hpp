// fairing/packaging/secrets.hpp - names that usually hold secrets, and are left out of images
// unless asked for. Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

namespace fairing::packaging {

/// What becomes of a file that a rule of secret_rule() names.
enum class Secrets { leave_out, include };

/// The rule that a file or folder called `name` in a folder called `folder` ("" for none) falls
/// under, or nothing.
///
/// `id_*` means private keys as ssh-keygen names them: id_rsa, id_dsa, id_ecdsa, id_ed25519 with
/// anything behind, and any other id_ without a dot; never *.pub. So id_ed25519_work.bak is one,
/// id_mapping.csv is not.
[[nodiscard]] inline std::optional<std::string_view> secret_rule_of_name(std::string_view folder,
                                                                         std::string_view name) {
    constexpr std::array<std::string_view, 6> whole = {
        ".git", ".aws", ".ssh", ".kube", ".netrc", "application_default_credentials.json"};
    constexpr std::array<std::string_view, 4> keys = {"id_rsa", "id_dsa", "id_ecdsa", "id_ed25519"};
    if (const auto* rule = std::find(whole.begin(), whole.end(), name); rule != whole.end()) {
        return *rule;
    }
    if (name.starts_with(".env")) {
        return ".env*";
    }
    if (folder == ".docker" && name == "config.json") {
        return ".docker/config.json";
    }
    if (name.ends_with(".pem")) {
        return "*.pem";
    }
    if (name.starts_with("id_") && !name.ends_with(".pub") &&
        (name.find('.') == std::string_view::npos ||
         std::any_of(keys.begin(), keys.end(),
                     [&](std::string_view key) { return name.starts_with(key); }))) {
        return "id_*";
    }
    return std::nullopt;
}

/// The rule that a path falls under by its last component or by any folder in it, or nothing.
[[nodiscard]] inline std::optional<std::string_view> secret_rule(std::string_view path) {
    std::string_view folder;
    while (!path.empty()) {
        const std::string_view name = path.substr(0, path.find('/'));
        path.remove_prefix(name.size() < path.size() ? name.size() + 1 : name.size());
        if (const auto rule = secret_rule_of_name(folder, name)) {
            return rule;
        }
        folder = name;
    }
    return std::nullopt;
}

}  // namespace fairing::packaging
