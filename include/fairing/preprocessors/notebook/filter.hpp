// fairing/preprocessors/notebook/filter.hpp - which cells of a notebook become code: policies.
// Pure.
#pragma once

#include <concepts>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "document.hpp"

namespace fairing::notebook {

/// Says what a cell's source is, "" for a cell that stays as a marker without code, or nullopt for
/// one that goes altogether.
template <class T>
concept CellFilter = requires(const T& filter, const Cell& cell) {
    { filter(cell) } -> std::same_as<std::optional<std::string>>;
};

/// Any filter, by value; an empty one keeps every cell.
using AnyCellFilter = std::function<std::optional<std::string>(const Cell&)>;

/// Only code cells that say `fairing:include-cell` somewhere, as Fairing's FilterIncludeCell.
struct IncludedCells {
    [[nodiscard]] std::optional<std::string> operator()(const Cell& cell) const {
        const bool kept = cell.kind != CellKind::code ||
                          cell.source.find("fairing:include-cell") != std::string::npos;
        return kept ? cell.source : std::string{};
    }
};

/// By cell tag: code cells without one of `only` go when that names any; every cell with one of
/// `skip` goes.
struct TaggedCells {
    std::vector<std::string> only = {};
    std::vector<std::string> skip = {};

    [[nodiscard]] std::optional<std::string> operator()(const Cell& cell) const {
        const bool wanted = only.empty() || cell.kind != CellKind::code || cell.has_any_tag(only);
        return wanted && !cell.has_any_tag(skip) ? std::optional{cell.source} : std::nullopt;
    }
};

static_assert(CellFilter<IncludedCells> && CellFilter<TaggedCells> && CellFilter<AnyCellFilter>);

}  // namespace fairing::notebook
