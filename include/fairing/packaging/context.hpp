// fairing/packaging/context.hpp - what a preprocessor prepared: files, command, environment. Data,
// no I/O.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
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
    std::uint64_t size = 0;  ///< bytes when it was found; a change before it is read is an error
    std::string layer =
        {};  ///< files of one name share a layer of their own; "": see layer_plan.hpp
};

/// What the base image must have for the files to run on it. A builder checks it; what is empty
/// asks for nothing.
struct Needs {
    std::vector<std::string> programs =
        {};  ///< destinations of ELF files: their glibc, their architecture
    bool lean_libraries =
        false;  ///< leave out what is in the layer "libraries" and in the base as well
};

/// Everything that a builder needs. Files are in destination order, each destination once.
struct Context {
    std::vector<ContextFile> files = {};
    std::vector<std::string> command = {};
    std::map<std::string, std::string> environment = {};
    std::string working_directory = "/app/";
    /// PYTHONPATH, LD_LIBRARY_PATH: lists of folders that go in front of what the base has.
    std::map<std::string, std::string> search_paths = {};
    Needs needs = {};
    std::vector<std::shared_ptr<const void>> keeps = {};  ///< owners of files that were made for it
};

}  // namespace fairing
