// fairing/stage/any.hpp - stages chosen at run time: any preprocessor, builder or deployer, by
// value.
#pragma once

#include <concepts>
#include <functional>
#include <utility>
#include <vector>

#include "../core/json.hpp"
#include "concepts.hpp"

namespace fairing {

/// Any preprocessor, by value.
class AnyPreprocessor {
public:
    template <class T>
    requires(!std::same_as<T, AnyPreprocessor>) && Preprocessor<T> AnyPreprocessor(T stage)
        : prepare_([stage = std::move(stage)](const Session& session) {
              return stage.prepare(session);
          }) {}
    [[nodiscard]] Context prepare(const Session& session) const { return prepare_(session); }

private:
    std::function<Context(const Session&)> prepare_;
};

/// Any builder, by value.
class AnyBuilder {
public:
    template <class T>
    requires(!std::same_as<T, AnyBuilder>) && Builder<T> AnyBuilder(T stage)
        : build_([stage = std::move(stage)](const Context& context, const Session& session) {
              return stage.build(context, session);
          }) {}
    [[nodiscard]] Image build(const Context& context, const Session& session) const {
        return build_(context, session);
    }

private:
    std::function<Image(const Context&, const Session&)> build_;
};

/// Any deployer, by value. manifests() of one that renders nothing is an empty list.
class AnyDeployer {
public:
    template <class T>
    requires(!std::same_as<T, AnyDeployer>) && Deployer<T> AnyDeployer(T stage)
        : deploy_([stage](const Image& image, const Session& session) -> Workload {
              return stage.deploy(image, session);
          }) {
        if constexpr (SelfChecking<T>) {
            check_ = [stage] { stage.check(); };
        }
        if constexpr (DryRunner<T>) {
            dry_run_ = [stage](const Image& image, const Session& session) {
                return stage.dry_run(image, session);
            };
        }
        if constexpr (Renderer<T>) {
            manifests_ = [stage = std::move(stage)](const Image& image, const Session& session) {
                return stage.manifests(image, session);
            };
        }
    }
    [[nodiscard]] Workload deploy(const Image& image, const Session& session) const {
        return deploy_(image, session);
    }
    void check() const {
        if (check_) {
            check_();
        }
    }
    [[nodiscard]] std::vector<Json> manifests(const Image& image, const Session& session) const {
        return manifests_ ? manifests_(image, session) : std::vector<Json>{};
    }

    /// Throws Error{unsupported} for one whose peer can not rehearse.
    [[nodiscard]] std::vector<Json> dry_run(const Image& image, const Session& session) const {
        if (!dry_run_) {
            throw Error{ErrorCode::unsupported,
                        {.attempted = "make a dry run at the server",
                         .answer = "this deployer has no server",
                         .advice = "use --dry-run client"}};
        }
        return dry_run_(image, session);
    }

private:
    std::function<Workload(const Image&, const Session&)> deploy_;
    std::function<void()> check_ = {};
    std::function<std::vector<Json>(const Image&, const Session&)> dry_run_ = {};
    std::function<std::vector<Json>(const Image&, const Session&)> manifests_ = {};
};
static_assert(Preprocessor<AnyPreprocessor> && Builder<AnyBuilder> && Deployer<AnyDeployer> &&
              Renderer<AnyDeployer> && SelfChecking<AnyDeployer>);

}  // namespace fairing
