// tools/fairing/images.cpp - fairing copy, tags and attach: images between registries, layouts and
// archives, and what is said about them.
#include <cstdio>
#include <fairing/registry/copy.hpp>
#include <fairing/registry/tags.hpp>
#include <fairing/run_main.hpp>
#include <fairing/stage/registry_access.hpp>
#include <memory>

#include "console.hpp"
#include "image_access.hpp"
#include "subcommands.hpp"

namespace command {

using fairing::Error;
using fairing::ErrorCode;
using fairing::oci::Reference;
using fairing::oci::ReferenceKind;

namespace {

struct CopyCommand {
    std::string source = {}, target = {}, platform = {};
    bool referrers = false;
    ImageAccess access = {};
};

/// What the copy is called where `target` does not say it: as the source is.
[[nodiscard]] std::string tag_of_copy(const Reference& source, const Reference& target) {
    if (!target.tag.empty()) {
        return target.tag;
    }
    const bool full = target.kind == ReferenceKind::archive &&
                      source.kind == ReferenceKind::registry && !source.tag.empty();
    return full ? source.name() + ':' + source.tag : source.tag;
}

[[nodiscard]] Reference parse_target(const std::string& text) {
    Reference target = fairing::oci::parse_reference(text);
    if (!target.digest.empty() || target.kind == ReferenceKind::scratch) {
        throw Error{ErrorCode::usage,
                    {.attempted = "copy to",
                     .subject = text,
                     .answer = target.digest.empty() ? "scratch holds nothing"
                                                     : "a digest follows from what is copied",
                     .advice = "name a tag"}};
    }
    return target;
}

int copy(const CopyCommand& options) {
    const fairing::StopOnSignal signals;
    const fairing::Session session = options.access.session(signals.token());
    const Reference source = fairing::oci::parse_reference(options.source);
    Reference target = parse_target(options.target);
    const auto from = options.access.open(source, session);
    const auto to = options.access.open(target, session);
    fairing::registry::CopyOptions how{.referrers = options.referrers
                                                        ? fairing::registry::Referrers::copy
                                                        : fairing::registry::Referrers::leave};
    if (!options.platform.empty() || target.kind == ReferenceKind::archive) {
        how.platform = fairing::oci::parse_platform(options.platform);
    }
    if (source.kind == ReferenceKind::registry && target.kind == ReferenceKind::registry &&
        source.api_host() == target.api_host() && source.repository != target.repository) {
        how.mount_from = source.repository;
    }
    target.tag = tag_of_copy(source, target);
    const fairing::registry::Copied copied = fairing::registry::copy(
        *from, source.wanted(), *to, target.tag, options.source, how, session.control());
    target.digest = copied.root.digest;
    session.control().say(
        fairing::Level::info,
        std::to_string(copied.manifests) + " manifests; blobs: " + std::to_string(copied.uploaded) +
            " copied (" + human_bytes(copied.bytes) + "), " + std::to_string(copied.mounted) +
            " mounted, " + std::to_string(copied.present) + " there already");
    // An archive's names hold colons: what it is read by is its digest.
    std::printf("%s\n", target.kind == ReferenceKind::archive
                            ? (target.name() + '@' + target.digest).c_str()
                            : target.text().c_str());
    return 0;
}

struct TagsCommand {
    std::string repository = {};
    ImageAccess access = {};
};

int print_tags(const TagsCommand& options) {
    const fairing::StopOnSignal signals;
    const fairing::Session session = options.access.session(signals.token());
    const Reference reference = fairing::oci::parse_reference(options.repository);
    if (!reference.digest.empty() || options.repository.ends_with(':' + reference.tag)) {
        throw Error{ErrorCode::usage,
                    {.attempted = "list the tags of",
                     .subject = options.repository,
                     .answer = "it is an image, not a repository",
                     .advice = "write " + reference.name()}};
    }
    for (const std::string& tag : fairing::registry::list_tags(
             reference, fairing::registry_options(session, options.access.registry, reference.host),
             session.control())) {
        std::printf("%s\n", tag.c_str());
    }
    return 0;
}

struct AttachCommand {
    std::string image = {}, file = {}, type = {};
    ImageAccess access = {};
};

int attach(const AttachCommand& options) {
    const fairing::StopOnSignal signals;
    const fairing::Session session = options.access.session(signals.token());
    const Reference reference = fairing::oci::parse_reference(options.image);
    const auto store = options.access.open(reference, session);
    const std::string content = fairing::read_file(options.file);
    const auto subject = store->find_manifest(reference.wanted());
    if (!subject) {
        throw Error{ErrorCode::not_found,
                    {.attempted = "attach to",
                     .subject = options.image,
                     .answer = "there is no such image"}};
    }
    const fairing::Json annotations = {{"org.opencontainers.image.title",
                                        std::filesystem::path{options.file}.filename().string()}};
    const fairing::oci::Descriptor artifact =
        fairing::oci::attach(*store, subject->descriptor(), options.type, content, annotations);
    std::printf("%s@%s\n", reference.name().c_str(), artifact.digest.c_str());
    return 0;
}

}  // namespace

Action set_up_copy(CLI::App& parser) {
    auto options = std::make_shared<CopyCommand>();
    parser.add_option("SOURCE", options->source, image_forms)->required();
    parser.add_option("TARGET", options->target, "the same, without a digest")->required();
    parser.add_option("--platform", options->platform,
                      "OS/ARCHITECTURE[/VARIANT] of an index: only that image (default: all; to a "
                      "docker-archive this machine's)");
    parser.add_flag("--referrers", options->referrers,
                    "copy what refers to it, such as signatures, as well");
    options->access.add_to(parser);
    return [options](const std::vector<std::string>&) { return copy(*options); };
}

Action set_up_tags(CLI::App& parser) {
    auto options = std::make_shared<TagsCommand>();
    parser.add_option("REPOSITORY", options->repository, "HOST/NAME")->required();
    options->access.add_to(parser);
    return [options](const std::vector<std::string>&) { return print_tags(*options); };
}

Action set_up_attach(CLI::App& parser) {
    auto options = std::make_shared<AttachCommand>();
    parser.add_option("IMAGE", options->image, image_forms)->required();
    parser.add_option("FILE", options->file, "what is attached")->required();
    parser.add_option("--type", options->type, "its media type, such as application/spdx+json")
        ->required();
    options->access.add_to(parser);
    return [options](const std::vector<std::string>&) { return attach(*options); };
}

}  // namespace command
