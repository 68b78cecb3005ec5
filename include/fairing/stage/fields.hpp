// fairing/stage/fields.hpp - one table per stage: the name, meaning and place of every field. JSON
// options, the command line and --help are all derived from it, so that a field is written once.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/error.hpp"
#include "../core/json.hpp"

namespace fairing {

/// One member of a stage. `name` is the JSON key: the member's name without a trailing underscore.
/// `option` is the name on the command line, where it is not "--" and the key with dashes.
template <class Stage, class Member>
struct Field {
    std::string_view name;
    Member Stage::*member;
    std::string_view help;
    std::string_view option = {};

    [[nodiscard]] constexpr Member& of(Stage& stage) const { return stage.*member; }
    [[nodiscard]] constexpr const Member& of(const Stage& stage) const { return stage.*member; }
};

/// One member of a part that several stages have in common, as if it were the stage's own.
template <class Stage, class Part, class Member>
struct PartField {
    std::string_view name;
    Part Stage::*part;
    Member Part::*member;
    std::string_view help;
    std::string_view option = {};

    [[nodiscard]] constexpr Member& of(Stage& stage) const { return stage.*part.*member; }
    [[nodiscard]] constexpr const Member& of(const Stage& stage) const {
        return stage.*part.*member;
    }
};

/// For Field::option: the field is not on the command line, and why.
inline constexpr std::string_view given_by_entry = "-ENTRY says it";
inline constexpr std::string_view given_behind_dashes = "-what stands behind -- says it";
inline constexpr std::string_view only_in_a_file = "-the program has an option of this name";
[[nodiscard]] constexpr bool is_option(std::string_view option) { return !option.starts_with('-'); }

template <class Stage, class Member>
[[nodiscard]] constexpr Field<Stage, Member> field(std::string_view name, Member Stage::*member,
                                                   std::string_view help,
                                                   std::string_view option = {}) {
    return {.name = name, .member = member, .help = help, .option = option};
}

/// The table of a stage: a std::tuple of Field, specialised beside the stage.
template <class Stage>
inline constexpr std::nullptr_t fields = nullptr;

/// Whether a member has fields of its own: then it is an object in JSON, and its fields are
/// options.
template <class Member>
inline constexpr bool has_fields =
    !std::is_same_v<std::remove_cv_t<decltype(fields<Member>)>, std::nullptr_t>;

/// The fields of `part`, flattened into the table of the stage; for std::tuple_cat.
template <class Stage, class Part>
[[nodiscard]] constexpr auto fields_of_part(Part Stage::*part) {
    return std::apply(
        [part](const auto&... each) {
            return std::tuple{
                PartField<Stage, Part,
                          std::remove_cvref_t<decltype(each.of(std::declval<const Part&>()))>>{
                    .name = each.name,
                    .part = part,
                    .member = each.member,
                    .help = each.help,
                    .option = each.option}...};
        },
        fields<Part>);
}

/// One of these fields, with words of the stage's own.
template <class Stage, class Part, class Member>
[[nodiscard]] constexpr PartField<Stage, Part, Member> part_field(std::string_view name,
                                                                  Part Stage::*part,
                                                                  Member Part::*member,
                                                                  std::string_view help,
                                                                  std::string_view option = {}) {
    return {.name = name, .part = part, .member = member, .help = help, .option = option};
}

/// The names of an enumeration's values: an array of pairs, specialised beside the enumeration.
template <class Enumeration>
inline constexpr std::nullptr_t value_names = nullptr;

/// The one of `names` that is nearest to `text` by edit distance, or "" when none is near.
[[nodiscard]] inline std::string nearest_name(std::string_view text,
                                              const std::vector<std::string>& names) {
    std::string best;
    std::size_t best_distance = 1 + text.size() / 3;
    for (const std::string& name : names) {
        std::vector<std::size_t> row(name.size() + 1);
        for (std::size_t j = 0; j < row.size(); ++j) {
            row[j] = j;
        }
        for (std::size_t i = 1; i <= text.size(); ++i) {
            std::size_t diagonal = std::exchange(row[0], i);
            for (std::size_t j = 1; j < row.size(); ++j) {
                const std::size_t changed = diagonal + (text[i - 1] == name[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = std::min({row[j] + 1, row[j - 1] + 1, changed});
            }
        }
        if (row.back() <= best_distance) {
            best_distance = row.back();
            best = name;
        }
    }
    return best;
}

/// "unknown; it has a, b, c" with the nearest name first when one is near.
[[nodiscard]] inline Error unknown_name(std::string attempted, std::string subject,
                                        std::string_view given,
                                        const std::vector<std::string>& names) {
    std::string all;
    for (const std::string& name : names) {
        all += (all.empty() ? "" : ", ") + name;
    }
    const std::string near = nearest_name(given, names);
    return Error{
        ErrorCode::usage,
        {.attempted = std::move(attempted),
         .subject = std::move(subject),
         .answer = "unknown name \"" + std::string{given} + '"',
         .advice = (near.empty() ? "" : "did you mean " + near + "? ") + "there is " + all}};
}

template <class Stage>
[[nodiscard]] Stage stage_from(const Json& options, const std::string& stage_name);

namespace detail {

/// `where` is for errors: "isolation of deployer local".
template <class T>
void read_value(const Json& value, T& target, const std::string& where) {
    if constexpr (has_fields<T>) {
        target = stage_from<T>(value, where);
    } else if constexpr (std::is_enum_v<T>) {
        std::vector<std::string> names;
        for (const auto& [name, one] : value_names<T>) {
            if (value.is_string() && value.get_ref<const std::string&>() == name) {
                target = one;
                return;
            }
            names.emplace_back(name);
        }
        throw unknown_name("read option", where,
                           value.is_string() ? value.get<std::string>() : value.dump(), names);
    } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        const auto number = value.is_number_integer() ? value.get<std::int64_t>()
                                                      : std::numeric_limits<std::int64_t>::min();
        if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
            throw Json::type_error::create(302, "not a whole number of this size", &value);
        }
        target = static_cast<T>(number);
    } else if constexpr (std::is_same_v<T, std::filesystem::path>) {
        target = value.get<std::string>();
    } else {
        target = value.get<T>();
    }
}

template <class T>
void read_value(const Json& value, std::optional<T>& target, const std::string& where) {
    read_value(value, target.emplace(), where);
}

/// A list of texts; one text alone is a list of one. For types that are made from a text, such as
/// Input.
template <class T>
requires std::is_constructible_v<T, std::string>
void read_value(const Json& value, std::vector<T>& target, const std::string& /*where*/) {
    target.clear();
    if (value.is_string()) {
        target.emplace_back(value.get<std::string>());
        return;
    }
    for (const std::string& text : value.get<std::vector<std::string>>()) {
        target.emplace_back(text);
    }
}

template <class T>
[[nodiscard]] constexpr std::string_view expected() {
    if constexpr (std::is_same_v<T, bool>) {
        return "true or false";
    } else if constexpr (std::is_integral_v<T>) {
        return "a whole number";
    } else if constexpr (std::is_floating_point_v<T> || std::is_same_v<T, std::optional<double>>) {
        return "a number";
    } else if constexpr (has_fields<T> || std::is_same_v<T, std::map<std::string, Json>>) {
        return "an object";
    } else if constexpr (std::is_same_v<T, std::map<std::string, std::string>>) {
        return "an object of texts";
    } else if constexpr (std::is_enum_v<T> || std::is_constructible_v<std::string, T> ||
                         std::is_same_v<T, std::filesystem::path>) {
        return "a text";
    } else {
        return "a list of texts";
    }
}

}  // namespace detail

/// The keys of a stage's JSON options.
template <class Stage>
[[nodiscard]] std::vector<std::string> field_names() {
    std::vector<std::string> names;
    std::apply([&names](const auto&... each) { (names.emplace_back(each.name), ...); },
               fields<Stage>);
    return names;
}

/// A stage with the members that `options` names; the rest keep their defaults. Throws Error{usage}
/// that lists the keys there are for an unknown key, and names the key and what it takes for a
/// value of another type.
template <class Stage>
[[nodiscard]] Stage stage_from(const Json& options, const std::string& stage_name) {
    Stage stage;
    if (!options.is_object()) {
        throw Error{ErrorCode::usage,
                    {.attempted = "read the options of",
                     .subject = stage_name,
                     .answer = "not a JSON object"}};
    }
    for (const auto& [key, value] : options.items()) {
        bool known = false;
        const auto read = [&, &key = key, &value = value](const auto& field) {
            if (field.name != key) {
                return;
            }
            known = true;
            auto& target = field.of(stage);
            try {
                detail::read_value(value, target, key + " of " + stage_name);
            } catch (const Json::exception&) {
                throw Error{
                    ErrorCode::usage,
                    {.attempted = "read option " + key + " of",
                     .subject = stage_name,
                     .answer = "it takes " +
                               std::string{
                                   detail::expected<std::remove_reference_t<decltype(target)>>()} +
                               ", not " + value.type_name()}};
            }
        };
        std::apply([&read](const auto&... each) { (read(each), ...); }, fields<Stage>);
        if (!known) {
            throw unknown_name("read the options of", stage_name, key, field_names<Stage>());
        }
    }
    return stage;
}

}  // namespace fairing
