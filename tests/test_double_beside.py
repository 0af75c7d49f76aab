"""``deployserver double -- COMMAND``: it runs as long as the command does, and ends with its exit code."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import DEADLINE, environment
from waiting import until

from deployserver.double.beside import run_beside

DOUBLE = (sys.executable, "-m", "deployserver", "double")
ASK = """
import json, os, sys
from urllib.request import urlopen

url = os.environ["PROGET_URL"]
with urlopen(url + "/__double__", timeout=10) as answer:
    print(os.environ.get("PROGET_API_KEY"), json.load(answer)["url"] == url, *sys.argv[1:])
"""
BREAK = """
import json, os
from urllib.error import HTTPError
from urllib.request import urlopen

url = os.environ["PROGET_URL"]
urlopen(url + "/__double__/faults", json.dumps({"do": "answer", "status": 500}).encode(), timeout=10).close()
try:
    urlopen(url + "/health", timeout=10)
except HTTPError as error:
    print(error.code)
    error.close()
"""


def double(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``deployserver double`` to its end."""
    return subprocess.run(
        [*DOUBLE, *arguments], env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False
    )


def test_the_command_finds_the_double_in_its_environment_and_says_how_it_ends(tmp_path: Path) -> None:
    done = double("--key", "abc12345", "--", sys.executable, "-c", f"{ASK}\nsys.exit(3)", "--a", "--", "--b")
    assert (done.stdout, done.stderr, done.returncode) == ("abc12345 True --a -- --b\n", "", 3)


def test_there_is_no_key_where_none_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROGET_API_KEY", "of-the-real-proget")
    assert double("--open", "--", sys.executable, "-c", ASK).stdout == "None True\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a process of Windows ends with no signal")
def test_a_command_that_a_signal_ends_is_a_failure() -> None:
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert double("--", sys.executable, "-c", kill).returncode == 128 + signal.SIGKILL


def test_a_command_that_is_not_there_is_said(tmp_path: Path) -> None:
    file = tmp_path / "ready.json"
    done = double("--ready-file", str(file), "--", "no-such-command")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("deployserver: no-such-command cannot be run: ")
    assert not file.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no gentle signal for a process without a console")
def test_the_command_may_end_in_its_own_way_when_the_double_is_told_to() -> None:
    """As with Ctrl-C, which both get."""
    waits = "import os, sys; print('begun', flush=True); sys.stdin.read(); print('ended')"
    process = subprocess.Popen(
        [*DOUBLE, "--", sys.executable, "-c", waits],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=DEADLINE)
    assert (out, process.returncode) == ("ended\n", 0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has one way to end a process, and no number for it")
@pytest.mark.parametrize(("handler", "number"), [("SIG_DFL", 15), ("SIG_IGN", 9)])
async def test_a_command_that_does_not_end_is_told_to_and_then_made_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, handler: str, number: int
) -> None:
    monkeypatch.setattr("deployserver.double.beside._GRACE_SECONDS", 0.1)
    begun, stop = tmp_path / "begun", asyncio.Event()
    sleeps = f"import pathlib, signal, sys, time; signal.signal(signal.SIGTERM, signal.{handler}); "
    sleeps += "pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
    running = asyncio.create_task(run_beside([sys.executable, "-c", sleeps, str(begun)], {}, stop))
    await until(lambda: asyncio.to_thread(begun.exists))
    stop.set()
    assert await asyncio.wait_for(running, DEADLINE) == 128 + number


@pytest.mark.parametrize("verbose", [False, True])
def test_an_error_that_was_asked_for_is_logged_only_with_verbose(verbose: bool) -> None:
    done = double(*["--verbose"] * verbose, "--", sys.executable, "-c", BREAK)
    assert done.stdout == "500\n"
    assert ('"status":500' in done.stderr) == verbose
