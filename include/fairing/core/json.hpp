// fairing/core/json.hpp - the JSON value: the only header that includes nlohmann/json.
//
// Trap: `Json copy{other}` is an array of one with GCC and a copy with clang; write `Json copy =
// other`.
#pragma once

#include <nlohmann/json.hpp>

namespace fairing {

using Json = nlohmann::json;

}  // namespace fairing
