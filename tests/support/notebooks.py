"""Notebooks for tests/integration/notebook_test.cpp: notebooks.py FOLDER fills FOLDER with NAME.ipynb and NAME.py,
what nbconvert's PythonExporter makes of it behind a filter that drops lines which begin with ! or %, as Fairing does.
NAME.kind says what the notebook holds: "plain" Python, or "magic" that only IPython reads."""

import glob
import json
import logging
import pathlib
import re
import sys
import warnings

import nbconvert
import nbformat

warnings.filterwarnings("ignore")
logging.disable(logging.CRITICAL)

PLAIN = {
    "one": ["a = 1"],
    "empty_cell": ["", "x = 1"],
    "blank_cell": ["  ", "x = 1"],
    "newlines_only": ["\n\n", "x = 1"],
    "trailing_newline": ["a = 1\n"],
    "trailing_blank_lines": ["a = 1\n\n\n", "b"],
    "leading_blank_lines": ["\n\n\na = 1"],
    "indented_cell": ["    a = 1\n    b = 2"],
    "indented_by_tabs": ["\ta = 1\n\tb = 2"],
    "function": ["def f(x):\n    return x\n\nf(1)"],
    "tabs": ["def f(x):\n\treturn x"],
    "crlf": ["a = 1\r\nb = 2\r\n"],
    "unicode": ["é = 'ü ß 漢字 🚀'"],
    "percent_operator": ["x = 7 % 3\ny = 'a %s' % 3"],
    "percent_in_bracket": ["x = (7\n     % 3)"],
    "percent_continued": ["x = 7 \\\n    % 3"],
    "not_equal": ["x = 1 != 2"],
    "format_string": ["x = f'{1!r:>5} {2:%}'"],
    "question_in_string": ["x = 'why?'  # really?"],
    "comment_with_magic": ["# %matplotlib inline\n# !ls\nx = 1"],
    "string_with_magic": ["x = '''\n  !ls\n  %who\n'''"],
    "nested_quotes": ["x = \"it's\"\ny = 'say \"!\"'"],
    "backslash_string": ["x = 'a\\'b'\ny = r'\\d?'"],
    "brackets": ["x = [\n    1,\n    (2,\n     3),\n]\ny = {'a': '?'}"],
    "decorator": ["import functools\n@functools.lru_cache\ndef f():\n    pass"],
    "class": ["class A:\n    '''What?'''\n\n    x = 1"],
    "semicolon": ["a = 1; b = 2"],
    "prompts": [">>> a = 1\n>>> b = 2"],
    "ipython_prompts": ["In [1]: a = 1\n   ...: b = 2"],
    "walrus": ["if (n := 3) > 2:\n    print(n)"],
    "keyword_arguments": ["print(1, end='', sep='!')"],
    "annotations": ["x: int = 3\ndef f(a: int = 3) -> str: ..."],
    "long_operators": ["a = 1\na //= 1\na <<= 2\na |= 1\nb = a == 1"],
    "ellipsis": ["x = ..."],
    "star": ["a, *b = 1, 2, 3"],
    "form_feed": ["a = 1\n\nb = 2"],
}
MAGIC = {
    "line_magic": ["%matplotlib inline\nimport os"],
    "several": ["%load_ext a\n%autoreload 2\nx = 1\n%who"],
    "shell": ["!ls -l\nx = 1"],
    "shell_twice": ["!!ls"],
    "shell_continued": ["!ls \\\n  -l \\\n  /\nx = 1"],
    "shell_quote": ["!echo don't\nx = 1"],
    "assign_shell": ["files = !ls *.csv\nprint(files)"],
    "assign_magic": ["x = %pwd"],
    "assign_time": ["x = %time 1 + 1"],
    "time": ["%time x = 1\nprint(x)"],
    "timeit": ["%timeit 1 + 1"],
    "cell_bash": ["%%bash\nfor i in 1 2; do echo $i; done", "x = 1"],
    "cell_time": ["%%time\nx = 1\nfor i in range(3):\n    x += i"],
    "cell_capture": ["%%capture out\nprint(1)"],
    "cell_nested": ["%%capture\n%%time\nx = 1"],
    "cell_html": ["%%html\n<b>bold</b>"],
    "cell_writefile": ["%%writefile a.py\nimport b"],
    "cell_javascript": ["%%javascript\nalert(1)"],
    "help": ["?print\nprint?\nprint??\nx = 1"],
    "help_of_attribute": ["import os\nos.path?"],
    "pip": ["%pip install numpy\n!pip install pandas\nimport os"],
    "bare_pip": ["pip install numpy"],
    "in_try": ["try:\n    import x\nexcept ImportError:\n    !pip install x"],
    "in_if": ["if True:\n    %matplotlib inline"],
    "in_loop": ["for i in range(3):\n    !echo {i}\n    print(i)"],
    "in_nested_block": ["if 1:\n    if 2:\n        x = !ls\n        %who\ny = 3"],
    "in_function_by_tab": ["def f():\n\t%time g()\n\t!ls"],
    "get_ipython": ["get_ipython().run_line_magic('matplotlib', 'inline')\nx = 1"],
    "get_ipython_in_block": ["if True:\n    get_ipython().system('ls')"],
    "get_ipython_over_lines": ["get_ipython().run_cell_magic('bash', '',\n    'ls')"],
    "assign_get_ipython": ["x = get_ipython().getoutput('ls')"],
    "auto_call": ["/print 1 2\n,print a b\n;print a b"],
    "crlf_magic": ["%who\r\nx = 1\r\n!ls\r\n"],
    "unicode_magic": ["!echo é\nx = 'é'"],
    "raw_cell": [("raw", "this is no Python"), "x = 1"],
    "markdown_with_return": [("markdown", "a\rb"), "x = 1"],
    "nul_in_markdown": [("markdown", "a\0b"), "x = 1"],
}


