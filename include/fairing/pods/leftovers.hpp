// fairing/pods/leftovers.hpp - what is left of a template of pods when everything that another
// object can express was taken from it: said, for it will not be done.
#pragma once

#include <cstddef>
#include <string>

#include "../core/control.hpp"
#include "../kube/document.hpp"
#include "../kube/object.hpp"
#include "../stage/image.hpp"
#include "../stage/session.hpp"
#include "run_identity.hpp"

namespace fairing {

/// Takes from the main container what the image's own configuration says too, unless a mutator
/// changed it.
inline void erase_image_settings(Json& container, const Image& image) {
    if (kube::text(container, {"workingDir"}) == image.working_directory) {
        container.erase("workingDir");
    }
    if (container.value("securityContext", Json()) == Json{{"runAsUser", 0}}) {
        container.erase("securityContext");
    }
}

/// One warning for each thing; `who` can not express it.
inline void say_leftovers(const Json& template_, const std::string& who, const Session& session) {
    const auto say = [&](const std::string& what) {
        session.control().say(Level::warning,
                              who + " can not express " + what + " of its pods: it is left out");
    };
    for (const auto& [key, value] : template_["spec"].items()) {
        if (key != "containers" && key != "restartPolicy") {
            say(key);
        }
    }
    for (std::size_t i = 1; i < template_["spec"]["containers"].size(); ++i) {
        say("a second container");
    }
    for (const auto& [key, value] : template_["spec"]["containers"][0].items()) {
        if (key != "name") {
            say(key);
        }
    }
    for (const auto& [key, value] : kube::member(template_, {"metadata", "labels"}).items()) {
        if (key != kube::run_label && key != deployer_label) {
            say("the label " + key);
        }
    }
    for (const auto& [key, value] : kube::member(template_, {"metadata", "annotations"}).items()) {
        if (key != "sidecar.istio.io/inject") {
            say("the annotation " + key);
        }
    }
}

}  // namespace fairing
