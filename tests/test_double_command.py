"""``deployserver double``: a process that says where it is, does what it is told, and goes when nobody needs it."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import KEY, PATH, RECORD
from doubles import curl, needs_curl, needs_node, node, record
from processes import DEADLINE, environment

from deployserver import cli

COMMAND = [sys.executable, "-m", "deployserver", "double"]

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")


class Running:
    """A double that has been started, and what it said."""

    def __init__(self, process: subprocess.Popen[str], said: dict[str, Any]) -> None:
        self.process = process
        self.said = said
        self.url: str = said["url"]
        self.control: str = said["control"]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str, float]:
        """Send a signal; return the exit code, what was written on both outputs since, and the seconds it took."""
        started = time.monotonic()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=DEADLINE)
        return self.process.returncode, out, err, time.monotonic() - started


@contextmanager
def running(cwd: Path, *arguments: str) -> Iterator[Running]:
    """Run the command while the block runs; whoever does not end it ends it unheard."""
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate(timeout=DEADLINE)[1]
        yield Running(process, json.loads(line))
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=DEADLINE)


def refused(cwd: Path, *arguments: str) -> str:
    """Run the command, which must end with 2 and say nothing but why; return that."""
    command = [*COMMAND, *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def within(seconds: float, holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/health/live", timeout=5).ok
    except requests.RequestException:
        return False


# What it begins with


def test_it_says_in_one_line_where_it_is_and_which_key_to_use(tmp_path: Path) -> None:
    with running(tmp_path) as double:
        assert set(double.said) == {"url", "control", "key", "pid"}
        assert double.control == f"{double.url}/__double__"
        assert double.said["pid"] == double.process.pid
        assert len(double.said["key"]) == 40
        assert record("requests", double.url, key=double.said["key"]).status == 200
        assert record("requests", double.url, key=None).status == 403
        code, out, err, _ = double.end() if sys.platform != "win32" else (0, "", "", 0.0)
    assert (code, out, err) == (0, "", "")


def test_feeds_and_a_key_can_be_given(tmp_path: Path) -> None:
    with running(tmp_path, "--feed", "npm", "--feed", "Internal", "--key", KEY) as double:
        assert double.said["key"] == KEY
        for feed in ("npm", "Internal"):
            assert record("requests", double.url, FeedName=feed).status == 200
        assert record("requests", double.url).status == 404


def test_open_needs_no_key(tmp_path: Path) -> None:
    with running(tmp_path, "--open") as double:
        assert double.said["key"] is None
        assert record("requests", double.url, key=None).status == 200
        assert requests.get(f"{double.url}/api/deployments", timeout=30).json()[0]["Target"] == RECORD["Target"]


def test_open_goes_together_with_a_key(tmp_path: Path) -> None:
    with running(tmp_path, "--open", "--key", KEY) as double:
        assert record("requests", double.url, key=None).json["UserName"] == "Anonymous"
        assert record("requests", double.url).json["UserName"] != "Anonymous"
        assert record("requests", double.url, key="wrong").status == 403


def test_a_seed_may_be_what_another_one_held(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    with running(tmp_path, "--key", KEY) as double:
        record("requests", double.url)
        state = requests.get(f"{double.control}/state", timeout=30)
        seed.write_bytes(state.content)
    with running(tmp_path, "--seed", str(seed)) as again:
        assert again.said["key"] is None
        assert requests.get(f"{again.control}/state", timeout=30).json() == state.json()
        assert record("requests", again.url).json["Id"] == 2
        assert requests.post(f"{again.control}/reset", timeout=30).status_code == 204
        assert requests.get(f"{again.control}/state", timeout=30).json() == state.json()


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_files_may_be_as_windows_powershell_writes_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "seed.json").write_text('{"feeds": ["a"]}', encoding)
    (tmp_path / "faults.json").write_text('[{"do": "reset", "name": "Züri"}]', encoding)
    with running(tmp_path, "--seed", "seed.json", "--faults", "faults.json") as double:
        assert requests.get(f"{double.control}/faults", timeout=30).json()[0]["name"] == "Züri"
        assert [feed["name"] for feed in requests.get(f"{double.control}/state", timeout=30).json()["feeds"]] == ["a"]


def test_a_seed_and_options_add_up(tmp_path: Path) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(
        '\ufeff{"Feeds": "one", "keys": ["of-the-seed"], "deployments": [' + _deployment(1.10) + "]}", "utf-8"
    )
    with running(tmp_path, "--seed", str(seed), "--feed", "two", "--key", KEY, "--open") as double:
        state = requests.get(f"{double.control}/state", timeout=30).json()
        assert [feed["name"] for feed in state["feeds"]] == ["one", "two"]
        assert [key["key"] for key in state["keys"]] == ["of-the-seed", KEY]
        assert state["deployments"][0]["Version"] == "1.10"
        assert record("requests", double.url, key=None, FeedName="two").status == 200


def _deployment(version: float) -> str:
    return json.dumps(RECORD | {"FeedName": "one", "Version": version}).replace("1.1", "1.10")


def test_it_can_begin_with_faults(tmp_path: Path) -> None:
    faults = tmp_path / "faults.json"
    faults.write_text('[{"do": "answer", "status": 503, "first": 1}, {"do": "reset", "first": 1}]', "utf-8")
    with running(tmp_path, "--key", KEY, "--faults", str(faults)) as double:
        for _ in range(2):
            assert [record("requests", double.url).status for _ in range(3)] == [503, 0, 200]
            requests.post(f"{double.control}/reset", timeout=30)


def test_namespaces_are_there_if_they_are_asked_for(tmp_path: Path) -> None:
    with running(tmp_path, "--key", KEY, "--namespaces") as double:
        assert record("requests", f"{double.url}/ns/a").json["Id"] == 1
        assert record("requests", f"{double.url}/ns/b").json["Id"] == 1
        assert requests.get(double.control, timeout=30).json()["namespaces"] == ["a", "b"]
    with running(tmp_path, "--key", KEY) as double:
        assert record("requests", f"{double.url}/ns/a").status == 404
        lost = requests.get(f"{double.url}/ns/a/__double__", timeout=30)
        assert (lost.status_code, "start it with --namespaces" in lost.text) == (404, True)
        assert requests.get(double.control, timeout=30).json()["namespaces"] is None


def test_two_at_once_know_nothing_of_each_other(tmp_path: Path) -> None:
    with running(tmp_path, "--key", KEY) as one, running(tmp_path, "--key", KEY) as other:
        assert one.url != other.url
        assert record("requests", one.url).json["Id"] == record("requests", other.url).json["Id"] == 1


def test_requests_are_logged_only_if_that_is_asked_for(tmp_path: Path) -> None:
    for arguments, logged in (((), 0), (("--verbose",), 1)):
        with running(tmp_path, "--key", KEY, *arguments) as double:
            record("requests", double.url)
            double.process.terminate()
            out, err = double.process.communicate(timeout=DEADLINE)
            assert out == ""
            assert err.count(PATH) == logged, err
            assert KEY not in err


def test_nothing_is_written_to_a_disk(tmp_path: Path) -> None:
    with running(tmp_path, "--key", KEY) as double:
        for number in range(50):
            record("requests", double.url, Target=f"t{number}")
        requests.post(f"{double.control}/reset", timeout=30)
        if sys.platform == "linux":
            opened = []
            for file in Path(f"/proc/{double.process.pid}/fd").iterdir():
                with suppress(FileNotFoundError):  # a connection that has been closed meanwhile
                    opened.append(os.readlink(file))
            assert opened
            assert not [file for file in opened if file.startswith("/") and not file.startswith(("/dev/", "/proc/"))]
    assert list(tmp_path.iterdir()) == []


def test_no_configuration_that_lies_about_is_read(tmp_path: Path) -> None:
    (tmp_path / "config.ini").write_text("[server]\nport = nonsense\n")
    with running(tmp_path, "--key", KEY) as double:
        assert record("requests", double.url).status == 200


def test_a_configuration_that_is_given_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--config", "config.ini", "double"]) == 2
    assert "leave out --config" in capsys.readouterr().err


@needs_curl
def test_what_its_help_shows_works_with_curl(tmp_path: Path) -> None:
    done = subprocess.run(
        [*COMMAND, "--help"], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE
    )
    assert done.returncode == 0
    for word in ("--seed", "--faults", "--ready-file", "--namespaces", "--keep", "docs/test-double.md", "DefaultNuGet"):
        assert word in done.stdout
    calls = [line.strip() for line in done.stdout.splitlines() if line.startswith("  curl ")]
    assert len(calls) == 3
    (example,) = (json.loads(line) for line in done.stdout.splitlines() if line.startswith("  {"))
    with running(tmp_path, "--key", KEY) as double:
        assert set(example) == set(double.said)
        assert record("requests", double.url).status == 200
        for call in calls:
            words = [word.replace("$CONTROL", double.control) for word in shlex.split(call)][1:]
            assert curl(*words).returncode == 0, call
        assert record("requests", double.url).status == 503


@needs_node
def test_node_starts_it_uses_it_and_need_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The way of a test suite in JavaScript: spawn, read a line, go; the double ends with whoever started it."""
    module = """
    import {spawn} from "node:child_process";
    import {once} from "node:events";
    import {createInterface} from "node:readline";
    const [python, key] = process.argv.slice(1);
    const command = ["-m", "deployserver", "double", "--key", key];
    const double = spawn(python, command, {stdio: ["ignore", "pipe", "inherit"]});
    const [line] = await once(createInterface(double.stdout), "line");
    const {url, control} = JSON.parse(line);
    const body = new URLSearchParams({FeedName: "DefaultNuGet", Application: "a", Description: "d", Target: "t",
      PackageName: "p", Version: "1.0"});
    const posted = await fetch(`${url}/api/package-deployment/`, {method: "POST", headers: {"X-ApiKey": key}, body});
    const wanted = JSON.stringify({deployed: {package: "p"}});
    const verified = await fetch(`${control}/verify`, {method: "POST", body: wanted});
    console.log(JSON.stringify({url, statuses: [posted.status, verified.status], pid: double.pid}));
    process.exit(0);
    """
    monkeypatch.setenv("PYTHONPATH", environment()["PYTHONPATH"])
    said = node(module, sys.executable, KEY)
    assert said["statuses"] == [200, 200]
    assert within(5, lambda: not answers(said["url"]))