def notebook(cells):
    result = []
    for number, cell in enumerate(cells):
        kind, source = cell if isinstance(cell, tuple) else ("code", cell)
        one = {"cell_type": kind, "metadata": {}, "source": source if number % 2 else source.splitlines(True)}
        if kind == "code":
            one.update(execution_count=number or None, outputs=[])
        result.append(one)
    text = {"cell_type": "markdown", "metadata": {}, "source": "# Title\n\ntext"}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"nbformat": 4, "nbformat_minor": 4, "metadata": {"kernelspec": kernel}, "cells": [text, *result]}


def old_notebook():
    cells = [
        {"cell_type": "heading", "level": 2, "metadata": {}, "source": ["Old"]},
        {"cell_type": "code", "input": ["x = 1\n", "y = 2"], "prompt_number": 3, "language": "python", "metadata": {},
         "outputs": [], "collapsed": False},
        {"cell_type": "markdown", "metadata": {}, "source": "text"},
    ]
    return {"nbformat": 3, "nbformat_minor": 0, "metadata": {"name": ""}, "worksheets": [{"cells": cells, "metadata": {}}]}


class FairingsFilter(nbconvert.preprocessors.Preprocessor):
    def preprocess_cell(self, cell, resources, index):
        if cell.cell_type == "code":
            cell.source = "\n".join(line for line in cell.source.splitlines() if not re.match("[!%]", line))
        return cell, resources


def kind_of(path):
    """Whether there is anything in it that IPython, or nobody, reads as Python."""
    if path.name.startswith("magic_"):
        return "magic"
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    special = re.search(r"^\s*[%!?]|\?\s*$|=\s*[!%]|get_ipython|^(pip|[,;/])", code, flags=re.M)
    return "magic" if special or any(cell.cell_type == "raw" for cell in cells) else "plain"


def is_python3(path):
    """No notebook of the test suites that is wrong on purpose: Python 2, templates."""
    exporter = nbconvert.PythonExporter()
    try:
        compile(exporter.from_filename(str(path))[0], str(path), "exec")
        return True
    except SyntaxError:
        return False


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    made = {f"plain_{name}": cells for name, cells in PLAIN.items()}
    made |= {f"magic_{name}": [*cells, "x = 1"] for name, cells in MAGIC.items()}
    documents = {name: notebook(cells) for name, cells in made.items()}
    documents["plain_nbformat_3"] = old_notebook()
    for name, document in documents.items():
        (folder / f"{name}.ipynb").write_text(json.dumps(document), encoding="utf-8", newline="")
    for pattern in ("/usr/lib/python3/dist-packages/**/*.ipynb", "/usr/share/doc/**/*.ipynb"):
        for path in glob.glob(pattern, recursive=True):
            try:
                if is_python3(path) and any(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "code"):
                    name = "real_" + re.sub(r"\W+", "_", pathlib.Path(path).stem)
                    (folder / f"{name}.ipynb").write_bytes(pathlib.Path(path).read_bytes())
            except Exception:  # noqa: BLE001: one that nbformat itself does not take
                continue
    for path in sorted(folder.glob("*.ipynb")):
        exporter = nbconvert.PythonExporter()
        exporter.register_preprocessor(FairingsFilter, enabled=True)
        path.with_suffix(".py").write_text(exporter.from_filename(str(path))[0], encoding="utf-8", newline="")
        path.with_suffix(".kind").write_text(kind_of(path))


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
