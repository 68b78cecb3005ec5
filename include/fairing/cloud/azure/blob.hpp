// fairing/cloud/azure/blob.hpp - block blobs of Azure Storage
// (learn.microsoft.com/rest/api/storageservices/blob-service-rest-api).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "../content.hpp"
#include "account.hpp"

namespace fairing::cloud::azure {

inline namespace FAIRING_ABI {

/// One container.
class BlobContainer {
public:
    /// Larger blobs than `block_size` go in blocks.
    BlobContainer(Connection connection, StorageAccount account, std::string container,
                  std::uint64_t block_size = std::uint64_t{16} << 20)
        : client_(std::move(connection), std::move(account), StorageClient::Kind::blob),
          container_(std::move(container)),
          block_size_(std::max<std::uint64_t>(block_size, 1)) {}

    [[nodiscard]] std::string url(const std::string& name) const {
        return client_.endpoint() + target(name);
    }
    /// Creates the container unless it is there. True when it was created.
    bool ensure() const {
        return client_.create('/' + net::percent_encode(container_) + "?restype=container", {},
                              "create container", container_);
    }

    /// Uploads, in one request or in blocks. A block that fails is sent again; blocks that no list
    /// names are no blob, and the service drops them.
    void put(const std::string& name, const Content& content) const {
        const std::string subject = url(name);
        if (content.size <= block_size_) {
            return need_success(client_.send({.method = "PUT",
                                              .headers = {{"x-ms-blob-type", "BlockBlob"}},
                                              .body = content.body({0, content.size})},
                                             target(name), "upload", subject),
                                "upload", subject);
        }
        // Fifty thousand blocks are allowed.
        const std::uint64_t longest = std::max(block_size_, content.size / 49999 + 1);
        std::string list = R"(<?xml version="1.0" encoding="utf-8"?><BlockList>)";
        for (std::uint64_t offset = 0; offset < content.size; offset += longest) {
            const std::string number = std::to_string(1000000 + offset / longest);
            const std::string id = codec::base64_encode(number);  // all of one length
            const ByteRange range = content.part(offset, longest);
            need_success(
                client_.send({.method = "PUT", .body = content.body(range)},
                             target(name) + "?comp=block&blockid=" + net::percent_encode(id),
                             "upload", "a block of " + subject),
                "upload", "a block of " + subject);
            list += "<Latest>" + id + "</Latest>";
            client_.connection().control.show({.step = "upload",
                                               .item = subject,
                                               .done = offset + range.size,
                                               .total = content.size});
        }
        need_success(
            client_.send({.method = "PUT", .body = net::Body::of(list + "</BlockList>")},
                         target(name) + "?comp=blocklist", "finish the upload of", subject),
            "finish the upload of", subject);
    }

    /// Removes the blob; one that is not there counts as removed.
    void remove(const std::string& name) const { client_.remove(target(name), url(name)); }

    [[nodiscard]] BlobContainer for_cleanup() const {
        BlobContainer copy = *this;
        copy.client_ = client_.for_cleanup();
        return copy;
    }

private:
    [[nodiscard]] std::string target(const std::string& name) const {
        return '/' + net::percent_encode(container_) + '/' + encoded_name(name);
    }

    StorageClient client_;
    std::string container_;
    std::uint64_t block_size_;
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::azure
