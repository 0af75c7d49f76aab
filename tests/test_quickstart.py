"""``deployserver quickstart``, as a newcomer meets it: in a process of its own, with the calls it prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployserver import cli
from deployserver.example_config import example_config

PYTHON = [sys.executable, "-m", "deployserver"]
KEY = re.compile(r"^    ([0-9a-f]{40})$", re.MULTILINE)


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | {"PYTHONPATH": str(Path(cli.__file__).parents[2])} | more


@dataclass
class Started:
    """A server that ``quickstart`` has started, and what it printed until it was ready."""

    printed: str

    @property
    def url(self) -> str:
        return self.printed.partition("deployserver is ready on ")[2].split()[0]

    @property
    def key(self) -> str | None:
        found = KEY.search(self.printed)
        return found[1] if found else None

    def call(self, start: str) -> str:
        """Return the printed line that starts so."""
        (line,) = (line.strip() for line in self.printed.splitlines() if line.strip().startswith(start))
        return line


@contextmanager
def quickstart(cwd: Path, *arguments: str, **environ: str) -> Iterator[Started]:
    """Run it while the block runs; then stop it, which must succeed."""
    command = [*PYTHON, "quickstart", "--port", "0", *arguments]
    with (
        open(cwd / "log", "a") as log,
        subprocess.Popen(
            command, cwd=cwd, env=environment(**environ), stdout=-1, stderr=log, text=True, encoding="utf-8"
        ) as process,
    ):
        try:
            assert process.stdout is not None
            printed = ""
            # The last line of what is printed: a call, or that the key was shown before.
            while not re.search(r"^    curl .*\n|^The API key was shown.*\n", printed, re.MULTILINE):
                line = process.stdout.readline()
                assert line, (cwd / "log").read_text("utf-8")
                printed += line
            yield Started(printed)
        finally:
            process.terminate()
            process.communicate(timeout=20)
    if sys.platform != "win32":
        assert process.returncode == 0


def fail(cwd: Path, *arguments: str) -> tuple[int, str, str]:
    """Run it where it must end by itself; return exit code, output and errors."""
    ended = subprocess.run(
        [*PYTHON, "quickstart", *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=20,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def through_the_shell(command: str, cwd: Path) -> str:
    """Run what was printed as it was printed; ``deployserver`` may not be installed as a command here."""
    command = re.sub(r"^deployserver ", lambda _: " ".join(PYTHON) + " ", command)
    return subprocess.run(
        command, shell=True, cwd=cwd, env=environment(), capture_output=True, text=True, timeout=20, check=True
    ).stdout


def rows(directory: Path, sql: str) -> list[Sequence[Any]]:
    with closing(sqlite3.connect(directory / "deployserver.db")) as connection:
        return connection.execute(sql).fetchall()


needs_a_shell = pytest.mark.skipif(
    sys.platform == "win32" or shutil.which("curl") is None, reason="the curl command and a POSIX shell are needed"
)


@needs_a_shell
def test_the_printed_curl_call_records_a_deployment(tmp_path: Path) -> None:
    """The first minute with the product: one command, one pasted call, one record."""
    with quickstart(tmp_path) as started:
        record = json.loads(through_the_shell(started.call("curl "), tmp_path))
        assert (record["Id"], record["FeedName"], record["UserName"]) == (1, "DefaultNuGet", "quickstart")
        assert record["Description"] == "Deployed by Custom Release Server"
    assert len(rows(tmp_path / "deployserver-data", "SELECT * FROM deployment_records")) == 1


def test_it_makes_a_directory_with_all_that_is_needed(tmp_path: Path) -> None:
    directory = tmp_path / "deployserver-data"
    with quickstart(tmp_path) as started:
        assert started.url.startswith("http://127.0.0.1:")
        assert started.printed.count(str(started.key)) == 3  # alone, and in both calls
        assert f"Configuration: {Path('deployserver-data', 'config.ini')}" in started.printed
        powershell = started.call("Invoke-RestMethod ")
        assert powershell.startswith(f"Invoke-RestMethod -Method Post -Uri '{started.url}/api/package-deployment/' ")
        assert f"-Headers @{{ 'X-ApiKey' = '{started.key}' }} -Body 'FeedName=DefaultNuGet&" in powershell
        assert {path.name for path in directory.iterdir()} >= {"config.ini", "deployserver.db"}
    assert (directory / "config.ini").read_text("utf-8") == example_config()
    assert rows(directory, "SELECT name, type, active FROM feeds") == [("DefaultNuGet", "nuget", 1)]
    assert rows(directory, "SELECT kind, name, scopes FROM api_keys") == [("feed", "quickstart", "view")]
    assert rows(directory, "SELECT * FROM privileges") == []  # nobody gets in without the key
    assert str(started.key) not in (tmp_path / "log").read_text("utf-8")


def test_run_again_it_makes_nothing_new_and_does_not_know_the_key(tmp_path: Path) -> None:
    directory = tmp_path / "deployserver-data"
    with quickstart(tmp_path) as first:
        pass
    config = directory / "config.ini"
    config.write_text(config.read_text("utf-8").replace("#level = info", "level = debug"), "utf-8")
    before = (config.read_bytes(), rows(directory, "SELECT * FROM audit"), rows(directory, "SELECT * FROM feeds"))
    with quickstart(tmp_path) as again:
        assert again.key is None
        assert str(first.key) not in again.printed
        assert again.printed.startswith("deployserver is ready on http://127.0.0.1:")
    after = (config.read_bytes(), rows(directory, "SELECT * FROM audit"), rows(directory, "SELECT * FROM feeds"))
    assert after == before


@needs_a_shell
def test_directory_feed_host_and_base_path_can_be_chosen(tmp_path: Path) -> None:
    """What is printed must work when pasted, blanks in the directory included."""
    options = ("--directory", "my data/of it's", "--feed", "Other.Feed", "--host", "localhost")
    base_path = {"DEPLOYSERVER_SERVER_BASE_PATH": "/proget"}
    with quickstart(tmp_path, *options, **base_path) as started:
        assert started.url.startswith("http://localhost:") and started.url.endswith("/proget")
        assert json.loads(through_the_shell(started.call("curl "), tmp_path))["FeedName"] == "Other.Feed"
    directory = tmp_path / "my data" / "of it's"
    assert "\nhost = localhost\n" in (directory / "config.ini").read_text("utf-8")
    with quickstart(tmp_path, *options) as again:
        call = again.call("The API key was shown at the first start; another: ").partition("another: ")[2]
        assert re.fullmatch(r"[0-9a-f]{40}\n", through_the_shell(call, tmp_path))
    assert rows(directory, "SELECT id, name FROM api_keys") == [(1, "quickstart"), (2, "")]


def test_other_commands_find_what_it_made(tmp_path: Path) -> None:
    with quickstart(tmp_path):
        listed = json.loads(through_the_shell("deployserver feed list --json", tmp_path))
    assert [feed["name"] for feed in listed] == ["DefaultNuGet"]


# First runs that came to nothing


def test_a_port_in_use_is_told_and_the_key_is_not_lost(tmp_path: Path) -> None:
    """The key can be shown only once; a first run that fails after making it must show it all the same."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, printed, errors = fail(tmp_path, "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert "Cannot listen on 127.0.0.1 port" in errors and "Traceback" not in errors
    assert KEY.search(printed)
    with quickstart(tmp_path) as again:
        assert again.key is None