# The file that says that it is ready


def test_the_ready_file_is_there_as_long_as_connections_are_accepted(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    file.write_text("of an earlier run")
    seen: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        """Whoever finds the file can use it at once, and never finds half of it."""
        while not stop.is_set():
            try:
                text = file.read_text("utf-8")
            except OSError:
                continue
            if text != "of an earlier run":
                seen.append(text)
                requests.get(f"{json.loads(text)['url']}/health/live", timeout=5).raise_for_status()
                return

    with ThreadPoolExecutor(1) as pool:
        watching = pool.submit(watch)
        with running(tmp_path, "--ready-file", str(file)) as double:
            watching.result(DEADLINE)
            stop.set()
            assert [json.loads(text) for text in seen] == [double.said]
            assert [path.name for path in tmp_path.iterdir()] == ["ready.json"]
            double.end()
    assert list(tmp_path.iterdir()) == []


def test_a_ready_file_that_cannot_be_written_is_said_at_once(tmp_path: Path) -> None:
    assert "--ready-file none/ready" in refused(tmp_path, "--ready-file", "none/ready").replace("\\", "/")
    (tmp_path / "directory").mkdir()
    assert "--ready-file directory" in refused(tmp_path, "--ready-file", "directory")


def test_a_ready_file_that_would_take_the_place_of_something_else_is_refused(tmp_path: Path) -> None:
    """Such as /dev/stdout: whoever is allowed to would replace it for everybody."""
    (tmp_path / "file").write_text("kept")
    try:
        (tmp_path / "link").symlink_to(tmp_path / "file")
    except OSError:
        pytest.skip("no links can be made here")
    assert "--ready-file link: is a directory, a device or a link" in refused(tmp_path, "--ready-file", "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "kept"


def test_the_ready_file_of_another_double_is_left_to_it(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    with running(tmp_path, "--ready-file", str(file)) as first, running(tmp_path, "--ready-file", str(file)) as second:
        first.end()
        assert json.loads(file.read_text("utf-8")) == second.said
        second.end()
        assert not file.exists()


def test_no_ready_file_is_left_of_a_start_that_fails(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(tmp_path, "--port", str(taken.getsockname()[1]), "--ready-file", "ready")
    assert list(tmp_path.iterdir()) == []


# What it refuses


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with running(tmp_path) as double:
        port = double.url.rpartition(":")[2]
        assert f"Cannot listen on 127.0.0.1 port {port}" in refused(tmp_path, "--port", port)
        assert answers(double.url)


@pytest.mark.parametrize("port", ["x", "-1", "65536", ""])
def test_a_port_that_is_none_is_refused(capsys: pytest.CaptureFixture[str], port: str) -> None:
    assert cli.main(["double", f"--port={port}"]) == 2
    assert "port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "text", "messages"),
    [
        ("--seed", None, ["cannot be read"]),
        ("--seed", "", ["body: ", "JSON"]),
        ("--seed", "{", ["body: ", "JSON"]),
        ("--seed", "[]", ["body: ", "object with feeds"]),
        ("--seed", "\udcff", ["UTF-8"]),
        ("--seed", "\udcff\udcfe{", ["UTF-16"]),
        ("--seed", "[" * 100_000, ["nested too deeply"]),
        ("--seed", '{"feeds": ["a", {"name": "b", "type": "nougat"}]}', ["feeds[1].type: "]),
        (
            "--seed",
            '{"feeds": ["a", "A"], "keys": [{"key": "k", "feeds": ["c"]}], "deployments": [{}]}',
            ["feeds[1].name: ", "keys[0].feeds[0]: ", "deployments[0].Version: is required."],
        ),
        ("--faults", None, ["cannot be read"]),
        ("--faults", "{", ["JSON"]),
        ("--faults", "\udcff", ["UTF-8"]),
        ("--faults", "[" * 100_000, ["nested too deeply"]),
        ("--faults", "{}", ["must be a list"]),
        ("--faults", '[{"do": "reset"}, {"do": "answer"}, 5]', ["[1].status: is required", "[2]: "]),
    ],
)
def test_a_file_that_is_wrong_is_named_with_every_place_that_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, text: str | None, messages: list[str]
) -> None:
    file = tmp_path / "given.json"
    if text is not None:
        file.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert cli.main(["double", option, str(file)]) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert said.startswith(f"deployserver: {option} {file}:")
    for message in messages:
        assert message in said


def test_of_many_errors_the_first_are_told_and_how_many_more_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps([{"do": "reset", "first": 0}] * 1000))
    assert cli.main(["double", "--faults", str(file)]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert (len(lines), lines[-1]) == (102, "  ... and 900 more")


@pytest.mark.parametrize(
    "arguments", [("--feed", ""), ("--feed", "a", "--feed", "A"), ("--feed", "a b"), ("--key", "")]
)
def test_options_that_are_wrong_are_named(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    assert cli.main(["double", *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_what_is_not_known_is_refused(tmp_path: Path) -> None:
    assert "--sede" in refused(tmp_path, "--sede", "x")


# Its end


@posix
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once_whatever_is_under_way(tmp_path: Path, number: int) -> None:
    file = tmp_path / "ready"
    with running(tmp_path, "--key", KEY, "--namespaces", "--ready-file", str(file)) as double:
        bases = [double.url, f"{double.url}/ns/a", f"{double.url}/ns/b"]
        faults = [
            {"do": "hang", "target": "hang"},
            {"do": "delay", "delay": 300, "target": "delay"},
            {"do": "dribble", "bytes": 1, "seconds": 60, "target": "dribble"},
        ]
        for base in bases:
            requests.put(f"{base}/__double__/faults", json=faults, timeout=30).raise_for_status()
        unfinished = socket.create_connection(("127.0.0.1", int(double.url.rpartition(":")[2])))
        unfinished.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nFeedName=".encode())
        with ThreadPoolExecutor(9) as pool:
            waiting = [
                pool.submit(record, "requests", base, Target=target)
                for base in bases
                for target in ("hang", "delay", "dribble")
            ]
            for base in bases:
                assert within(10, lambda: len(requests.get(f"{base}/__double__/requests", timeout=5).json()) >= 3)  # noqa: B023
            following = requests.get(
                f"{double.url}/api/deployments/events", headers={"X-ApiKey": KEY}, stream=True, timeout=30
            )
            code, out, err, seconds = double.end(number)
            assert (code, out, err) == (0, "", "")
            assert seconds < 4
            for one in waiting:
                one.result(5)
        following.close()
        unfinished.close()
        assert not file.exists()


@posix
@pytest.mark.parametrize(("arguments", "stays"), [((), False), (("--keep",), True)])
def test_it_ends_with_the_process_that_started_it_unless_it_is_to_be_kept(
    tmp_path: Path, arguments: tuple[str, ...], stays: bool
) -> None:
    file = tmp_path / "ready"
    starter = """
import subprocess, sys, time
subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
time.sleep(600)
"""
    command = [*COMMAND, "--ready-file", str(file), *arguments]
    parent = subprocess.Popen([sys.executable, "-c", starter, *command], env=environment())
    try:
        assert within(DEADLINE, file.exists)
        said = json.loads(file.read_text("utf-8"))
        time.sleep(0.7)
        assert answers(said["url"])
    finally:
        parent.kill()
        parent.wait(DEADLINE)
    if stays:
        time.sleep(1.5)
        assert answers(said["url"])
        os.kill(said["pid"], signal.SIGTERM)
    assert within(5, lambda: not answers(said["url"]))
    assert within(5, lambda: not file.exists())


@posix
def test_it_goes_on_when_nobody_reads_what_it_prints(tmp_path: Path) -> None:
    with running(tmp_path, "--key", KEY, "--verbose") as double:
        assert double.process.stdout is not None
        double.process.stdout.close()
        double.process.stdout = None
        for _ in range(3):
            assert record("requests", double.url).status == 200
        double.process.send_signal(signal.SIGTERM)
        assert double.process.wait(DEADLINE) == 0
