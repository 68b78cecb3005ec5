// fairing/deployers/local/engine_run.hpp - the image as a container of this machine's Docker or
// Podman.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "../../core/line_splitter.hpp"
#include "../../engine/engine.hpp"
#include "../../stage/image.hpp"
#include "local_workload.hpp"

namespace fairing::local {

/// The body of POST /containers/create: the command as the whole command, on this machine's
/// network.
[[nodiscard]] inline Json container_settings(const std::string& image_id, const Image& image,
                                             const std::string& name) {
    Json variables = Json::array();
    std::map<std::string, std::string> environment = image.environment;
    environment.insert_or_assign("FAIRING_RUNTIME", std::string{"1"});
    environment.try_emplace("PYTHONUNBUFFERED", "1");
    for (const auto& [key, value] : environment) {
        variables.push_back(key + '=' + value);
    }
    Json settings = {{"Image", image_id},
                     {"Env", variables},
                     {"WorkingDir", image.working_directory},
                     {"Tty", false},
                     {"Labels", {{"fairing-id", name}, {"fairing-deployer", "local"}}},
                     {"HostConfig", {{"NetworkMode", "host"}}}};
    if (!image.command.empty()) {
        settings["Entrypoint"] = Json::array({image.command.front()});
        settings["Cmd"] = std::vector<std::string>(image.command.begin() + 1, image.command.end());
    }
    return settings;
}

/// A container of an engine. When this object goes, so does the container, and the image if we
/// brought it. (A violent death of ours leaves the container to the engine: it has the label
/// fairing-id.)
class EngineRun final : public Run {
public:
    /// Creates and starts it; `brought` is the id of an image to remove in the end, or empty.
    EngineRun(engine::Engine engine, const std::string& name, const Json& settings,
              std::string brought, std::chrono::milliseconds grace, const std::stop_token& stop)
        : engine_(std::move(engine)), brought_(std::move(brought)), grace_(grace), id_(name) {
        try {
            id_ = engine_.create(name, settings, stop);
            engine_.start(id_, stop);
        } catch (...) {
            clean_up();
            throw;
        }
    }
    ~EngineRun() override { clean_up(); }

    RunEnd follow(const LineSink& sink, const std::stop_token& stop) override {
        const std::jthread ender = end_on(stop);
        LineSplitter output;
        LineSplitter errors;
        engine_.follow_logs(id_, [&](Stream stream, std::span<const std::byte> bytes) {
            (stream == Stream::output ? output : errors).write(bytes, sink);
        });
        output.finish(sink);
        errors.finish(sink);
        const engine::ContainerEnd end = engine_.wait(id_);
        RunEnd result{.exit_code = end.exit_code};
        if (end.exit_code != 0) {
            result.reason = "exited with " + std::to_string(end.exit_code);
            if (end.exit_code > 128 && end.exit_code <= 128 + 64) {
                result.reason += ", as if killed by " + signal_text(end.exit_code - 128);
            }
            if (!end.error.empty()) {
                result.reason += ": " + end.error;
            }
        }
        return result;
    }

private:
    /// A thread that ends the container on a stop; the logs end then by themselves.
    [[nodiscard]] std::jthread end_on(const std::stop_token& stop) {
        return std::jthread{[this, stop](const std::stop_token& done) {
            std::mutex mutex;
            std::condition_variable_any woken;
            const std::stop_callback on_stop{stop, [&] {
                                                 const std::lock_guard lock{mutex};
                                                 woken.notify_all();
                                             }};
            std::unique_lock lock{mutex};
            woken.wait(lock, done, [&stop] { return stop.stop_requested(); });
            lock.unlock();
            if (stop.stop_requested()) {
                try {
                    engine_.stop(id_, std::chrono::ceil<std::chrono::seconds>(grace_), done);
                } catch (const std::exception&) {
                    kill();
                }
            }
        }};
    }

    void kill() noexcept {
        try {
            engine_.kill(id_);
        } catch (const std::exception&) {
            // it has ended meanwhile, or the engine has
        }
    }

    void clean_up() noexcept {
        try {
            engine_.remove(id_);
        } catch (const std::exception&) {
            // the engine is gone, and its containers with it
        }
        try {
            if (!brought_.empty()) {
                engine_.remove_image(brought_);
            }
        } catch (const std::exception&) {
            // somebody else uses it now
        }
    }

    engine::Engine engine_;
    std::string brought_;
    std::chrono::milliseconds grace_;
    std::string id_ = {};
};

}  // namespace fairing::local
