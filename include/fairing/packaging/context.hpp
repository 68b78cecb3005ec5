// fairing/packaging/context.hpp - what a preprocessor prepared: files, command, environment. Data, no I/O.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace fairing {

enum class FileKind { regular, symlink };

/// One file of the image. `destination` is absolute in the image and normalised ("/app/train.py").
struct ContextFile {
    std::filesystem::path source = {};  ///< where its bytes are, on this machine
    std::string destination = {};
    unsigned mode = 0644;  ///< permission bits only: no setuid, setgid or sticky bit
    FileKind kind = FileKind::regular;
    std::string link_target = {};  ///< of a symlink, as it is stored
    std::uint64_t size = 0;        ///< bytes when it was found; a change before it is read is an error
};

/// Everything that a builder needs. Files are in destination order, each destination once.
struct Context {
    std::vector<ContextFile> files = {};
    std::vector<std::string> command = {};
    std::map<std::string, std::string> environment = {};
    std::string working_directory = "/app/";
};

}  // namespace fairing
