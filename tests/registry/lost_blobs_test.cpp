#include "fairing/registry/lost_blobs.hpp"

#include <doctest/doctest.h>

using namespace fairing;

TEST_CASE("row 26: what a registry lost is sent once more, each blob once; then it is over") {
    std::vector<std::string> sent;
    const auto push = [&sent](std::vector<std::vector<std::string>> losses) {
        sent.clear();
        registry::write_in_spite_of_losses(
            [&losses] {
                if (!losses.empty()) {
                    const std::vector<std::string> named = losses.front();
                    losses.erase(losses.begin());
                    throw registry::MissingBlobs{{.attempted = "push"}, named};
                }
            },
            [&sent](const registry::LostBlobs& lost) {
                for (const char* digest : {"a", "b"}) {
                    if (lost.may_hold(digest)) {
                        sent.emplace_back(digest);
                    }
                }
            });
    };
    push({});
    CHECK(sent.empty());
    push({{"a"}});
    CHECK(sent == std::vector<std::string>{"a"});
    push({{"a"}, {"a", "b"}});  // one at a time
    CHECK(sent == std::vector<std::string>{"a", "a", "b"});
    push({{}});  // without saying which
    CHECK(sent == std::vector<std::string>{"a", "b"});
    CHECK_THROWS_AS(push({{"a"}, {"a"}}), registry::MissingBlobs);
    CHECK_THROWS_AS(push({{}, {}}), registry::MissingBlobs);
}
