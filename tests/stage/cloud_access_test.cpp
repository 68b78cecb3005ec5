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

TEST_CASE("without one, only the transport for metadata services may go where those are") {
    const cloud::Connection connection = cloud_connection({});
    // The guard refuses this address like theirs; who may go there finds nobody on this machine.
    const auto refusal = [](const net::AnyTransport& transport) {
        return support::error_of(
            [&transport] { static_cast<void>(transport.send({.url = "http://0.0.0.0:1/"})); });
    };
    CHECK(support::contains(refusal(connection.transport), "refused address"));
    CHECK_FALSE(refusal(connection.metadata).empty());
    CHECK_FALSE(support::contains(refusal(connection.metadata), "refused address"));
}
