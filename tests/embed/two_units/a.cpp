// One of two translation units that include the whole library: what it throws and returns crosses
// into the other.
#include <fairing.hpp>

std::string digest_in_a(std::string_view bytes) { return fairing::codec::sha256_hex(bytes); }

void throw_in_a() {
    throw fairing::Error{fairing::ErrorCode::input,
                         {.attempted = "read", .subject = "a.cpp", .answer = "thrown on purpose"}};
}
