#include "fairing/builders/context_sources/registry.hpp"

#include <doctest/doctest.h>

#include "../../support/builder_site.hpp"

using namespace fairing;

TEST_CASE("a context as an image of its own, which goes with its handle") {
    support::BuilderSite site;
    const AppendBuilder target{.base_image = "scratch", .registry = "r.example/team"};
    const auto push = [&](const std::string& id) {
        return detail::push_context(target, site.context, "FROM x\n", id, site.session());
    };
    detail::PushedContext first = push("one");
    {
        const detail::PushedContext second = push("two");
        // Each build has one of its own: who removes his takes nobody else's.
        CHECK(site.tags("team/fairing-job") ==
              std::vector<std::string>{"fairing-context-one", "fairing-context-two"});
        CHECK(second.context_digest == first.context_digest);
        CHECK(second.context.url() == "dir:///workspace");
    }
    CHECK(site.tags("team/fairing-job") == std::vector<std::string>{"fairing-context-one"});
    first.context.remove();
    CHECK(site.tags("team/fairing-job").empty());

    // A push that does not end well is taken back, also behind a stop.
    site.registry.requests.clear();
    Session stopped = site.session();
    stopped.progress = [&](const Progress&) { site.stop.request_stop(); };
    CHECK_THROWS_AS(
        static_cast<void>(detail::push_context(target, site.context, "FROM y\n", "bad", stopped)),
        Cancelled);
    CHECK(site.tags("team/fairing-job").empty());
    CHECK(site.registry.count("HEAD /v2/team/fairing-job/manifests/fairing-context-bad") >= 1);
}
