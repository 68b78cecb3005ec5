#include "fairing/builders/context_sources/context_source.hpp"

#include <doctest/doctest.h>

#include "../../support/workspace.hpp"

using namespace fairing;

namespace {

struct GivesNothing {
    void upload(const ContextUpload&) const {}
};
struct TakesNothing {
    UploadedContext upload() const { return {{}, {}}; }
};
static_assert(!ContextSource<GivesNothing>);
static_assert(!ContextSource<TakesNothing>);
static_assert(!std::is_copy_constructible_v<UploadedContext>);

}  // namespace

TEST_CASE("a context is removed once: by its end, by hand, or not at all") {
    int removed = 0;
    const auto made = [&removed] {
        return UploadedContext{{.url = "s3://b/k", .remove = [&removed] { ++removed; }}, {}};
    };
    { const UploadedContext context = made(); }
    CHECK(removed == 1);
    {
        UploadedContext context = made();
        UploadedContext moved = std::move(context);
        moved.remove();
        moved.remove();
    }
    CHECK(removed == 2);
    { made().keep(); }
    CHECK(removed == 2);
}

TEST_CASE("what fails while it is removed is said") {
    support::Log log;
    {
        const UploadedContext context{
            {.remove =
                 [] {
                     throw Error{ErrorCode::denied, {.attempted = "remove", .subject = "k"}};
                 }},
            log.control()};
    }
    CHECK(log.lines == std::vector<std::string>{"cannot remove k"});
}
