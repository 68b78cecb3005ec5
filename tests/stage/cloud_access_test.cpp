#include "fairing/stage/cloud_access.hpp"

#include <doctest/doctest.h>

#include <string>
#include <utility>

#include "../support/workspace.hpp"

using namespace fairing;

namespace {

struct Answering {
    int status = 0;
    [[nodiscard]] net::Response send(const net::Request&, const net::BodySink&,
                                     const std::stop_token&) const {
        return {.status = status};
    }
};

}  // namespace

TEST_CASE("a session's own transport is for everything, and its log with it") {
    std::string said;
    const cloud::Connection connection =
        cloud_connection({.log = [&said](const LogRecord& record) { said = record.text; },
                          .transport = Answering{299}});
    CHECK(connection.transport.send({}).status == 299);
    CHECK(connection.metadata.send({}).status == 299);
    connection.control.say(Level::info, "here");
    CHECK(said == "here");
}

TEST_CASE("without one, only the transport for metadata services may go to their addresses") {
    const cloud::Connection connection = cloud_connection({});
    std::stop_source stop;
    stop.request_stop();  // nobody is contacted
    const auto refusal = [&stop](const net::AnyTransport& transport) {
        return support::error_of([&] {
            static_cast<void>(
                transport.send({.url = "http://169.254.169.254/"}, {}, stop.get_token()));
        });
    };
    const std::string guarded = support::error_of([&connection] {
        static_cast<void>(connection.transport.send({.url = "http://169.254.169.254/"}));
    });
    CHECK(support::contains(guarded, "refused address"));
    CHECK_FALSE(refusal(connection.metadata).empty());
    CHECK_FALSE(support::contains(refusal(connection.metadata), "refused address"));
}
