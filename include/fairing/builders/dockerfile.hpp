// fairing/builders/dockerfile.hpp - the Dockerfile of a context (Dockerfile reference,
// docs.docker.com), for builders that leave the building to somebody else. Pure.
//
// Nothing here is read by a shell: every command is in JSON form, and what Docker itself would
// expand or split is either quoted or refused.
#pragma once

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/json.hpp"
#include "../oci/reference.hpp"
#include "../packaging/context.hpp"
#include "../packaging/text.hpp"

namespace fairing::dockerfile {

namespace detail {

[[nodiscard]] inline Error refuse(const std::string& what, std::string_view value,
                                  std::string answer) {
    return Error{
        ErrorCode::unsupported,
        {.attempted = "write to a Dockerfile",
         .subject = what + " \"" + packaging::escaped(value) + '"',
         .answer = std::move(answer),
         .advice = "choose another name, or the builder append, which needs no Dockerfile"}};
}

/// Letters, digits, bytes of UTF-8 and what Docker takes literally in a path.
[[nodiscard]] inline const std::string& plain_path(const std::string& path) {
    for (const char c : path) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = byte >= 0x80 || std::isalnum(byte) != 0 ||
                           std::string_view{"/._-+@%=,:~ "}.find(c) != std::string_view::npos;
        if (!plain) {
            throw refuse("the path", path, "only letters, digits and /._-+@%=,:~ are safe in one");
        }
    }
    if (path.empty() || path.front() == '-' || path.front() == ' ' || path.back() == ' ') {
        throw refuse("the path", path, "it is empty, or begins with \"-\" or a blank, or ends so");
    }
    return path;
}

[[nodiscard]] inline const std::string& plain_variable(const std::string& name) {
    const auto is_first = [](char c) {
        return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_';
    };
    const bool plain = !name.empty() && is_first(name.front()) &&
                       std::all_of(name.begin(), name.end(), [&](char c) {
                           return is_first(c) || (c >= '0' && c <= '9') || c == '.' || c == '-';
                       });
    if (!plain) {
        throw refuse("the variable", name,
                     "a variable is of letters, digits and _.-, and begins with a letter");
    }
    return name;
}

/// The value between double quotes, in which nothing is expanded.
[[nodiscard]] inline std::string quoted(const std::string& name, std::string_view value) {
    std::string result;
    for (const char c : value) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            throw refuse("the value of " + name, value, "a line of it can not hold this");
        }
        result += c == '"' || c == '\\' || c == '$' ? std::string{'\\', c} : std::string{c};
    }
    return result;
}

/// As JSON, which a Dockerfile's exec form is; everything but ASCII is escaped.
[[nodiscard]] inline std::string exec_form(const std::vector<std::string>& words) {
    for (const std::string& word : words) {
        if (word.find('\0') != std::string::npos) {
            throw refuse("the word", word, "it holds a NUL");
        }
    }
    try {
        return Json(words).dump(-1, ' ', true);
    } catch (const Json::exception&) {
        throw refuse("a command", words.front(), "one of its words is not UTF-8");
    }
}

[[nodiscard]] inline std::string copy(const std::vector<std::string>& files,
                                      const std::string& folder) {
    std::vector<std::string> words;
    words.reserve(files.size() + 1);
    for (const std::string& file : files) {
        words.push_back(plain_path(file.substr(1)));
    }
    words.push_back(plain_path(folder));
    return "COPY " + exec_form(words) + '\n';
}

[[nodiscard]] inline std::string folder_of(const std::string& file) {
    return file.substr(0, file.rfind('/') + 1);
}

/// requirements.txt, and what it may name in its turn, in the working directory itself.
[[nodiscard]] inline std::vector<std::string> requirement_files(const Context& context,
                                                                const std::string& folder) {
    std::vector<std::string> found;
    bool asked = false;
    for (const ContextFile& file : context.files) {
        if (file.layer == "requirements") {
            return {};  // the packages are in the context already
        }
        const std::string name = file.destination.substr(file.destination.rfind('/') + 1);
        const bool related = name.find("requirements") != std::string::npos ||
                             name.find("constraints") != std::string::npos;
        if (folder_of(file.destination) == folder && file.kind == FileKind::regular && related &&
            name.ends_with(".txt")) {
            found.push_back(file.destination);
            asked = asked || name == "requirements.txt";
        }
    }
    return asked ? found : std::vector<std::string>{};
}

/// Instructions and the names of stages are the same in any case.
[[nodiscard]] inline std::string upper_case(std::string word) {
    std::transform(word.begin(), word.end(), word.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    return word;
}

/// FROM, --from of COPY, and from= of RUN's --mount.
[[nodiscard]] inline std::vector<std::string> image_words(const std::vector<std::string>& words) {
    const std::string first = words.empty() ? "" : upper_case(words.front());
    std::vector<std::string> found;
    for (std::size_t i = 1; i < words.size(); ++i) {
        constexpr std::string_view option = "--from=";
        const bool is_option = words[i].starts_with("--");
        if (first == "FROM" && !is_option) {
            return {words[i]};
        }
        if ((first == "COPY" || first == "ADD") && words[i].starts_with(option)) {
            found.push_back(words[i].substr(option.size()));
        }
        constexpr std::string_view mount = "--mount=";  // type=bind,from=image,…
        if (first == "RUN" && words[i].starts_with(mount)) {
            std::istringstream parts{words[i].substr(mount.size())};
            for (std::string part; std::getline(parts, part, ',');) {
                if (part.starts_with("from=")) {
                    found.push_back(part.substr(part.find('=') + 1));
                }
            }
        }
    }
    return found;
}

}  // namespace detail

