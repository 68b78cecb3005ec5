#include "fairing/deployers/google/follower.hpp"

#include <doctest/doctest.h>

#include "../../support/google_site.hpp"

using namespace fairing;
using support::error_of;
using support::GoogleServer;
using support::GoogleSite;

namespace {

google::Follower follower(GoogleSite& site, OutputSink sink) {
    const google::Client client = site.client();
    return {client, google::job_log(client.options(), "proj-1", "7"), "job 7", std::move(sink)};
}

}  // namespace

TEST_CASE("a sink that throws ends the following; a log that can not be read does not") {
    GoogleSite site;
    site.server.entries.emplace(0, GoogleServer::entry("a", "01", "hello"));
    const auto done = [](const google::Client&) { return Outcome{.state = State::succeeded}; };
    const OutputSink full = [](const OutputLine&) {
        throw Error{ErrorCode::unavailable, {.attempted = "write", .answer = "disk full"}};
    };
    CHECK(error_of([&] { (void)follower(site, full).follow(done); }) == "cannot write: disk full");
    site.server.faults = {
        {.where = "entries:list", .status = 400, .reason = "bad filter", .times = 9}};
    CHECK(follower(site, site.session().output).follow(done).state == State::succeeded);
    CHECK(site.times_said("bad filter") == 1);
    CHECK(site.lines.empty());
}
