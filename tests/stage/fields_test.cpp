#include "fairing/stage/fields.hpp"

#include <doctest/doctest.h>

using namespace fairing;

namespace {
enum class Colour { red, green };
struct Painter {
    std::string name = "p";
    int coats = 1;
    bool dry = true;
    Colour colour = Colour::red;
    std::vector<std::string> tools = {};
    std::map<std::string, std::string> labels = {};
};
}  // namespace

namespace fairing {
template <>
inline constexpr std::array<std::pair<std::string_view, Colour>, 2> value_names<Colour>{
    {{"red", Colour::red}, {"green", Colour::green}}};
template <>
inline constexpr auto fields<Painter> = std::tuple{
    field("name", &Painter::name, "a name"),      field("coats", &Painter::coats, "how many"),
    field("dry", &Painter::dry, "wait"),          field("colour", &Painter::colour, "which"),
    field("tools", &Painter::tools, "with what"), field("labels", &Painter::labels, "more")};
}  // namespace fairing

TEST_CASE("a stage is read from JSON; what is not named keeps its default") {
    const auto painter = stage_from<Painter>({{"coats", 3},
                                              {"dry", false},
                                              {"colour", "green"},
                                              {"tools", {"brush", "roller"}},
                                              {"labels", {{"a", "b"}}}},
                                             "painter");
    CHECK(painter.name == "p");
    CHECK(painter.coats == 3);
    CHECK_FALSE(painter.dry);
    CHECK(painter.colour == Colour::green);
    CHECK(painter.tools == std::vector<std::string>{"brush", "roller"});
    CHECK(painter.labels.at("a") == "b");
    CHECK(stage_from<Painter>({{"tools", "brush"}}, "painter").tools.size() == 1);
}

TEST_CASE("unknown keys, values and types are refused with what there is") {
    const auto refused = [](const Json& options, const char* message) {
        CHECK_THROWS_WITH_AS(static_cast<void>(stage_from<Painter>(options, "painter")), message,
                             Error);
    };
    refused({{"coat", 1}},
            "cannot read the options of painter: unknown name \"coat\"; did you mean coats? there "
            "is name, coats, dry, "
            "colour, tools, labels");
    refused({{"coats", "3"}},
            "cannot read option coats of painter: it takes a whole number, not string");
    refused({{"dry", 1}}, "cannot read option dry of painter: it takes true or false, not number");
    refused({{"tools", 1}},
            "cannot read option tools of painter: it takes a list of texts, not number");
    refused({{"colour", "blue"}},
            "cannot read option colour of painter: unknown name \"blue\"; there is red, green");
    refused(Json::array(), "cannot read the options of painter: not a JSON object");
}

TEST_CASE("the nearest name") {
    CHECK(nearest_name("append", {"local", "appendd"}) == "appendd");
    CHECK(nearest_name("base-imge", {"base-image", "name"}) == "base-image");
    CHECK(nearest_name("xyzzy", {"local", "append"}).empty());
}

namespace {
struct Brush {
    double width = 1;
    std::optional<int> bristles = {};
};
struct Studio {
    Painter painter = {};
    Brush brush = {};
};
}  // namespace

namespace fairing {
template <>
inline constexpr auto fields<Brush> = std::tuple{field("width", &Brush::width, "in mm"),
                                                 field("bristles", &Brush::bristles, "how many")};
template <>
inline constexpr auto fields<Studio> = std::tuple_cat(fields_of_part(&Studio::painter),
                                                      std::tuple{field("brush", &Studio::brush,
                                                                       "with what")});
}  // namespace fairing

TEST_CASE("a part's fields are the stage's own, and a member with fields is an object") {
    const auto studio = stage_from<Studio>(
        {{"name", "n"}, {"coats", 2}, {"brush", {{"width", 2.5}, {"bristles", 7}}}}, "studio");
    CHECK(studio.painter.name == "n");
    CHECK(studio.painter.coats == 2);
    CHECK(studio.brush.width == 2.5);
    CHECK(studio.brush.bristles == 7);
    CHECK_FALSE(stage_from<Studio>(Json::object(), "studio").brush.bristles.has_value());
    static_assert(has_fields<Brush> && !has_fields<std::string>);
}
