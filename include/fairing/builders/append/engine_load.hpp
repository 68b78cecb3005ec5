// fairing/builders/append/engine_load.hpp - an image that was made without an engine, put into one:
// no registry in between.
#pragma once

#include <string>
#include <utility>

#include "../../core/control.hpp"
#include "../../core/json_text.hpp"
#include "../../engine/address.hpp"
#include "../../engine/engine.hpp"
#include "../../oci/docker_archive.hpp"
#include "../../oci/image.hpp"
#include "../../oci/platform.hpp"
#include "../../oci/store.hpp"
#include "../../stage/engine_access.hpp"
#include "../../stage/image.hpp"
#include "../../stage/session.hpp"

namespace fairing::detail {

/// Loads `image`, which `store` holds, and names it "repository:tag"; gives it as it lies in the
/// engine.
[[nodiscard]] inline Image load_into_engine(Image image, oci::Store& store,
                                            const engine::Address& address,
                                            const engine::Engine& engine,
                                            const std::string& repository, const Session& session) {
    const Control control = session.control();
    const oci::Image stored =
        oci::load_image(store, image.digest, oci::parse_platform(image.platform), image.reference)
            .image;
    const std::string id = oci::image_id(stored);
    net::Body archive = oci::docker_archive(store, stored);
    Progress progress{.step = "load", .item = "image", .total = archive.size};
    archive.write = [&, write = std::move(archive.write)](const net::BodySink& sink) {
        progress.done = 0;
        write([&](std::span<const std::byte> bytes) {
            control.check("load image");
            sink(bytes);
            progress.done += bytes.size();
            control.show(progress);
        });
    };
    engine.load(archive, session.stop);
    const std::string known = text_or(engine.find_image(id, session.stop), "Id");
    if (known.empty()) {
        throw Error{ErrorCode::unavailable,
                    {.attempted = "load an image into the container engine at",
                     .subject = address.name,
                     .answer = "it took the image, and does not have " + id}};
    }
    engine.tag(known, repository, image.tag, session.stop);
    control.say(Level::info, address.name + " has the image as " + repository + ':' + image.tag);
    image.reference = known;
    image.digest = known;
    image.location = Location::engine;
    image.engine = address.name;
    return image;
}

}  // namespace fairing::detail
