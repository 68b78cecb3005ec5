#include "fairing/stages.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <string>
#include <type_traits>
#include <vector>

#include "fairing/config.hpp"
#include "support/shell.hpp"
#include "support/workspace.hpp"

using namespace fairing;
using support::contains;

namespace {

/// A field of a stage, or of an object in it, as data.
struct Row {
    std::string key = {};
    std::vector<std::string> parents = {};  ///< "resources" of "cpu"
    std::string flag = {};                  ///< "--no-push"; or "-" and why it is none
    std::string help = {};
    std::vector<Json> values = {};  ///< legal ones; of an enumeration: all
};

struct Table {
    std::string role = {};
    std::string name = {};
    std::vector<Row> rows = {};
};

template <class T>
struct Inner {
    using Type = T;
};
template <class T>
struct Inner<std::optional<T>> {
    using Type = T;
};

/// Values that a member of this type takes; of a flag the one that it has not.
template <class T>
std::vector<Json> values_of(const T& present) {
    using Value = typename Inner<T>::Type;
    if constexpr (std::is_enum_v<Value>) {
        std::vector<Json> all;
        for (const auto& [name, unused] : value_names<Value>) {
            all.emplace_back(name);
        }
        return all;
    } else if constexpr (std::is_same_v<T, bool>) {
        return {!present};
    } else if constexpr (std::is_same_v<Value, bool>) {
        return {true};
    } else if constexpr (std::is_integral_v<Value>) {
        return {3};
    } else if constexpr (std::is_floating_point_v<Value>) {
        return {1.5};
    } else if constexpr (std::is_same_v<Value, std::map<std::string, Json>>) {
        return {Json{{"a", 1}, {"b", {{"c", "d"}}}}};
    } else if constexpr (std::is_same_v<Value, std::map<std::string, std::string>>) {
        return {Json{{"a", "b"}}};
    } else if constexpr (std::is_same_v<Value, std::vector<Volume>>) {
        return {Json{"pvc:data:/mnt:sub", "secret:keys:/keys"}};
    } else if constexpr (std::is_same_v<Value, std::vector<SearchParameter>>) {
        return {Json{"lr=double:0.01..0.1", "kind=categorical:a,b c"}};
    } else if constexpr (std::is_same_v<Value, std::string> ||
                         std::is_same_v<Value, std::filesystem::path>) {
        return {"text"};
    } else {
        return {Json{"a", "b"}};
    }
}

template <class Stage>
void collect(std::vector<Row>& rows, const std::vector<std::string>& parents) {
    const Stage defaults;
    const auto add = [&](const auto& each) {
        using Member = std::remove_cvref_t<decltype(each.of(defaults))>;
        const std::string key{each.name};
        if constexpr (has_fields<Member>) {
            std::vector<std::string> inner = parents;
            inner.push_back(key);
            // In JSON it is there in any case.
            const std::size_t begin = rows.size();
            collect<Member>(rows, inner);
            for (std::size_t i = begin; !is_option(each.option) && i < rows.size(); ++i) {
                rows[i].flag = each.option;
            }
        } else {
            std::string flag{each.option.empty() ? each.name : each.option};
            std::replace(flag.begin(), flag.end(), '_', '-');
            bool is_on = false;
            if constexpr (std::is_same_v<Member, bool>) {
                is_on = each.of(defaults);
            }
            rows.push_back({.key = key,
                            .parents = parents,
                            .flag = !is_option(each.option) ? std::string{each.option}
                                                            : (is_on ? "--no-" : "--") + flag,
                            .help = std::string{each.help},
                            .values = values_of(each.of(defaults))});
        }
    };
    std::apply([&add](const auto&... each) { (add(each), ...); }, fields<Stage>);
}

std::vector<Table> all_tables() {
    std::vector<Table> tables;
    for_each_stage([&tables](const auto& each) {
        using Stage = typename std::remove_cvref_t<decltype(each)>::Stage;
        tables.push_back({.role = each.role(), .name = each.name});
        collect<Stage>(tables.back().rows, {});
    });
    return tables;
}

/// The row's key with that value, as it stands in fairing.json.
Json options_with(const Row& row, const std::string& key, const Json& value) {
    Json options{{key, value}};
    for (auto parent = row.parents.rbegin(); parent != row.parents.rend(); ++parent) {
        options = Json{{*parent, options}};
    }
    return options;
}

/// What is wrong with fairing.json when it says so; "" when nothing is.
std::string refusal(const Table& table, Json options) {
    if (const auto own = options.find("name"); own != options.end()) {
        options["object_name"] = Json(*own);
    }
    options["name"] = table.name;
    return support::error_of([&] { Config{Json{{table.role, options}}}; });
}

std::string misspelt(std::string name) {
    name.back() = name.back() == 'q' ? 'x' : 'q';
    return name;
}

std::string label(const Table& table, const Row& row) {
    return table.role + ' ' + table.name + ", " + row.key;
}

/// A line of --help for each option: "--cpu" → "processors that a pod may use: 2, 0.5".
std::map<std::string, std::string> helps(const std::string& text) {
    std::map<std::string, std::string> found;
    static const std::regex option{R"(\n  (?:-h,)?(--[a-z0-9-]+)([^\n]*(?:\n {20,}[^\n]*)?))"};
    static const std::regex type{R"(^ ?[A-Z=]*(?: \.\.\.)?\s*)"};
    for (std::sregex_iterator each{text.begin(), text.end(), option}, end; each != end; ++each) {
        found[(*each)[1]] =
            std::regex_replace((*each)[2].str(), type, "", std::regex_constants::format_first_only);
    }
    return found;
}

/// What gives these values on the command line.
std::string words(const Row& row) {
    const Json& value = row.values.back();
    if (value.is_boolean()) {
        return ' ' + row.flag;
    }
    std::string all;
    const auto add = [&](const std::string& text) { all += ' ' + row.flag + " '" + text + '\''; };
    if (value.is_object()) {
        for (const auto& [key, each] : value.items()) {
            add(key + '=' + (each.is_string() ? each.get<std::string>() : each.dump()));
        }
    } else {
        for (const Json& each : value.is_array() ? value : Json::array({value})) {
            add(each.is_string() ? each.get<std::string>() : each.dump());
        }
    }
    return all;
}

}  // namespace

