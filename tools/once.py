#!/usr/bin/env python3
"""tools/once.py - runs a check of a source unless the same check of the same text has passed before.

usage: once.py --salt TEXT --preprocess 'COMMAND' -- CHECK [ARGUMENT…]

COMMAND prints what the compiler would see (`c++ -E -P …`); its text, CHECK's words and TEXT (tool versions, settings)
are the key. Who passed is remembered outside the tree ($XDG_CACHE_HOME/fairing/checks); a failure never is, and
without that folder every check simply runs.
"""

import argparse
import hashlib
import os
import pathlib
import shlex
import subprocess
import sys


def marker(salt, preprocess, check, root):
    """The file that stands for this check; None when the text can not be had, and the check will say why."""
    text = subprocess.run(shlex.split(preprocess), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    if text.returncode != 0:
        return None
    # A second clone of the same text finds what the first has passed.
    words = [word.replace(root, "") for word in check]
    key = hashlib.sha256("\0".join([salt, *words, ""]).encode() + text.stdout).hexdigest()
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return cache / "fairing" / "checks" / key


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--salt", default="")
    parser.add_argument("--preprocess", required=True, metavar="COMMAND")
    parser.add_argument("check", nargs="+", metavar="CHECK")
    arguments = parser.parse_args()
    root = str(pathlib.Path(__file__).resolve().parent.parent)

    passed = marker(arguments.salt, arguments.preprocess, arguments.check, root)
    if passed is not None and passed.is_file():
        return 0
    code = subprocess.run(arguments.check, check=False).returncode
    if code == 0 and passed is not None:
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
    return code


if __name__ == "__main__":
    sys.exit(main())
