#include "fairing/deployers/google/follower.hpp"

#include <doctest/doctest.h>

#include <stdexcept>

#include "../../support/google_site.hpp"
#include "../../support/workspace.hpp"

using namespace fairing;
using support::error_of;
using support::GoogleServer;
using support::GoogleSite;

namespace {

google::Follower follower(GoogleSite& site, OutputSink sink) {
    const google::Client client{GoogleSite::options(), site.session()};
    return {client, google::job_log(client.options(), "proj-1", "7"), "job 7", std::move(sink)};
}

}  // namespace

TEST_CASE("what is out of reach for a while is said, and for too long is the error") {
    GoogleSite site;
    int looks = 0;
    const auto down_for = [&](int times) {
        looks = 0;
        return [&looks, times](const google::Client&) {
            if (++looks <= times) {
                throw Error{ErrorCode::unavailable, {.attempted = "look at", .subject = "it"}};
            }
            return Outcome{.state = State::succeeded};
        };
    };
    CHECK(follower(site, {}).follow(down_for(19), google::is_terminal).state == State::succeeded);
    CHECK(site.times_said("cannot look at it") == 19);
    CHECK(error_of([&] { (void)follower(site, {}).follow(down_for(20), google::is_terminal); }) ==
          "cannot look at it");
    CHECK(looks == 20);
    CHECK_THROWS_AS((void)follower(site, {}).follow(
                        [&](const google::Client&) -> Outcome {
                            throw Error{ErrorCode::denied, {.attempted = "look at"}};
                        },
                        google::is_terminal),
                    Error);
}

TEST_CASE("a sink that throws ends the following; a log that can not be read does not") {
    GoogleSite site;
    site.server.entries.emplace(0, GoogleServer::entry("a", "01", "hello"));
    const auto done = [](const google::Client&) { return Outcome{.state = State::succeeded}; };
    const OutputSink full = [](const OutputLine&) {
        throw Error{ErrorCode::unavailable, {.attempted = "write", .answer = "disk full"}};
    };
    CHECK(error_of([&] { (void)follower(site, full).follow(done, google::is_terminal); }) ==
          "cannot write: disk full");
    site.server.faults = {
        {.where = "entries:list", .status = 400, .reason = "bad filter", .times = 9}};
    CHECK(follower(site, site.session().output).follow(done, google::is_terminal).state ==
          State::succeeded);
    CHECK(site.times_said("bad filter") == 1);
    CHECK(site.lines.empty());
}
