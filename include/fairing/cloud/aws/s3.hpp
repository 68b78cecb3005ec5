// fairing/cloud/aws/s3.hpp - objects of S3 and of what speaks like it: MinIO, IBM COS
// (docs.aws.amazon.com/AmazonS3/latest/API).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../content.hpp"
#include "client.hpp"

namespace fairing::cloud::aws {

enum class BucketAddress { automatic, path, host };

struct S3Options {
    std::string endpoint = {};  ///< empty: AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, else AWS's
    /// Where the bucket's name goes. `automatic`: into the host at AWS, into the path elsewhere.
    BucketAddress address = BucketAddress::automatic;
    std::uint64_t part_size = std::uint64_t{16} << 20;  ///< larger objects go in parts
};

inline namespace FAIRING_ABI {

/// One bucket.
class S3Bucket {
public:
    /// Throws Error{usage} for a name that no bucket has (docs.aws.amazon.com/AmazonS3/latest/
    /// userguide/bucketnamingrules.html): it becomes part of a host.
    S3Bucket(Client client, std::string bucket, S3Options options = {})
        : client_(std::move(client)), bucket_(std::move(bucket)), options_(std::move(options)) {
        const auto is_end = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
        if (bucket_.size() < 3 || bucket_.size() > 63 || !is_end(bucket_.front()) ||
            !is_end(bucket_.back()) ||
            bucket_.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") !=
                std::string::npos ||
            bucket_.find("..") != std::string::npos) {
            throw Error{ErrorCode::usage,
                        {.attempted = "use bucket",
                         .subject = '"' + net::printable(bucket_, 80) + '"',
                         .answer = "not a name that a bucket can have",
                         .advice = "use 3 to 63 of a-z, 0-9, '-' and '.'"}};
        }
        const bool is_aws = options_.endpoint.empty() &&
                            client_.endpoint("s3").find(".amazonaws.com") != std::string::npos;
        const std::string endpoint = options_.endpoint.empty()
                                         ? client_.endpoint("s3")
                                         : checked_endpoint(options_.endpoint);
        // A dot in the bucket's name does not fit the host's certificate.
        const bool in_host = options_.address == BucketAddress::host ||
                             (options_.address == BucketAddress::automatic && is_aws &&
                              bucket_.find('.') == std::string::npos);
        const std::size_t host = endpoint.find("://") + 3;
        base_ = in_host ? endpoint.substr(0, host) + bucket_ + '.' + endpoint.substr(host)
                        : endpoint + '/' + bucket_;
    }

    [[nodiscard]] const std::string& name() const noexcept { return bucket_; }
    [[nodiscard]] std::string url(const std::string& key) const {
        return "s3://" + bucket_ + '/' + key;
    }

    /// Creates the bucket unless it is there. True when it was created.
    bool ensure() const {
        const std::string subject = "s3://" + bucket_;
        const net::Answer found = send("HEAD", {}, {}, "look for bucket", subject);
        if (is_success(found.status)) {
            return false;
        }
        if (found.status != 404) {
            throw refuse(found, "look for bucket", subject,
                         found.status == 403 ? "it belongs to somebody else, or the credentials do "
                                               "not suffice"
                         : found.status == 301 ? "it is in another region than " + client_.region()
                                               : "");
        }
        const std::string& region = client_.region();
        // The first region must not be named, every other one must be.
        const std::string body = region == "us-east-1"
                                     ? ""
                                     : "<CreateBucketConfiguration><LocationConstraint>" + region +
                                           "</LocationConstraint></CreateBucketConfiguration>";
        const net::Answer made = send("PUT", {}, Content::of(body), "create bucket", subject);
        if (refusal_of(made).code == "BucketAlreadyOwnedByYou") {
            return made.attempts > 1;
        }
        need_success(made, "create bucket", subject);
        return true;
    }

    /// Uploads, in one request or in parts. A part that fails is sent again; when that does not
    /// help, the upload is aborted and nothing is left behind.
    void put(const std::string& key, const Content& content) const {
        if (content.size > options_.part_size) {
            return put_in_parts(key, content);
        }
        need_success(send("PUT", target(key), content, "upload", url(key)), "upload", url(key));
    }

    /// Removes the object; one that is not there counts as removed.
    void remove(const std::string& key) const {
        const net::Answer answer = send("DELETE", target(key), {}, "remove", url(key));
        if (answer.status != 404) {
            need_success(answer, "remove", url(key));
        }
    }

private:
    [[nodiscard]] static std::string target(const std::string& key) {
        return '/' + detail::encoded_path(key);
    }

    [[nodiscard]] net::Answer send(const char* method, const std::string& path_and_query,
                                   const Content& content, const char* attempted,
                                   const std::string& subject,
                                   net::Repeat repeat = net::Repeat::automatic) const {
        return send_range(method, path_and_query, content, {0, content.size}, attempted, subject,
                          repeat);
    }
    [[nodiscard]] net::Answer send_range(const char* method, const std::string& path_and_query,
                                         const Content& content, ByteRange range,
                                         const char* attempted, const std::string& subject,
                                         net::Repeat repeat = net::Repeat::automatic) const {
        Client::Call call{.service = "s3",
                          .request = {.method = method, .url = base_ + path_and_query},
                          .attempted = attempted,
                          .subject = subject,
                          .repeat = repeat};
        if (range.size > 0) {
            call.request.body = content.body(range);
            call.request.headers.emplace("Content-Type", "application/octet-stream");
            call.payload = content.sha256_hex(range);
        }
        return client_.send(call);
    }

    /// Ten thousand parts are allowed, and each but the last has 5 MiB at least.
    [[nodiscard]] std::uint64_t part_size(std::uint64_t size) const {
        return std::max(options_.part_size, size / 9999 + 1);
    }

    void put_in_parts(const std::string& key, const Content& content) const {
        const net::Answer begun = send("POST", target(key) + "?uploads=", {}, "begin to upload",
                                       url(key), net::Repeat::always);
        need_success(begun, "begin to upload", url(key));
        const std::string id = needed_xml_text(begun.body, "UploadId", url(key));
        const std::string upload = target(key) + "?uploadId=" + net::percent_encode(id);
        try {
            complete(key, content, upload, send_parts(key, content, upload));
        } catch (...) {
            abort(key, upload);
            throw;
        }
    }

    /// The ETags of the parts.
    [[nodiscard]] std::vector<std::string> send_parts(const std::string& key,
                                                      const Content& content,
                                                      const std::string& upload) const {
        const std::uint64_t longest = part_size(content.size);
        std::vector<std::string> tags;
        for (std::uint64_t offset = 0; offset < content.size; offset += longest) {
            const std::string number = std::to_string(tags.size() + 1);
            const std::string subject = "part " + number + " of " + url(key);
            const net::Answer answer = send_range("PUT", upload + "&partNumber=" + number, content,
                                                  content.part(offset, longest), "upload", subject);
            need_success(answer, "upload", subject);
            tags.push_back(net::header(answer.headers, "ETag"));
            client_.connection().control.show({.step = "upload",
                                               .item = url(key),
                                               .done = std::min(offset + longest, content.size),
                                               .total = content.size});
        }
        return tags;
    }

    /// S3 answers before it knows whether it will succeed: 200 with an error in the body is one.
    void complete(const std::string& key, const Content& content, const std::string& upload,
                  const std::vector<std::string>& tags) const {
        std::string list = "<CompleteMultipartUpload>";
        for (std::size_t i = 0; i < tags.size(); ++i) {
            std::string tag;
            for (const char c : tags[i]) {
                tag += c == '"'   ? "&quot;"
                       : c == '&' ? "&amp;"
                       : c == '<' ? "&lt;"
                                  : std::string{c};
            }
            list += "<Part><PartNumber>" + std::to_string(i + 1) + "</PartNumber><ETag>" + tag +
                    "</ETag></Part>";
        }
        const Content body = Content::of(list + "</CompleteMultipartUpload>");
        const net::Answer answer =
            send("POST", upload, body, "finish the upload of", url(key), net::Repeat::always);
        if (answer.status == 404 && answer.attempts > 1 && is_there(key, content.size)) {
            return;  // finished by an attempt whose answer was lost
        }
        need_success(answer, "finish the upload of", url(key));
        if (answer.body.find("<Error") != std::string::npos) {
            throw refuse(answer, "finish the upload of", url(key));
        }
    }

    [[nodiscard]] bool is_there(const std::string& key, std::uint64_t size) const {
        const net::Answer answer = send("HEAD", target(key), {}, "look for", url(key));
        return is_success(answer.status) &&
               net::header(answer.headers, "Content-Length") == std::to_string(size);
    }

    /// Also after a stop; what fails here is said and not thrown.
    void abort(const std::string& key, const std::string& upload) const {
        const Control& control = client_.connection().control;
        try {
            S3Bucket own = *this;
            own.client_ = client_.for_cleanup();
            const net::Answer answer =
                own.send("DELETE", upload, {}, "abort the upload of", url(key));
            if (answer.status != 404) {
                need_success(answer, "abort the upload of", url(key));
            }
        } catch (const Error& error) {
            control.say(Level::warning, std::string{error.what()} +
                                            "; its parts cost until a lifecycle rule removes them");
        }
    }

    Client client_;
    std::string bucket_;
    S3Options options_;
    std::string base_;  ///< the bucket's URL, without a slash at its end
};

}  // inline namespace FAIRING_ABI

}  // namespace fairing::cloud::aws
