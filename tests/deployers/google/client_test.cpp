#include "fairing/deployers/google/client.hpp"

#include <doctest/doctest.h>

#include "../../support/google_site.hpp"
#include "../../support/workspace.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

namespace {

const std::string root = "https://us-central1-aiplatform.googleapis.com/v1/";
const std::string place = "projects/proj-1/locations/us-central1";

google::Client client_of(GoogleSite& site) { return {GoogleSite::options(), site.session()}; }

/// An endpoint with an id of ours: a second one is a conflict.
google::Creation endpoint(bool with_undo = true) {
    google::Creation wanted{.url = root + place + "/endpoints?endpointId=e-1",
                            .body = {{"displayName", "houses"}},
                            .attempted = "create endpoint",
                            .subject = "houses"};
    wanted.made = [](const google::Client& with) {
        return with.find(root + place + "/endpoints/e-1", "look for", "e-1");
    };
    if (with_undo) {
        wanted.undo = [](const google::Client& with, const Json& /*made*/) {
            static_cast<void>(with.remove(root + place + "/endpoints/e-1", "e-1"));
        };
    }
    return wanted;
}

}  // namespace

TEST_CASE("pauses grow by half, to twenty times the first, and begin anew after a change") {
    google::Pace pace{{.poll_milliseconds = 1000}};
    std::vector<long> pauses;
    for (int i = 0; i < 10; ++i) {
        pauses.push_back(pace.next().count());
    }
    CHECK(pauses ==
          std::vector<long>{1000, 1501, 2252, 3379, 5069, 7604, 11407, 17111, 20000, 20000});
    pace.restart();
    CHECK(pace.next().count() == 1000);
}

TEST_CASE("what an operation fails with is an error of ours, in its words") {
    const std::vector<std::pair<int, ErrorCode>> codes{
        {1, ErrorCode::unavailable},  {3, ErrorCode::input},        {4, ErrorCode::timeout},
        {5, ErrorCode::not_found},    {6, ErrorCode::conflict},     {7, ErrorCode::denied},
        {8, ErrorCode::unavailable},  {9, ErrorCode::input},        {10, ErrorCode::conflict},
        {12, ErrorCode::unsupported}, {13, ErrorCode::unavailable}, {16, ErrorCode::denied}};
    for (const auto& [code, expected] : codes) {
        CAPTURE(code);
        CHECK(google::error_code(code) == expected);
    }
    const auto said = [](const Json& operation) {
        return error_of([&] { google::need_result(operation, "upload model", "houses"); });
    };
    CHECK(said({{"done", true}, {"response", Json::object()}}).empty());
    CHECK(said({{"error", {{"code", 9}, {"message", "no\nport"}}}}) ==
          "cannot upload model houses: no?port");
    CHECK(said({{"error", Json::object()}}) == "cannot upload model houses: it gives no reason");
    CHECK_FALSE(google::is_done({{"name", "x"}}));
    CHECK(google::is_done({{"done", true}}));
}

TEST_CASE("a creation whose answer is lost is found while it is still under way") {
    GoogleSite site;
    site.server.operation_looks = 0;
    bool is_seen = false;
    site.server.faults = {{.where = "POST", .status = 503, .reason = "lost", .is_done = true},
                          {.where = "GET", .status = 404, .reason = "not yet", .times = 3}};
    const Json made = client_of(site).create(endpoint());
    is_seen = text_or(made, "displayName") == "houses";
    CHECK(is_seen);
    CHECK(site.server.count("POST", "/endpoints") == 2);  // the second is a conflict
    CHECK(site.server.count("GET", "/endpoints/e-1") == 4);
}

TEST_CASE("a conflict without a lost answer is somebody else's") {
    GoogleSite site;
    site.server.resources[place + "/endpoints/e-1"] = {{"displayName", "theirs"}};
    CHECK(contains(error_of([&] { (void)client_of(site).create(endpoint()); }),
                   "cannot create endpoint houses: 409 Conflict"));
    CHECK(site.server.requests.size() == 1);
}

TEST_CASE("without a way to look for it, what may have been made is not made again") {
    GoogleSite site;
    site.server.faults = {{.where = "POST", .status = 500, .reason = "lost", .times = 9}};
    google::Creation blind = endpoint();
    blind.made = {};
    CHECK(contains(error_of([&] { (void)client_of(site).create(blind); }), "lost"));
    CHECK(site.server.requests.size() == 1);
}

TEST_CASE("what was made behind a service that went away is removed") {
    GoogleSite site;
    site.server.operation_looks = 0;
    site.server.faults = {{.where = "POST", .status = 503, .reason = "gone", .is_done = true},
                          {.where = "GET", .status = 403, .reason = "no looking"}};
    CHECK(contains(error_of([&] { (void)client_of(site).create(endpoint()); }), "no looking"));
    CHECK(site.server.count("DELETE", "/endpoints/e-1") == 1);
    CHECK_FALSE(site.server.resources.contains(place + "/endpoints/e-1"));
}

TEST_CASE("what was made and answered with nonsense is found, or removed, and never made twice") {
    for (const char* nonsense : {"[]", "<html>"}) {
        CAPTURE(nonsense);
        GoogleSite site;
        site.server.operation_looks = 0;
        site.server.faults = {
            {.where = "POST", .status = 200, .reason = nonsense, .is_done = true}};
        const std::string said = error_of([&] { (void)client_of(site).create(endpoint()); });
        const bool is_left = site.server.resources.contains(place + "/endpoints/e-1");
        CHECK(said.empty() == is_left);
        CHECK(site.server.count("POST", "/endpoints") == 1);
    }
}

TEST_CASE("an operation is waited for until the deadline, and given up when it is asked to") {
    GoogleSite site;
    site.server.operation_looks = 1000000;
    const google::Client client = client_of(site);
    const Json operation = client.create(endpoint());
    const google::Client hasty = client.with_deadline(google::Steady::now());
    CHECK(error_of([&] { (void)hasty.end_of(operation, root, "create endpoint", "houses"); }) ==
          "cannot create endpoint houses: it takes too long");
    client.cancel(operation, root, "houses");
    CHECK(contains(
        error_of([&] { (void)client.finish(operation, root, "create endpoint", "houses"); }),
        "The operation was cancelled."));
    const std::size_t before = site.server.requests.size();
    client.cancel({{"done", true}}, root, "houses");
    CHECK(site.server.requests.size() == before);
}
