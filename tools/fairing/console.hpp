// tools/fairing/console.hpp - what a person sees: the workload's lines on stdout, ours and a
// progress bar on stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <fairing/stage/session.hpp>
#include <map>
#include <memory>
#include <stop_token>
#include <string>

#include "report.hpp"

namespace command {

enum class Verbosity { quiet, normal, verbose };

/// A session that prints. On a terminal a bar shows the bytes of the current step; elsewhere the
/// steps' own lines must do. `report`, when set, learns of the first line.
[[nodiscard]] fairing::Session console(std::stop_token stop, Verbosity verbosity, Report* report);

}  // namespace command
