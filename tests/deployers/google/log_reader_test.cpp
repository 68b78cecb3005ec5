#include "fairing/deployers/google/log_reader.hpp"

#include <doctest/doctest.h>

#include "../../support/google_site.hpp"

using namespace fairing;
using support::GoogleServer;
using support::GoogleSite;

TEST_CASE("a line that is dated wrong hides no other") {
    GoogleSite site;
    Session session = site.session();
    session.clock = [] { return std::chrono::system_clock::from_time_t(1767225610); };  // …:10
    Json future = GoogleServer::entry("future", "00", "from the future");
    future["timestamp"] = "2099-01-01T00:00:00Z";
    Json audit = GoogleServer::entry("audit", "02", "");
    audit.erase("textPayload");
    audit["protoPayload"] = {{"methodName", "x"}};
    site.server.entries = {{1, future}, {2, audit}};
    site.server.entries.emplace(2, GoogleServer::entry("now", "09", "now"));
    site.server.entries.emplace(2, GoogleServer::entry("empty", "09", ""));
    const google::Client client{GoogleSite::options(), session};
    google::LogReader log{{.project = "proj-1", .job_id = "7"}};
    log.read(client, session.output);
    log.read(client, session.output);
    log.read(client, session.output);
    CHECK(site.lines == std::vector<std::string>{"workerpool0-0: from the future",
                                                 "workerpool0-0: now", "workerpool0-0: "});
}