TEST_CASE("every field of every stage is a key; an unknown key or value is told what there is") {
    std::size_t count = 0;
    for (const Table& table : all_tables()) {
        for (const Row& row : table.rows) {
            CAPTURE(label(table, row));
            for (const Json& value : row.values) {
                CHECK(refusal(table, options_with(row, row.key, value)).empty());
            }
            const Json wrong = options_with(row, misspelt(row.key), row.values.front());
            CHECK(contains(refusal(table, wrong), "did you mean " + row.key + '?'));
            if (row.values.size() > 1) {  // an enumeration
                const std::string said =
                    refusal(table, options_with(row, row.key, "nothing-of-this"));
                for (const Json& value : row.values) {
                    CHECK(contains(said, value.get<std::string>()));
                }
                CHECK(contains(said, row.key + " of "));
            }
            CHECK_FALSE(refusal(table, options_with(row, row.key, Json::array({Json()}))).empty());
            ++count;
        }
    }
    CHECK(count > 400);
}

TEST_CASE("every kind of training job has a name among the stages") {
    const std::vector<Table> tables = all_tables();
    for (const TrainingKind& kind : training_kinds) {
        CAPTURE(kind.deployer);
        CHECK(std::any_of(tables.begin(), tables.end(),
                          [&](const Table& each) { return each.name == kind.deployer; }));
    }
}

TEST_CASE("a field is an option, or says why it is none; its help is one sentence") {
    for (const Table& table : all_tables()) {
        for (const Row& row : table.rows) {
            CAPTURE(label(table, row));
            CHECK((row.flag.starts_with("--") || contains(row.flag, " ")));
            CHECK_FALSE(row.help.empty());
            CHECK(row.help.size() <= 160);
            CHECK_FALSE(contains(row.help, ". "));
            CHECK_FALSE(row.help.ends_with('.'));
        }
    }
}

TEST_CASE("the command takes every option of every stage, and --help lists it") {
    const auto command = env("FAIRING_COMMAND");
    if (!command) {
        MESSAGE("skipped: FAIRING_COMMAND, the command of this build, is not set");
        return;
    }
    const support::Workspace space;
    const std::string fairing = "cd " + space.path().string() + " && " + *command;
    space.file("train.py", "");
    const auto help = support::run(fairing + " run --help");
    REQUIRE(help.exit_code == 0);
    for (const char* other : {" --help run", " -h run", " run -hv", " run train.py --help"}) {
        CAPTURE(other);
        CHECK(support::run(fairing + other).output == help.output);
    }
    const auto listed = helps(help.output);
    for (const Table& table : all_tables()) {
        CAPTURE(table.role + ' ' + table.name);
        CHECK(contains(listed.at("--" + table.role), table.name));
        std::string given, unknown;
        std::vector<std::string> told;
        for (const Row& row : table.rows) {
            if (!row.flag.starts_with("--")) {
                continue;
            }
            CAPTURE(row.flag);
            REQUIRE(listed.contains(row.flag));
            CHECK(contains(listed.at(row.flag), row.help));
            for (std::size_t i = 0; row.values.size() > 1 && i < row.values.size(); ++i) {
                CHECK(contains(listed.at(row.flag), row.values[i].get<std::string>()));
            }
            given += words(row);
            unknown += ' ' + misspelt(row.flag);
            told.push_back("there is no \"" + misspelt(row.flag) + "\" (did you mean " + row.flag +
                           "?)");
        }
        // The stages are made of the options before the report's folder is found missing.
        const auto taken = support::run(fairing + " run train.py --report none/r.json --" +
                                        table.role + ' ' + table.name + given + " 2>&1");
        CHECK(taken.exit_code == 64);
        CHECK(contains(taken.output, "cannot write the report none/r.json"));
        const auto refused = support::run(fairing + " run train.py" + unknown + " 2>&1");
        CHECK(refused.exit_code == 64);
        for (const std::string& each : told) {
            CAPTURE(each);
            CHECK(contains(refused.output, each));
        }
    }
}
