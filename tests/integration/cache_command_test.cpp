// fairing cache info and clear, and --no-cache: what they say and what they do to a cache of their
// own.
#include <doctest/doctest.h>

#include <filesystem>
#include <string>

#include "../support/shell.hpp"
#include "../support/workspace.hpp"
#include "fairing/core/env.hpp"
#include "fairing/core/json_text.hpp"

using namespace fairing;
using support::contains;
using support::run;
using support::ShellResult;

namespace {

/// A program to build, and a cache that nobody else uses.
class Bench {
public:
    Bench() {
        space_.file("train.py", "print('hello')\n");
        space_.file("data.bin", std::string(200'000, 'd'));
    }
    /// `fairing ARGUMENTS`; the output holds stderr too. `settings` are env's: "-u A B=c".
    [[nodiscard]] ShellResult fairing(const std::string& arguments,
                                      const std::string& settings = {}) const {
        return run("cd " + space_.path().string() + " && env " +
                   (settings.empty() ? "FAIRING_CACHE=" + cache() : settings) + ' ' +
                   *env("FAIRING_COMMAND") + ' ' + arguments + " 2>&1");
    }
    /// Builds into the layout; gives the report.
    [[nodiscard]] Json build(const std::string& more = {}) const {
        const ShellResult built = fairing(
            "build train.py --input data.bin --base-image scratch --registry oci:image "
            "--quiet --report report.json " +
            more);
        REQUIRE_MESSAGE(built.exit_code == 0, built.output);
        return parse_json(read_file(space_ / "report.json"), "the report");
    }
    [[nodiscard]] std::string info() const {
        const ShellResult told = fairing("cache info");
        CHECK(told.exit_code == 0);
        return told.output;
    }
    /// Regular files of the cache.
    [[nodiscard]] std::size_t entries() const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{cache()}) {
            count += entry.is_regular_file() ? 1 : 0;
        }
        return count;
    }
    [[nodiscard]] std::string cache() const { return space_ / "cache"; }
    [[nodiscard]] const support::Workspace& space() const { return space_; }

private:
    support::Workspace space_ = {};
};

bool no_command() {
    if (env("FAIRING_COMMAND")) {
        return false;
    }
    MESSAGE("skipped: FAIRING_COMMAND is not set");
    return true;
}

bool all_of_origin(const Json& report, const std::string& origin) {
    for (const Json& layer : report["layers"]) {
        if (layer["origin"] != origin) {
            return false;
        }
    }
    return !report["layers"].empty();
}

}  // namespace

TEST_CASE("fairing cache info counts, clear empties, and the next build makes the same image") {
    if (no_command()) {
        return;
    }
    const Bench bench;
    const std::string place = bench.cache() + "/layers: ";
    CHECK(bench.info() == place + "0 B in 0 entries, of at most 10.7 GB\n");
    const Json first = bench.build();
    CHECK(all_of_origin(first, "built"));
    const std::size_t entries = bench.entries();
    CHECK(entries >= 3);  // the layer's record, its segments, its blob
    CHECK(
        contains(bench.info(), " in " + std::to_string(entries) + " entries, of at most 10.7 GB"));
    CHECK_FALSE(contains(bench.info(), place + "0 B"));
    CHECK(all_of_origin(bench.build(), "cached"));

    const ShellResult cleared = bench.fairing("cache clear");
    CHECK(cleared.exit_code == 0);
    CHECK(cleared.output.starts_with(place));
    CHECK(cleared.output.ends_with(" removed\n"));
    CHECK_FALSE(cleared.output.starts_with(place + "0 B"));
    CHECK(bench.entries() == 0);
    CHECK(bench.info() == place + "0 B in 0 entries, of at most 10.7 GB\n");
    CHECK(bench.fairing("cache clear").output == place + "0 B removed\n");

    const Json again = bench.build();
    CHECK(all_of_origin(again, "built"));
    CHECK(again["digest"] == first["digest"]);
}

TEST_CASE("--no-cache neither uses nor fills the cache, and makes the same image") {
    if (no_command()) {
        return;
    }
    const Bench bench;
    const Json without = bench.build("--no-cache");
    CHECK(all_of_origin(without, "built"));
    CHECK_FALSE(std::filesystem::exists(bench.cache()));
    const Json with = bench.build();
    CHECK(with["digest"] == without["digest"]);
    const std::string told = bench.info();
    const Json again = bench.build("--no-cache");
    CHECK(all_of_origin(again, "built"));
    CHECK(again["bytes"]["read"] == without["bytes"]["read"]);
    CHECK(again["digest"] == without["digest"]);
    CHECK(bench.info() == told);
    CHECK(all_of_origin(bench.build(), "cached"));
}

TEST_CASE("a cache that is not there, or not ours alone, is said; bad calls are usage") {
    if (no_command()) {
        return;
    }
    const Bench bench;
    for (const std::string call : {"cache", "cache frobnicate", "cache info --no-such"}) {
        CAPTURE(call);
        CHECK(bench.fairing(call).exit_code == 64);
    }
    const ShellResult homeless =
        bench.fairing("cache info", "-u FAIRING_CACHE -u XDG_CACHE_HOME -u HOME");
    CHECK(homeless.exit_code == 64);
    CHECK(contains(homeless.output, "set FAIRING_CACHE to a folder of your own"));
    bench.space().folder("cache/layers");
    for (const char* const call : {"cache info", "cache clear"}) {
        std::filesystem::permissions(bench.cache() + "/layers", std::filesystem::perms::all);
        const ShellResult open = bench.fairing(call);
        CHECK(open.exit_code == 64);
        CHECK(contains(open.output, "not a folder of yours that nobody else may enter"));
    }
    // Where else it may be.
    const std::string home = bench.space() / "home";
    const ShellResult moved =
        bench.fairing("cache info", "-u FAIRING_CACHE -u XDG_CACHE_HOME HOME=" + home);
    CHECK(moved.output.starts_with(home + "/.cache/fairing/layers: "));
    const ShellResult named =
        bench.fairing("cache info", "-u FAIRING_CACHE XDG_CACHE_HOME=" + home + "/x");
    CHECK(named.output.starts_with(home + "/x/fairing/layers: "));
}
