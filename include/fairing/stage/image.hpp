// fairing/stage/image.hpp - what a builder made: an image by digest, and where it lies. Data, no
// I/O.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "../oci/store.hpp"

namespace fairing {

enum class Origin { base, cached, built };
using oci::Transfer;

struct Layer {
    std::string digest = {}, diff_id = {}, media_type = {};
    std::uint64_t size = 0, uncompressed_size =
                                0;  ///< bytes; of a base layer the second is 0, we never unpack it
    Origin origin = Origin::built;
    Transfer transfer = Transfer::none;
    double seconds = 0;  ///< to build and to transfer it
};

/// Where an image lies decides who can run it: a cluster pulls `registry` only.
enum class Location { registry, layout, engine, nowhere };

/// What the build cost, for reports.
struct BuildFigures {
    double build_seconds = 0, push_seconds = 0;
    std::uint64_t bytes_read = 0, bytes_compressed = 0, bytes_uploaded = 0, requests = 0;
};

struct Image {
    std::string reference = {};  ///< repo:tag@sha256:… or oci:DIR@sha256:…; in an engine its id
    std::string digest = {};     ///< of the manifest; in an engine its id
    Location location = Location::registry;
    std::vector<Layer> layers = {};
    std::vector<std::string> command = {};
    std::map<std::string, std::string> environment = {};
    std::string working_directory = "/app/";
    std::string platform = {};  ///< os/architecture[/variant]
    std::string tag = {};
    std::string context_digest = {};  ///< 64 hex digits: the same context, the same digest
    BuildFigures figures = {};
    std::string engine = {};  ///< Location::engine: which, as engine::find() takes it
};

}  // namespace fairing
