#!/usr/bin/env python3
"""Holds the README's tables about Kubeflow Fairing against the sources.

What they call ours must be there: types, members and functions of the headers, options and subcommands of the command,
keys of the field tables. Every behaviour names the test cases that prove it, and every stage of stages.hpp has a row.
With FAIRING_TEST_DATA every row of the behaviour reference there must be among ours.
"""

import os
import pathlib
import re
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(os.environ.get("FAIRING_SOURCE_ROOT", pathlib.Path(__file__).resolve().parents[1]))
MIGRATION = "Coming from Kubeflow Fairing"
BEHAVIOUR = "Behaviour by behaviour"
SECTIONS = {"preprocessor", "builder", "deployer", "object_name", "--config"}
STRING = r'"(?:[^"\\]|\\.)*"'
TOKEN = re.compile(r"""R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n]){1,4}'|//[^\n]*""", re.S)


def tables(text, heading):
    """The rows of all tables below the heading, up to the next one of its level: line number and cells."""
    level, lines, rows, inside = 0, text.split("\n"), [], False
    for number, line in enumerate(lines, 1):
        found = re.match(r"(#+) (.*)", line)
        if found and found.group(2) == heading:
            inside, level = True, len(found.group(1))
        elif found and inside and len(found.group(1)) <= level:
            break
        elif inside and line.startswith("|"):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            is_head = number < len(lines) and re.match(r"\|[-|]+$", lines[number])
            if not is_head and not re.match(r"\|[-|]+$", line):
                rows.append((number, cells))
    return rows


def spans(cell):
    return re.findall(r"`([^`]+)`", cell)


class Sources:
    """What there is."""

    def __init__(self, root):
        text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "include").rglob("*.hpp")))
        self.text = TOKEN.sub(lambda found: "" if found.group().startswith("//") else found.group(), text)
        self.code = TOKEN.sub("", text)  # neither comments nor texts
        self.words = set(re.findall(r"\w+", self.code))
        self.aliases = dict(re.findall(r"\busing (\w+) = (?:\w+::)*(\w+)", self.code))
        self.types = {}
        for found in re.finditer(r"\b(?:struct|class) (\w+)\b(?: final)?(?: : (?:public )?(\w+))?(?=[^;{()]*\{)", self.code):
            self.types.setdefault(found.group(1), []).append((found.start(), found.group(2)))
        # A key and its option are written once, in a field table: field("key", &T::member, "help" "more", "option").
        self.keys = {}
        on, off = (set(re.findall(rf"\bbool (\w+) = {value}", self.code)) for value in ("true", "false"))
        pattern = rf'\b(?:part_)?field\(\s*"(\w+)",([^"]*?),\s*(?:{STRING}|\s|\w+::\w+)+(?:,\s*({STRING}|\w+))?\)'
        for key, member, option in re.findall(pattern, self.text):
            name = option.strip('"') if option.startswith('"') else key
            flag = "" if option and not option.startswith('"') else "--" + name.replace("_", "-")
            flags = self.keys.setdefault(key, set())
            last = member.strip().rsplit("::", 1)[-1]
            if last in on:
                flags.add("--no-" + flag[2:])
            if last not in on - off:
                flags.add(flag)
        self.flags = set().union(*self.keys.values())
        command = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "tools/fairing").glob("*.cpp")))
        self.flags |= set(re.findall(r'"(--[a-z-]+)"', command))
        self.subcommands = set(re.findall(r"\bset_up_(\w+)\(CLI::App", command))
        stages = (root / "include/fairing/stages.hpp").read_text(encoding="utf-8")
        self.stages = re.findall(r'NamedStage<\w+>\{"([\w-]+)"\}', stages)

    def body(self, name):
        """The text of all types of that name and of what they are made from; "" when there is none."""
        if name in self.aliases:
            return self.body(self.aliases[name])
        text = ""
        for begin, base in self.types.get(name, []):
            depth, end = 1, self.code.index("{", begin) + 1
            while depth:
                depth += {"{": 1, "}": -1}.get(self.code[end], 0)
                end += 1
            text += self.code[begin:end] + (self.body(base) if base else "")
        return text

    def members(self, path, body):
        """What is wrong with "a.b" of a struct; "" when nothing is."""
        for name in path.split("."):
            if not re.search(rf"\b{name}\b", body):
                return name
            kind = re.search(rf"\b(\w+) {name}(?: =|;)", body)
            body = self.body(kind.group(1)) if kind else ""
        return ""


