#include "fairing/builders/context_sources/build_files.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"
#include "fairing/codec/gzip.hpp"
#include "fairing/packaging/layer_writer.hpp"

using namespace fairing;

TEST_CASE("the Dockerfile is among the files, and not in the context's digest") {
    const support::Workspace space;
    space.file("a", "1");
    Context context;
    for (const std::string destination : {"/A", "/app/train.py"}) {
        context.files.push_back({.source = space / "a", .destination = destination, .size = 1});
    }
    const auto pack = [](const std::vector<ContextFile>& files) {
        return packaging::write_layer(files, codec::GzipCompressor{}, {}, {}).contents;
    };
    std::vector<std::string> digests;
    for (const std::string root : {"", "/root"}) {
        detail::BuildFiles files{context, "FROM x\n", root};
        REQUIRE(files.files().size() == 3);
        CHECK(files.files()[1].destination == root + "/Dockerfile");
        CHECK(read_file(files.files()[1].source) == "FROM x\n");
        files.add(files.files(), pack(files.files()));
        digests.push_back(files.finish());
    }
    packaging::ContextDigest plain;
    plain.add(context.files, pack(context.files));
    const std::string wanted = plain.finish(context);
    CHECK(digests == std::vector<std::string>{wanted, wanted});

    context.files.insert(context.files.begin() + 1,
                         {.source = space / "a", .destination = "/Dockerfile", .size = 1});
    CHECK_THROWS_AS((detail::BuildFiles{context, "FROM x\n", ""}), Error);
}
