// tests/support/aws_site.hpp - the surroundings of a client of AWS, scripted: keys, a region, a
// bucket.
#pragma once

#include <cstdint>
#include <string>

#include "cloud_site.hpp"
#include "fairing/cloud/aws/client.hpp"
#include "fairing/cloud/aws/s3.hpp"

namespace support {

inline const std::string aws_secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

struct AwsSite : CloudSite {
    std::string region = "eu-west-1";

    [[nodiscard]] fairing::cloud::aws::Client client() {
        return {connection(),
                {[] {
                     return fairing::cloud::aws::Credentials{
                         .access_key_id = "AKID", .secret_access_key = fairing::Secret{aws_secret}};
                 },
                 connection().control.clock},
                region};
    }
    [[nodiscard]] fairing::cloud::aws::S3Bucket bucket(std::uint64_t part_size = 4) {
        return {client(), "bucket", {.endpoint = "http://s3.local:9000/", .part_size = part_size}};
    }
};

inline std::string xml_error(const std::string& code, const std::string& message = "no") {
    return "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>" + message +
           "</Message><StringToSign>AWS4</StringToSign></Error>";
}

/// Where bucket() keeps "builds/a b".
inline const std::string key_url = "http://s3.local:9000/bucket/builds/a%20b";

}  // namespace support
