// tests/support/azure_account.hpp - the storage account of the tests.
#pragma once

#include "fairing/cloud/azure/account.hpp"
#include "fairing/codec/base64.hpp"

namespace support {

inline fairing::cloud::azure::StorageAccount azure_account() {
    return {.name = "acct",
            .credential = {.key = fairing::Secret{fairing::codec::base64_encode("geheim")}}};
}

}  // namespace support
