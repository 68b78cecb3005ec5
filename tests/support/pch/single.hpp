// What the suite precompiles when it runs on the single header.
#include <fairing.hpp>
