// What the tests of the mutators share: a pod, and one mutator applied to it.
#pragma once

#include <string>
#include <vector>

#include "fairing/pods/mutator.hpp"

namespace support {

/// The pod after the mutator, offline; `objects` is what it added.
struct Mutated {
    fairing::PodSpec pod = {};
    std::vector<fairing::Json> objects = {};

    Mutated& apply(const fairing::PodSpecMutator& mutator) {
        const std::string namespace_ = "ml", role, workload = "job-1";
        const fairing::Session session;
        fairing::PodContext context{namespace_, role, nullptr, session, objects, workload};
        mutator(pod, context);
        return *this;
    }
    [[nodiscard]] fairing::Json container() { return pod.container(); }
};

}  // namespace support
