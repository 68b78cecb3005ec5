// The other one. Exits 0 when both agree on functions and types.
#include <fairing.hpp>
#include <iostream>

std::string digest_in_a(std::string_view bytes);
void throw_in_a();

int main() {
    if (digest_in_a("abc") != fairing::codec::sha256_hex("abc")) {
        std::cerr << "two digests of the same bytes\n";
        return 1;
    }
    try {
        throw_in_a();
    } catch (const fairing::Error& error) {
        if (error.code() == fairing::ErrorCode::input) {
            return 0;
        }
    }
    std::cerr << "the other unit's error was not caught as ours\n";
    return 1;
}
