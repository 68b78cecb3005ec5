"""tools/check_readme.py must find what the README promises and is not there."""

import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class ReadmeTest(unittest.TestCase):
    def checked(self, change=None, data=None):
        """Exit code and output for the README as it is, or with one text replaced."""
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            for name in ("include", "tests", "tools"):
                (root / name).symlink_to(ROOT / name)
            text = (ROOT / "README.md").read_text(encoding="utf-8")
            if change:
                self.assertIn(change[0], text)
                text = text.replace(*change, 1)
            (root / "README.md").write_text(text, encoding="utf-8")
            environment = {**os.environ, "FAIRING_SOURCE_ROOT": folder}
            if data:
                environment["FAIRING_TEST_DATA"] = data
            done = subprocess.run(
                [sys.executable, ROOT / "tools" / "check_readme.py"],
                env=environment, capture_output=True, text=True, check=False,
            )  # fmt: skip
            return done.returncode, done.stdout + done.stderr

    def test_the_tables_hold(self):
        code, output = self.checked()
        self.assertEqual(code, 0, output)

    def test_what_is_not_there_is_found(self):
        for before, after, said in (
            ("`AppendBuilder{.push}`", "`AppendBuilder{.pushing}`", "AppendBuilder has no pushing"),
            ("`JobDeployer{.kubernetes.labels}`", "`JobDeployer{.kubernetes.label}`", "JobDeployer has no label"),
            ("`Workload::follow`", "`Workload::chase`", "there is no Workload::chase"),
            ("`node_selector` | `--node", "`selector_of_nodes` | `--node", "no header has selector_of_nodes"),
            ("| `--no-push` |", "| `--push` |", "there is no option --push"),
            ("`fairing predict`", "`fairing predicts`", "there is no subcommand predicts"),
            ("`--deployer tfjob`", "`--deployer tfjobs`", "there is no stage tfjobs"),
            ("| `--tag` | `tag` |", "| `--tag` | `tags` |", "no stage has the key tags"),
            ("| `--tag` | `tag` |", "| `--tag` | `image_name` |", "the key image_name is the option --image-name"),
            ("`pipeline`: run goes through", "`pipeline`: run walks through", "no case of tests/pipeline_test.cpp"),
            ("`pods/volumes`:", "`pods/volume`:", "there is no tests/pods/volume_test.cpp"),
            ("`pods/environment`: variables are set |", "|", "a row has three cells, and none is empty"),
            ("`paddlejob`, `jaxjob`, `mpijob` |", "`jaxjob`, `mpijob` |", "no behaviour is that of `paddlejob`"),
        ):
            with self.subTest(said):
                code, output = self.checked((before, after))
                self.assertEqual(code, 1, output)
                self.assertIn(said, output)

    def test_every_row_of_the_reference_has_its_own(self):
        with tempfile.TemporaryDirectory() as folder:
            spec = pathlib.Path(folder, "spec")
            spec.mkdir()
            (spec / "behaviour.md").write_text("| name | what |\n|---|---|\n| podman (`Podman`) | a |\n| buildah | b |\n")
            code, output = self.checked(data=folder)
            self.assertEqual(code, 1)
            self.assertEqual(output, 'README.md:1: the behaviour "buildah" has no row\n')

    def test_the_section_must_be_there(self):
        code, output = self.checked(("## Coming from Kubeflow Fairing", "## Coming"))
        self.assertEqual(code, 1)
        self.assertIn("rows only", output)


if __name__ == "__main__":
    unittest.main()
