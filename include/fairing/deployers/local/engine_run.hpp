// fairing/deployers/local/engine_run.hpp - the image as a container of this machine's Docker or
// Podman.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

#include "../../core/control.hpp"
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
        std::array<std::uint64_t, 2> given{};  // bytes, of output and errors
        const auto give = [&](Stream stream, std::span<const std::byte> bytes) {
            ++heard_;
            given[stream == Stream::output ? 0 : 1] += bytes.size();
            (stream == Stream::output ? output : errors).write(bytes, sink);
        };
        std::stop_source reading;
        try {
            const std::jthread watcher = end_reading(reading);
            engine_.follow_logs(id_, give, reading.get_token());
        } catch (const Cancelled&) {
            // The watcher has ended it: the container runs no more.
        }
        const engine::ContainerEnd end = engine_.wait(id_);
        read_rest(given, give);
        output.finish(sink);
        errors.finish(sink);
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

    /// A thread that stops `reading` when the container has ended and nothing more comes. Podman
    /// follows the log of a short container for ever when it missed its end.
    [[nodiscard]] std::jthread end_reading(std::stop_source& reading) {
        return std::jthread{[this, &reading](const std::stop_token& done) {
            const Control control{.stop = done};
            for (std::uint64_t before = 0;; before = heard_) {
                control.sleep(patience);
                if (done.stop_requested()) {
                    return;
                }
                try {
                    if (before == heard_ && !engine_.is_running(id_, done)) {
                        reading.request_stop();
                        return;
                    }
                } catch (const std::exception&) {
                    // what is wrong with the engine, whoever reads from it hears as well
                }
            }
        }};
    }

    /// What the log holds beyond the bytes that were `given`: Podman's following may end before it.
    void read_rest(std::array<std::uint64_t, 2> given, const engine::FrameReader::Sink& give) {
        engine_.read_logs(id_, [&](Stream stream, std::span<const std::byte> bytes) {
            std::uint64_t& left = given[stream == Stream::output ? 0 : 1];
            const std::size_t skipped =
                static_cast<std::size_t>(std::min<std::uint64_t>(left, bytes.size()));
            left -= skipped;
            if (skipped < bytes.size()) {
                give(stream, bytes.subspan(skipped));
            }
        });
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

    static constexpr std::chrono::seconds patience{5};

    engine::Engine engine_;
    std::atomic<std::uint64_t> heard_ = 0;  ///< frames
    std::string brought_;
    std::chrono::milliseconds grace_;
    std::string id_ = {};
};

}  // namespace fairing::local
