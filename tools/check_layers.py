#!/usr/bin/env python3
"""Holds the tree to its map (CONTRIBUTING.md): includes point strictly down the levels, and the outside enters by one header each.

Fails when an include points up or sideways, when the includes inside a folder have a cycle, when a second file
includes httplib, nlohmann, yaml-cpp, OpenSSL, pugixml or a library that compresses, when include/fairing.hpp does not reach a
header, when a header does not open with a comment that names its own path, and when it has no test at its path that
tests/meson.build builds. Prints every finding, one per line.
"""

import argparse
import re
import sys

sys.dont_write_bytecode = True
from own_headers import (  # noqa: E402
    INCLUDE,
    ROOT,
    UMBRELLA,
    HeaderError,
    all_headers,
    directives,
    includes,
    name_of,
)

# From the bottom to the top. A name is a folder below include/fairing/, or a header that stands there itself.
# Names on one level are siblings and never include each other.
LEVELS = [
    ["core"],
    ["codec"],
    ["net"],
    ["oci"],
    ["registry", "kube", "cloud", "engine"],
    ["packaging", "keychain"],
    ["stage"],
    ["pods"],
    ["runs"],
    ["preprocessors", "builders", "deployers"],
    ["pipeline.hpp", "run_main.hpp", "backends.hpp", "stages.hpp"],
    ["config.hpp"],
    ["tasks.hpp", "frameworks"],
]

# What comes from outside: the folder or header that may include it, and only one header of that folder does.
SOLE_INCLUDERS = {
    "httplib.h": "fairing/net/httplib.hpp",
    "nlohmann/": "fairing/core/",
    "yaml-cpp/": "fairing/core/",
    "openssl/": "fairing/core/",
    "pugi": "fairing/cloud/xml.hpp",
    "zlib.h": "fairing/codec/zlib_compressor.hpp",
    "libdeflate.h": "fairing/codec/libdeflate_compressor.hpp",
    "isa-l": "fairing/codec/isal_compressor.hpp",
    "zstd": "fairing/codec/zstd.hpp",
}

# Headers without a test at their own path: the test that tries them, and why it does.
TESTED_ELSEWHERE = {
    "codec/tar": ("codec/tar_reader", "it only includes"),
    "core/supervisor": ("core/process", "it runs between fork() and execve(), where no test can"),
    "deployers/katib/checks": ("deployers/experiment", "its refusals are the deployer's"),
    "deployers/katib/objects": ("deployers/experiment", "its objects are the deployer's"),
    "deployers/katib/options": ("deployers/experiment", "members and their table"),
    "deployers/katib/trial": ("deployers/experiment", "it is what the objects say"),
    "deployers/local/engine_run": ("integration/local_container", "it needs an engine"),
    "deployers/pipelines/client": ("deployers/pipeline", "it needs the service that is played there"),
    "deployers/pipelines/options": ("deployers/pipeline", "members and their table"),
    "deployers/pipelines/run_workload": ("deployers/pipeline", "it needs the service that is played there"),
    "deployers/pipelines/spec": ("deployers/pipeline", "it is what the deployer renders"),
    "deployers/serving/endpoint_plan": ("deployers/serving", "it wants a whole deployer"),
    "deployers/training/kinds": ("deployers/training_jobs", "tables"),
    "deployers/training/objects": ("deployers/training_jobs", "its objects are the deployer's"),
    "deployers/training/run_policy": ("deployers/training_jobs", "members and their table"),
    "kube/container_log": ("kube/follow", "it needs the API server that is played there"),
    "net/httplib": ("net/httplib_transport", "it only includes"),
    "net/httplib_call": ("net/httplib_transport", "it is one half of a connection's use"),
    "net/httplib_connection": ("net/httplib_transport", "it is the other half"),
    "packaging/context": ("packaging/context_digest", "members only"),
    "preprocessors/function/libraries": ("preprocessors/function", "it needs the programs that are linked there"),
    "registry/login": ("registry/credentials", "it is what those are read into"),
    "runs/connection": ("deployers/job", "it is the first step of a start"),
    "runs/plan": ("deployers/job", "it wants a whole deployer"),
}

LEVEL_OF = {name: level for level, names in enumerate(LEVELS) for name in names}


def unit_of(path):
    """What binds the header: its folder below include/fairing/, or the header itself when it stands there."""
    return path.relative_to(INCLUDE / "fairing").parts[0]


def read_all(findings):
    graph = {}
    for path in [UMBRELLA, *all_headers()]:
        try:
            graph[path] = includes(path, path.read_text(encoding="utf-8"))
        except HeaderError as error:
            findings.append(str(error))
            graph[path] = []
    return graph


