#!/usr/bin/env python3
"""Writes one unit out of several: first what they include, then each of them in a namespace of its own.

Headers cost most of the time of a test that stands alone; joined, the tests of a program pay for them once. One that
opens a namespace of the library, or includes something under #if, keeps the global scope. `meson setup -Djoined_tests=true` builds so.
With --programs each of them has a main() of its own, and the unit is the program whose name it is started by.
"""

import argparse
import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True
from own_headers import INCLUDE_ARGUMENT, directives  # noqa: E402

OPENS_OURS = re.compile(r"^namespace fairing\b", re.M)


# main() alone may end without a return; in a namespace it is a function like others.
RETURNS = re.compile(r"^int main\(.*^    return\b", re.M | re.S)
CALL = """
namespace {
template <class... Arguments>
int call(int (*program)(Arguments...), [[maybe_unused]] int argc, [[maybe_unused]] char** argv) {
    if constexpr (sizeof...(Arguments) == 0) {
        return program();
    } else {
        return program(argc, argv);
    }
}
}  // namespace

int main(int argc, char** argv) {
    const std::string path = argv[0];
    const std::string name = path.substr(path.rfind('/') + 1);
"""


def includes_of(source, text, folder):
    """Pairs: an include as it reads in a unit that finds quoted ones in `folder`, and whether it stands under #if."""
    depth = 0
    for directive in directives(text):
        if directive.keyword in ("if", "ifdef", "ifndef"):
            depth += 1
        elif directive.keyword == "endif":
            depth -= 1
        elif directive.keyword == "include":
            quoted = INCLUDE_ARGUMENT.fullmatch(directive.argument).group(1)
            beside = source.parent / quoted if quoted else None
            found = beside is not None and beside.is_file()
            yield f'"{os.path.relpath(beside, folder)}"' if found else directive.argument, depth > 0


def namespace_of(source, folder):
    return "unit_" + re.sub(r"\W", "_", source.relative_to(folder).with_suffix("").as_posix())


def joined(sources, folder):
    """The text of the unit. `folder` holds all the sources, and is where the compiler looks for quoted includes: no
    path of this machine stands in the text."""
    headers, apart, wrapped = [], [], []
    for source in sources:
        text = source.read_text(encoding="utf-8")
        includes = list(includes_of(source, text, folder))
        headers += [header for header, conditional in includes if not conditional and header not in headers]
        line = f'#include "{source.relative_to(folder).as_posix()}"'
        if OPENS_OURS.search(text) or any(conditional for _, conditional in includes):
            apart.append(line)
        else:
            name = namespace_of(source, folder)
            wrapped.append(f"namespace {name} {{\n{line}\n}}  // namespace {name}")
    return "\n".join([*(f"#include {header}" for header in headers), *apart, *wrapped]) + "\n"


def joined_programs(sources, folder):
    """The text of a program that is all of them, by the name that it is started by: links to it are what is run."""
    lines = ["#include <string>", joined(sources, folder), CALL.strip()]
    for source in sources:
        call = f"call({namespace_of(source, folder)}::main, argc, argv)"
        run = f"return {call};" if RETURNS.search(source.read_text(encoding="utf-8")) else f"{call};\n        return 0;"
        lines.append(f'    if (name == "{source.stem}") {{\n        {run}\n    }}')
    return "\n".join([*lines, "    return 127;", "}"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--programs", action="store_true")
    parser.add_argument("folder", type=pathlib.Path, help="where the sources lie")
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("sources", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    sources = [source.resolve() for source in arguments.sources]
    join = joined_programs if arguments.programs else joined
    arguments.output.write_text(join(sources, arguments.folder.resolve()), encoding="utf-8")


if __name__ == "__main__":
    main()
