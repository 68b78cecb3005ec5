#include "fairing/builders/engine/progress.hpp"

#include <doctest/doctest.h>

#include <stop_token>
#include <vector>

using namespace fairing;

TEST_CASE(
    "steps are said, what they print at debug, transfers are progress that ends at the total") {
    std::vector<LogRecord> said;
    std::vector<Progress> shown;
    detail::EngineProgress progress{
        "push",
        {.log = [&](LogRecord record) { said.push_back(std::move(record)); },
         .progress = [&](const Progress& value) { shown.push_back(value); }}};
    for (const char* event :
         {R"({"stream":"STEP 1/2: FROM x\n"})", R"({"stream":"\n"})", R"({"stream":"words\n"})",
          R"({"status":"Pushing","id":"a","progressDetail":{"current":5,"total":4}})",
          R"({"status":"Pushing","id":"a","progressDetail":{"current":2,"total":8}})",
          R"({"status":"Pushing","id":"b","progressDetail":{"current":3}})",
          R"({"status":"Pushed","id":"a","progressDetail":{}})",
          R"({"status":"Pushed","id":"a","progressDetail":{}})",
          R"({"status":"x","id":7,"progressDetail":{"current":-1,"total":"many"}})",
          R"({"progressDetail":[],"stream":7})"}) {
        progress(Json::parse(event));
    }
    REQUIRE(said.size() == 2);
    CHECK(said[0].text == "STEP 1/2: FROM x");
    CHECK(said[0].level == Level::info);
    CHECK(said[1].level == Level::debug);
    REQUIRE(shown.size() == 3);
    CHECK(shown[0].done == 4);
    CHECK(shown[1].done == 2);
    CHECK(shown[2].done == 8);
    CHECK(shown[2].total == 8);
    CHECK(shown[2].item == "a");
}

TEST_CASE("the last lines of the last step are in the error") {
    detail::EngineProgress progress{"build", {}};
    const Error error{ErrorCode::input, {.attempted = "build", .answer = "code 1"}};
    CHECK(progress.explained(error).details().answer == "code 1");
    progress({{"stream", "of another step"}});
    progress({{"stream", "Step 2/2 : RUN x"}});
    for (int i = 0; i < 20; ++i) {
        progress({{"stream", "line " + std::to_string(i)}});
    }
    const std::string answer = progress.explained(error).details().answer;
    CHECK(answer.starts_with("code 1; its last words: line 12\n"));
    CHECK(answer.ends_with("line 19"));
    std::stop_source source;
    source.request_stop();
    detail::EngineProgress stopped{"build", {.stop = source.get_token()}};
    CHECK_THROWS_AS(stopped({{"stream", "x"}}), Cancelled);
}
