#include "fairing/cloud/ibm/cos.hpp"

#include <doctest/doctest.h>

#include "../../support/cloud_site.hpp"

using namespace fairing;
using namespace fairing::cloud;
using support::contains;
using support::error_of;

TEST_CASE("IBM's keys are read from a service credential") {
    const auto found = ibm::parse_cos_credentials(
        R"({"cos_hmac_keys": {"access_key_id": "a", "secret_access_key": "s"}})", "ibm-cos-creds");
    CHECK(found.access_key_id == "a");
    CHECK(found.secret_access_key.reveal() == "s");
    CHECK(contains(error_of([] { (void)ibm::parse_cos_credentials("{\"apikey\": \"k3y\"}", "x"); }),
                   "it holds no cos_hmac_keys"));
    CHECK(ibm::cos_endpoint("us-south") ==
          "https://s3.us-south.cloud-object-storage.appdomain.cloud");
}
