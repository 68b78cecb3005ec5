#include "fairing/deployers/katib/parameter.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

TEST_CASE("a parameter is read from a text, and written as Katib has it") {
    CHECK(SearchParameter{"lr=double:0.01..1e-1"}.json() == Json::parse(R"({"name": "lr",
        "parameterType": "double", "feasibleSpace": {"min": "0.01", "max": "1e-1"}})"));
    CHECK(SearchParameter{"n=int:-16..128/16"}.json()["feasibleSpace"] ==
          Json{{"min", "-16"}, {"max", "128"}, {"step", "16"}});
    CHECK(SearchParameter{"lr=double:1e-5..0.1/0.5:logUniform"}.json()["feasibleSpace"] ==
          Json{{"min", "1e-5"}, {"max", "0.1"}, {"step", "0.5"}, {"distribution", "logUniform"}});
    CHECK(SearchParameter{"o=categorical:sgd,a b,x=y:z/..1"}.json() ==
          Json{{"name", "o"},
               {"parameterType", "categorical"},
               {"feasibleSpace", {{"list", {"sgd", "a b", "x=y:z/..1"}}}}});
    CHECK(SearchParameter{"b=discrete:16"}.json()["feasibleSpace"]["list"] == Json{"16"});
}

TEST_CASE("what Katib would refuse of a parameter is refused") {
    const auto refused = [](const char* text, const char* algorithm = "random") {
        return error_of([&] { SearchParameter{text}.check(algorithm); });
    };
    for (const char* fine :
         {"lr=double:0.01..0.1", "a.b-c_D=int:-3..3/2", "lr=double:1e-5..1:logNormal",
          "o=categorical:sgd,a b", "b=discrete:1.5,-2", "x=double:1..1"}) {
        CHECK_MESSAGE(refused(fine).empty(), fine);
    }
    for (const auto& each : std::vector<std::pair<const char*, const char*>>{
             {"lr", "not NAME=TYPE:VALUES"},
             {"=int:1..2", "not NAME=TYPE:VALUES"},
             {"lr=double", "not NAME=TYPE:VALUES"},
             {"l{r}=int:1..2", "letters, digits"},
             {"lr=float:1..2", "unknown name \"float\""},
             {"lr=double:1", "its max \"\" is no number; write lr=double:MIN..MAX"},
             {"lr=double:..2", "its min \"\" is no number"},
             {"lr=double:a..2", "its min \"a\" is no number"},
             {"lr=double:0..inf", "its max \"inf\" is no number"},
             {"n=int:1..2.5", "its max \"2.5\" is no whole number"},
             {"n=int:3..2", "its max 2 is less than its min 3"},
             {"n=int:1..2/0", "its step 0 is not positive"},
             {"lr=double:1..2:gauss", "unknown name \"gauss\""},
             {"lr=double:0..2:logUniform", "its min 0 has no logarithm"},
             {"o=categorical:", "is empty"},
             {"o=categorical:a,,b", "is empty"},
             {"o=categorical:a,a", "its value a is there twice"},
             {"o=categorical:it's", "can not hand its value \"it's\""},
             {"o=discrete:1,two", "its value \"two\" is no number"}}) {
        CAPTURE(each.first);
        CAPTURE(refused(each.first));
        CHECK(contains(refused(each.first), each.second));
    }
    CHECK(contains(refused("lr=double:0..1", "grid"), "wants a step; write lr=double:0..1/STEP"));
    CHECK(refused("lr=double:0..1/0.1", "grid").empty());
    CHECK(refused("n=int:0..1", "grid").empty());
    SearchParameter both{"n=int:0..1"};
    both.list = {"1"};
    CHECK(contains(error_of([&] { both.check("random"); }), "and no list"));
    both.type = "categorical";
    CHECK(contains(error_of([&] { both.check("random"); }), "and no min, max and step"));
    both = SearchParameter{};
    both.name = "o";
    both.type = "discrete";
    CHECK(contains(error_of([&] { both.check("random"); }), "has no values"));
}
