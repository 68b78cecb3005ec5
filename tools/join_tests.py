#!/usr/bin/env python3
"""Writes one unit out of several tests: first what they include, then each of them in a namespace of its own.

Headers cost most of the time of a test that stands alone; joined, the tests of a program pay for them once. A test
that opens a namespace of the library keeps the global scope. `meson setup -Djoined_tests=true` builds so.
"""

import argparse
import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True
from own_headers import INCLUDE_ARGUMENT, ROOT, directives  # noqa: E402

TESTS = ROOT / "tests"
OPENS_OURS = re.compile(r"^namespace fairing\b", re.M)


def unconditional_includes(source, text):
    """Its includes outside #if, as they read in a unit that stands in tests/."""
    depth = 0
    for directive in directives(text):
        if directive.keyword in ("if", "ifdef", "ifndef"):
            depth += 1
        elif directive.keyword == "endif":
            depth -= 1
        elif directive.keyword == "include" and depth == 0:
            quoted = INCLUDE_ARGUMENT.fullmatch(directive.argument).group(1)
            beside = source.parent / quoted if quoted else None
            if beside is not None and beside.is_file():
                yield f'"{os.path.relpath(beside, TESTS)}"'
            else:
                yield directive.argument


def joined(sources):
    headers, apart, wrapped = [], [], []
    for source in sources:
        text = source.read_text(encoding="utf-8")
        for header in unconditional_includes(source, text):
            if header not in headers:
                headers.append(header)
        line = f'#include "{source.relative_to(TESTS).as_posix()}"'
        if OPENS_OURS.search(text):
            apart.append(line)
        else:
            name = re.sub(r"\W", "_", source.relative_to(TESTS).with_suffix("").as_posix())
            wrapped.append(f"namespace {name} {{\n{line}\n}}  // namespace {name}")
    return "\n".join([*(f"#include {header}" for header in headers), *apart, *wrapped]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("sources", type=pathlib.Path, nargs="+")
    arguments = parser.parse_args()
    arguments.output.write_text(joined([source.resolve() for source in arguments.sources]), encoding="utf-8")


if __name__ == "__main__":
    main()
