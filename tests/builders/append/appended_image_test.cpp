#include "fairing/builders/append/appended_image.hpp"

#include <doctest/doctest.h>

TEST_CASE("SOURCE_DATE_EPOCH is the image's time") {
    CHECK(fairing::detail::created_time(0) == "1970-01-01T00:00:00Z");
    CHECK(fairing::detail::created_time(1'700'000'000) == "2023-11-14T22:13:20Z");
}
