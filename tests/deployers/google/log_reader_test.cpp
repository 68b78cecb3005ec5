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
    google::LogReader log{google::job_log(client.options(), "proj-1", "7")};
    log.read(client, session.output);
    log.read(client, session.output);
    log.read(client, session.output);
    CHECK(site.lines == std::vector<std::string>{"workerpool0-0: from the future",
                                                 "workerpool0-0: now", "workerpool0-0: "});
}

TEST_CASE("where the lines of a job and of a model are") {
    CHECK(google::log_filter("t", {{"resource.labels.a", "1"}, {"labels.b", "2"}}) ==
          "resource.type=\"t\" AND resource.labels.a=\"1\" AND labels.b=\"2\"");
    CHECK(google::log_filter("t", {{"labels.a", "1\" OR \"x"}}) ==
          R"(resource.type="t" AND labels.a="1\" OR \"x")");
    GoogleSite site;
    site.server.entries = {{0, GoogleServer::endpoint_entry("a", "01", "of a replica")}};
    const google::Client client = site.client();
    google::LogReader log{{.project = "proj-1",
                           .filter = google::log_filter("aiplatform.googleapis.com/Endpoint", {}),
                           .subject = "endpoint 1"}};
    log.read(client, site.session().output);
    CHECK(site.lines == std::vector<std::string>{"r1: of a replica"});
    google::LogReader none{{.project = "proj-1"}};
    none.read(client, site.session().output);
    CHECK(site.server.requests.size() == 1);
}
