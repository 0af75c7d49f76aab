"""The examples are run as their users run them, and what cannot be run here is checked as far as it can be."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest
import yaml
from ports import free_port
from processes import DEADLINE
from programs import with_programs

from deployserver.cli import make_parser

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
WORKFLOW = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text("utf-8"))
COMPOSE = yaml.safe_load((EXAMPLES / "compose.yml").read_text("utf-8"))
needs_shell = pytest.mark.skipif(
    sys.platform == "win32" or not shutil.which("bash") or not shutil.which("curl"), reason="needs bash and curl"
)


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """An environment in which ``deployserver`` and ``pytest`` are this checkout's, whether it is installed or not.

    A double that leaves a ready file ends at the end of the test.
    """
    yield with_programs(tmp_path / "bin") | {"RUNNER_TEMP": str(tmp_path)}
    for file in tmp_path.glob("*.json"):
        with suppress(ProcessLookupError):
            os.kill(json.loads(file.read_text())["pid"], signal.SIGTERM)


@pytest.fixture
def port() -> int:
    """A port that nobody uses."""
    return free_port()


def run(command: str, environ: Mapping[str, str], directory: Path = ROOT) -> str:
    """Run a command as a step of a workflow is run, and return what it printed; it must succeed."""
    said = Path(environ["RUNNER_TEMP"]) / "said"
    with said.open("w") as out:  # no pipe: what it leaves running would keep it open
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command],
            cwd=directory,
            env=environ,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE,
            check=False,
        )
    assert done.returncode == 0, said.read_text("utf-8")
    return said.read_text("utf-8")


# GitHub Actions


def steps(job: str) -> list[dict[str, str]]:
    """Return the steps of a job that run something, but those that install, and those for when others have failed."""
    return [
        step
        for step in WORKFLOW["jobs"][job]["steps"]
        if "run" in step and step["name"] != "Install" and step.get("if") != "failure()"
    ]


@needs_shell
@pytest.mark.parametrize("step", steps("test"), ids=lambda step: step["name"])
def test_the_tests_of_the_examples_pass(environ: Mapping[str, str], step: Mapping[str, str]) -> None:
    if step["run"].startswith("npm ") and not (shutil.which("npm") and shutil.which("node")):
        pytest.skip("needs node and npm")
    said = run(step["run"], environ, ROOT / step.get("working-directory", "."))
    assert re.search(r"^=+ \d+ passed in |^\S+ fail 0$|^all is well$", said, re.MULTILINE)


def test_the_workflow_installs_what_it_uses() -> None:
    for job in WORKFLOW["jobs"].values():
        (install,) = [step["run"] for step in job["steps"] if step.get("name") == "Install"]
        assert re.fullmatch(r'pip install (pytest )?"\$DEPLOYSERVER"', install)
    assert (ROOT / WORKFLOW["env"]["DEPLOYSERVER"] / "setup.py").is_file()


def test_what_the_workflow_names_is_there() -> None:
    text = (EXAMPLES / "github-actions.yml").read_text("utf-8")
    named = re.findall(r"\bexamples/[\w./]+", text)
    assert len(named) >= 4
    assert [name for name in named if not (ROOT / name).exists()] == []


@needs_shell
def test_the_steps_of_their_own_run_one_after_the_other(environ: Mapping[str, str], port: int) -> None:
    job = "steps-of-their-own"
    own = {name: value.replace("8624", str(port)) for name, value in WORKFLOW["jobs"][job]["env"].items()}
    for step in steps(job):
        run(step["run"].replace("8624", str(port)), {**environ, **own})


# Compose


def test_the_containers_are_built_of_files_that_are_there() -> None:
    build = COMPOSE["services"]["proget"]["build"]
    context = EXAMPLES / build["context"]
    assert context.resolve() == ROOT
    assert (context / build["dockerfile"]).is_file()
    for volume in COMPOSE["services"]["tests"]["volumes"]:
        assert (EXAMPLES / volume.split(":")[0]).is_dir()


@needs_shell
def test_the_containers_do_what_they_are_for(environ: Mapping[str, str], port: int) -> None:
    """On this machine: the command of the one, its health check, then the command of the other."""
    proget, tests = COMPOSE["services"]["proget"], COMPOSE["services"]["tests"]

    def here(text: str) -> str:
        return text.replace("proget:8624", f"127.0.0.1:{port}").replace("8624", str(port)).replace("$$", "$")

    kind, *check = proget["healthcheck"]["test"]
    assert kind == "CMD"
    check[0] = sys.executable
    *shell, flag = tests["entrypoint"]
    (script,) = tests["command"]
    script = here(script).replace("/release/", f"{shlex.quote(str(EXAMPLES / 'shell'))}/")
    inner = f"{shlex.join(map(here, check))}\n{shlex.join([*shell, flag, script])}"
    own = {name: here(value) for name, value in tests["environment"].items()}
    # What is beside the double is given its own address and key, as the other container is by its environment.
    exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in own.items())
    command = shlex.join(["deployserver", *map(here, proget["command"]), "--", "bash", "-e", "-c", exports + inner])
    assert '"verified"' in run(command, environ)


# All of them


def called(text: str) -> list[str]:
    """Return the arguments of each call of ``deployserver`` in a text."""
    return re.findall(r"^(?:[\s#$]|run: |- |`)*deployserver (double[^\n&|>`]*)", text, re.MULTILINE)


def test_every_call_of_deployserver_is_one_that_there_is() -> None:
    pages = [file for file in EXAMPLES.rglob("*") if file.suffix in (".md", ".sh", ".yml")]
    pages.append(ROOT / "docs" / "test-your-proget-integration.md")
    calls = [arguments for page in pages for arguments in called(page.read_text("utf-8"))]
    assert len(calls) >= 7
    for arguments in calls:
        make_parser().parse_args(shlex.split(arguments))


def test_the_command_of_the_container_is_one_that_there_is() -> None:
    make_parser().parse_args(COMPOSE["services"]["proget"]["command"])


def test_every_link_in_the_examples_leads_to_a_file() -> None:
    for page in EXAMPLES.rglob("README.md"):
        links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8"))
        assert [link for link in links if not (page.parent / link).is_file()] == []
