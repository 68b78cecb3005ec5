#include "fairing/deployers/serving/predict_protocol.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;

namespace {

constexpr PredictProtocol seldon = PredictProtocol::seldon;
constexpr PredictProtocol v1 = PredictProtocol::v1;
constexpr PredictProtocol v2 = PredictProtocol::v2;

Json body(PredictProtocol protocol, const char* input) {
    return predict_body({.protocol = protocol, .subject = "Deployment a"}, Json::parse(input));
}
std::string refused(PredictProtocol protocol, const char* input) {
    return error_of([&] { (void)body(protocol, input); });
}
std::string answered(PredictProtocol protocol, int status, const char* text) {
    return error_of([&] {
        (void)parse_prediction({.protocol = protocol, .model = "m", .subject = "a"}, status, text);
    });
}

}  // namespace

TEST_CASE("each protocol has its path, with the model's name in it") {
    CHECK(predict_path({.protocol = seldon}) == "/predict");
    CHECK(predict_path({.protocol = v1, .model = "a b"}) == "/v1/models/a%20b:predict");
    CHECK(predict_path({.protocol = v2, .model = "m"}) == "/v2/models/m/infer");
}

TEST_CASE("rows alone get the form of the protocol") {
    CHECK(body(seldon, "[[1,2]]").dump() == R"({"data":{"ndarray":[[1,2]]}})");
    CHECK(body(v1, "[[1,2]]").dump() == R"({"instances":[[1,2]]})");
    const auto input = [](const char* rows) { return body(v2, rows)["inputs"][0]; };
    CHECK(input("[[1,2],[3,4]]") == Json::parse(R"({"name": "input-0", "shape": [2, 2],
        "datatype": "INT64", "data": [1, 2, 3, 4]})"));
    CHECK(input("[1, 2.5]")["datatype"] == "FP64");
    CHECK(input("[[[true]]]")["shape"] == Json({1, 1, 1}));
    CHECK(input("[true]")["datatype"] == "BOOL");
    CHECK(input("[\"a\"]")["datatype"] == "BYTES");
    for (const char* rows : {"[[1,2],[3]]", "[1,[2]]", "[[1],2]", "[[1],[[2]]]"}) {
        CHECK_MESSAGE(contains(refused(v2, rows), "different lengths"), rows);
    }
    for (const char* rows : {"[]", "[1,\"a\"]", "[null]"}) {
        CHECK_MESSAGE(contains(refused(v2, rows), "no values of one type"), rows);
    }
}

TEST_CASE("a request is sent as it is, unless it is another protocol's or its tensor lies") {
    for (const char* input : {R"({"data":{"names":["a"],"ndarray":[[1]]}})", R"({"strData":"x"})",
                              R"({"data":{"tensor":{"shape":[1,2],"values":[1,2]}},"meta":{}})"}) {
        CHECK(body(seldon, input) == Json::parse(input));
    }
    CHECK_NOTHROW(body(v1, R"({"instances":[1]})"));
    CHECK_NOTHROW(body(v2, R"({"inputs":[{"name":"a","shape":[2,1],"datatype":"FP32",
        "data":[[1],[2]]}]})"));
    CHECK(refused(seldon, R"({"instances":[1]})") ==
          "cannot ask Deployment a: a request of seldon is an object with \"data\", \"jsonData\", "
          "\"strData\", \"binData\"; this is a request of v1; use --protocol v1 if the server "
          "speaks that");
    CHECK(contains(refused(v2, R"({"data":{}})"), "use --protocol seldon"));
    CHECK(contains(refused(v1, R"({"rows":[]})"), "or give rows alone: [[1, 37]]"));
    CHECK(contains(refused(v1, "7"), "a request of v1 is an object"));
    CHECK(contains(refused(seldon, R"({"data":{"tensor":{"shape":[2,2],"values":[1,2,3]}}})"),
                   "a tensor of shape [2,2] has 4 values, and 3 are given"));
    CHECK(contains(refused(v2, R"({"inputs":[{"shape":[1],"data":[]}]})"), "has 1 values, and 0"));
    CHECK(contains(refused(v2, R"({"inputs":[{"shape":[-1],"data":[]}]})"), "whole numbers"));
}

TEST_CASE("an answer is its document, or an error in the server's own words") {
    CHECK(parse_prediction({}, 200, R"({"data":{"ndarray":[1]}})")["data"]["ndarray"][0] == 1);
    CHECK(answered(v1, 404, R"({"error":"Model with name m does not exist."})") ==
          "cannot get a prediction from a: 404 Not Found: Model with name m does not exist.; see "
          "whether --model-name m and --protocol v1 are the server's");
    CHECK(contains(answered(seldon, 404, "no"), "another --protocol"));
    CHECK(contains(answered(v2, 503, R"({"kind":"Status","message":"no endpoints available"})"),
                   "503 Service Unavailable: no endpoints available; it is not ready"));
    CHECK(contains(answered(v1, 403, R"({"message":"forbidden"})"), "services/proxy"));
    CHECK(contains(answered(seldon, 400, R"({"status":{"info":"bad shape","reason":"X"}})"),
                   "400 Bad Request: bad shape"));
    CHECK(contains(answered(seldon, 500, R"({"status":{"reason":"CRASH"}})"), ": CRASH"));
    CHECK(contains(answered(v1, 422, R"({"detail":"wrong type"})"), "wrong type"));
    CHECK(contains(answered(v2, 400, R"({"error":{"message":"deep"}})"), "deep"));
    CHECK(contains(answered(seldon, 200, R"({"status":{"status":"FAILURE","info":"no model"}})"),
                   "no model"));
    CHECK(contains(answered(v1, 200, "<html>\n"), "the answer is no JSON: <html>?"));
    CHECK(contains(answered(v1, 200, ""), "the answer is no JSON"));
    const std::string deep(1000, '[');
    CHECK(contains(answered(v1, 200, deep.c_str()), "the answer is no JSON"));
    const auto code = [](int status) {
        try {
            (void)parse_prediction({}, status, "");
        } catch (const Error& error) {
            CHECK(error.details().http_status == status);
            return error.code();
        }
        return ErrorCode::internal;
    };
    CHECK(code(404) == ErrorCode::not_found);
    CHECK(code(403) == ErrorCode::denied);
    CHECK(code(503) == ErrorCode::unavailable);
    CHECK(code(400) == ErrorCode::input);
}
