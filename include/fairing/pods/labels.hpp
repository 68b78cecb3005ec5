// fairing/pods/labels.hpp - names with values: labels, annotations, variables.
#pragma once

#include <map>
#include <string>

namespace fairing {

using Labels = std::map<std::string, std::string>;

}  // namespace fairing
