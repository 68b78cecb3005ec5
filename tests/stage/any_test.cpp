#include "fairing/stage/any.hpp"

#include <doctest/doctest.h>

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

using namespace fairing;

namespace {

struct Prepare {
    Context prepare(const Session&) const { return {.command = {"a"}}; }
};
struct Build {
    Image build(const Context& context, const Session&) const {
        return {.reference = context.command.at(0)};
    }
};
/// A deployer that can do nothing but deploy.
struct Deploy {
    Workload deploy(const Image&, const Session&) const { return {}; }
};
struct FullDeploy : Deploy {
    std::string name = {};
    void check() const {
        throw Error{ErrorCode::usage, {.attempted = "use name", .subject = name}};
    }
    std::vector<Json> manifests(const Image& image, const Session&) const {
        return {name + " of " + image.reference};
    }
    std::vector<Json> dry_run(const Image& image, const Session&) const {
        return {name + " tried " + image.reference};
    }
};

static_assert(!std::is_constructible_v<AnyPreprocessor, Build>);
static_assert(!std::is_constructible_v<AnyBuilder, Deploy>);
static_assert(!std::is_constructible_v<AnyDeployer, Prepare>);

}  // namespace

TEST_CASE("a stage chosen at run time does what it did, also as a copy") {
    const AnyPreprocessor preprocessor = Prepare{};
    const AnyBuilder builder = Build{};
    const AnyBuilder copy = builder;
    CHECK(copy.build(preprocessor.prepare({}), {}).reference == "a");
    FullDeploy full;
    full.name = "first";
    AnyDeployer deployer = full;
    const AnyDeployer before = deployer;
    full.name = "second";
    deployer = full;
    CHECK(before.manifests({.reference = "r"}, {}) == std::vector<Json>{"first of r"});
    CHECK(deployer.manifests({.reference = "r"}, {}) == std::vector<Json>{"second of r"});
    CHECK(deployer.dry_run({.reference = "r"}, {}) == std::vector<Json>{"second tried r"});
    CHECK_THROWS_WITH_AS(deployer.check(), "cannot use name second", Error);
}

TEST_CASE("a deployer that only deploys has nothing to check or to show, and no server") {
    const AnyDeployer deployer = Deploy{};
    CHECK_NOTHROW(deployer.check());
    CHECK(deployer.manifests({}, {}).empty());
    try {
        static_cast<void>(deployer.dry_run({}, {}));
        FAIL("it made a dry run");
    } catch (const Error& error) {
        CHECK(error.code() == ErrorCode::unsupported);
        CHECK(error.details().advice == "use --dry-run client");
    }
}
