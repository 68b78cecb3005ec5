"""tools/check_layers.py, amalgamate.py, join_units.py and once.py must do what they are there for."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"

GOOD = {
    "fairing.hpp": '// fairing.hpp - all\n#pragma once\n#include "fairing/codec/gzip.hpp"\n',
    "fairing/core/error.hpp": "// fairing/core/error.hpp - errors\n#pragma once\n#include <string>\nint error();\n",
    "fairing/core/json.hpp": "// fairing/core/json.hpp - JSON\n#pragma once\n#include <nlohmann/json.hpp>\n",
    "fairing/codec/gzip.hpp": (
        "// fairing/codec/gzip.hpp - gzip\n#pragma once\n#include <string>\n"
        '#include "../core/error.hpp"\n#include "../core/json.hpp"\nint gzip();\n'
    ),
}


TESTS = "test_sources = {\n  'core': ['error',\n           'json'],\n  'codec': ['gzip'],\n}\nintegration_sources = ['peer']\n"


class Tree:
    """A small copy of the project: include/ with the given headers and a test for each of GOOD, and tools/."""

    def __init__(self, headers):
        self.folder = tempfile.TemporaryDirectory()
        self.root = pathlib.Path(self.folder.name).resolve()
        (self.root / "tools").mkdir()
        for name in ("own_headers.py", "check_layers.py", "amalgamate.py"):
            shutil.copy(TOOLS / name, self.root / "tools" / name)
        self.exempt({})
        for name, text in headers.items():
            self.write("include/" + name, text)
        for name in ("core/error", "core/json", "codec/gzip", "integration/peer"):
            self.write(f"tests/{name}_test.cpp", "")
        self.write("tests/meson.build", TESTS)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def exempt(self, headers):
        """Gives check_layers.py other headers than ours that are tested elsewhere."""
        tool = self.root / "tools" / "check_layers.py"
        table = f"TESTED_ELSEWHERE = {headers!r}"[:-1] + "\n}"
        text, count = re.subn(r"^TESTED_ELSEWHERE = \{.*?^\}", table, tool.read_text(), flags=re.M | re.S)
        assert count == 1
        tool.write_text(text)

    def run(self, tool, *arguments):
        done = subprocess.run(
            [sys.executable, self.root / "tools" / tool, *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def single(self):
        return (self.root / "single_include" / "fairing.hpp").read_text(encoding="utf-8")


class ToolsTest(unittest.TestCase):
    def tree(self, changes=None):
        tree = Tree({**GOOD, **(changes or {})})
        self.addCleanup(tree.folder.cleanup)
        return tree

    def with_line(self, name, line):
        """GOOD with one more line at the end of a header."""
        return self.tree({name: GOOD[name] + line + "\n"})

    def fails(self, tree, tool, *words, arguments=()):
        code, output = tree.run(tool, *arguments)
        self.assertEqual(code, 1, output)
        for word in words:
            self.assertIn(word, output)

    def test_layers_accept_a_good_tree(self):
        code, output = self.tree().run("check_layers.py")
        self.assertEqual(code, 0, output)

    def test_layers_upwards(self):
        tree = self.with_line("fairing/core/error.hpp", '#include "../codec/gzip.hpp"')
        self.fails(tree, "check_layers.py", "error.hpp:5", "points up", "include cycle")

    def test_layers_sideways(self):
        tree = self.tree({
            "fairing.hpp": GOOD["fairing.hpp"] + '#include "fairing/engine/a.hpp"\n',
            "fairing/engine/a.hpp": '// fairing/engine/a.hpp - a\n#include "../registry/b.hpp"\n',
            "fairing/registry/b.hpp": "// fairing/registry/b.hpp - b\n",
        })
        self.fails(tree, "check_layers.py", "engine/a.hpp:2", "points sideways")

    def test_layers_cycle_inside_a_folder(self):
        tree = self.tree({
            "fairing/core/error.hpp": '// fairing/core/error.hpp - e\n#include "json.hpp"\n',
            "fairing/core/json.hpp": '// fairing/core/json.hpp - j\n#include "error.hpp"\n',
        })
        self.fails(tree, "check_layers.py", "include cycle")

    def test_layers_unknown_folder(self):
        tree = self.tree({
            "fairing.hpp": GOOD["fairing.hpp"] + '#include "fairing/misc/a.hpp"\n',
            "fairing/misc/a.hpp": "// fairing/misc/a.hpp - a\n",
        })
        self.fails(tree, "check_layers.py", "misc is on no level")

    def test_layers_foreign_libraries(self):
        for name in ("httplib.h", "nlohmann/json_fwd.hpp", "yaml-cpp/yaml.h", "openssl/ssl.h", "pugixml.hpp", "zlib.h", "zstd.h"):
            with self.subTest(name):
                tree = self.with_line("fairing/codec/gzip.hpp", f"#include <{name}>")
                self.fails(tree, "check_layers.py", f"includes <{name}>; only")

    def test_layers_second_includer(self):
        tree = self.with_line("fairing/core/error.hpp", "#include <nlohmann/json_fwd.hpp>")
        self.fails(tree, "check_layers.py", "one header is the door")

    def test_layers_foreign_libraries_in_the_command(self):
        tree = self.tree()
        command = tree.root / "tools" / "fairing" / "main.cpp"
        command.parent.mkdir()
        command.write_text("#include <httplib.h>\n")
        self.fails(tree, "check_layers.py", "tools/fairing/main.cpp:1")

    def test_unreached(self):
        tree = self.tree({"fairing/core/lonely.hpp": "// fairing/core/lonely.hpp - alone\n"})
        self.fails(tree, "check_layers.py", "lonely.hpp", "does not reach it")
        self.fails(tree, "amalgamate.py", "lonely.hpp", "not reached")

    def test_layers_opening_comment(self):
        for opening in ("#pragma once", "// fairing/core/json.hpp - another", "// fairing/core/error.hpp - "):
            with self.subTest(opening):
                tree = self.tree({"fairing/core/error.hpp": opening + "\n"})
                self.fails(tree, "check_layers.py", "core/error.hpp:1: begin with")

    def test_layers_a_header_without_a_test(self):
        tree = self.tree()
        (tree.root / "tests" / "codec" / "gzip_test.cpp").unlink()
        self.fails(tree, "check_layers.py", "codec/gzip.hpp: there is no tests/codec/gzip_test.cpp")
        tree = self.tree()  # there, and never built
        tree.write("tests/meson.build", TESTS.replace("'json'", ""))
        self.fails(tree, "check_layers.py", "core/json.hpp: there is no tests/core/json_test.cpp", "meson.build builds")

    def test_layers_a_header_that_is_tested_elsewhere(self):
        for test in ("core/error", "integration/peer"):
            with self.subTest(test):
                tree = self.tree()
                (tree.root / "tests" / "codec" / "gzip_test.cpp").unlink()
                tree.exempt({"codec/gzip": (test, "it needs that")})
                code, output = tree.run("check_layers.py")
                self.assertEqual(code, 0, output)

    def test_layers_exemptions_that_are_none(self):
        for name, test, said in (
            ("codec/gzip", "core/error", "codec/gzip has a test of its own"),
            ("codec/absent", "core/error", "codec/absent is no header"),
        ):
            with self.subTest(said):
                tree = self.tree()
                tree.exempt({name: (test, "it needs that")})
                self.fails(tree, "check_layers.py", said)
        tree = self.tree()
        (tree.root / "tests" / "codec" / "gzip_test.cpp").unlink()
        tree.exempt({"codec/gzip": ("integration/absent", "it needs that")})
        self.fails(tree, "check_layers.py", "codec/gzip has no test", "no tests/integration/absent_test.cpp")

    def test_includes_in_comments_and_strings_are_none(self):
        text = (
            '/*\n#include "../codec/gzip.hpp"\n*/\n// #include <httplib.h>\n'
            'const char* a = R"x(\n#include <httplib.h>\n)x";\nconst char* b = "/*";\nconst int c = 1\'000;\n'
        )
        tree = self.with_line("fairing/core/error.hpp", text)
        code, output = tree.run("check_layers.py")
        self.assertEqual(code, 0, output)

    def test_amalgamate_inlines_and_sorts(self):
        tree = self.tree()
        code, output = tree.run("amalgamate.py")
        self.assertEqual(code, 0, output)
        text = tree.single()
        self.assertEqual(text.count("#include <string>"), 1)
        self.assertEqual(text.count("#pragma once"), 1)
        self.assertNotIn('#include "', text)
        self.assertLess(text.index("#include <string>"), text.index("int error();"))
        self.assertLess(text.index("int error();"), text.index("int gzip();"))

    def test_amalgamate_leaves_conditional_includes_in_place(self):
        changed = GOOD["fairing/core/error.hpp"] + (
            "#if FAIRING_TLS\n#define CPPHTTPLIB_OPENSSL_SUPPORT\n#endif\n#include <httplib.h>\n"
            "#if FAIRING_YAML\n#include <yaml-cpp/yaml.h>\n#endif\n"
        )
        tree = self.tree({"fairing/core/error.hpp": changed})
        code, output = tree.run("amalgamate.py")
        self.assertEqual(code, 0, output)
        self.assertIn(
            "int error();\n#if FAIRING_TLS\n#define CPPHTTPLIB_OPENSSL_SUPPORT\n#endif\n#include <httplib.h>\n"
            "#if FAIRING_YAML\n#include <yaml-cpp/yaml.h>\n#endif\n",
            tree.single(),
        )

    def test_amalgamate_check(self):
        tree = self.tree()
        self.fails(tree, "amalgamate.py", "First difference: line 1", arguments=["--check"])
        tree.run("amalgamate.py")
        code, output = tree.run("amalgamate.py", "--check")
        self.assertEqual(code, 0, output)
        header = tree.root / "include" / "fairing" / "core" / "error.hpp"
        header.write_text(header.read_text().replace("int error();", "int changed();"))
        self.fails(tree, "amalgamate.py", "int changed();", "int error();", arguments=["--check"])

    def test_amalgamate_macros(self):
        leak = self.with_line("fairing/core/error.hpp", "#define LEAKED 1")
        self.fails(leak, "amalgamate.py", "macro LEAKED leaks", "error.hpp:5")
        undefined = self.with_line("fairing/core/error.hpp", "#define BRIEF(x) \\\n  x\n#undef BRIEF")
        self.assertEqual(undefined.run("amalgamate.py")[0], 0)
        for family in ("VERSION", "ABI"):
            parts = "".join(f"#define FAIRING_{family}_{i} 0\n" for i in range(12))
            self.assertEqual(self.with_line("fairing/core/error.hpp", parts).run("amalgamate.py")[0], 0)
        many = "".join(f"#define FAIRING_M{i} 0\n" for i in range(10))
        self.fails(self.with_line("fairing/core/error.hpp", many), "amalgamate.py", "10 FAIRING_ macros")

    def test_amalgamate_refuses_conditional_own_include(self):
        tree = self.with_line("fairing/codec/gzip.hpp", '#if 1\n#include "../core/error.hpp"\n#endif')
        self.fails(tree, "amalgamate.py", "own include inside #if")

    def test_amalgamate_cycle(self):
        tree = self.with_line("fairing/core/error.hpp", '#include "../codec/gzip.hpp"')
        self.fails(tree, "amalgamate.py", "include cycle: ")

    def test_amalgamate_own_include_in_angle_brackets(self):
        tree = self.with_line("fairing/codec/gzip.hpp", "#include <fairing/core/error.hpp>")
        self.fails(tree, "amalgamate.py", "by its relative path")


class JoinUnits(unittest.TestCase):
    def joined(self, sources, *options):
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for path, text in sources.items():
                (folder / path).parent.mkdir(exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8")
            units = [folder / path for path in sources if path.endswith(".cpp")]
            subprocess.run([sys.executable, TOOLS / "join_units.py", *options, folder, folder / "out", *units], check=True)
            return (folder / "out").read_text(encoding="utf-8")

    def test_includes_come_first_and_once_each_unit_in_its_namespace(self):
        text = self.joined({
            "core/a_test.cpp": "#include <string>\n#include \"../support/x.hpp\"\n#include \"fairing/y.hpp\"\n",
            "core/b_test.cpp": "#include <string>\n// #include <map>\nint b();\n",
            "support/x.hpp": "",
        })  # fmt: skip
        self.assertEqual(
            text,
            '#include <string>\n#include "support/x.hpp"\n#include "fairing/y.hpp"\n'
            'namespace unit_core_a_test {\n#include "core/a_test.cpp"\n}  // namespace unit_core_a_test\n'
            'namespace unit_core_b_test {\n#include "core/b_test.cpp"\n}  // namespace unit_core_b_test\n',
        )

    def test_what_can_not_stand_in_a_namespace_does_not(self):
        text = self.joined({
            "a.cpp": "int a();\n",
            "b.cpp": "namespace fairing {\n}\n",
            "c.cpp": "#if X\n#include <zlib.h>\n#endif\n",
        })  # fmt: skip
        self.assertTrue(text.startswith('#include "b.cpp"\n#include "c.cpp"\nnamespace unit_a {\n'), text)
        self.assertNotIn("zlib", text)

    def test_programs_are_run_by_their_names(self):
        sources = {
            "1_seven.cpp": "#include <cstdio>\nint main() {\n    return 7;\n}\n",
            "2_count.cpp": "int main(int argc, char**) {\n    return argc;\n}\n",
            "3_silent.cpp": "int main() {}\n",
        }
        text = self.joined(sources, "--programs")
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for path, source in sources.items():
                (folder / path).write_text(source, encoding="utf-8")
            (folder / "all.cpp").write_text(text, encoding="utf-8")
            subprocess.run(["g++", "-std=c++20", "-w", folder / "all.cpp", "-o", folder / "all"], check=True)
            codes = []
            for program in ("1_seven", "2_count", "3_silent", "4_absent"):
                os.link(folder / "all", folder / program)
                codes.append(subprocess.run([folder / program, "a"], check=False).returncode)
        self.assertEqual(codes, [7, 2, 0, 127])


class Once(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.source = pathlib.Path(self.folder.name, "source.txt")
        self.ran = pathlib.Path(self.folder.name, "ran")

    def check(self, text, code=0, salt="1", preprocess="cat"):
        """How often the check ran for this text, and what once.py exits with."""
        self.source.write_text(text)
        self.ran.write_text("")
        done = subprocess.run(
            [TOOLS / "once.py", "--salt", salt, "--preprocess", f"{preprocess} {self.source}", "--",
             "sh", "-c", f"echo >> {self.ran}; exit {code}"],
            env={**os.environ, "XDG_CACHE_HOME": self.folder.name}, check=False,
        )  # fmt: skip
        return self.ran.read_text().count("\n"), done.returncode

    def test_what_passed_is_not_checked_again(self):
        self.assertEqual(self.check("one"), (1, 0))
        self.assertEqual(self.check("one"), (0, 0))
        self.assertEqual(self.check("two"), (1, 0))
        self.assertEqual(self.check("one", salt="2"), (1, 0))

    def test_a_failure_is_never_remembered(self):
        self.assertEqual(self.check("one", code=3), (1, 3))
        self.assertEqual(self.check("one", code=3), (1, 3))

    def test_a_text_that_can_not_be_had_is_checked(self):
        for _ in range(2):
            self.assertEqual(self.check("one", preprocess="false"), (1, 0))


if __name__ == "__main__":
    unittest.main()
