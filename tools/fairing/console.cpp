// tools/fairing/console.cpp - see console.hpp.
#include "console.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <fairing/codec/utf8.hpp>
#include <mutex>
#include <utility>

namespace command {

namespace {

/// One line on stderr that is drawn again and again, and wiped before anything else is printed.
class Bar {
public:
    explicit Bar(bool shown) : shown_(shown) {}

    void update(const fairing::Progress& progress) {
        if (!shown_) {
            return;
        }
        const std::lock_guard lock{mutex_};
        if (progress.step != step_) {
            step_ = progress.step;
            items_.clear();
        }
        items_[progress.item] = {progress.done, progress.total.value_or(progress.done)};
        const auto now = Report::Clock::now();
        if (now - drawn_ < std::chrono::milliseconds{80}) {
            return;
        }
        drawn_ = now;
        draw();
    }

    void wipe() {
        const std::lock_guard lock{mutex_};
        if (std::exchange(visible_, false)) {
            std::fputs("\r\033[K", stderr);
        }
    }

private:
    struct Item {
        std::uint64_t done = 0, total = 0;
    };

    void draw() {
        Item sum;
        for (const auto& [name, item] : items_) {
            sum.done += item.done;
            sum.total += item.total;
        }
        winsize size{};
        const std::size_t columns =
            ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
        const double share =
            sum.total == 0
                ? 1.0
                : std::min(1.0, static_cast<double>(sum.done) / static_cast<double>(sum.total));
        const std::string text = step_ + ' ';
        const std::string figures = ' ' + human_bytes(sum.done) + " of " + human_bytes(sum.total);
        const std::size_t room =
            text.size() + figures.size() + 12 < columns
                ? std::min<std::size_t>(40, columns - text.size() - figures.size() - 4)
                : 0;
        const auto filled = static_cast<std::size_t>(share * static_cast<double>(room));
        const std::string line = room == 0 ? text + figures
                                           : text + '[' + std::string(filled, '#') +
                                                 std::string(room - filled, ' ') + ']' + figures;
        std::fprintf(stderr, "\r\033[K%s", line.substr(0, columns - 1).c_str());
        std::fflush(stderr);
        visible_ = true;
    }

    bool shown_ = false, visible_ = false;
    std::mutex mutex_;
    std::string step_ = {};
    std::map<std::string, Item> items_ = {};
    Report::Clock::time_point drawn_ = {};
};

}  // namespace

fairing::Session console(std::stop_token stop, Verbosity verbosity, Report* report) {
    const auto bar =
        std::make_shared<Bar>(verbosity == Verbosity::normal && ::isatty(STDERR_FILENO) == 1);
    const bool is_terminal = ::isatty(STDOUT_FILENO) == 1;
    const fairing::Level least = verbosity == Verbosity::quiet    ? fairing::Level::error
                                 : verbosity == Verbosity::normal ? fairing::Level::info
                                                                  : fairing::Level::debug;
    return {.stop = std::move(stop),
            .log =
                [bar, least](const fairing::LogRecord& record) {
                    if (record.level >= least) {
                        bar->wipe();
                        std::fprintf(stderr, "%s\n", record.text.c_str());
                    }
                },
            .output =
                [bar, report, is_terminal](const fairing::OutputLine& line) {
                    bar->wipe();
                    if (report != nullptr) {
                        report->first_line();
                    }
                    const std::string shown =
                        is_terminal ? fairing::codec::visible(line.text) : std::string{};
                    const std::string& text = is_terminal ? shown : line.text;
                    std::fwrite(text.data(), 1, text.size(), stdout);
                    std::fputc('\n', stdout);
                    if (std::fflush(stdout) != 0) {
                        throw fairing::system_error(errno, "write", "standard output",
                                                    fairing::ErrorCode::unavailable);
                    }
                },
            .progress = [bar](const fairing::Progress& progress) { bar->update(progress); }};
}

}  // namespace command