class Check:
    def __init__(self, root):
        self.root = root
        self.sources = Sources(root)
        self.problems = []
        self.readme = (root / "README.md").read_text(encoding="utf-8")

    def wrong(self, number, text):
        self.problems.append(f"README.md:{number}: {text}")

    def cpp(self, number, span):
        code = re.sub(STRING, "", span)
        for owner, inner in re.findall(r"(\w+)\{([^{}]*)\}", code):
            body = self.sources.body(owner)
            if not body:
                self.wrong(number, f"there is no type {owner}")
                continue
            for path in re.findall(r"\.([\w.]+)", inner):
                if missing := self.sources.members(path, body):
                    self.wrong(number, f"{owner} has no {missing}")
        for owner, name in re.findall(r"\b([A-Z]\w*)::(\w+)", code):
            if not re.search(rf"\b{name}\b", self.sources.body(owner)):
                self.wrong(number, f"there is no {owner}::{name}")
        for word in re.findall(r"[A-Za-z_]\w*", code):
            if word not in self.sources.words:
                self.wrong(number, f"no header has {word}")

    def option(self, number, span):
        words = span.split()
        if words[0] == "fairing" and words[1] not in self.sources.subcommands:
            self.wrong(number, f"there is no subcommand {words[1]}")
        for word in words:
            if word.startswith("--") and word not in self.sources.flags:
                self.wrong(number, f"there is no option {word}")
        if words[0] in ("--preprocessor", "--builder", "--deployer"):
            for name in words[1:]:
                if name not in self.sources.stages:
                    self.wrong(number, f"there is no stage {name}")

    def migration(self):
        proven = {number for number, _ in tables(self.readme, BEHAVIOUR)}
        rows = [row for row in tables(self.readme, MIGRATION) if row[0] not in proven]
        if len(rows) < 100:
            self.wrong(1, f'the tables of "{MIGRATION}" have {len(rows)} rows only')
        named = set()
        for number, cells in rows:
            if len(cells) != 4:
                self.wrong(number, "a row has four cells")
                continue
            _, cpp, command, keys = cells
            if not spans(cpp):
                self.wrong(number, "nothing of ours in C++")
            for span in spans(cpp):
                self.cpp(number, span)
            for span in spans(command):
                self.option(number, span)
                named |= set(span.split())
            flags = {word for span in spans(command) for word in span.split() if word.startswith("--")}
            for span in spans(keys):
                key = "name" if span == "object_name" else span.split(".")[-1]
                if span in SECTIONS - {"object_name"}:
                    continue
                if key not in self.sources.keys:
                    self.wrong(number, f"no stage has the key {span}")
                elif flags and not flags & self.sources.keys[key] and "ENTRY" not in command:
                    self.wrong(number, f"the key {span} is the option {' or '.join(sorted(self.sources.keys[key]))}")
        for stage in set(self.sources.stages) - named:
            if stage not in self.readme:
                self.wrong(1, f"the stage {stage} is not in it")

    def has_case(self, file, words):
        path = self.root / "tests" / (file if file.endswith(".py") else file + "_test.cpp")
        if not path.is_file():
            return f"there is no {path.relative_to(self.root)}"
        text = path.read_text(encoding="utf-8")
        if file.endswith(".py"):
            names = re.findall(r"def test_(\w+)", text)
        else:
            names = [
                "".join(part[1:-1] for part in re.findall(STRING, found)).replace('\\"', '"')
                for found in re.findall(rf"TEST_CASE\(\s*((?:{STRING}\s*)+)", text)
            ]
        hits = [name for name in names if words in name]
        return "" if hits else f'no case of {path.relative_to(self.root)} is called "{words}"'

    def behaviour(self):
        rows = tables(self.readme, BEHAVIOUR)
        if len(rows) < 60:
            self.wrong(1, f'the table "{BEHAVIOUR}" has {len(rows)} rows only')
        for number, cells in rows:
            if len(cells) != 3 or not all(cells):
                self.wrong(number, "a row has three cells, and none is empty")
                continue
            for proof in cells[2].split(";"):
                found = re.fullmatch(r"\s*`([\w/.]+)`: (.{6,})", proof)
                problem = self.has_case(found.group(1), found.group(2).strip()) if found else f'"{proof}" names no test'
                if problem:
                    self.wrong(number, problem)
        firsts = " ".join(" ".join(cells[:2]) for _, cells in rows)
        for stage in self.sources.stages:
            if f"`{stage}`" not in firsts:
                self.wrong(1, f"no behaviour is that of `{stage}`")
        data = os.environ.get("FAIRING_TEST_DATA")
        reference = pathlib.Path(data, "spec", "behaviour.md") if data else None
        if reference and reference.is_file():
            for line in reference.read_text(encoding="utf-8").split("\n"):
                cell = re.match(r"\| ([^|]+?) \|", line)
                name = re.sub(r"\s*\(.*\)", "", cell.group(1)) if cell else "name"
                if name not in ("name", "") and f"`{name}`" not in firsts and name not in firsts:
                    self.wrong(1, f'the behaviour "{name}" has no row')


def main():
    check = Check(ROOT)
    check.migration()
    check.behaviour()
    for problem in check.problems:
        print(problem)
    if check.problems:
        return 1
    print(
        f"README: {len(tables(check.readme, MIGRATION))} rows about Fairing, "
        f"{len(tables(check.readme, BEHAVIOUR))} of them proven by tests"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
