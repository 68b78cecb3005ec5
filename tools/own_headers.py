"""The project's own headers: where they are, which directives they hold, what they include.

Shared by amalgamate.py and check_layers.py.
"""

import pathlib
import re
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
INCLUDE = ROOT / "include"
UMBRELLA = INCLUDE / "fairing.hpp"

RAW_STRING = re.compile(r'R"([^()\\\s]{0,16})\(')
INCLUDE_ARGUMENT = re.compile(r'(?:"([^"]+)"|<([^>]+)>)')


class HeaderError(Exception):
    """A finding, as a sentence for the developer."""


@dataclass(frozen=True)
class Directive:
    line: int  # of its first line, from 1
    last_line: int  # of its last one: a backslash continues it
    keyword: str  # "include", "define", "if", ...
    argument: str  # without comments


def name_of(path):
    """The path of a header as its users write it, "fairing/core/error.hpp"."""
    return path.relative_to(INCLUDE).as_posix()


def all_headers():
    """Every header of ours but the umbrella, in path order."""
    return sorted((INCLUDE / "fairing").rglob("*.hpp"), key=name_of)


def _without_comments(line):
    line = re.sub(r"/\*.*?\*/", " ", line)
    return re.sub(r"//.*|/\*.*", "", line).strip()


def _skip_code(text, at):
    """The end of the line that begins at `at`, comments over several lines and raw strings included."""
    while at < len(text) and text[at] != "\n":
        two = text[at : at + 2]
        if two == "//":
            end = text.find("\n", at)
            return len(text) if end < 0 else end
        if two == "/*":
            end = text.find("*/", at + 2)
            if end < 0:
                return len(text)
            at = end + 2
            continue
        raw = RAW_STRING.match(text, at)
        if raw and not (at > 0 and (text[at - 1].isalnum() or text[at - 1] == "_")):
            end = text.find(")" + raw.group(1) + '"', raw.end())
            if end < 0:
                return len(text)
            at = end + len(raw.group(1)) + 2
            continue
        digit_separator = text[at] == "'" and at > 0 and text[at - 1].isalnum()
        if text[at] in "\"'" and not digit_separator:
            quote = text[at]
            at += 1
            while at < len(text) and text[at] not in (quote, "\n"):
                at += 2 if text[at] == "\\" else 1
            if at < len(text) and text[at] == quote:
                at += 1
            continue
        at += 1
    return at


def directives(text):
    """The preprocessor directives of `text` in order, those in comments and raw strings left out."""
    found = []
    at = 0
    while at < len(text):
        match = re.compile(r"[ \t]*#[ \t]*(\w+)").match(text, at)
        if match:
            end = at
            while True:
                newline = text.find("\n", end)
                end = len(text) if newline < 0 else newline
                if newline < 0 or not text[:newline].endswith("\\"):
                    break
                end += 1
            first = text.count("\n", 0, at) + 1
            argument = text[match.end() : end].replace("\\\n", " ")
            found.append(
                Directive(
                    line=first,
                    last_line=first + text.count("\n", at, end),
                    keyword=match.group(1),
                    argument=_without_comments(argument),
                )
            )
            at = end + 1
        else:
            at = _skip_code(text, at) + 1
    return found


@dataclass(frozen=True)
class Include:
    line: int
    own: pathlib.Path | None  # the header of ours that it names
    foreign: str | None  # or what stands between the angle brackets
    conditional: bool  # inside #if
    placed: bool  # inside #if, or after a directive of its header that may configure it


def includes(path, text):
    """The includes of the header at `path` in order. Throws HeaderError when one names no file of ours."""
    found = []
    depth = 0
    configured = False
    for directive in directives(text):
        if directive.keyword in ("if", "ifdef", "ifndef"):
            depth += 1
        elif directive.keyword == "endif":
            depth -= 1
        if directive.keyword not in ("include", "pragma"):
            configured = True
        if directive.keyword != "include":
            continue
        where = f"{path.relative_to(ROOT)}:{directive.line}"
        match = INCLUDE_ARGUMENT.fullmatch(directive.argument)
        if not match:
            raise HeaderError(f"{where}: can not read #include {directive.argument}")
        quoted, angled = match.groups()
        own = None
        if quoted is not None:
            own = (path.parent / quoted).resolve()
            if not own.is_file():
                own = (INCLUDE / quoted).resolve()
            if not own.is_file() or not own.is_relative_to(INCLUDE):
                raise HeaderError(f'{where}: "{quoted}" is no header of ours')
        elif angled == "fairing.hpp" or angled.startswith("fairing/"):
            raise HeaderError(f"{where}: include our own <{angled}> by its relative path")
        found.append(
            Include(
                line=directive.line,
                own=own,
                foreign=angled,
                conditional=depth > 0,
                placed=depth > 0 or configured,
            )
        )
    return found
