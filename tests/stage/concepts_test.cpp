#include "fairing/stage/concepts.hpp"

#include <doctest/doctest.h>

using namespace fairing;

namespace {
struct Good {
    Context prepare(const Session&) const { return {}; }
    Image build(const Context&, const Session&) const { return {}; }
    Endpoint deploy(const Image&, const Session&) const { return {}; }
    std::vector<Json> manifests(const Image&, const Session&) const { return {}; }
    void check() const {}
};
struct NotConst {
    Context prepare(const Session&) { return {}; }
    Image build(const Context&, const Session&) { return {}; }
    Workload deploy(const Image&, const Session&) { return {}; }
    void check() {}
};
struct WrongResult {
    Image prepare(const Session&) const { return {}; }
    Context build(const Context&, const Session&) const { return {}; }
    int deploy(const Image&, const Session&) const { return 0; }
    Json manifests(const Image&, const Session&) const { return {}; }
};
}  // namespace

TEST_CASE("what is a stage, and what is none") {
    static_assert(Preprocessor<Good> && Builder<Good> && Deployer<Good> && Renderer<Good>);
    static_assert(!Preprocessor<NotConst> && !Builder<NotConst> && !Deployer<NotConst>);
    static_assert(!Preprocessor<WrongResult> && !Builder<WrongResult> && !Deployer<WrongResult>);
    static_assert(!Renderer<WrongResult> && !Renderer<NotConst> && !Preprocessor<int>);
    static_assert(SelfChecking<Good> && !SelfChecking<NotConst> && !SelfChecking<WrongResult>);
    CHECK(Good{}.deploy({}, {}).object().name.empty());
}
