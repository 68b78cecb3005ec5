#include "fairing/preprocessors/notebook/filter.hpp"

#include <doctest/doctest.h>

using namespace fairing::notebook;

namespace {

struct NoFilter {
    bool operator()(const Cell&) const { return true; }
};

}  // namespace

static_assert(!CellFilter<NoFilter>);

TEST_CASE("included cells: the others stay as markers") {
    const IncludedCells filter;
    CHECK(filter({.source = "# fairing:include-cell\nx"}) == "# fairing:include-cell\nx");
    CHECK(filter({.source = "x"}) == "");
    CHECK(filter({.kind = CellKind::markdown, .source = "text"}) == "text");
}

TEST_CASE("tagged cells go or stay") {
    const Cell tagged{.source = "x", .tags = {"a", "b"}};
    CHECK(TaggedCells{}(tagged) == "x");
    CHECK(TaggedCells{.only = {"b"}}(tagged) == "x");
    CHECK_FALSE(TaggedCells{.only = {"c"}}(tagged));
    CHECK_FALSE(TaggedCells{.only = {"a"}, .skip = {"b"}}(tagged));
    CHECK(TaggedCells{.only = {"c"}}({.kind = CellKind::markdown, .source = "t"}) == "t");
}
