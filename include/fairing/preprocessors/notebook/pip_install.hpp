// fairing/preprocessors/notebook/pip_install.hpp - the requirements in a notebook's own `pip
// install` commands (pip's requirements file format). Pure.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace fairing::notebook {

namespace detail {

/// The words of a shell command up to its end: quotes are honoured, nothing is expanded.
[[nodiscard]] inline std::vector<std::string> shell_words(std::string_view command) {
    std::vector<std::string> words;
    std::string word;
    bool in_word = false;
    const auto end_word = [&] {
        if (in_word) {
            words.push_back(word);
        }
        word.clear();
        in_word = false;
    };
    for (std::size_t i = 0; i < command.size(); ++i) {
        const char c = command[i];
        if (c == '\'' || c == '"') {
            const std::size_t close = std::min(command.find(c, i + 1), command.size());
            word += command.substr(i + 1, close - i - 1);
            in_word = true;
            i = close;
        } else if (c == '\\' && i + 1 < command.size()) {
            if (command[++i] != '\n') {
                word += command[i];
                in_word = true;
            }
        } else if (c == ' ' || c == '\t') {
            end_word();
        } else if (c == ';' || c == '|' || c == '&' || c == '\n' || c == '>' || c == '<' ||
                   (c == '#' && !in_word)) {
            break;
        } else {
            word += c;
            in_word = true;
        }
    }
    end_word();
    return words;
}

/// The number of words in front of pip's own arguments: "pip install", "python3 -m pip install",
/// "{sys.executable} -m pip install". 0 when it is another command.
[[nodiscard]] inline std::size_t pip_install_words(const std::vector<std::string>& words) {
    const auto is = [&](std::size_t i, std::string_view text) {
        return i < words.size() && words[i] == text;
    };
    const auto is_pip = [&](std::size_t i) {
        return is(i, "pip") || is(i, "pip3") || (i < words.size() && words[i].ends_with("/pip"));
    };
    const std::size_t first = is(0, "sudo") ? 1 : 0;
    if (is_pip(first) && is(first + 1, "install")) {
        return first + 2;
    }
    return is(first + 1, "-m") && is(first + 2, "pip") && is(first + 3, "install") ? first + 4 : 0;
}

}  // namespace detail

/// Whether this is a command that installs packages when IPython reads it without a % or ! in
/// front.
[[nodiscard]] inline bool is_bare_install(std::string_view code) {
    constexpr std::array<std::string_view, 5> commands = {
        "pip install ", "pip3 install ", "conda install ", "mamba install ", "pip uninstall "};
    return std::any_of(commands.begin(), commands.end(),
                       [&](std::string_view command) { return code.starts_with(command); });
}

/// The lines of a requirements file that `command` ("%pip install …", "!pip install …") stands for.
/// What only a shell or the notebook's kernel could fill in is left out.
[[nodiscard]] inline std::vector<std::string> pip_requirements(std::string_view command) {
    constexpr std::array<std::string_view, 10> with_value = {"-r",
                                                             "--requirement",
                                                             "-c",
                                                             "--constraint",
                                                             "-i",
                                                             "--index-url",
                                                             "-f",
                                                             "--find-links",
                                                             "--extra-index-url",
                                                             "--trusted-host"};
    constexpr std::array<std::string_view, 14> values_to_skip = {
        "-t",      "--target",   "--prefix",   "--root",          "--src",
        "--proxy", "--timeout",  "--retries",  "--cache-dir",     "--log",
        "-e",      "--editable", "--platform", "--python-version"};
    const auto has = [](const auto& list, const std::string& word) {
        return std::find(list.begin(), list.end(), word) != list.end();
    };
    while (!command.empty() && (command.front() == '%' || command.front() == '!')) {
        command.remove_prefix(1);
    }
    const std::vector<std::string> words = detail::shell_words(command);
    std::size_t i = detail::pip_install_words(words);
    std::vector<std::string> lines;
    for (i = i == 0 ? words.size() : i; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word.find_first_of("{}$") != std::string::npos || has(values_to_skip, word)) {
            i += has(values_to_skip, word) ? 1 : 0;
        } else if (has(with_value, word) && i + 1 < words.size()) {
            lines.push_back(word + ' ' + words[++i]);
        } else if (!word.starts_with('-')) {
            lines.push_back(word);
        }
    }
    return lines;
}

}  // namespace fairing::notebook
