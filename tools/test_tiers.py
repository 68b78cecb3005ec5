#!/usr/bin/env python3
"""Runs the tiers that tools/test names, counts every test case and prints where the time went.

Called by tools/test, which has installed what is needed. A step is a build, a program of doctest cases, or a set of
checks that ninja runs side by side, so that a second run repeats only what changed.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
from join_units import joined, joined_programs  # noqa: E402
from own_headers import INCLUDE, ROOT, all_headers, includes, name_of  # noqa: E402

GXX = "g++"
CLANGXX = "clang++-14"
WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror".split()
USER_WARNINGS = "-Wall -Wextra -Wpedantic -Werror".split()
ROOMY = "--param=ggc-min-heapsize=1500000"  # KiB: g++ collects its garbage less often, and takes a tenth less time
THREADED = ("core", "packaging", "net", "kube", "builders", "runs", "deployers")  # what ThreadSanitizer runs
README_MARK = "<!-- launcher"  # a comment that stands behind the C++ block of README.md that must compile and run
LOCAL_EXAMPLES = ("01_python", "02_notebook", "04_function", "05_python_function", "06_builders", "08_distributed")
# Macro -> package of what is never needed.
OPTIONAL = {"YAML": "yaml-cpp", "XML": "pugixml", "ZLIB": "zlib", "LIBDEFLATE": "libdeflate", "ISAL": "libisal", "ZSTD": "libzstd"}
# Meson finds ccache by itself for the compiler that it finds by itself, and not for one that CXX names.
CLANGXX_FOR_MESON = f"ccache {CLANGXX}" if shutil.which("ccache") else CLANGXX
CLOUD_PEERS = ("moto_server", "s3rver", "fake-gcs-server", "azurite-blob", "kfp-python")
CPUS = os.cpu_count() or 1
STEP_LIMIT = 900  # seconds that one program may take
BUILD_LIMIT = 2400
KUBERNETES_LIMIT = 2400  # seconds that building Kubernetes may take, once


@dataclasses.dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Counts(
            self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        )

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


PASSED = Counts(passed=1)
FAILED = Counts(failed=1)


def say(text=""):
    print(text, flush=True)


def show_failure(title, output, lines=60):
    say(f"---- {title}")
    kept = output.rstrip("\n").split("\n")
    if len(kept) > lines:
        say(f"     ({len(kept) - lines} lines before these)")
    say("\n".join(kept[-lines:]))
    say("----")


def skip(reason):
    say(f"skipped: {reason}")
    return Counts(skipped=1)


RUNNING = set()  # process groups that end with us


def stop(number, _frame):
    for group in list(RUNNING):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os._exit(128 + number)


def run(command, *, cwd=ROOT, env=None, limit=STEP_LIMIT):
    """(exit code, output) of a command; past the limit it and its children are killed."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    RUNNING.add(process.pid)
    try:
        output, _ = process.communicate(timeout=limit)
        late = ""
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)  # ninja ends its children, which are in groups of their own
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        late = f"\nkilled after {limit} seconds\n"
    finally:
        RUNNING.discard(process.pid)
    return process.returncode, output.decode("utf-8", "replace") + late


# --- doctest -------------------------------------------------------------------------------------------------------

DOCTEST_TOTALS = re.compile(
    r"\[doctest\] test cases:\s*(\d+) \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped"
)


def doctest_counts(output, code, filtered=False):
    """What a doctest program said, and the reasons of its skips. A case that says `skipped: …` is no passed one."""
    blocks = re.split(r"^={70,}$", output, flags=re.M)
    skips = {}
    broken = set()
    for block in blocks:
        name = re.search(r"^TEST CASE:\s*(.*)$", block, flags=re.M)
        if not name:
            continue
        if re.search(r"\bERROR:", block):
            broken.add(name.group(1))
        for reason in re.findall(r"MESSAGE:\s*(skipped: .*)$", block, flags=re.M):
            skips.setdefault(name.group(1), reason)
    reasons = [f"{case}: {reason}" for case, reason in skips.items() if case not in broken]
    totals = DOCTEST_TOTALS.search(output)
    if not totals:
        return FAILED, []  # it crashed before its summary
    _, passed, failed, left_out = map(int, totals.groups())
    counts = Counts(passed - len(reasons), failed, len(reasons))
    if left_out and not filtered:
        reasons.append(f"{left_out} cases that doctest was told to leave out")
        counts.skipped += left_out
    if code != 0 and failed == 0:
        counts.failed += 1  # a sanitizer's report, or a crash at exit
    if counts.passed + counts.failed + counts.skipped == 0:
        counts.failed = 1  # a program without a case tests nothing
    return counts, reasons