def check_levels(graph, findings):
    for path, found in graph.items():
        if path == UMBRELLA:
            continue
        unit = unit_of(path)
        if unit not in LEVEL_OF:
            findings.append(f"{path.relative_to(ROOT)}: {unit} is on no level of tools/check_layers.py")
            continue
        for include in found:
            if include.own is None:
                continue
            where = f"{path.relative_to(ROOT)}:{include.line}"
            if include.own == UMBRELLA:
                findings.append(f"{where}: includes the umbrella")
                continue
            target = unit_of(include.own)
            if target == unit or target not in LEVEL_OF:
                continue
            level, target_level = LEVEL_OF[unit], LEVEL_OF[target]
            if target_level >= level:
                direction = "up" if target_level > level else "sideways"
                findings.append(
                    f"{where}: {unit} (level {level}) includes {name_of(include.own)}"
                    f" (level {target_level}): points {direction}"
                )


def check_cycles(graph, findings):
    done = set()

    def visit(path, stack):
        if path in stack:
            circle = [*stack[stack.index(path) :], path]
            findings.append("include cycle: " + " -> ".join(name_of(each) for each in circle))
            return
        if path in done:
            return
        for include in graph[path]:
            if include.own is not None and include.own in graph:
                visit(include.own, [*stack, path])
        done.add(path)

    for path in graph:
        visit(path, [])


def foreign_includes():
    """(file, line, name) of what headers, the command and the examples include with angle brackets."""
    files = [UMBRELLA, *all_headers()]
    for folder in ("tools/fairing", "examples"):
        files += sorted(p for p in (ROOT / folder).rglob("*") if p.suffix in (".cpp", ".hpp"))
    for path in files:
        for directive in directives(path.read_text(encoding="utf-8")):
            if directive.keyword == "include" and directive.argument.startswith("<"):
                yield path, directive.line, directive.argument.strip("<>")


def check_sole_includers(findings):
    includers = {}
    for path, line, name in foreign_includes():
        for prefix, allowed in SOLE_INCLUDERS.items():
            if not name.startswith(prefix):
                continue
            own = name_of(path) if path.is_relative_to(INCLUDE) else ""
            if not own.startswith(allowed):
                findings.append(
                    f"{path.relative_to(ROOT)}:{line}: includes <{name}>; only {allowed} may"
                )
                continue
            first = includers.setdefault(prefix, own)
            if first != own:
                findings.append(
                    f"{path.relative_to(ROOT)}:{line}: includes <{name}>, and so does {first};"
                    " one header is the door to each library"
                )


def check_reached(graph, findings):
    reached = set()
    waiting = [UMBRELLA]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [i.own for i in graph.get(path, []) if i.own is not None]
    for path in graph:
        if path not in reached:
            findings.append(f"{path.relative_to(ROOT)}: include/fairing.hpp does not reach it")


def check_openings(graph, findings):
    for path in graph:
        first = path.read_text(encoding="utf-8").split("\n", 1)[0]
        wanted = f"// {name_of(path)} - "
        if not first.startswith(wanted) or len(first) <= len(wanted):
            findings.append(
                f"{path.relative_to(ROOT)}:1: begin with \"{wanted}\" and what the header is for"
            )


def built_tests():
    """The names out of the lists in tests/meson.build: "codec/tar_reader"; "integration/x" of those against peers."""
    text = (ROOT / "tests" / "meson.build").read_text(encoding="utf-8")
    names = set()
    for folder, quoted in re.findall(r"^(?:  '(\w+)': |(?:integration|job|cluster)_sources = )\[([^\]]*)\]", text, re.M):
        prefix = "" if folder == "fairing" else (folder or "integration") + "/"
        names.update(prefix + name for name in re.findall(r"'([^']+)'", quoted))
    return names


def check_tests(graph, findings):
    built = built_tests()

    def is_there(name):
        return name in built and (ROOT / "tests" / f"{name}_test.cpp").is_file()

    headers = {path.relative_to(INCLUDE / "fairing").with_suffix("").as_posix(): path for path in graph if path != UMBRELLA}
    for name, path in headers.items():
        if is_there(name):
            continue
        if name not in TESTED_ELSEWHERE:
            findings.append(
                f"{path.relative_to(ROOT)}: there is no tests/{name}_test.cpp that tests/meson.build builds"
            )
    for name, (test, _) in TESTED_ELSEWHERE.items():
        if name not in headers or is_there(name):
            why = "has a test of its own" if name in headers else "is no header"
            findings.append(f"tools/check_layers.py: {name} {why}, and needs no place in TESTED_ELSEWHERE")
        elif not is_there(test):
            findings.append(f"tools/check_layers.py: {name} has no test, for there is no tests/{test}_test.cpp")


def main():
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    if not UMBRELLA.is_file():
        print(f"check_layers: {UMBRELLA.relative_to(ROOT)} is missing", file=sys.stderr)
        return 1
    findings = []
    graph = read_all(findings)
    check_levels(graph, findings)
    check_cycles(graph, findings)
    check_sole_includers(findings)
    check_reached(graph, findings)
    check_openings(graph, findings)
    check_tests(graph, findings)
    for finding in findings:
        print(finding, file=sys.stderr)
    if findings:
        print(f"check_layers: {len(findings)} findings", file=sys.stderr)
        return 1
    print(f"check_layers: {len(graph)} headers, all in their places")
    return 0


if __name__ == "__main__":
    sys.exit(main())
