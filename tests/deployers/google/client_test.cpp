#include "fairing/deployers/google/client.hpp"

#include <doctest/doctest.h>

#include "../../support/google_site.hpp"

using namespace fairing;
using support::contains;
using support::error_of;
using support::GoogleSite;

namespace {

const std::string& root = GoogleSite::root;
const std::string& place = GoogleSite::place;

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
            with.remove(root + place + "/endpoints/e-1", root, "e-1");
        };
    }
    return wanted;
}

}  // namespace

TEST_CASE("what an operation fails with is an error of ours, in its words") {
    const std::vector<std::pair<int, ErrorCode>> codes{
        {1, ErrorCode::unavailable},  {3, ErrorCode::input},        {4, ErrorCode::timeout},
        {5, ErrorCode::not_found},    {6, ErrorCode::conflict},     {7, ErrorCode::denied},
        {8, ErrorCode::unavailable},  {9, ErrorCode::input},        {10, ErrorCode::conflict},
        {12, ErrorCode::unsupported}, {13, ErrorCode::unavailable}, {16, ErrorCode::denied}};
    for (const auto& each : codes) {
        CAPTURE(each.first);
        CHECK(google::error_code(each.first) == each.second);
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
    site.server.faults = {{.where = "POST", .status = 503, .reason = "lost", .is_done = true},
                          {.where = "GET", .status = 404, .reason = "not yet", .times = 3}};
    const Json made = site.client().create(endpoint());
    CHECK(text_or(made, "displayName") == "houses");
    CHECK(site.server.count("POST", "/endpoints") == 2);  // the second is a conflict
    CHECK(site.server.count("GET", "/endpoints/e-1") == 4);
}

TEST_CASE("a name that is not UTF-8 is refused before anybody is asked") {
    GoogleSite site;
    google::Creation wanted = endpoint();
    wanted.body["displayName"] = "caf\xe9";
    CHECK(error_of([&] { (void)site.client().create(wanted); }) ==
          "cannot create endpoint houses: the JSON's \"/displayName\" is not UTF-8");
    CHECK(site.left("endpoints") == 0);
}

TEST_CASE("a conflict without a lost answer is somebody else's") {
    GoogleSite site;
    site.server.resources[place + "/endpoints/e-1"] = {{"displayName", "theirs"}};
    CHECK(contains(error_of([&] { (void)site.client().create(endpoint()); }),
                   "cannot create endpoint houses: 409 Conflict"));
    CHECK(site.server.requests.size() == 1);
}

TEST_CASE("without a way to look for it, what may have been made is not made again") {
    GoogleSite site;
    site.server.faults = {{.where = "POST", .status = 500, .reason = "lost", .times = 9}};
    google::Creation blind = endpoint();
    blind.made = {};
    CHECK(contains(error_of([&] { (void)site.client().create(blind); }), "lost"));
    CHECK(site.server.requests.size() == 1);
}

TEST_CASE("what was made behind a service that went away is removed") {
    GoogleSite site;
    site.server.operation_looks = 0;
    site.server.faults = {{.where = "POST", .status = 503, .reason = "gone", .is_done = true},
                          {.where = "GET", .status = 403, .reason = "no looking"}};
    CHECK(contains(error_of([&] { (void)site.client().create(endpoint()); }), "no looking"));
    CHECK(site.server.count("DELETE", "/endpoints/e-1") == 1);
    CHECK_FALSE(site.server.resources.contains(place + "/endpoints/e-1"));
}

TEST_CASE("an answer that can not be read leaves nothing, and makes no second one") {
    for (const char* body : {"<html>", "[]"}) {
        CAPTURE(body);
        GoogleSite site;
        site.server.operation_looks = 0;
        site.server.faults = {{.where = "POST", .status = 200, .reason = body, .is_done = true}};
        const std::string said = error_of([&] { (void)site.client().create(endpoint()); });
        CHECK(said.empty() == (*body == '['));  // then it is looked for, as after a lost one
        CHECK(site.server.count("POST", "/endpoints") == 1);
        CHECK(site.server.resources.contains(place + "/endpoints/e-1") == said.empty());
    }
}

TEST_CASE("an operation is waited for until the deadline, and given up when it is asked to") {
    GoogleSite site;
    site.server.operation_looks = 1000000;
    const google::Client client = site.client();
    const Json operation = client.create(endpoint());
    const google::Client hasty = client.with_deadline(google::Steady::now());
    CHECK(error_of([&] { (void)hasty.end_of(operation, root, "create endpoint", "houses"); }) ==
          "cannot create endpoint houses: it takes too long");
    client.cancel(operation, root, "houses");
    CHECK(contains(
        error_of([&] { (void)client.finish(operation, root, "create endpoint", "houses", {}); }),
        "The operation was cancelled."));
    const std::size_t before = site.server.requests.size();
    client.cancel({{"done", true}}, root, "houses");
    CHECK(site.server.requests.size() == before);
}

TEST_CASE("an operation that the service has forgotten has ended, and what it was to do counts") {
    GoogleSite site;
    const google::Client client = site.client();
    const Json operation = client.create(endpoint());
    const std::string name = text_or(operation, "name");
    site.server.resources.erase(name);
    CHECK(client.end_of(operation, root, "follow", "it") == Json{{"name", name}, {"done", true}});
    const auto finish = [&] {
        return client.finish(operation, root, "create endpoint", "houses", endpoint().made);
    };
    CHECK(error_of([&] { (void)finish(); }) ==
          "cannot create endpoint houses: its operation " + name +
              " is not known any more, and what it was to do is not done; try it again");
    site.server.resources[place + "/endpoints/e-1"] = {{"displayName", "houses"}};
    CHECK(text_or(finish(), "displayName") == "houses");

    // A service that knows it no more just now knows it all the same.
    site.server.resources[name] = {{"name", name}, {"done", true}, {"response", {{"a", 1}}}};
    site.server.faults = {{.where = "/operations/", .status = 404, .times = 2}};
    CHECK(client.end_of(operation, root, "follow", "it").contains("response"));
    site.server.resources.erase(name);

    // What was removed is gone, or is not.
    site.server.faults = {{.where = "/operations/", .status = 404, .times = 9}};
    const auto remove = [&] { client.remove(root + place + "/endpoints/e-1", root, "e-1"); };
    CHECK(contains(error_of(remove), "cannot remove e-1: its operation "));
    site.server.on_request = [&](const support::GoogleRequest& request) {
        if (request.method == "GET") {
            site.server.go_on();
        }
    };
    CHECK(error_of(remove).empty());
    CHECK(site.left("endpoints") == 0);
}

TEST_CASE("a string of a filter is one string, whatever is in it") {
    CHECK(google::filter_string("houses") == "\"houses\"");
    CHECK(google::filter_string(R"(a" OR b="\)") == R"("a\" OR b=\"\\")");
}
