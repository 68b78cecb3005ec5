#include "fairing/kube/status_error.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace fairing;

TEST_CASE("a Status becomes an error with reason, message and causes") {
    const Json status = {{"kind", "Status"},
                         {"message", "Job is invalid: spec.template: Required value"},
                         {"reason", "Invalid"},
                         {"details",
                          {{"causes",
                            {{{"field", "spec.template"},
                              {"reason", "FieldValueRequired"},
                              {"message", "Required value"}},
                             {{"field", "metadata.name"}, {"message", "too long"}}}}}}};
    const kube::StatusError error =
        kube::status_error(422, status.dump(), "create", "Job team/x", "lab");
    CHECK(error.status() == 422);
    CHECK(error.code() == ErrorCode::input);
    CHECK(error.reason() == "Invalid");
    CHECK(error.causes().size() == 2);
    CHECK(error.details().kubernetes_status == status);
    // What the message says already is not said twice.
    CHECK(std::string{error.what()} ==
          "cannot create Job team/x: 422 Unprocessable Content: Job is invalid: spec.template: "
          "Required value; metadata.name: too long");
}

TEST_CASE("an answer that is no Status is shown in part, on one line") {
    const kube::StatusError error =
        kube::status_error(502, "<html>\n" + std::string(900, 'x'), "get", "Pod a/b");
    CHECK(error.reason().empty());
    CHECK(error.code() == ErrorCode::unavailable);
    CHECK(std::string{error.what()}.size() < 400);
    CHECK(std::string{error.what()}.find('\n') == std::string::npos);
    for (const char* odd : {"", "[]", "{", "{\"kind\":\"Status\",\"details\":[]}",
                            "{\"kind\":\"Status\",\"details\":{\"causes\":[1,{}]}}"}) {
        CHECK(kube::status_error(500, odd, "get", "x").causes().size() <= 2);
    }
}

TEST_CASE("401 and 403 say what to do") {
    CHECK(kube::status_error(401, "", "get", "x", "lab").details().advice ==
          "check the credentials of context \"lab\"");
    CHECK(kube::status_error(403, "", "get", "x").code() == ErrorCode::denied);
}
