// fairing/packaging/context_digest.hpp - one digest for all that a context is: files, command,
// environment. Pure.
//
// SHA-256 over: a version line; the number of files and for each, in path order, its path, mode,
// kind and content digest; the command; the environment in name order; the working directory.
// Numbers are 8 bytes, most significant first; a string is its length and its bytes; a list is its
// length and its members. So no two contexts encode alike.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../codec/sha256.hpp"
#include "../core/error.hpp"
#include "context.hpp"
#include "segment.hpp"

namespace fairing::packaging {

/// SHA-256 of a file's bytes, or of a symbolic link's target; of a file of more than 512 KiB, that
/// of its pieces' SHA-256, one after the other, so that several threads can compute it.
using ContentDigest = Sha256Digest;

/// Gathers the content digests, which the layer writer computes while it reads each file anyway,
/// layer by layer and in any order; nothing is read twice.
class ContextDigest {
public:
    /// `contents[i]` is that of `files[i]`.
    void add(std::span<const ContextFile> files, std::span<const ContentDigest> contents) {
        if (files.size() != contents.size()) {
            throw Error{ErrorCode::internal,
                        {.attempted = "digest the context",
                         .answer = std::to_string(contents.size()) + " content digests for " +
                                   std::to_string(files.size()) + " files"}};
        }
        for (std::size_t i = 0; i < files.size(); ++i) {
            contents_.emplace_back(files[i].destination, contents[i]);
        }
    }

    /// "sha256:…". Throws Error{internal} unless each file of the context was added once.
    [[nodiscard]] std::string finish(const Context& context) {
        std::sort(contents_.begin(), contents_.end());
        std::vector<const ContextFile*> files;
        for (const ContextFile& file : context.files) {
            files.push_back(&file);
        }
        std::sort(files.begin(), files.end(), [](const ContextFile* a, const ContextFile* b) {
            return a->destination < b->destination;
        });
        const bool complete = std::equal(
            files.begin(), files.end(), contents_.begin(), contents_.end(),
            [](const ContextFile* a, const auto& b) { return a->destination == b.first; });
        if (!complete) {
            throw Error{ErrorCode::internal,
                        {.attempted = "digest the context",
                         .answer = "the layers do not hold each of its files once"}};
        }
        text("fairing context 1");
        number(files.size());
        for (std::size_t i = 0; i < files.size(); ++i) {
            text(files[i]->destination);
            number(files[i]->mode & 0777U);
            number(kind(*files[i]));
            hash_.update(contents_[i].second);
        }
        number(context.command.size());
        for (const std::string& argument : context.command) {
            text(argument);
        }
        number(context.environment.size());
        for (const auto& [name, value] : context.environment) {
            text(name);
            text(value);
        }
        text(context.working_directory);
        return "sha256:" + codec::hex(hash_.finish());
    }

private:
    /// 0: a regular file, 1: a symbolic link, 2: a file whose digest is one of pieces.
    [[nodiscard]] static std::uint64_t kind(const ContextFile& file) {
        return file.kind == FileKind::symlink ? 1 : file.size > piece_size ? 2 : 0;
    }
    void number(std::uint64_t value) {
        std::array<std::byte, 8> bytes;
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            bytes[i] = static_cast<std::byte>(value >> (56 - 8 * i));
        }
        hash_.update(bytes);
    }
    void text(std::string_view value) {
        number(value.size());
        hash_.update(value);
    }

    std::vector<std::pair<std::string, ContentDigest>> contents_ = {};
    codec::Sha256 hash_ = {};
};

/// The image tag that a context digest ("sha256:…") gives: its first 12 hex digits.
[[nodiscard]] inline std::string context_tag(std::string_view digest) {
    const std::size_t colon = digest.find(':');
    return std::string{digest.substr(colon == std::string_view::npos ? 0 : colon + 1, 12)};
}

}  // namespace fairing::packaging