/// Whether the generated Dockerfile runs pip: for a requirements.txt in the working directory.
[[nodiscard]] inline bool installs_packages(const Context& context) {
    const std::string& folder = context.working_directory;
    return !detail::requirement_files(context, folder.ends_with('/') ? folder : folder + '/')
                .empty();
}

/// The Dockerfile that puts the context onto `base`: the requirements are installed before the code
/// is copied, so that an edit of the code installs nothing. The build's context is expected to hold
/// each file at its destination, without the "/" in front. Files below the working directory may
/// have any name. Throws Error{unsupported} for a name or value that can not be written safely.
[[nodiscard]] inline std::string generate(const Context& context, const std::string& base) {
    using namespace detail;
    static_cast<void>(oci::parse_reference(base));  // of a safe alphabet then
    if (base.starts_with('-') || base.find_first_of(" $") != std::string::npos) {
        throw refuse("the base image", base, "it is no name of an image");
    }
    std::string folder =
        plain_path(context.working_directory.empty() ? "/" : context.working_directory);
    folder += folder.ends_with('/') ? "" : "/";
    if (!folder.starts_with('/')) {
        throw refuse("the path", folder, "the working directory does not begin with /");
    }
    std::string text = "FROM " + base + "\nUSER 0\nWORKDIR " + folder + '\n';
    std::string variables;  // in one step: each costs a layer with some engines
    for (const auto& [name, value] : context.environment) {
        variables += ' ' + plain_variable(name) + "=\"" + quoted(name, value) + '"';
    }
    for (const auto& [name, folders] : context.search_paths) {
        // In front of what the base has, if it has any.
        variables += ' ' + plain_variable(name) + "=\"" + quoted(name, folders) + "${" + name +
                     ":+:$" + name + "}\"";
    }
    text += variables.empty() ? "" : "ENV" + variables + '\n';
    if (const std::vector<std::string> files = requirement_files(context, folder); !files.empty()) {
        text += copy(files, folder) + "RUN " +
                exec_form({"env", "PIP_BREAK_SYSTEM_PACKAGES=1", "PIP_ROOT_USER_ACTION=ignore",
                           "python3", "-m", "pip", "install", "--no-cache-dir",
                           "--disable-pip-version-check", "--no-input", "-r",
                           folder + "requirements.txt"}) +
                '\n';
    }
    // A folder of the context keeps its links and any names; elsewhere it would lend its mode to a
    // folder of the base.
    bool has_own = false;
    std::map<std::string, std::vector<std::string>> elsewhere;
    for (const ContextFile& file : context.files) {
        if (folder != "/" && file.destination.starts_with(folder)) {
            has_own = true;
            continue;
        }
        if (file.kind == FileKind::symlink) {
            throw refuse("the symbolic link", file.destination,
                         "one outside of " + folder + " would be followed");
        }
        elsewhere[folder_of(file.destination)].push_back(file.destination);
    }
    if (has_own) {
        text += copy({folder}, folder);
    }
    for (const auto& [place, files] : elsewhere) {
        text += copy(files, place);
    }
    text += "ENTRYPOINT []\n";
    if (!context.command.empty()) {
        text += "CMD " + exec_form(context.command) + '\n';
    }
    return text;
}

/// The images that a Dockerfile builds on or copies from; not its own stages, and none whose name
/// is in a variable.
[[nodiscard]] inline std::vector<oci::Reference> images_of(const std::string& text) {
    std::vector<oci::Reference> images;
    std::set<std::string> stages = {"SCRATCH"};
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
        const std::size_t first = line.find_first_not_of(" \t");
        const bool is_comment = first != std::string::npos && line[first] == '#';
        for (std::string more; !is_comment && line.ends_with('\\') && std::getline(lines, more);) {
            line.back() = ' ';
            line += more;
        }
        std::istringstream stream{line};
        std::vector<std::string> words;
        for (std::string word; stream >> word;) {
            words.push_back(word);
        }
        for (const std::string& name : detail::image_words(words)) {
            try {
                if (!stages.contains(detail::upper_case(name)) &&
                    name.find_first_not_of("0123456789") != std::string::npos) {
                    images.push_back(oci::parse_reference(name));
                }
            } catch (const Error&) {
                // a variable, or nothing that anybody could pull
            }
        }
        // FROM [--platform=…] image AS stage
        if ((words.size() == 4 || words.size() == 5) &&
            detail::upper_case(words.front()) == "FROM" &&
            detail::upper_case(words[words.size() - 2]) == "AS") {
            stages.insert(detail::upper_case(words.back()));
        }
    }
    return images;
}

}  // namespace fairing::dockerfile
