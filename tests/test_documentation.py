"""What the documentation shows is run, and what the program has is documented."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path

import postgres
import pytest
from conftest import PATH, RECORD
from postgres import Cluster
from processes import quickstart
from programs import with_programs

from deployserver.app import ROUTES
from deployserver.cli import make_parser
from deployserver.settings import OPTIONS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
HTTP = (ROOT / "docs" / "http.md").read_text("utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def commands() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command with the words that call it."""

    def walk(words: str, parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
        nested = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        if not nested:
            yield words, parser
        for action in nested:
            for name, child in action.choices.items():
                yield from walk(f"{words} {name}", child)

    yield from walk("deployserver", make_parser())


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: f"{option.section}.{option.name}")
def test_every_option_is_in_the_readme(option: object) -> None:
    section, name, default = (getattr(option, attribute) for attribute in ("section", "name", "default"))
    lines = [line for line in README.splitlines() if line.startswith(f"| `[{section}] ")]
    (line,) = [line for line in lines if f"`{name}`" in line or f"`[{section}] {name}`" in line]
    assert default == "" or f"`{default}`" in line, f"the README gives another default for {name}"


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_in_the_http_documentation(route: object) -> None:
    method, path = (getattr(route, attribute) for attribute in ("method", "path"))
    assert re.search(rf"^\|.*`{method} {re.escape(path)}`", HTTP, re.MULTILINE)


@pytest.mark.parametrize("words", [words for words, _ in commands()])
def test_every_command_is_in_the_readme(words: str) -> None:
    *group, last = words.split()
    lines = [line for line in README.splitlines() if line.startswith(f"| `{' '.join(group)}")]
    assert any(f"`{last}`" in line or f"`{words}`" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "parser"), list(commands()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_option_of_a_command_explains_itself(words: str, parser: argparse.ArgumentParser) -> None:
    silent = [action.dest for action in parser._actions if action.option_strings and not action.help]
    assert silent == [], f"{words} has options without help"


def test_every_file_the_readme_links_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README + (ROOT / "CONTRIBUTING.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_the_powershell_calls_send_the_documented_record() -> None:
    """PowerShell sends a -Body string verbatim; what the README shows is the request that the other tests replay."""
    form, table, _ = blocks(README, "powershell")
    body = re.search(r"-Body '([^']*)'", form)
    assert body
    assert dict(pair.split("=") for pair in body[1].split("&")) == RECORD
    assert dict(re.findall(r"(\w+)='([^']*)'", table.splitlines()[0])) == RECORD
    for call in (form, table):
        assert f"http://127.0.0.1:8624{PATH}'" in call


def readme_shell(cluster: Cluster | None) -> str:
    """Return the shell commands of the README but the two that install, and those that need what is not there."""
    left_out = ("pip install", *(() if cluster else ("createdb",)))
    script = "\n".join(block for block in blocks(README, "sh") if not block.startswith(left_out))
    return script.replace(
        "postgresql://deployserver@db.example/deployserver", cluster.url("deployserver") if cluster else ""
    )


@pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
def test_the_python_tests_of_the_readme_pass(tmp_path: Path) -> None:
    (block,) = blocks(README, "python")
    (tmp_path / "test_release.py").write_text(block, "utf-8")
    done = subprocess.run(
        ["pytest", "-q"],
        cwd=tmp_path,
        env=with_programs(tmp_path / "bin"),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "2 passed" in done.stdout, done.stdout


@pytest.mark.skipif(shutil.which("bash") is None or shutil.which("curl") is None, reason="needs bash and curl")
def test_the_shell_commands_of_the_readme_run_as_shown(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """From the first command on, in one directory, against the server that the first command starts."""
    environment = with_programs(tmp_path / "bin")
    cluster: Cluster | None = None
    if programs := postgres.programs():
        cluster = request.getfixturevalue("cluster")
        environment["PATH"] += f"{os.pathsep}{programs}"
        environment |= {"PGHOST": "127.0.0.1", "PGPORT": str(cluster.port), "PGUSER": "tests"}
    assert "deployserver quickstart\n" in README
    with quickstart(tmp_path / "bin" / "deployserver", tmp_path, environment) as (url, key):
        script = readme_shell(cluster).replace("http://127.0.0.1:8624", url)
        done = subprocess.run(
            ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
            cwd=tmp_path,
            env={**environment, "KEY": key},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        assert '"PackageName":"Newtonsoft.Json"' in done.stdout
        assert "user alice may record in npm-internal" in done.stdout
        assert (tmp_path / "deployserver-backup.db").stat().st_size > 0


def test_the_systemd_unit_runs_a_command_that_exists() -> None:
    unit = (ROOT / "deploy" / "deployserver.service").read_text("utf-8")
    line = re.search(r"^ExecStart=\S*/deployserver (.*)$", unit, re.MULTILINE)
    assert line
    make_parser().parse_args(shlex.split(line[1]))
    known = {option.variable for option in OPTIONS}
    variables = re.findall(r"^Environment=(\w+)=", unit, re.MULTILINE)
    assert variables
    assert set(variables) <= known


def test_the_windows_service_runs_a_command_that_exists() -> None:
    service = ElementTree.parse(ROOT / "deploy" / "deployserver-winsw.xml").getroot()
    arguments = service.findtext("arguments")
    assert arguments
    make_parser().parse_args(arguments.split())
    assert {env.get("name") for env in service.findall("env")} <= {option.variable for option in OPTIONS}


def test_the_container_runs_a_command_that_exists() -> None:
    lines = (ROOT / "deploy" / "Containerfile").read_text("utf-8")
    command = re.search(r'^CMD \["(\w+)"\]$', lines, re.MULTILINE)
    assert command
    make_parser().parse_args([command[1]])
    assert set(re.findall(r"DEPLOYSERVER_\w+", lines)) <= {option.variable for option in OPTIONS}
