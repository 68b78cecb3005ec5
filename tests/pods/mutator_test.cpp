#include "fairing/pods/mutator.hpp"

#include <doctest/doctest.h>

#include <type_traits>

using namespace fairing;

namespace {

struct TakesNoContext {
    void operator()(PodSpec&, const Session&) const {}
};
struct ReturnsTheSpec {
    PodSpec operator()(PodSpec spec) const { return spec; }
};

/// What depends on the role, as parameter servers go without a GPU.
void mark_workers(PodSpec& pod, PodContext& context) {
    if (context.role == "Worker") {
        pod.set_env("PLACE", context.namespace_ + '/' + context.workload);
    }
}

}  // namespace

TEST_CASE("what is a mutator, and what is none") {
    static_assert(std::is_constructible_v<PodSpecMutator, decltype(&mark_workers)>);
    static_assert(!std::is_constructible_v<PodSpecMutator, TakesNoContext>);
    static_assert(!std::is_constructible_v<PodSpecMutator, ReturnsTheSpec>);
    static_assert(!std::is_default_constructible_v<PodContext>);  // a pod lives somewhere
    const PodSpecMutator none;
    CHECK_FALSE(static_cast<bool>(none));
}

TEST_CASE("a mutator sees one role at a time, and adds objects that stay with the workload") {
    const std::string namespace_ = "ml";
    const std::string workload = "job-1";
    const Session session;
    std::vector<Json> objects;
    int calls = 0;
    const std::vector<PodSpecMutator> mutators = {
        mark_workers, [&calls](PodSpec& pod, PodContext& context) {
            ++calls;
            CHECK(context.client == nullptr);  // offline, where a mutator asks nothing
            // The one before it has been here.
            context.objects.push_back(
                {{"kind", "ConfigMap"}, {"env", pod.container().value("env", Json::array())}});
        }};
    for (const std::string role : {"PS", "Worker"}) {
        PodSpec pod;
        PodContext context{namespace_, role, nullptr, session, objects, workload};
        for (const PodSpecMutator& mutator : mutators) {
            mutator(pod, context);
        }
    }
    CHECK(calls == 2);
    REQUIRE(objects.size() == 2);
    CHECK(objects[0]["env"].empty());
    CHECK(objects[1]["env"] == Json::parse(R"([{"name": "PLACE", "value": "ml/job-1"}])"));
}
