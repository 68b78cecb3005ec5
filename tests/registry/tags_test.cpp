#include "fairing/registry/tags.hpp"

#include <doctest/doctest.h>

#include "../support/memory_registry.hpp"

using namespace fairing;

TEST_CASE("all tags, over pages; a repository that is not there; names that are no tags") {
    support::MemoryRegistry registry;
    registry.page_size = 2;
    auto& manifests = registry.repositories["team/job"].manifests;
    for (const char* name : {"v1", "v2", "v3", "\x1b[31mred", "v4"}) {
        manifests[name] = {.body = "{}"};
    }
    const auto list = [&](const std::string& reference) {
        return registry::list_tags(
            oci::parse_reference(reference),
            {.transport = std::ref(registry), .files = std::vector<std::filesystem::path>{}}, {});
    };
    CHECK(list("localhost:5000/team/job") == std::vector<std::string>{"v1", "v2", "v3", "v4"});
    CHECK(registry.count("GET /v2/team/job/tags/list") == 3);
    CHECK_THROWS_WITH_AS(static_cast<void>(list("localhost:5000/team/absent")),
                         doctest::Contains("cannot list the tags of localhost:5000/team/absent"),
                         Error);
    CHECK_THROWS_WITH_AS(static_cast<void>(list("oci:dir")), doctest::Contains("not in a registry"),
                         Error);
}
