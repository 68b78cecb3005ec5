#!/usr/bin/env python3
"""Makes single_include/fairing.hpp: our headers in include order, in one file.

Our own headers are inlined, nothing else is: <nlohmann/json.hpp>, <httplib.h>, other libraries' and the system's
headers stay includes, each once. One that stands inside #if, or behind a #define that may configure it, keeps its
place; the others are sorted at the top. Equal headers give equal bytes: no date, no hash.

Fails on an include cycle, a header that include/fairing.hpp does not reach, an own include that is left, and a
macro that leaks.
"""

import argparse
import itertools
import pathlib
import re
import sys

sys.dont_write_bytecode = True
from own_headers import (  # noqa: E402
    ROOT,
    UMBRELLA,
    HeaderError,
    all_headers,
    directives,
    includes,
    name_of,
)

OUTPUT = ROOT / "single_include" / "fairing.hpp"
MACRO_LIMIT = 10  # fewer than this many FAIRING_ macros
FAMILIES = ("FAIRING_VERSION", "FAIRING_ABI")  # macros that begin so count as one
LENT_MACROS = {"CPPHTTPLIB_OPENSSL_SUPPORT"}  # belongs to cpp-httplib, which reads it

OPENING = """\
// fairing.hpp - the whole library in one header: training code to a running job.
//
// Generated from include/ by tools/amalgamate.py; change the headers there. Needs C++20, <nlohmann/json.hpp> and
// <httplib.h> (cpp-httplib 0.41 or newer), and OpenSSL unless FAIRING_TLS is 0.
//
// Licensed under the Apache License, Version 2.0.
#pragma once
"""


class Amalgamation:
    def __init__(self):
        self.order = []  # headers in include order, the umbrella last
        self.texts = {}
        self.found = {}  # path -> its includes
        self.stack = []

    def visit(self, path):
        if path in self.stack:
            circle = [*self.stack[self.stack.index(path) :], path]
            raise HeaderError("include cycle: " + " -> ".join(name_of(p) for p in circle))
        if path in self.texts:
            return
        text = path.read_text(encoding="utf-8")
        self.texts[path] = text
        self.found[path] = includes(path, text)
        self.stack.append(path)
        for include in self.found[path]:
            if include.own is None:
                continue
            if include.conditional:
                raise HeaderError(
                    f"{path.relative_to(ROOT)}:{include.line}: an own include inside #if can not be inlined;"
                    " put the #if into the header that it includes"
                )
            self.visit(include.own)
        self.stack.pop()
        self.order.append(path)

    def body(self, path, hoisted):
        """The header without #pragma once, own includes and hoisted ones."""
        dropped = set()
        for directive in directives(self.texts[path]):
            if directive.keyword == "pragma" and directive.argument == "once":
                dropped.add(directive.line)
        for include in self.found[path]:
            if include.own is not None or include.foreign in hoisted:
                dropped.add(include.line)
        lines = self.texts[path].rstrip("\n").split("\n")
        kept = [line.rstrip() for number, line in enumerate(lines, 1) if number not in dropped]
        result = []
        for blank, run in itertools.groupby(kept, key=lambda line: line == ""):
            result += [""] if blank else list(run)
        return result

    def text(self):
        hoisted = {
            include.foreign
            for found in self.found.values()
            for include in found
            if include.foreign is not None and not include.placed
        }
        lines = OPENING.split("\n")
        lines += [f"#include <{name}>" for name in sorted(hoisted)]
        placed = set(hoisted)
        for path in self.order:
            if path == UMBRELLA:
                continue
            body = self.body(path, placed)
            # An unconditional include that keeps its place is there for all that follow.
            placed |= {
                include.foreign
                for include in self.found[path]
                if include.foreign is not None and not include.conditional
            }
            lines += ["", f"// {'-' * 109}"] + body
        return "\n".join(lines).rstrip("\n") + "\n"


