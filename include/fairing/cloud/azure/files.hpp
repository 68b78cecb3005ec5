// fairing/cloud/azure/files.hpp - file shares of Azure Storage
// (learn.microsoft.com/rest/api/storageservices/file-service-rest-api).
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "../content.hpp"
#include "account.hpp"

namespace fairing::cloud::azure {

inline namespace FAIRING_ABI {

/// One share. Paths are relative to it, with slashes between their parts.
class FileShare {
public:
    FileShare(Connection connection, StorageAccount account, std::string share)
        : client_(std::move(connection), std::move(account), StorageClient::Kind::file),
          share_(std::move(share)) {}

    [[nodiscard]] std::string url(const std::string& path) const {
        return client_.endpoint() + target(path);
    }
    [[nodiscard]] const StorageAccount& account() const noexcept { return client_.account(); }

    /// Creates the share unless it is there. True when it was created.
    bool ensure() const {
        return client_.create('/' + net::percent_encode(share_) + "?restype=share", {},
                              "create share", share_);
    }

    /// Creates the directory and those above it, unless they are there.
    void make_directory(const std::string& path) const {
        for (std::size_t end = 0; end != std::string::npos;) {
            end = path.find('/', end + 1);
            const std::string part = path.substr(0, end);
            client_.create(target(part) + "?restype=directory", properties(), "create directory",
                           url(part));
        }
    }

    /// Uploads a file into a directory that is there. A range that fails is sent again; when that
    /// does not help, the half file is removed.
    void put(const std::string& path, const Content& content) const {
        net::Headers headers = properties();
        headers.emplace("x-ms-type", "file");
        headers.emplace("x-ms-content-length", std::to_string(content.size));
        need_success(client_.send({.method = "PUT", .headers = std::move(headers)}, target(path),
                                  "create file", url(path)),
                     "create file", url(path));
        try {
            constexpr std::uint64_t longest = 4 << 20;  // of one range
            for (std::uint64_t offset = 0; offset < content.size; offset += longest) {
                send_range(path, content, content.part(offset, longest));
            }
        } catch (...) {
            try {
                for_cleanup().remove_file(path);
            } catch (const Error& error) {
                client_.connection().control.say(Level::warning, error.what());
            }
            throw;
        }
    }

    /// Uploads every file and directory below `folder`. Links are refused: a share has none.
    void put_directory(const std::filesystem::path& folder, const std::string& path) const {
        make_directory(path);
        std::vector<std::filesystem::path> entries;
        for (const auto& entry : std::filesystem::recursive_directory_iterator{folder}) {
            entries.push_back(entry.path());
        }
        std::sort(entries.begin(), entries.end());
        for (const std::filesystem::path& entry : entries) {
            const std::string there =
                path + '/' + entry.lexically_relative(folder).generic_string();
            if (std::filesystem::is_symlink(entry)) {
                throw Error{ErrorCode::unsupported,
                            {.attempted = "upload",
                             .subject = entry.string(),
                             .answer = "it is a link, and an Azure file share has none"}};
            }
            if (std::filesystem::is_directory(entry)) {
                client_.create(target(there) + "?restype=directory", properties(),
                               "create directory", url(there));
            } else {
                put(there, Content::of_file(entry));
            }
        }
    }

    /// What is not there counts as removed.
    void remove_file(const std::string& path) const { client_.remove(target(path), url(path)); }
    /// The directory must be empty.
    void remove_directory(const std::string& path) const {
        client_.remove(target(path) + "?restype=directory", url(path));
    }

    [[nodiscard]] FileShare for_cleanup() const {
        FileShare copy = *this;
        copy.client_ = client_.for_cleanup();
        return copy;
    }

private:
    [[nodiscard]] std::string target(const std::string& path) const {
        return '/' + net::percent_encode(share_) + '/' + encoded_name(path);
    }
    /// What the service wants to know of every new entry.
    [[nodiscard]] static net::Headers properties() {
        return {{"x-ms-file-permission", "inherit"},
                {"x-ms-file-attributes", "None"},
                {"x-ms-file-creation-time", "now"},
                {"x-ms-file-last-write-time", "now"}};
    }
    void send_range(const std::string& path, const Content& content, ByteRange range) const {
        const std::string bytes = "bytes=" + std::to_string(range.offset) + '-' +
                                  std::to_string(range.offset + range.size - 1);
        need_success(
            client_.send({.method = "PUT",
                          .headers = {{"x-ms-write", "update"}, {"x-ms-range", bytes}},
                          .body = content.body(range)},
                         target(path) + "?comp=range", "upload", bytes + " of " + url(path)),
            "upload", bytes + " of " + url(path));
        client_.connection().control.show({.step = "upload",
                                           .item = url(path),
                                           .done = range.offset + range.size,
                                           .total = content.size});
    }

    StorageClient client_;
    std::string share_;
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::azure
