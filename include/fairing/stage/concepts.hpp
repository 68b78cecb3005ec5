// fairing/stage/concepts.hpp - the three stages and what each gives to the next: Context → Image →
// Workload.
#pragma once

#include <concepts>
#include <vector>

#include "../core/json.hpp"
#include "../packaging/context.hpp"
#include "image.hpp"
#include "session.hpp"
#include "workload.hpp"

namespace fairing {

/// Decides what is packaged and which command runs it. Reads files, writes none that it does not
/// own.
template <class T>
concept Preprocessor = requires(const T& stage, const Session& session) {
    { stage.prepare(session) } -> std::same_as<Context>;
};

/// Turns a context into an image that a deployer can name by digest.
template <class T>
concept Builder = requires(const T& stage, const Context& context, const Session& session) {
    { stage.build(context, session) } -> std::same_as<Image>;
};

/// Starts the image; the workload lives on when the handle goes, unless it is a process of this
/// machine.
template <class T>
concept Deployer = requires(const T& stage, const Image& image, const Session& session) {
    { stage.deploy(image, session) } -> std::derived_from<Workload>;
};

/// A deployer that refuses bad options before anything is built for it, without I/O: check() throws
/// Error.
template <class T>
concept SelfChecking = requires(const T& stage) {
    stage.check();
};

/// A deployer that can say beforehand, without I/O, what it would create.
template <class T>
concept Renderer = requires(const T& stage, const Image& image, const Session& session) {
    { stage.manifests(image, session) } -> std::same_as<std::vector<Json>>;
};

/// A deployer whose peer can say what it would store, without storing it.
template <class T>
concept DryRunner = requires(const T& stage, const Image& image, const Session& session) {
    { stage.dry_run(image, session) } -> std::same_as<std::vector<Json>>;
};

}  // namespace fairing