class Tiers:
    def __init__(self, build, httplib_dir, seconds=float("inf")):
        self.end = time.monotonic() + seconds
        self.build = build
        self.httplib_dir = httplib_dir
        self.rows = []
        self.base_layout = None  # what tools/base-image made
        self.versions = {}  # tool -> what --version says
        self.defines = [f"-DFAIRING_{macro}=1" for macro, package in OPTIONAL.items() if self.has(package)]
        self.libraries = ["-lssl", "-lcrypto", "-lpthread"]

    @staticmethod
    def has(package):
        return subprocess.run(["pkg-config", "--exists", package], check=False).returncode == 0

    def step(self, name, function, *arguments, minutes=0):
        """`minutes` is what the step may take with empty caches: it is skipped when less is left."""
        begin = time.monotonic()
        say(f"\n== {name}")
        if begin + 60 * minutes > self.end:
            self.rows.append((name, 0.0, skip(f"{name} may take {minutes} minutes, and less is left")))
            return
        try:
            counts = function(*arguments)
        except (OSError, subprocess.SubprocessError, ValueError) as error:
            say(f"{name}: {error}")
            counts = FAILED
        seconds = time.monotonic() - begin
        self.rows.append((name, seconds, counts))
        say(f"{name}: {counts}  ({seconds:.1f} s)")

    # --- builds ----------------------------------------------------------------------------------------------------

    def configure(self, name, options, env):
        """The Meson build folder of that name, configured as asked; None when that fails."""
        folder = self.build / name
        stamp = folder / "configured"
        wanted = "\n".join([*options, *(f"{key}={value}" for key, value in sorted(env.items()))])
        if stamp.is_file() and stamp.read_text() == wanted:
            code, output = run(["ninja", "-C", folder, "build.ninja"])  # Meson again, when its files changed
            if code != 0:
                show_failure(f"meson in {name}", output)
            return folder if code == 0 else None
        if folder.exists():
            shutil.rmtree(folder)
        code, output = run(
            ["meson", "setup", folder, ROOT, f"-Dhttplib_dir={self.httplib_dir}", *options], env=env
        )
        if code != 0:
            show_failure(f"meson setup {name}", output)
            return None
        stamp.write_text(wanted)
        return folder

    @staticmethod
    def introspect(folder, what):
        code, output = run(["meson", "introspect", folder, what])
        if code != 0:
            raise ValueError(f"meson introspect {what}: {output}")
        return json.loads(output)

    def tests_of(self, folder, suite):
        """name -> program."""
        return {
            test["name"]: pathlib.Path(test["cmd"][0])
            for test in self.introspect(folder, "--tests")
            if any(each.split(":")[-1] == suite for each in test["suite"])
        }

    def compile(self, folder, programs):
        """Counts one per build; says which programs are not there."""
        targets = [os.path.relpath(program, folder) for program in programs]
        if not targets:
            say("nothing to build")
            return FAILED
        code, output = run(["ninja", "-C", folder, "-k", "0", *targets], limit=BUILD_LIMIT)
        if code != 0:
            kept = [
                line for line in output.split("\n") if not re.match(r"\[\d+/\d+\] (Comp|Link|Gen)", line)
            ]
            show_failure(f"ninja in {folder.name}", "\n".join(kept), lines=80)
            return FAILED
        return PASSED

    # --- programs --------------------------------------------------------------------------------------------------

    def run_doctest(self, name, program, env, prefix=(), only=None):
        """One doctest program in a temporary folder of its own, which must be empty afterwards. Its path is short:
        podman takes no runroot of more than 50 characters, and a socket's path has at most 107."""
        if not program.is_file():
            say(f"{name}: {program} was not built")
            return FAILED
        with tempfile.TemporaryDirectory(prefix="ft-", dir="/tmp") as folder:
            # As open as /tmp: tests that give up root's rights go on from here.
            os.chmod(folder, 0o755)
            temporary = pathlib.Path(folder, "t")
            temporary.mkdir()
            temporary.chmod(0o1777)
            begin = time.monotonic()
            code, output = run(
                [*prefix, program, "--no-colors=true", *([f"--test-case={only}"] if only else [])],
                env={
                    "TMPDIR": str(temporary),
                    "FAIRING_CACHE": str(pathlib.Path(folder, "cache")),
                    "FAIRING_SOURCE_ROOT": str(ROOT),
                    **env,
                },
            )
            seconds = time.monotonic() - begin
            left = sorted(path.name for path in temporary.iterdir())
        (self.build / "logs").mkdir(exist_ok=True)
        (self.build / "logs" / f"{name}.log").write_text(output)
        counts, reasons = doctest_counts(output, code, filtered=only is not None)
        if left:
            counts.failed += 1
            show_failure(f"{name} left temporary files behind", "\n".join(left))
        for reason in reasons:
            say(f"{name}: {reason}")
        if counts.failed:
            show_failure(f"{name}, exit code {code}", output, lines=120)
        say(f"{name}: {counts}  ({seconds:.1f} s)")
        return counts

    def run_all(self, label, programs, env, prefix=()):
        with concurrent.futures.ThreadPoolExecutor(CPUS) as pool:
            waiting = [
                pool.submit(self.run_doctest, f"{label}-{name}", program, env, prefix)
                for name, program in programs.items()
            ]
            return sum((each.result() for each in waiting), Counts())

    # --- checks that ninja runs side by side ------------------------------------------------------------------------

    def checks(self, label, edges, translate=str):
        """Each edge is (name, command, files it reads): one test. A command writes $depfile when it can."""
        folder = self.build / label
        folder.mkdir(parents=True, exist_ok=True)
        lines = [
            "rule check",
            "  command = $line && touch $out",
            "  description = $out",
            "  depfile = $out.d",
            "  deps = gcc",
        ]
        for name, line, reads in edges:
            escaped = [str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:") for path in reads]
            command = line.replace("$depfile", f"{name}.d").replace("$", "$$").replace("\n", " ")
            lines += [f"build {name}: check {' '.join(escaped)}", f"  line = {command}"]
        text = "\n".join(lines) + "\n"
        file = folder / "build.ninja"
        if not file.is_file() or file.read_text() != text:
            file.write_text(text)
        code, output = run(["ninja", "-C", folder, "-k", "0"], limit=BUILD_LIMIT)
        broken = set(re.findall(r"^FAILED: (\S+)", output, flags=re.M))
        if code != 0:
            (self.build / "logs").mkdir(exist_ok=True)
            (self.build / "logs" / f"{label}.log").write_text(translate(output))
            show_failure(f"{label} (all of it: logs/{label}.log)", translate(output), lines=100)
        if code != 0 and (not broken or "\nkilled after " in output):  # then nobody knows what of the rest passes
            return FAILED
        return Counts(passed=len(edges) - len(broken), failed=len(broken))

    def compiler_line(self, compiler, source, *, more=(), include=INCLUDE, warnings=WARNINGS):
        command = [
            compiler, "-std=c++20", *warnings, "-I", str(include), "-isystem", str(self.httplib_dir),
            "-MD", "-MF", "$depfile", *more, str(source),
        ]  # fmt: skip
        return " ".join(part if part == "$depfile" else shlex.quote(part) for part in command)

    def once(self, tool, check, flags, source, salt=""):
        """The check, unless it has passed for the same text before (tools/once.py). The preprocessor, which keeps
        comments for the sake of NOLINT, says what the text is and which files it comes from."""
        if tool not in self.versions:
            self.versions[tool] = run([tool, "--version"])[1]
        seen = ["clang++-14" if "clang" in tool else GXX, *flags, "-E", "-P", "-C", "-MD", "-MF", "@depfile@",
                "-MT", "x", str(source)]  # fmt: skip
        command = ["tools/once.py", "--salt", self.versions[tool] + salt, "--preprocess", shlex.join(seen), "--", *check]
        command[0] = str(ROOT / command[0])
        return shlex.join(command).replace("@depfile@", "$depfile")

    # --- steps of the fast tier --------------------------------------------------------------------------------------

    def command_line_script(self, *command):
        code, output = run(command)
        if code != 0:
            show_failure(" ".join(map(str, command)), output)
            return FAILED
        say(output.rstrip())
        return PASSED

    def tools_tests(self):
        command = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests/tools", "-p", "*_test.py"]
        code, output = run(command)
        ran = re.search(r"^Ran (\d+) test", output, flags=re.M)
        if not ran or int(ran.group(1)) == 0:
            show_failure("tests/tools", output)
            return FAILED
        failed = sum(map(int, re.findall(r"(?:failures|errors)=(\d+)", output)))
        if code != 0:
            show_failure("tests/tools", output)
        return Counts(passed=int(ran.group(1)) - failed, failed=failed or (1 if code else 0))

    def gcc_build(self):
        """With every compressor that there is; the single header and the other programs do without."""
        return self.configure(
            "gcc",
            ["-Dbuildtype=plain", "-Db_ndebug=false", "-Dtests=enabled", "-Dcommand=enabled",
             "-Djoined_tests=true", "-Dbench=disabled", "-Dzlib=auto", "-Dlibdeflate=auto", "-Disal=auto", "-Dzstd=auto",
             f"-Dcpp_args={ROOMY}"], {},
        )  # fmt: skip

    def command(self):
        return self.build / "gcc" / "tools" / "fairing" / "fairing"

    def unit_tests(self):
        folder = self.gcc_build()
        if folder is None:
            return FAILED
        programs = self.tests_of(folder, "unit")
        # The examples are run later, and compile while another processor does this.
        counts = self.compile(folder, [*programs.values(), self.command(), *self.examples(folder)])
        return counts + self.run_all("unit", programs, {"FAIRING_COMMAND": str(self.command())})

    def single_header_suite(self):
        """With clang, in half of g++'s time. g++ sees the single header in the steps below. The command is no part of
        this: gcc_build's has compressors that these programs lack, and lists them in its --help."""
        folder = self.configure(
            "single",
            ["-Dbuildtype=plain", "-Db_ndebug=false", "-Dtests=enabled", "-Dcommand=disabled",
             "-Dsingle_include=true", "-Dbench=disabled"], {"CXX": CLANGXX_FOR_MESON},
        )  # fmt: skip
        if folder is None:
            return FAILED
        programs = self.tests_of(folder, "unit")
        counts = self.compile(folder, programs.values())
        return counts + self.run_all("single", programs, {})

    def headers_alone(self):
        """Every header, alone and twice in one unit; no unused function may warn. With clang, in half of g++'s time,
        which sees every header first in its own test."""
        edges = []
        for path in [INCLUDE / "fairing.hpp", *all_headers()]:
            name = name_of(path)
            source = self.build / "alone" / f"{name}.cpp"
            source.parent.mkdir(parents=True, exist_ok=True)
            text = f"#include <{name}>\n#include <{name}>\n"
            if not source.is_file() or source.read_text() != text:
                source.write_text(text)
            flags = ["-std=c++20", "-I", str(INCLUDE), "-isystem", str(self.httplib_dir)]
            check = [CLANGXX, *flags, *WARNINGS, "-fsyntax-only", str(source)]
            edges.append((name, self.once(CLANGXX, check, flags, source), [source]))
        return self.checks("alone", edges)

    def single_header_programs(self):
        """Two units that link, and the launcher of the README, both against single_include alone."""
        folder = self.build / "embed"
        folder.mkdir(parents=True, exist_ok=True)
        single = ROOT / "single_include"
        units = ROOT / "tests" / "embed" / "two_units"
        edges = []
        for unit in ("a", "b"):
            source = units / f"{unit}.cpp"
            line = self.compiler_line(GXX, source, more=["-c", "-o", f"{unit}.o"], include=single)
            edges.append((f"unit_{unit}", line, [source]))
        link = f"{GXX} a.o b.o -o two_units {' '.join(self.libraries)}"
        edges.append(("two_units_agree", f"{link} && ./two_units", ["unit_a", "unit_b"]))

        launcher = folder / "launcher.cpp"
        text = self.readme_launcher()
        if text is None:
            counts = FAILED
        else:
            counts = Counts()
            if not launcher.is_file() or launcher.read_text() != text:
                launcher.write_text(text)
            for compiler in (GXX, CLANGXX):
                program = f"launcher-{compiler}"
                compiled = self.compiler_line(
                    compiler, launcher, more=["-o", program], include=single, warnings=USER_WARNINGS
                )
                edges.append((f"{program}-built", f"{compiled} {' '.join(self.libraries)}", [launcher]))
        counts += self.checks("embed", edges)
        if text is not None and (folder / f"launcher-{GXX}").is_file():
            counts += self.run_launcher(folder / f"launcher-{GXX}")
        return counts

    @staticmethod
    def readme_launcher():
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
        blocks = re.findall(r"^```cpp\n(.*?)^```$\s*(<!-- \w+)?", text, flags=re.S | re.M)
        marked = [code for code, comment in blocks if comment == README_MARK]
        if len(marked) != 1:
            say(f"README.md must have one C++ block with a comment {README_MARK} … --> behind it")
            return None
        return marked[0]

    def run_launcher(self, program):
        """In a folder that looks like the reader's: the example's training and its data."""
        with tempfile.TemporaryDirectory(prefix="ft-", dir="/tmp") as folder:
            for name in ("train.py", "data"):
                source = ROOT / "examples" / name
                copy = shutil.copytree if source.is_dir() else shutil.copy
                copy(source, pathlib.Path(folder, name))
            shutil.copytree(ROOT / "examples", pathlib.Path(folder, "examples"))
            code, output = run([program], cwd=folder, limit=300)
        if code != 0 or "loss" not in output:
            show_failure(f"the README's launcher, exit code {code}", output)
            return FAILED
        return PASSED

    def api_folder(self):
        data = os.environ.get("FAIRING_TEST_DATA")
        return pathlib.Path(data, "api").resolve() if data else None

    def api_programs(self):
        """Compiled by both compilers; what g++ makes of them is run by the tests of the cluster tier."""
        folder = self.api_folder()
        if folder is None:
            return skip("FAIRING_TEST_DATA is not set: api programs")
        sources = sorted(path for path in folder.glob("*.cpp") if path.name[0].isdigit())
        unit = self.build / "api" / "programs.cpp"
        unit.parent.mkdir(parents=True, exist_ok=True)
        text = joined_programs(sources, folder)
        if not unit.is_file() or unit.read_text(encoding="utf-8") != text:
            unit.write_text(text, encoding="utf-8")
        # In a namespace main() is a function like others, which must say what it returns.
        more = ["-I", str(folder), "-Wno-return-type"]
        links = [f"ln -f programs {shlex.quote(source.stem)}" for source in sources]
        made = self.compiler_line(GXX, unit, more=[*more, "-o", "programs"], warnings=USER_WARNINGS)
        seen = self.compiler_line(CLANGXX, unit, more=[*more, "-fsyntax-only"], warnings=USER_WARNINGS)
        return self.checks("api", [
            (GXX, " && ".join([f"{made} {' '.join(self.libraries)}", *links]), [unit, *sources]),
            (CLANGXX, seen, [unit, *sources]),
        ])  # fmt: skip

    @staticmethod
    def examples(folder):
        """The programs of examples/ in a build folder."""
        return [folder / "examples" / source.stem for source in sorted((ROOT / "examples").glob("[0-9][0-9]_*.cpp"))]

    def example_programs(self):
        """They run where the tree's examples/ lies; those that want a registry, and are given none, must say so."""
        folder = self.gcc_build()
        if folder is None:
            return FAILED
        programs = self.examples(folder)
        counts = self.compile(folder, programs)
        for program in programs:
            with tempfile.TemporaryDirectory(prefix="ft-", dir="/tmp") as place:
                shutil.copytree(ROOT / "examples", pathlib.Path(place, "examples"))
                code, output = run([program], cwd=place, limit=300) if program.is_file() else (1, "not built")
            good = code == 0 or (
                program.name not in LOCAL_EXAMPLES and code in (64, 65) and "fairing: cannot " in output
            )
            if not good:
                show_failure(f"{program.name}, exit code {code}", output)
            counts += PASSED if good else FAILED
        return counts

    def consumers(self):
        """Somebody else's project that uses the library: as a Meson subproject, and through pkg-config."""
        place = self.build / "consumers"
        shutil.rmtree(place, ignore_errors=True)
        project = place / "project"
        shutil.copytree(ROOT / "tests" / "embed" / "consumer", project)
        (project / "subprojects").mkdir()
        (project / "subprojects" / "fairing").symlink_to(ROOT, target_is_directory=True)

        def by_subproject():
            return self.run_script([
                ["meson", "setup", place / "subproject", project, "-Dbuildtype=plain",
                 f"-Dfairing:httplib_dir={self.httplib_dir}"],
                ["ninja", "-C", place / "subproject"],
                [place / "subproject" / "consumer", place / "subproject-run"],
            ])  # fmt: skip

        def by_pkg_config():
            installed = place / "installed"
            prepared = self.run_script([
                ["meson", "setup", place / "install", ROOT, "--prefix=/usr", "-Dtests=disabled",
                 "-Dcommand=disabled", f"-Dhttplib_dir={self.httplib_dir}"],
                ["meson", "install", "-C", place / "install", "--destdir", installed],
            ])  # fmt: skip
            if prepared.failed:
                return prepared
            (file,) = installed.rglob("fairing.pc")
            code, flags = run(
                ["pkg-config", f"--define-variable=prefix={installed}/usr", "--cflags", "--libs", "fairing"],
                env={"PKG_CONFIG_PATH": str(file.parent)},
            )
            if code != 0:
                show_failure("pkg-config fairing", flags)
                return FAILED
            program = place / "consumer"
            return self.run_script([
                [GXX, "-std=c++20", *USER_WARNINGS, "-isystem", self.httplib_dir,
                 project / "main.cpp", "-o", program, *shlex.split(flags)],
                [program, place / "pkg-config-run"],
            ])  # fmt: skip

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(by_subproject), pool.submit(by_pkg_config)]
            return sum((each.result() for each in waiting), Counts())

    @staticmethod
    def run_script(commands):
        """One test: passes when every command exits 0."""
        for command in commands:
            code, output = run(command)
            if code != 0:
                show_failure(" ".join(map(str, command)), output)
                return FAILED
        return PASSED

    def fast(self):
        self.step("tools: layers", self.command_line_script, "tools/check_layers.py")
        self.step("tools: single header is current", self.command_line_script, "tools/amalgamate.py", "--check")
        self.step("tools: their own tests", self.tools_tests)
        self.step("unit tests, g++", self.unit_tests)
        self.step("unit tests on the single header, clang", self.single_header_suite)
        self.step("headers alone and twice, clang", self.headers_alone)
        self.step("single header: two units, README launcher", self.single_header_programs)
        self.step("examples", self.example_programs)
        self.step("subproject and pkg-config consumers", self.consumers)
        self.step("api programs, g++ and clang", self.api_programs)

    # --- the other tiers ----------------------------------------------------------------------------------------------

    def base_image(self):
        code, output = run(["tools/base-image"])
        if code != 0:
            show_failure("tools/base-image", output)
            return FAILED
        self.base_layout = output.strip().split("\n")[-1]
        say(self.base_layout)
        return PASSED

    def build_go_peers(self):
        """crane and registries that Debian has not; without them the tests that need them are skipped. Not in CI."""
        code, output = run(["tools/dependencies", "peers"], limit=BUILD_LIMIT)
        if code == 0:
            self.go_peers = output.strip().split("\n")[-1]
            say(self.go_peers)
            return PASSED
        if os.environ.get("CI"):
            show_failure("tools/dependencies peers", output)
            return FAILED
        return skip(output.strip())

    def get_cloud_peers(self):
        """What plays the clouds; the tests that need what is not there are skipped."""
        code, output = run(["tools/dependencies", "cloud-peers"], limit=BUILD_LIMIT)
        self.cloud_peers = output.strip().split("\n")[-1]
        missing = [name for name in CLOUD_PEERS if not pathlib.Path(self.cloud_peers, name).exists()]
        if code == 0 and not missing:
            return PASSED
        return skip(f"there is no {', '.join(missing)}: {output.strip()}")

    def integration_tests(self):
        folder = self.gcc_build()
        if folder is None:
            return FAILED
        programs = self.tests_of(folder, "integration")
        counts = self.compile(folder, [*programs.values(), *self.examples(folder), self.command()])
        env = {"FAIRING_COMMAND": str(self.command()), "FAIRING_EXAMPLES": str(folder / "examples")}
        if self.base_layout:
            env["FAIRING_BASE_LAYOUT"] = self.base_layout
        folders = [each for each in (self.go_peers, self.cloud_peers) if each]
        env["PATH"] = ":".join([*folders, os.environ["PATH"]])
        for name, program in programs.items():
            counts += self.run_doctest(name, program, env)
        return counts

    def peers(self):
        self.base_layout = self.go_peers = self.cloud_peers = None
        self.step("base image", self.base_image)
        self.step("peers in Go", self.build_go_peers)
        self.step("peers that play the clouds", self.get_cloud_peers)
        self.step("integration tests", self.integration_tests)

    def kubernetes(self):
        """Builds the binaries once. Where that can not be, the tests are skipped with the reason; but not in CI."""
        code, output = run(["tools/kube-testenv", "build"], limit=KUBERNETES_LIMIT)
        if code == 0:
            folder = pathlib.Path(output.strip().split("\n")[-1])
            say((folder / "versions.txt").read_text().rstrip() if (folder / "versions.txt").is_file() else folder)
            code, output = run(["tools/kube-testenv", "build", "--operators"], limit=KUBERNETES_LIMIT)
        if code == 0:
            say(output.strip().split("\n")[-1])
            return PASSED
        if os.environ.get("CI"):
            show_failure("tools/kube-testenv build", output)
            return FAILED
        return skip(output.strip())

    def cluster_tests(self):
        folder = self.gcc_build()
        if folder is None:
            return FAILED
        programs = self.tests_of(folder, "cluster")
        counts = self.compile(
            folder,
            [*programs.values(), *self.examples(folder), folder / "tests" / "test-kubelet", self.command()],
        )
        env = {
            "FAIRING_COMMAND": str(self.command()),
            "FAIRING_EXAMPLES": str(folder / "examples"),
            "FAIRING_TEST_KUBELET": str(folder / "tests" / "test-kubelet"),
        }
        if self.base_layout:
            env["FAIRING_BASE_LAYOUT"] = self.base_layout
        # Nothing is left to do here when the fast tier came first.
        if self.api_folder() is not None and not self.api_programs().failed:
            env["FAIRING_API_PROGRAMS"] = str(self.build / "api")
        for name, program in programs.items():
            counts += self.run_doctest(name, program, env)
        return counts

    def cluster(self):
        if self.base_layout is None:
            self.step("base image", self.base_image)
        self.step("Kubernetes", self.kubernetes)
        self.step("cluster tests", self.cluster_tests)

    def sanitized(self, label, sanitizers, folders):
        """Clang without address randomisation, which its sanitizers do not all get along with."""
        folder = self.configure(
            label,
            ["-Dbuildtype=debug", "-Ddebug=false", "-Doptimization=1", f"-Db_sanitize={sanitizers}",
             "-Db_lundef=false", "-Dtests=enabled", "-Djoined_tests=true", "-Dcommand=disabled", "-Dbench=disabled",
             # doctest's signal handlers would come before the sanitizers' own, and hang in TSan.
             "-Dcpp_args=-gline-tables-only -fno-omit-frame-pointer -fno-sanitize-recover=all"
             " -DDOCTEST_CONFIG_NO_POSIX_SIGNALS"],
            {"CXX": CLANGXX_FOR_MESON},
        )  # fmt: skip
        if folder is None:
            return FAILED
        programs = {
            name: program
            for name, program in self.tests_of(folder, "unit").items()
            if folders is None or name in folders
        }
        counts = self.compile(folder, programs.values())
        fixed = ["setarch", "--addr-no-randomize"]
        prefix = fixed if run([*fixed, "true"])[0] == 0 else []
        options = {
            "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
            "TSAN_OPTIONS": "second_deadlock_stack=1",
        }
        return counts + self.run_all(label, programs, options, prefix)

    def tidy_source(self, unit, paths):
        """One file with the text of a folder's headers, for clang-tidy looks into the main file only, and most of its
        time goes into headers that all of them include. Gives the file and, for each of its lines, where it is from."""
        lines, origins, done = [], [], set()

        def add(path):
            if path in done:
                return
            done.add(path)
            text = path.read_text(encoding="utf-8")
            found = {include.line: include for include in includes(path, text)}
            for include in found.values():
                if include.own in paths:
                    add(include.own)
            for number, line in enumerate(text.rstrip("\n").split("\n"), 1):
                own = found[number].own if number in found else None
                if own is not None:
                    line = "" if own in paths else f"#include <{name_of(own)}>"
                lines.append("" if line == "#pragma once" else line)
                origins.append(f"{path.relative_to(ROOT)}:{number}")

        for path in paths:
            add(path)
        return self.tidy_unit(unit, lines), origins

    def texts_of(self, unit, paths):
        """One file with the text of all of `paths`, for the same reason; their includes stay."""
        lines, origins = [], []
        for path in paths:
            for number, line in enumerate(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), 1):
                lines.append(line)
                origins.append(f"{path.relative_to(ROOT)}:{number}")
        return self.tidy_unit(unit, lines), origins

    def tidy_unit(self, unit, lines):
        source = self.build / "tidy" / f"{unit}.cpp"
        source.parent.mkdir(parents=True, exist_ok=True)
        text = "\n".join(lines) + "\n"
        if not source.is_file() or source.read_text(encoding="utf-8") != text:
            source.write_text(text, encoding="utf-8")
        return source

    def clang_tidy(self):
        # A unit costs as much as all that it includes, so what stands above the stages is one.
        units = {}
        for path in all_headers():
            folder = path.relative_to(INCLUDE / "fairing").parts[0]
            units.setdefault("top" if folder.endswith(".hpp") or folder == "frameworks" else folder, []).append(path)
        sources, origins = [], {}
        for unit, paths in units.items():
            source, origins[f"{unit}.cpp"] = self.tidy_source(unit, paths)
            sources.append((unit, source))
        source, origins["command.cpp"] = self.texts_of("command", sorted((ROOT / "tools" / "fairing").glob("*.cpp")))
        sources.append(("command", source))
        examples = sorted((ROOT / "examples").glob("*.cpp"))
        sources.append(("examples", self.tidy_unit("examples", joined(examples, ROOT / "examples").split("\n"))))

        edges = []
        settings = ROOT / ".clang-tidy"
        for name, source in sources:
            flags = ["-std=c++20", *self.defines, "-I", str(INCLUDE), "-isystem", str(self.httplib_dir)]
            if name == "command":
                flags += ["-I", str(ROOT / "tools" / "fairing")]
            options = ["--quiet", f"--config-file={settings}"]
            if name == "examples":
                flags += ["-I", str(ROOT / "examples"), "-Wno-return-type"]  # as for the API programs
                options += ["--header-filter=/examples/", "--checks=-bugprone-suspicious-include"]
            tidy = ["clang-tidy-14", *options, str(source), "--", *flags]
            line = self.once("clang-tidy-14", tidy, flags, source, settings.read_text(encoding="utf-8"))
            edges.append((name, line, [source, settings]))

        def at_home(found):
            lines = origins.get(found.group(1), [])
            number = int(found.group(2))
            return lines[number - 1] if number <= len(lines) else found.group()

        return self.checks(
            "tidy", edges, lambda output: re.sub(r"\S*/tidy/([\w.]+\.cpp):(\d+)", at_home, output)
        )

    def fuzzing(self, seconds):
        folder = self.configure(
            "fuzz",
            ["-Dbuildtype=debug", "-Doptimization=1", "-Dfuzz=true", "-Dtests=enabled", "-Dcommand=disabled",
             "-Db_lundef=false", "-Dbench=disabled"], {"CXX": CLANGXX_FOR_MESON},
        )  # fmt: skip
        if folder is None:
            return FAILED
        programs = [
            pathlib.Path(target["filename"][0])
            for target in self.introspect(folder, "--targets")
            if target["name"].startswith("fuzz-")
        ]
        counts = self.compile(folder, programs)

        def fuzz(program):
            name = program.name.removeprefix("fuzz-")
            found = self.build / "fuzz-corpus" / name
            found.mkdir(parents=True, exist_ok=True)
            seeds = ROOT / "tests" / "fuzz" / "corpus" / name
            code, output = run(
                [program, f"-max_total_time={seconds}", "-timeout=20", "-rss_limit_mb=2048",
                 f"-artifact_prefix={self.build / 'logs'}/{name}-", found, *([seeds] if seeds.is_dir() else [])],
                limit=seconds + 120,
            )  # fmt: skip
            if code != 0:
                show_failure(f"{program.name}, exit code {code}", output)
                return FAILED
            say(f"{program.name}: {output.strip().splitlines()[-1]}")
            return PASSED

        (self.build / "logs").mkdir(exist_ok=True)
        with concurrent.futures.ThreadPoolExecutor(CPUS) as pool:
            return counts + sum(pool.map(fuzz, [p for p in programs if p.is_file()]), Counts())

    def large_files(self):
        """What takes minutes, once: row 39 of the faults, and real files through every reader of gzip."""
        folder = self.gcc_build()
        if folder is None:
            return FAILED
        programs = self.tests_of(folder, "unit")
        optimised = self.tests_of(folder, "large")
        counts = self.compile(folder, [programs["packaging"], *optimised.values()])
        large = {"FAIRING_TEST_LARGE": "1"}
        counts += self.run_doctest("large-packaging", programs["packaging"], large, only="39 8 GiB*")
        return counts + self.run_all("large", optimised, large)

    def deep(self, fuzz_seconds):
        self.step(f"fuzzing, {fuzz_seconds} s each", self.fuzzing, fuzz_seconds, minutes=6)
        self.step("large files", self.large_files, minutes=7)
        self.step("ASan and UBSan, clang", self.sanitized, "asan", "address,undefined", None, minutes=25)
        self.step("clang-tidy", self.clang_tidy, minutes=25)
        self.step("TSan, clang", self.sanitized, "tsan", "thread", THREADED, minutes=15)

    def report(self):
        total = sum((counts for _, _, counts in self.rows), Counts())
        say("\nseconds  passed failed skipped  step")
        for name, seconds, counts in self.rows:
            say(f"{seconds:7.1f} {counts.passed:7d} {counts.failed:6d} {counts.skipped:7d}  {name}")
        say(f"{sum(seconds for _, seconds, _ in self.rows):7.1f}")
        say(f"\nversions: {self.build / 'versions.txt'}; logs: {self.build / 'logs'}")
        say(str(total))
        return 1 if total.failed else 0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--build", type=pathlib.Path, required=True, help="folder for builds and logs")
    parser.add_argument("--httplib-dir", type=pathlib.Path, required=True)
    parser.add_argument("--fuzz-seconds", type=int, default=60, help="for each target; default 60")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="the deep tier's long steps that do not fit are skipped")
    parser.add_argument("tiers", nargs="+", choices=["fast", "peers", "cluster", "deep"])
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)

    tiers = Tiers(arguments.build.resolve(), arguments.httplib_dir.resolve(), arguments.seconds)
    tiers.build.mkdir(parents=True, exist_ok=True)
    for tier in arguments.tiers:
        if tier == "deep":
            tiers.deep(arguments.fuzz_seconds)
        else:
            getattr(tiers, tier)()
    return tiers.report()


if __name__ == "__main__":
    sys.exit(main())
