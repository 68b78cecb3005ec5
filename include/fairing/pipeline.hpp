// fairing/pipeline.hpp - the three stages in order: Fairing<Preprocessor, Builder, Deployer>.
#pragma once

#include <concepts>
#include <cstddef>
#include <exception>
#include <string>
#include <utility>

#include "core/env.hpp"
#include "core/figures.hpp"
#include "stage/concepts.hpp"

namespace fairing {

/// Stands for "no third stage": a pipeline that ends with the image.
struct NoDeployer {};
static_assert(!Deployer<NoDeployer>);

/// Stateless: every call may run at once with another. Every call unwinds before an exception
/// leaves it, so that nothing stays behind even when nobody catches (an uncaught exception need not
/// unwind at all). The session's log is told the image's reference and the workload's name.
template <Preprocessor P, Builder B, class D = NoDeployer>
class Fairing {
public:
    Fairing(P preprocessor, B builder) requires std::same_as<D, NoDeployer>
        : preprocessor_(std::move(preprocessor)), builder_(std::move(builder)) {}
    Fairing(P preprocessor, B builder, D deployer) requires Deployer<D>
        : preprocessor_(std::move(preprocessor)),
          builder_(std::move(builder)),
          deployer_(std::move(deployer)) {}

    [[nodiscard]] Context prepare(const Session& session = {}) const {
        try {
            return preprocessor_.prepare(session.ordered());
        } catch (...) {
            throw;
        }
    }

    [[nodiscard]] Image build(const Session& session = {}) const {
        try {
            return build_ordered(session.ordered());
        } catch (...) {
            throw;
        }
    }

    /// What the deployer would create for `image`, without I/O.
    [[nodiscard]] std::vector<Json> manifests(
        const Image& image, const Session& session = {}) const requires Renderer<D> {
        return deployer_.manifests(image, session);
    }

    /// Starts and lets go: whatever was made before a failure is removed, what is returned lives on
    /// by itself. In the job itself: does nothing, returns an empty handle.
    [[nodiscard]] auto start(const Session& session = {}) const requires Deployer<D> {
        return launch(session, [](const Workload&, const Session&) { return Outcome{}; });
    }

    /// Starts, follows to the end (or readiness) and gives every line to session.output. Throws
    /// WorkloadError when it failed; a stop, or any other error while following, removes it and is
    /// thrown on. In the job itself: does nothing, returns an empty handle.
    auto run(const Session& session = {}) const requires Deployer<D> {
        return launch(session, [](const Workload& workload, const Session& ordered) {
            return workload.follow(ordered.output, ordered.stop);
        });
    }

private:
    /// `watch` sees to the workload while a throw still removes it.
    template <class Watch>
    auto launch(const Session& session, const Watch& watch) const {
        using Handle = decltype(deployer_.deploy(Image{}, session));
        if (skipped_in_job(session)) {
            return Handle{};
        }
        try {
            check_deployer();
            const Session ordered = session.ordered();
            Handle workload = deployer_.deploy(build_ordered(ordered), ordered);
            RemoveOnExit guard{workload, ordered.log};
            say_started(workload.object(), ordered);
            Outcome outcome = watch(workload, ordered);
            guard.keep();
            if (outcome.state == State::failed) {
                throw WorkloadError{"run", workload.object(), std::move(outcome)};
            }
            return workload;
        } catch (...) {
            throw;
        }
    }

    /// What it would refuse in the end is refused before anything is built and sent.
    void check_deployer() const {
        if constexpr (SelfChecking<D>) {
            deployer_.check();
        }
    }

    [[nodiscard]] Image build_ordered(const Session& session) const {
        const Context context = preprocessor_.prepare(session);
        session.control().check("build image");
        Image image = builder_.build(context, session);
        say_built(image, context.files.size(), session);
        return image;
    }

    /// What a builder has not measured is not said.
    static void say_built(const Image& image, std::size_t files, const Session& session) {
        const BuildFigures& figures = image.figures;
        const double seconds = figures.build_seconds + figures.push_seconds;
        const std::string cost = seconds > 0 ? ": " + std::to_string(files) + " files, " +
                                                   human_bytes(figures.bytes_read) + " read, " +
                                                   human_bytes(figures.bytes_uploaded) +
                                                   " sent in " + human_seconds(seconds)
                                             : std::string{};
        session.control().say(Level::info, "image " + image.reference + cost);
    }

    static void say_started(const ObjectName& object, const Session& session) {
        session.control().say(Level::info, object.kind + ' ' + object.name + " started");
    }

    static bool skipped_in_job(const Session& session) {
        if (in_job()) {
            session.control().say(Level::warning,
                                  "FAIRING_RUNTIME is set: this is the job, nothing is launched");
            return true;
        }
        return false;
    }

    P preprocessor_;
    B builder_;
    [[no_unique_address]] D deployer_ = {};
};

template <class P, class B>
Fairing(P, B) -> Fairing<P, B, NoDeployer>;
template <class P, class B, class D>
Fairing(P, B, D) -> Fairing<P, B, D>;

}  // namespace fairing
