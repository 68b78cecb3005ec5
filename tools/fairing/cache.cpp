// tools/fairing/cache.cpp - fairing cache: what the layer cache holds, and away with it.
#include <cstdio>
#include <fairing/packaging/layer_cache.hpp>

#include "report.hpp"
#include "subcommands.hpp"

namespace command {

namespace {

/// The cache that build and run use. Throws Error{usage} when there can be none.
[[nodiscard]] fairing::packaging::LayerCache open_cache() {
    const std::filesystem::path directory = fairing::packaging::default_cache_directory();
    fairing::packaging::LayerCache cache{directory};
    if (!cache.folder().enabled()) {
        throw fairing::Error{
            fairing::ErrorCode::usage,
            {.attempted = "open the layer cache",
             .subject = directory.empty() ? "" : (directory / "layers").string(),
             .answer = directory.empty() ? "there is no home directory to hold it"
                                         : "it is not a folder of yours that nobody else may enter",
             .advice = "set FAIRING_CACHE to a folder of your own"}};
    }
    return cache;
}

}  // namespace

Action set_up_cache(CLI::App& parser) {
    parser.require_subcommand(1);
    const CLI::App* info =
        parser.add_subcommand("info", "Print where it is and how much it holds.");
    parser.add_subcommand("clear", "Remove all of it.");
    return [info](const std::vector<std::string>&) {
        const fairing::packaging::LayerCache cache = open_cache();
        const fairing::packaging::CacheSize size = cache.folder().size();
        if (info->parsed()) {
            std::printf("%s: %s in %llu entries, of at most %s\n", cache.folder().path().c_str(),
                        human_bytes(size.bytes).c_str(),
                        static_cast<unsigned long long>(size.entries),
                        human_bytes(fairing::packaging::LayerCache::default_limit).c_str());
            return 0;
        }
        cache.folder().shrink(0);
        std::printf("%s: %s removed\n", cache.folder().path().c_str(),
                    human_bytes(size.bytes).c_str());
        return 0;
    };
}

}  // namespace command
