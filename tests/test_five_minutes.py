"""What docs/test-your-proget-integration.md shows is run, and ends as it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from processes import DEADLINE
from programs import with_programs

from deployserver.cli import make_parser

PAGE = Path(__file__).parents[1] / "docs" / "test-your-proget-integration.md"
TEXT = PAGE.read_text("utf-8")

pytestmark = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("sh") or not shutil.which("curl"), reason="needs sh and curl"
)


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


FIRST, BUSY, PATIENT, LOST = blocks("python")
OLDER, MISSPELT, TWICE = blocks("text")
INSTALL, PYTEST, SHELL, RUN_SHELL, RUN_NODE = blocks("sh")
(NODE,) = blocks("js")
PESTER, RUN_PESTER = blocks("powershell")


def run(tmp_path: Path, command: str, **files: str) -> tuple[int, str]:
    """Run a command where there are only these files, and return its exit code, and what was said."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=with_programs(tmp_path / "bin"),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def run_python(tmp_path: Path, *parts: str) -> str:
    """Run the tests of a file that is put together of blocks; return what was said, as the page has it."""
    _, said = run(tmp_path, PYTEST, **{"test_release.py": "\n\n".join(parts)})
    return re.sub(r"^E {7}", "", said, flags=re.MULTILINE)


def test_the_failure_of_a_wrong_version_is_the_one_that_is_shown(tmp_path: Path) -> None:
    older = FIRST.replace('Version="12.0.3"', 'Version="12.0.2"')
    assert older != FIRST
    assert OLDER in run_python(tmp_path, older)


def test_the_failure_of_a_misspelt_field_is_the_one_that_is_shown(tmp_path: Path) -> None:
    misspelt = FIRST.replace("PackageName=", "Package=")
    careless = misspelt.replace(
        "    urlopen(", "    with __import__('contextlib').suppress(OSError):\n        urlopen("
    )
    assert careless != misspelt != FIRST
    assert MISSPELT in run_python(tmp_path, careless)


def test_the_first_test_passes_and_the_next_one_fails_as_the_page_says(tmp_path: Path) -> None:
    said = run_python(tmp_path, FIRST, BUSY)
    assert "1 failed, 1 passed in" in said
    (shown,) = re.findall(r"fails with `(HTTP Error [^`]+)`", TEXT)
    assert f"urllib.error.HTTPError: {shown}" in said


def test_a_patient_script_passes_both_and_the_failure_of_a_lost_answer_is_the_one_that_is_shown(tmp_path: Path) -> None:
    said = run_python(tmp_path, FIRST, BUSY, PATIENT, LOST)
    assert "1 failed, 2 passed in" in said
    assert TWICE in said


def test_the_shell_commands_do_as_the_page_says(tmp_path: Path) -> None:
    code, said = run(tmp_path, RUN_SHELL, **{"test.sh": SHELL})
    assert code == 0, said
    assert '"verified"' in said


def test_the_shell_commands_fail_with_the_text_of_the_assertion(tmp_path: Path) -> None:
    code, said = run(
        tmp_path, RUN_SHELL, **{"test.sh": SHELL.replace("report Newtonsoft.Json 12.0.3", "report A 12.0.2")}
    )
    assert code == 22
    assert "    version: expected 12.0.3, got 12.0.2\n" in said


@pytest.mark.skipif(not shutil.which("node"), reason="needs node")
def test_the_tests_in_node_pass(tmp_path: Path) -> None:
    code, said = run(tmp_path, RUN_NODE, **{"release.test.js": NODE})
    assert code == 0, said
    assert re.search(r"^\S+ pass 1$", said, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("pwsh"), reason="needs PowerShell with Pester")
def test_the_tests_in_powershell_pass(tmp_path: Path) -> None:
    code, said = run(tmp_path, RUN_PESTER, **{"Release.Tests.ps1": PESTER})
    assert code == 0, said


def test_the_workflow_can_be_read_and_calls_what_there_is() -> None:
    (text,) = blocks("yaml")
    start = yaml.safe_load(text)[0]["run"].splitlines()[0].removesuffix(" &")
    make_parser().parse_args(shlex.split(start)[1:])


def test_every_file_the_page_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)
    assert len(links) > 3
    assert [link for link in links if not (PAGE.parent / link).is_file()] == []