def check_reached(amalgamation):
    missing = [name_of(path) for path in all_headers() if path not in amalgamation.texts]
    if missing:
        raise HeaderError("not reached from include/fairing.hpp: " + ", ".join(missing))


def check_no_own_include(text):
    for directive in directives(text):
        if directive.keyword == "include" and re.match(r'"|<fairing[./]', directive.argument):
            raise HeaderError(f"an own include is left: #include {directive.argument}")


def check_macros(amalgamation):
    defined = {}
    for path in amalgamation.order:
        for directive in directives(amalgamation.texts[path]):
            name = re.match(r"\w*", directive.argument).group()
            if directive.keyword == "define":
                defined.setdefault(name, f"{path.relative_to(ROOT)}:{directive.line}")
            elif directive.keyword == "undef":
                defined.pop(name, None)
    for name, where in defined.items():
        if not name.startswith("FAIRING_") and name not in LENT_MACROS:
            raise HeaderError(f"{where}: macro {name} leaks; #undef it, or call it FAIRING_{name}")
    ours = {
        next((family for family in FAMILIES if name.startswith(family)), name)
        for name in defined
        if name.startswith("FAIRING_")
    }
    if len(ours) >= MACRO_LIMIT:
        listed = ", ".join(sorted(ours))
        raise HeaderError(f"{len(ours)} FAIRING_ macros, fewer than {MACRO_LIMIT} are allowed: {listed}")


def first_difference(expected, actual):
    pairs = itertools.zip_longest(expected.split("\n"), actual.split("\n"))
    for number, (wanted, found) in enumerate(pairs, 1):
        if wanted != found:
            show = lambda line: "(the file ends)" if line is None else repr(line)  # noqa: E731
            return f"line {number}\n  from include/: {show(wanted)}\n  committed:     {show(found)}"
    return "nothing"


def make_forwarders(folder, amalgamation):
    """For each header a file of the same path that includes the single header: the unit tests, which include
    headers by their paths, then run on it."""
    for path in amalgamation.order:
        if path == UMBRELLA:
            continue
        forwarder = folder / name_of(path)
        text = f"// {name_of(path)} - stands in for the header of this path.\n#include <fairing.hpp>\n"
        forwarder.parent.mkdir(parents=True, exist_ok=True)
        if not forwarder.is_file() or forwarder.read_text(encoding="utf-8") != text:
            forwarder.write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="compare with the file, change nothing")
    parser.add_argument("--output", type=pathlib.Path, default=OUTPUT, help=f"default: {OUTPUT}")
    parser.add_argument(
        "--forwarders", type=pathlib.Path, metavar="DIR", help="only make forwarding headers in DIR"
    )
    arguments = parser.parse_args()

    try:
        if not UMBRELLA.is_file():
            raise HeaderError(f"{UMBRELLA.relative_to(ROOT)} is missing")
        amalgamation = Amalgamation()
        amalgamation.visit(UMBRELLA)
        check_reached(amalgamation)
        if arguments.forwarders:
            make_forwarders(arguments.forwarders, amalgamation)
            return 0
        check_macros(amalgamation)
        text = amalgamation.text()
        check_no_own_include(text)
    except HeaderError as error:
        print(f"amalgamate: {error}", file=sys.stderr)
        return 1

    if not arguments.check:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text(text, encoding="utf-8")
        print(f"{arguments.output}: {len(amalgamation.order) - 1} headers, {text.count(chr(10))} lines")
        return 0
    committed = arguments.output.read_text(encoding="utf-8") if arguments.output.is_file() else ""
    if committed != text:
        difference = first_difference(text, committed)
        print(
            f"amalgamate: {arguments.output} is not what include/ gives; run tools/amalgamate.py"
            f" and commit it. First difference: {difference}",
            file=sys.stderr,
        )
        return 1
    print(f"{arguments.output.relative_to(ROOT) if arguments.output == OUTPUT else arguments.output}: up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
