"""What docs/test-double.md shows is run, and what the double has is in it."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import pytest
from conftest import KEY
from programs import with_programs
from test_documentation import ROOT, blocks, commands

from deployserver import pytest_plugin
from deployserver.cli import make_parser
from deployserver.double.control import ROUTES as CONTROL
from deployserver.double.expectations.expectation import Criteria
from deployserver.double.faults.fault import Effect, Stage
from deployserver.double.faults.schema import FAULT_FIELDS, SHOWN
from deployserver.double.journal import Answer, ReceivedRequest
from deployserver.double.request_json import request_json
from deployserver.double.request_query import RequestQuery
from deployserver.double.state.schemas import (
    DeploymentSchema,
    FeedSchema,
    KeySchema,
    PrivilegeSchema,
    UserSchema,
    WorldStateSchema,
)
from deployserver.testing import Clock, DeployServer, RecordedDeployment

PAGE = (ROOT / "docs" / "test-double.md").read_text("utf-8")
PROSE = re.sub(r"^```\w+\n.*?^```$", "", PAGE, flags=re.DOTALL | re.MULTILINE)
PLUGIN = "deployserver.pytest_plugin"


def section(title: str) -> str:
    """Return what is below a heading, and below those in it, without what is shown."""
    level, rest = re.split(rf"^(?=#+ {re.escape(title)}$)", PROSE, maxsplit=1, flags=re.MULTILINE)[1].split(" ", 1)
    return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def first_cells(text: str) -> str:
    """Return the first cells of all rows of tables."""
    return "\n".join(re.findall(r"^\| ([^|]*)", text, re.MULTILINE))


def public(kind: type) -> list[str]:
    return [name for name in dir(kind) if not name.startswith("_")]


@pytest.fixture
def server() -> Iterator[DeployServer]:
    with DeployServer() as server:
        yield server


def ask(method: str, url: str, body: str | None = None) -> tuple[int, str]:
    request = urllib.request.Request(url, None if body is None else body.encode(), method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


# What there is


@pytest.mark.parametrize("route", CONTROL, ids=lambda route: f"{route.method} {route.path}")
def test_every_control_route_is_there(route: Any) -> None:
    assert f"| `{route.method} {route.path}` |" in section("The control API")


def options(words: str) -> list[str]:
    """Return the options of a command."""
    parsers = [parser for found, parser in commands() if found == words]
    actions = [action for parser in parsers for action in parser._actions if action.option_strings]
    return [action.option_strings[-1] for action in actions if not isinstance(action, argparse._HelpAction)]


@pytest.mark.parametrize(
    ("command", "title"),
    [("double", "From a shell and other languages"), ("replay", "Record and replay")],
)
def test_every_option_of_the_commands_is_there(command: str, title: str) -> None:
    rows = first_cells(section(title))
    found = options(f"deployserver {command}")
    assert found
    assert [option for option in found if not re.search(rf"`{option}[ `]", rows)] == []


def test_every_field_of_a_fault_is_there() -> None:
    rows = first_cells(section("Faults"))
    assert [name for name in FAULT_FIELDS if name not in ("do", "when") and f"`{name}`" not in rows] == []
    assert [word for word in (*Effect.__args__, *Stage.__args__) if f"`{word}`" not in rows] == []  # type: ignore[attr-defined]
    assert [name for name in ("do", "when", *SHOWN) if f"`{name}`" not in section("Faults")] == []


@pytest.mark.parametrize(
    "schema", [FeedSchema, UserSchema, KeySchema, PrivilegeSchema, DeploymentSchema], ids=lambda schema: schema.__name__
)
def test_every_field_of_the_state_is_there(schema: Any) -> None:
    names = [name for name, field in WorldStateSchema().fields.items() if field.inner.nested is schema]  # type: ignore[attr-defined]
    table = section("The state").partition(f"| `{names[0]}` |")[2].partition("\n\n")[0]
    known = [field.data_key or name for name, field in schema().fields.items()]
    assert [name for name in known if f"`{name}`" not in first_cells(table)] == []


def test_every_criterion_and_every_property_of_a_request_is_there() -> None:
    criteria = first_cells(section("Verifying"))
    assert [name for name in (*Criteria.__annotations__, "times") if f"`{name}`" not in criteria] == []
    requests = section("Requests received")
    shown = request_json(ReceivedRequest(1, 0, "GET", "/", [], "127.0.0.1", answer=Answer(200, [], b"")))
    assert [name for name in (*shown, *shown["answer"]) if f"`{name}`" not in requests] == []
    assert [name for name in RequestQuery().fields if f"`{name}`" not in first_cells(requests)] == []


def test_everything_that_configures_the_fixture_is_there() -> None:
    class Declared:
        def __init__(self) -> None:
            self.names: list[str] = []

        def addini(self, name: str, *_: str) -> None:
            self.names.append(name)

    declared = Declared()
    pytest_plugin.pytest_addoption(declared)  # type: ignore[arg-type]
    variables = [value for name, value in vars(pytest_plugin).items() if name.endswith("_VARIABLE")]
    marker = re.findall(r"(\w+)=", pytest_plugin._MARKER.partition(":")[0])
    fixtures = [name for name in vars(pytest_plugin) if name.startswith("proget")]
    assert len(declared.names) > 2 and len(variables) > 1 and len(marker) > 6 and len(fixtures) > 2
    text = section("The fixture `proget`")
    assert [name for name in (*declared.names, *variables, *marker, *fixtures) if f"`{name}`" not in text] == []


def test_everything_that_a_server_in_python_can_do_is_there() -> None:
    text = section("`DeployServer`")
    names = [*public(DeployServer), *public(Clock), *RecordedDeployment.__annotations__]
    assert [name for name in names if not re.search(rf"`{name}[`(]", text)] == []


def test_every_section_that_is_linked_to_is_there() -> None:
    titles = re.findall(r"^#+ (.*)$", PROSE, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    links = re.findall(r"\]\(#([^)]+)\)", PAGE)
    assert links
    assert set(links) <= anchors
    assert [
        file for file in re.findall(r"\]\((?!https?:|#)([^)#]+)", PAGE) if not (ROOT / "docs" / file).exists()
    ] == []


# What is shown


def test_every_document_is_taken_by_the_double(server: DeployServer) -> None:
    control = f"{server.url}/__double__"
    taken = []
    for block in blocks(PAGE, "json"):
        document = json.loads(block)
        if isinstance(document, list):
            taken.append("faults")
            status, text = ask("PUT", f"{control}/faults", block)
            assert len(json.loads(text)) == len(document)
        elif "deployed" in document:
            taken.append("verify")
            status, text = ask("POST", f"{control}/verify", block)
            assert text.startswith("No deployment was recorded with package Newtonsoft.Json, version 12.0.3")
            status = 200 if status == 409 else status
        elif "feeds" in document:
            taken.append("state")
            status, text = ask("PUT", f"{control}/state", block)
            assert ask("PUT", f"{control}/state", text) == (200, text)
        else:
            assert list(document) == ["url", "control", "key", "pid"]
            continue
        assert status == 200, text
    assert (len(taken), set(taken)) == (10, {"faults", "verify", "state"})


def test_every_kind_of_delay_is_taken_by_the_double(server: DeployServer) -> None:
    table = section("Faults").partition("| `delay` | |\n")[2].partition("\n\n")[0]
    delays = re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)
    assert len(delays) == 5
    for delay in delays:
        fault = server.add_fault("delay", delay=json.loads(delay))
        assert fault.fault.delay is not None
        assert fault.fault.delay.document == json.loads(delay)


def test_a_check_that_fails_says_what_is_shown(server: DeployServer) -> None:
    server.add_feed("DefaultNuGet")
    key = server.add_key(feed="DefaultNuGet", name="ci")
    deployment = {"FeedName": "DefaultNuGet", "Application": "x", "Description": "x", "PackageName": "Newtonsoft.Json"}
    for secret, target, version in ((key, "web01", "12.0.2"), ("wrong", "web01", "12.0.3"), (key, "web02", "12.0.3")):
        if target == "web02":
            server.add_fault("answer", status=503)
        body = json.dumps({**deployment, "Target": target, "Version": version, "API_Key": secret})
        ask("POST", f"{server.url}/api/package-deployment/", body)
    with pytest.raises(AssertionError) as caught:
        server.assert_deployed(package="Newtonsoft.Json", version="12.0.3", target="web01")
    (shown,) = blocks(PAGE, "text")
    assert str(caught.value) == shown.rstrip("\n")


def test_the_python_is_run_as_shown(tmp_path: Path) -> None:
    """Each block is the file that its first line names, or one by itself."""
    for number, block in enumerate(blocks(PAGE, "python")):
        named = re.match(r"# (\w+\.py)\n", block)
        directory = tmp_path / "overridden" if named and named[1] == "conftest.py" else tmp_path
        directory.mkdir(exist_ok=True)
        (directory / (named[1] if named else f"script_{number}.py")).write_text(block, "utf-8")
    (tmp_path / "overridden" / "test_overridden.py").write_text(
        "from release import release\n\n\n"
        "def test_overridden(proget):\n"
        '    release(proget.url, "abc12345", target="web01")\n'
        '    assert proget.deployments[0].user == "ci"\n',
        "utf-8",
    )
    path = os.pathsep.join(filter(None, (str(tmp_path), *sys.path)))
    environment = {**os.environ, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}
    installed = any(point.value == PLUGIN for point in importlib.metadata.entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", PLUGIN]
    (script,) = tmp_path.glob("script_*.py")
    for command in ([str(script)], ["-m", "pytest", *plugin, "-p", "no:cacheprovider", str(tmp_path)]):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None or shutil.which("curl") is None, reason="needs bash and curl")
def test_the_shell_commands_are_run_as_shown(tmp_path: Path) -> None:
    environment = with_programs(tmp_path / "bin")
    script = "trap 'kill $(jobs -p); wait' EXIT\n" + "\n".join(blocks(PAGE, "sh"))
    done = subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert '"PackageName":"Newtonsoft.Json"' in done.stdout
    assert '"verified"' in done.stdout
    assert '"now": "2021-04-14T10:00:00Z"' in done.stdout
    assert '"namespaces"' in done.stdout
    assert re.search(r"POST /api/package-deployment/  ok$", done.stdout, re.MULTILINE)
    recording = (tmp_path / "recording.json").read_text("utf-8")
    assert "{{key 1}}" in recording
    assert KEY not in recording
    assert not list(tmp_path.glob("*.tmp"))


def test_the_calls_from_powershell_are_taken_by_the_double(server: DeployServer) -> None:
    """Where a deployment has arrived, or none, as each call has it."""
    (block,) = blocks(PAGE, "powershell")
    (arguments,) = re.findall(r"-ArgumentList \"((?:`.|[^\"])*)\"", block)
    chosen = make_parser().parse_args(shlex.split(arguments.replace('`"', '"')))
    assert chosen.key == KEY
    calls = re.findall(r"Invoke-RestMethod (?:-Method (\w+) )?\"\$control([^\"]*)\"(?: -Body '([^']*)')?", block)
    assert len(calls) == block.count("Invoke-RestMethod") == 6
    for method, path, body in calls:
        if path == "/verify" and "deployed" in json.loads(body):
            server.reset()
            target = json.loads(body)["deployed"].get("target", "web01")
            server.load({"feeds": ["DefaultNuGet"], "deployments": [{**_RECORD, "Target": target}]})
        elif path == "/verify":
            server.reset()
        status, text = ask(method.upper() or "GET", f"{server.url}/__double__{path}", body or None)
        assert status in (200, 201, 204), text


_RECORD = {
    "FeedName": "DefaultNuGet",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
    "Application": "release.ps1",
    "Description": "Release 42",
}
