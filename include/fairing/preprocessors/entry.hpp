// fairing/preprocessors/entry.hpp - what an entry point is, told by looking at it.
#pragma once

#include <filesystem>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/elf.hpp"
#include "../core/error.hpp"
#include "../core/files.hpp"
#include "../core/json.hpp"
#include "../packaging/text.hpp"

namespace fairing {

/// The preprocessor that an entry point asks for, by name, and its options.
struct Entry {
    std::string preprocessor = {};
    Json options = Json::object();
};

namespace detail {

/// The words behind "#!" of a script; {"sh"} for one that ends in .sh; empty when it is no script.
[[nodiscard]] inline std::vector<std::string> interpreter_of(const std::string& entry,
                                                             std::string_view start) {
    if (start.starts_with("#!")) {
        std::istringstream line{std::string{start.substr(2, start.find_first_of("\r\n") - 2)}};
        std::vector<std::string> words;
        for (std::string word; line >> word;) {
            words.push_back(word);
        }
        if (!words.empty()) {
            return words;
        }
    }
    return entry.ends_with(".sh") ? std::vector<std::string>{"sh"} : std::vector<std::string>{};
}

[[nodiscard]] inline std::string start_of(const std::filesystem::path& file) {
    std::string start(256, '\0');
    const UniqueFd descriptor = open_file(file, O_RDONLY | O_NONBLOCK);
    const std::size_t size =
        read_some(descriptor.get(), std::as_writable_bytes(std::span{start.data(), start.size()}),
                  file.string());
    start.resize(size);
    return start;
}

}  // namespace detail

/// What `entry` asks of the preprocessor of that name: where its file goes.
[[nodiscard]] inline Entry entry_for(const std::string& entry, const std::string& preprocessor) {
    const char* const key = preprocessor == "notebook" || preprocessor == "full_notebook"
                                ? "notebook_file"
                            : preprocessor == "python_function" ? "function"
                                                                : "executable";
    return {.preprocessor = preprocessor, .options = {{key, entry}}};
}

/// Tells by the name, then by the file: .ipynb is a notebook, .py Python, NAME:NAME and .pickle or
/// .pkl a Python function, ELF a program, a folder with __main__.py a Python program, a script what
/// its first line says. Throws Error: usage for what is none of them, not_found.
[[nodiscard]] inline Entry guess_entry(const std::string& entry) {
    const auto refused = [&](std::string answer) {
        return Error{ErrorCode::usage,
                     {.attempted = "run",
                      .subject = packaging::escaped(entry),
                      .answer = std::move(answer),
                      .advice = "name a .py or .ipynb file, file.py:function, a program, a script, "
                                "or a folder with __main__.py"}};
    };
    std::error_code ignored;
    const std::filesystem::path path{entry};
    const bool present = std::filesystem::exists(path, ignored);
    if (!present && entry.find(':') != std::string::npos) {
        return entry_for(entry, "python_function");
    }
    if (entry.ends_with(".ipynb")) {
        return entry_for(entry, "notebook");
    }
    if (entry.ends_with(".pickle") || entry.ends_with(".pkl")) {
        return entry_for(entry, "python_function");
    }
    if (std::filesystem::is_directory(path, ignored)) {
        if (!std::filesystem::exists(path / "__main__.py", ignored)) {
            throw refused("it is a folder without __main__.py");
        }
        Entry folder = entry_for((path / "__main__.py").string(), "python");
        folder.options["input_files"] = Json::array({entry});
        return folder;
    }
    if (entry.ends_with(".py")) {
        return entry_for(entry, "python");
    }
    if (!present) {
        throw Error{ErrorCode::not_found,
                    {.attempted = "run",
                     .subject = packaging::escaped(entry),
                     .answer = "there is no such file"}};
    }
    const std::string start = detail::start_of(path);
    if (codec::is_elf(start)) {
        return entry_for(entry, "function");
    }
    const std::vector<std::string> interpreter = detail::interpreter_of(entry, start);
    if (interpreter.empty()) {
        throw refused("not an entry that can be told by its name or its first bytes");
    }
    Entry script = entry_for(entry, "python");
    script.options["command"] = interpreter;
    return script;
}

}  // namespace fairing
