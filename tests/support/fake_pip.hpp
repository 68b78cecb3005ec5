// tests/support/fake_pip.hpp - a python3 in front of all others whose pip does what a test says.
#pragma once

#include <string>

#include "fairing/core/env.hpp"
#include "variables.hpp"
#include "workspace.hpp"

namespace support {

/// Writes SPACE/bin/python3: `pip --version` succeeds, for anything else `script` runs.
inline void make_pip(const Workspace& space, const std::string& script) {
    space.file("bin/python3", "#!/bin/sh\ncase \"$3\" in --version) exit 0;; esac\n" + script,
               0755);
}

/// The script of a pip that appends its arguments to SPACE/calls and installs one module.
inline std::string installing(const Workspace& space) {
    return "echo \"$@\" >> " + (space / "calls") +
           "\nwhile [ \"$1\" != --target ]; do shift; done\nmkdir -p $2/numpy $2/bin\n"
           "echo x > $2/numpy/__init__.py; echo y > $2/bin/f2py\n";
}

/// PATH with another value, for as long as it lives.
struct PathVariable : Variables {
    explicit PathVariable(const std::string& value) : Variables({{"PATH", value}}) {}
};

/// That folder in front.
class FirstInPath : public PathVariable {
public:
    explicit FirstInPath(const std::string& folder)
        : PathVariable(folder + ':' + fairing::env("PATH", "")) {}
};

}  // namespace support