@pytest.mark.parametrize("interrupted", ["after the directory", "in the configuration", "before the database"])
def test_an_interrupted_first_run_is_taken_up_again(tmp_path: Path, interrupted: str) -> None:
    directory = tmp_path / "deployserver-data"
    directory.mkdir()
    if interrupted == "in the configuration":
        (directory / "config.tmp").write_text("[serv")
    elif interrupted == "before the database":
        (directory / "config.ini").write_text(example_config(), "utf-8")
    with quickstart(tmp_path) as started:
        assert started.key is not None
    assert not (directory / "config.tmp").exists()


@pytest.mark.parametrize("made", ["the database", "the feed"])
def test_a_first_run_that_got_as_far_as_the_database_is_taken_up_again(tmp_path: Path, made: str) -> None:
    """No key has been made, so none has been shown: this run makes it and shows it."""
    directory = tmp_path / "deployserver-data"
    directory.mkdir()
    (directory / "config.ini").write_text(example_config(), "utf-8")
    config = ["--config", str(directory / "config.ini")]
    assert cli.main([*config, "migrate"]) == 0
    if made == "the feed":
        assert cli.main([*config, "feed", "add", "defaultnuget"]) == 0
    with quickstart(tmp_path) as started:
        assert started.key is not None
    assert len(rows(directory, "SELECT * FROM feeds")) == 1


# Mistakes


def test_a_feed_that_the_second_run_does_not_find_is_an_error(tmp_path: Path) -> None:
    with quickstart(tmp_path):
        pass
    code, printed, errors = fail(tmp_path, "--feed", "Other")
    assert (code, printed) == (1, "")
    assert "There is no feed named Other. Add it: deployserver --config " in errors


def test_a_bad_feed_name_can_be_corrected(tmp_path: Path) -> None:
    code, printed, errors = fail(tmp_path, "--feed", "my feed")
    assert (code, printed) == (2, "")
    assert "'my feed' cannot be a feed's name" in errors
    with quickstart(tmp_path, "--feed", "my.feed") as started:
        assert started.key is not None


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    code, printed, errors = fail(tmp_path, "--directory", "file")
    assert (code, printed) == (2, "")
    assert errors.startswith("deployserver: file: cannot be set up: ") and errors.count("\n") == 1


def test_a_configuration_elsewhere_is_not_silently_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["--config", "other.ini", "quickstart"]) == 2
    assert "quickstart takes --directory" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_it_says_where_the_database_is_and_what_says_so(tmp_path: Path) -> None:
    """Started again without the variable, it would make another database, and another key."""
    with quickstart(tmp_path) as started:
        assert f"Database: {tmp_path / 'deployserver-data' / 'deployserver.db'}. Ctrl-C" in started.printed
    elsewhere = tmp_path / "elsewhere.db"
    with quickstart(tmp_path, DEPLOYSERVER_DATABASE_URL=f"sqlite:///{elsewhere}") as started:
        assert f"Database: {elsewhere}, as DEPLOYSERVER_DATABASE_URL says. Ctrl-C" in started.printed
