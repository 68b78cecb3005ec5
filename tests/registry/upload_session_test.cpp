#include "fairing/registry/upload_session.hpp"

#include <doctest/doctest.h>

#include <optional>

#include "../support/scripted_transport.hpp"

using namespace fairing;
using registry::UploadSession;

namespace {

struct Fixture {
    test::ScriptedTransport script = {};
    registry::Api api{
        oci::parse_reference("localhost:5000/a"),
        {.transport = std::ref(script), .files = std::vector<std::filesystem::path>{}}};
};

}  // namespace

TEST_CASE("an upload that is not finished is forgotten by the registry, once") {
    Fixture fixture;
    fixture.script.expect("DELETE", "http://localhost:5000/u?x=%2b", {.status = 204});
    {
        std::optional<UploadSession> outer;
        UploadSession first{fixture.api, {}, "http://localhost:5000/u?x=%2b"};
        outer = std::move(first);
        CHECK(outer->location() == "http://localhost:5000/u?x=%2b");
    }
    CHECK(fixture.script.complaint().empty());
    CHECK(fixture.script.recorded().size() == 1);
}

TEST_CASE("a finished upload stays, and a stop does not prevent the cancelling of another") {
    Fixture fixture;
    UploadSession{fixture.api, {}, "http://localhost:5000/u"}.finished();
    CHECK(fixture.script.recorded().empty());
    std::stop_source stop;
    stop.request_stop();
    fixture.script.expect("DELETE", "http://localhost:5000/u", {.status = 404});
    {
        const UploadSession session{
            fixture.api, {.stop = stop.get_token()}, "http://localhost:5000/u"};
    }
    CHECK(fixture.script.complaint().empty());
}

TEST_CASE("a failure to cancel is nobody's problem, and the request is sent once") {
    Fixture fixture;
    fixture.script.expect_broken("DELETE", "http://localhost:5000/u");
    { const UploadSession session{fixture.api, {}, "http://localhost:5000/u"}; }
    CHECK(fixture.script.recorded().size() == 1);
}
