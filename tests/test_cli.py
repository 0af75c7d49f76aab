"""The command line: every command and option, what they print, and the exit codes."""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deployserver import __version__, cli
from deployserver.cli.output import print_rows
from deployserver.models import DeploymentRow
from deployserver.passwords import hash_password
from deployserver.storage import SQLiteDatabase
from deployserver.storage.sqlite.migrator import migration_state

MIGRATIONS = sorted(file.stem for file in (Path(__file__).parents[1] / "migrations" / "sqlite").glob("*.sql"))
KEY = "a-key-given-by-hand-0123456789"
MIGRATIONS = list(migration_state(Path("no such file")).pending)
RECORDING = "Feeds_DownloadPackage"


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert (self.code in (0, 3), self.err) == (True, "")
        return json.loads(self.out)


Run = Callable[..., Result]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "config.ini"
    file.write_text("[database]\nurl = sqlite:///test.db\n")
    return file


@pytest.fixture
def run(file: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, with a configuration whose database does not exist yet."""

    def run_command(*arguments: object, config: bool = True) -> Result:
        given = [str(argument) for argument in arguments]
        capsys.readouterr()
        try:
            code = cli.main(["--config", str(file), *given] if config else given)
        except SystemExit as error:
            code = int(error.code or 0)
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run_command


@pytest.fixture(scope="module")
def made_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("made")
    (directory / "config.ini").write_text("[database]\nurl = sqlite:///test.db\n")
    for arguments in (["migrate"], ["feed", "add", "Packages"], ["user", "add", "Anna", "--no-password"]):
        assert cli.main(["--config", str(directory / "config.ini"), *arguments]) == 0
    return directory / "test.db"


@pytest.fixture
def made(run: Run, made_database: Path, tmp_path: Path) -> Run:
    """Run a command on a database with the feed Packages and the user Anna."""
    shutil.copy(made_database, tmp_path)
    return run


def query(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(file.parent / "test.db")) as connection, connection:
        return connection.execute(sql).fetchall()


def add_deployments(file: Path, number: int) -> None:
    row = DeploymentRow(1, "a", "d", "t", "p", "1", None, "u", None, 0, 0, "r", None)

    async def add() -> None:
        store = SQLiteDatabase(file.parent / "test.db", 5)
        await store.open()
        try:
            await store.add_deployments([row] * number)
        finally:
            await store.close()

    asyncio.run(add())


def say(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


# Everything is tried somewhere below


def leaves(parser: argparse.ArgumentParser, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from leaves(below, (*words, name))
            return
    yield words, parser


LEAVES = dict(leaves(cli.make_parser()))


@pytest.mark.parametrize("words", LEAVES, ids=" ".join)
def test_every_command_and_option_has_help_and_a_test(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words, "--help")
    assert (result.code, result.err) == (0, "")
    tests = "".join(file.read_text("utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert ", ".join(f'"{word}"' for word in words) in tests
    for action in LEAVES[words]._actions:
        assert action.help, f"{action.dest} says nothing of itself"
        if action.option_strings and action.dest != "help":
            assert f'"{action.option_strings[-1]}"' in tests


def test_help_names_the_exit_codes_and_the_first_steps(run: Run) -> None:
    result = run("--help", config=False)
    assert result.code == 0
    assert "exit codes:" in result.out and "deployserver quickstart" in result.out


def test_the_version_is_told(run: Run) -> None:
    assert run("--version", config=False).out == f"deployserver {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["feed"],
        ["nothing"],
        ["feed", "add"],
        ["feed", "list", "--nothing"],
        ["key", "create"],
        ["key", "create", "--system", "--feed", "Packages"],
        ["key", "revoke", "first"],
        ["feed", "update", "Packages", "--active", "maybe"],
        ["user", "add", "Bert", "--no-password", "--password-stdin"],
        ["privilege", "explain", "--anonymous"],
        ["privilege", "explain", "--anonymous", "--user", "Anna", "--feed", "Packages"],
        ["audit", "--limit", "0"],
        ["audit", "--limit", "-1"],
        ["audit", "--limit", "many"],
    ],
    ids=str,
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_right(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("usage: deployserver")


# The configuration and the database


NEEDING_A_DATABASE: list[list[str]] = [
    ["feed", "add", "x"],
    ["feed", "list"],
    ["feed", "update", "x", "--active", "on"],
    ["feed", "remove", "x"],
    ["key", "create", "--system"],
    ["key", "list"],
    ["key", "revoke", "1"],
    ["user", "add", "x", "--no-password"],
    ["user", "list"],
    ["user", "remove", "x"],
    ["privilege", "grant", "Everyone", RECORDING],
    ["privilege", "deny", "Everyone", RECORDING],
    ["privilege", "revoke", "1"],
    ["privilege", "list"],
    ["privilege", "explain", "--anonymous", "--feed", "x"],
    ["audit"],
    ["load", "history.ndjson"],
    ["export"],
    ["database", "backup", "copy.db"],
]


@pytest.mark.parametrize("arguments", NEEDING_A_DATABASE, ids=" ".join)
def test_without_a_database_nothing_is_made(
    run: Run, tmp_path: Path, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistyped path must not make a new, empty database that everybody wonders about."""
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert (result.code, result.out) == (1, "")
    assert str(tmp_path / "test.db") in result.err
    assert result.err.startswith("deployserver: ") and result.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.ini"]


@pytest.mark.parametrize("arguments", [*NEEDING_A_DATABASE, ["migrate"], ["config", "show"], ["serve"]], ids=" ".join)
def test_a_bad_configuration_is_exit_code_2_for_every_command(run: Run, file: Path, arguments: list[str]) -> None:
    file.write_text("[server]\nprt = 1\n")
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"deployserver: {file}: [server] has no option prt; known are host, port")


def test_a_database_that_is_not_migrated_is_named_with_the_remedy(run: Run, file: Path) -> None:
    query(file, "SELECT 1")
    result = run("feed", "list")
    assert result.code == 1
    assert "lacks the migrations" in result.err and "Run deployserver migrate" in result.err


def test_a_file_that_is_no_database_is_named(run: Run, file: Path) -> None:
    (file.parent / "test.db").write_text("no database at all, but long enough to be looked at" * 100)
    for arguments in (["feed", "list"], ["migrate"], ["migrate", "--check"], ["config", "check"]):
        result = run(*arguments)
        assert (result.code, result.out) == (1, "")
        assert str(file.parent / "test.db") in result.err


@pytest.mark.parametrize("where", ["before", "after", "variable", "working directory", "quickstart's directory"])
def test_the_configuration_is_found(
    made: Run, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["feed", "list", "--json"]
    if where == "before":
        arguments = ["--config", str(file), *arguments]
    elif where == "after":
        arguments = [*arguments, "--config", str(file)]
    elif where == "variable":
        monkeypatch.setenv("DEPLOYSERVER_CONFIG", str(file))
    elif where == "quickstart's directory":
        (tmp_path / "deployserver-data").mkdir()
        for path in (file, tmp_path / "test.db"):
            path.rename(tmp_path / "deployserver-data" / path.name)
    assert [feed["name"] for feed in made(*arguments, config=False).json] == ["Packages"]


def test_the_environment_beats_the_file(made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYSERVER_DATABASE_URL", "sqlite:///other.db")
    result = made("feed", "list")
    assert result.code == 1
    assert str(tmp_path / "other.db") in result.err


def test_migrate_makes_the_database_once(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    check = run("migrate", "--check")
    assert (check.code, check.out) == (3, f"{path}: to be applied: {', '.join(MIGRATIONS)}.\n")
    assert run("migrate", "--check", "--json").json == {"applied": [], "pending": MIGRATIONS}
    assert not path.exists()
    assert run("migrate").out == f"{path}: applied {', '.join(MIGRATIONS)}.\n"
    assert run("migrate").out == f"{path}: nothing to apply.\n"
    assert run("migrate", "--json").json["pending"] == []
    check = run("migrate", "--check")
    assert (check.code, check.out) == (0, f"{path}: nothing to apply.\n")


def test_the_database_is_copied_to_a_new_file_only(made: Run, tmp_path: Path) -> None:
    copy = tmp_path / "a copy.db"
    result = made("database", "backup", copy)
    assert (result.code, result.out) == (0, f"{copy}: {copy.stat().st_size} bytes copied.\n")
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT name FROM feeds").fetchall() == [("Packages",)]
    again = made("database", "backup", copy)
    assert (again.code, again.out) == (1, "")
    assert "exists already" in again.err
    other = made("database", "backup", tmp_path / "b.db", "--json").json
    assert other == {"file": str(tmp_path / "b.db"), "bytes": (tmp_path / "b.db").stat().st_size}


def test_config_check_says_whether_the_server_could_start(run: Run, file: Path, tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    assert run("config", "check").out == f"{file}: fine. Database {path}: is made when the server starts.\n"
    assert run("config", "check", "--json").json == {
        "file": str(file),
        "database": str(path),
        "exists": False,
        "pending": MIGRATIONS,
    }
    assert not path.exists()
    run("migrate")
    assert run("config", "check").out == f"{file}: fine. Database {path}: up to date.\n"
    file.write_text("[server]\ntls_certificate = nothing.pem\ntls_key = nothing.pem\n")
    result = run("config", "check")
    assert (result.code, result.out) == (2, "")
    assert "[server] tls_certificate and tls_key (nothing.pem, nothing.pem) cannot be used" in result.err


def test_config_check_works_without_a_file(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path.parent)
    result = run("config", "check", config=False)
    assert result.out.startswith("No file, only defaults and the environment: fine.")


def test_config_show_tells_every_value_and_its_source(run: Run, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOYSERVER_SERVER_PORT", "1234")
    rows = {row["option"]: row for row in run("config", "show", "--json").json}
    assert rows["[server] port"] == {
        "option": "[server] port",
        "value": "1234",
        "source": "DEPLOYSERVER_SERVER_PORT",
        "environment": "DEPLOYSERVER_SERVER_PORT",
    }
    assert (rows["[database] url"]["value"], rows["[database] url"]["source"]) == ("sqlite:///test.db", str(file))
    assert rows["[logging] level"]["source"] == "the default"
    text = run("config", "show").out
    assert text.splitlines()[0].split() == ["option", "value", "source", "environment"]
    assert len(text.splitlines()) == len(rows) + 1


# Feeds


def test_feeds_are_added_and_listed(made: Run) -> None:
    added = made("feed", "add", "Open.Feed", "--type", "npm", "--anonymous")
    assert added.out == "Feed Open.Feed (npm) added, open to callers without a key.\n"
    row = made("feed", "add", "json", "--json").json
    assert row == {
        "name": "json",
        "type": "nuget",
        "active": True,
        "deploymentRecordsEnabled": True,
        "alternateNames": [],
    }
    assert [feed["name"] for feed in made("feed", "list", "--json").json] == ["Packages", "Open.Feed", "json"]
    lines = made("feed", "list").out.splitlines()
    assert lines[0].split() == ["name", "type", "active", "deploymentRecordsEnabled", "alternateNames"]
    assert lines[2].split() == ["Open.Feed", "npm", "yes", "yes", "-"]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["add", "PACKAGES"], 1, "PACKAGES is the name of the feed Packages already."),
        (["add", "a b"], 2, "'a b' cannot be a feed's name: up to 100 letters, digits"),
        (["add", "x", "--type", "zip"], 2, "'zip' is no feed type. Known are universal, nuget, npm"),
        (["update", "x", "--active", "off"], 1, "There is no feed named x. Feeds: Packages."),
        (["update", "Packages"], 2, "There is nothing to change; see deployserver feed update --help."),
        (["update", "Packages", "--remove-name", "x"], 1, "The feed Packages has no alternate name x."),
        (["remove", "x"], 1, "There is no feed named x. Feeds: Packages."),
    ],
)
def test_a_feed_command_that_fails_says_why(made: Run, arguments: list[str], code: int, error: str) -> None:
    result = made("feed", *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"deployserver: {error}")


def test_feeds_are_updated(made: Run) -> None:
    result = made("feed", "update", "packages", "--active", "off", "--deployment-records", "off")
    assert result.out == "Feed Packages is inactive, its deployment records are off.\n"
    result = made("feed", "update", "packages", "--active", "on", "--deployment-records", "on")
    assert result.out == "Feed Packages is active, its deployment records are on.\n"
    result = made("feed", "update", "packages", "--rename", "New", "--add-name", "one", "--add-name", "two")
    assert result.out == "Feed New is active, its deployment records are on, also found as Packages, one, two.\n"
    row = made("feed", "update", "ONE", "--remove-name", "Two", "--json").json
    assert (row["name"], row["alternateNames"]) == ("New", ["one", "Packages"])


def test_a_feed_with_records_is_removed_only_by_force(made: Run, file: Path) -> None:
    """Records are what the product is for; one wrong command must not take them away."""
    add_deployments(file, 1)
    result = made("feed", "remove", "Packages")
    assert result.code == 1
    assert result.err == (
        "deployserver: The feed Packages has 1 deployment record. To remove it with them, add --force.\n"
    )
    add_deployments(file, 2)
    assert "has 3 deployment records" in made("feed", "remove", "Packages").err
    assert len(query(file, "SELECT id FROM deployment_records")) == 3
    removed = made("feed", "remove", "Packages", "--force", "--json")
    assert removed.json == {"name": "Packages", "deploymentsRemoved": 3}
    assert query(file, "SELECT id FROM deployment_records") == []


@pytest.mark.parametrize(("number", "said"), [(0, "0 deployment records"), (1, "1 deployment record")])
def test_removing_a_feed_says_what_went_with_it(made: Run, file: Path, number: int, said: str) -> None:
    if number:
        add_deployments(file, number)
    assert made("feed", "remove", "Packages", "--force").out == f"Feed Packages removed, with {said}.\n"


def test_an_empty_list_tells_what_to_do(run: Run) -> None:
    run("migrate")
    for command, hint in (
        ("feed", "No feeds. deployserver feed add NAME"),
        ("key", "No API keys. deployserver key create --feed NAME"),
        ("user", "No users. deployserver user add NAME"),
        ("privilege", "No entries. deployserver privilege grant PRINCIPAL PRIVILEGE"),
    ):
        result = run(command, "list")
        assert (result.code, result.out, result.err) == (0, "", f"{hint}\n")
        assert run(command, "list", "--json").json == []
    assert run("audit").err == "Nothing yet.\n"


# Keys


def test_a_key_is_shown_once_and_alone_on_standard_output(made: Run, file: Path) -> None:
    """``KEY=$(deployserver key create ...)`` must hold the key and nothing else."""
    result = made("key", "create", "--feed", "Packages", "--name", "ci")
    key = result.out.removesuffix("\n")
    assert len(key) == 40 and int(key, 16)
    assert result.err == "API key 1 created. It is shown this once:\n"
    listed = made("key", "list").out + made("key", "list", "--json").out + made("audit", "--json").out
    assert key not in listed
    assert f"{key[:4]}…" in listed
    assert all(key.encode() not in path.read_bytes() for path in file.parent.iterdir())


def test_keys_of_every_kind_are_created_and_listed(made: Run) -> None:
    made("feed", "add", "Other")
    soon = (datetime.now(UTC) + timedelta(days=2)).strftime("%Y-%m-%d")
    created = [
        made("key", "create", "--system", "--json").json,
        made("key", "create", "--system", "--api", "feeds", "sca", "--api", "sbom-upload", "--json").json,
        made("key", "create", "--feed", "Packages", "other", "--permission", "view", "add", "--json").json,
        made("key", "create", "--user", "anna", "--name", "laptop", "--expires", soon, "--json").json,
        made("key", "create", "--feed", "Packages", "--feed", "Other", "--value", KEY, "--json").json,
    ]
    assert [(key["id"], key["kind"], key["name"]) for key in created] == [
        (1, "system", ""),
        (2, "system", ""),
        (3, "feed", ""),
        (4, "personal", "laptop"),
        (5, "feed", ""),
    ]
    assert created[4]["key"] == KEY
    rows = made("key", "list", "--json").json
    assert [row["scopes"] for row in rows] == [
        ["full-control"],
        ["feeds", "sbom-upload", "sca"],
        ["add", "view"],
        [],
        ["view"],
    ]
    assert [row["feeds"] for row in rows] == [[], [], ["Packages", "Other"], [], ["Packages", "Other"]]
    assert [row["user"] for row in rows] == [None, None, None, "Anna", None]
    assert rows[3]["expires"] == f"{soon}T00:00:00Z"
    assert (rows[0]["key"], rows[4]["key"]) == (created[0]["key"][:4] + "…", None)
    assert {(row["lastUsed"], row["revoked"]) for row in rows} == {(None, None)}


def test_a_short_key_is_warned_of(made: Run) -> None:
    result = made("key", "create", "--system", "--value", "abc12345")
    assert (result.code, result.out) == (0, "abc12345\n")
    assert "Warning: a key of 8 characters can be guessed" in result.err
    assert "Warning" not in made("key", "create", "--system", "--value", KEY).err


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["--feed", "x"], 1, "There is no feed named x. Feeds: Packages."),
        (["--user", "x"], 1, "There is no user named x."),
        (["--user", ""], 1, "There is no user named "),
        (["--system", "--api", "everything"], 2, "'everything' is not for a system key. Known are full-control, feeds"),
        (["--feed", "Packages", "--permission", "x"], 2, "'x' is not for a feed key. Known are view, add"),
        (["--feed", "Packages", "--api", "feeds"], 2, "--api goes with --system, and --permission with --feed."),
        (["--system", "--permission", "view"], 2, "--api goes with --system, and --permission with --feed."),
        (["--user", "Anna", "--api", "feeds"], 2, "--api goes with --system, and --permission with --feed."),
        (["--system", "--expires", "2020-01-01"], 2, "The expiry date has passed already."),
        (["--system", "--expires", "31.12.2027"], 2, "--expires is not in an accepted form; send an ISO 8601 date"),
        (["--system", "--value", ""], 2, "An API key must be printable ASCII"),
        (["--system", "--value", "a b "], 2, "An API key must be printable ASCII"),
        (["--system", "--value", "x" * 201], 2, "An API key may have at most 200 characters."),
        (["--system", "--name", "a\nb"], 2, "A key's name must be up to 200 printable characters."),
        (["--system", "--name", "\udcff"], 2, "A key's name must be up to 200 printable characters."),
        (["--system", "--name", "x" * 201], 2, "A key's name must be up to 200 printable characters."),
    ],
)
def test_a_key_that_makes_no_sense_is_not_created(made: Run, arguments: list[str], code: int, error: str) -> None:
    result = made("key", "create", *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"deployserver: {error}")
    assert made("key", "list", "--json").json == []


def test_a_key_of_the_same_value_is_refused_without_repeating_it(made: Run) -> None:
    made("key", "create", "--system", "--value", KEY)
    result = made("key", "create", "--feed", "Packages", "--value", KEY)
    assert (result.code, result.out) == (1, "")
    assert "There is an API key of this value already" in result.err
    assert KEY not in result.err


def test_a_key_is_revoked_once(made: Run) -> None:
    made("key", "create", "--system", "--name", "ci")
    made("key", "create", "--system")
    assert made("key", "revoke", 1).out == "API key 1 (ci) revoked.\n"
    assert made("key", "revoke", 2, "--json").json == {"id": 2, "name": ""}
    assert all(row["revoked"] for row in made("key", "list", "--json").json)
    assert made("key", "revoke", 1).err == "deployserver: The API key 1 has been revoked already.\n"
    result = made("key", "revoke", 9)
    assert (result.code, result.err) == (1, "deployserver: There is no API key 9.\n")


# Users


def test_users_are_added_and_listed(made: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, "secret\n")
    added = made("user", "add", "Bert", "--password-stdin")
    assert added.out == "User Bert added. Grant privileges with deployserver privilege grant.\n"
    row = made("user", "add", "Carl", "--no-password", "--json").json
    assert (row["id"], row["name"], row["hasPassword"]) == (3, "Carl", False)
    rows = made("user", "list", "--json").json
    assert [(row["name"], row["hasPassword"]) for row in rows] == [("Anna", False), ("Bert", True), ("Carl", False)]
    assert made("user", "list").out.splitlines()[2].split()[:3] == ["2", "Bert", "yes"]
    assert "secret" not in made("audit").out


@pytest.mark.parametrize("said", ["a pass word\n", "a pass word\r\n", "a pass word", "a pass word\nand another line"])
def test_a_password_is_the_first_line_of_standard_input(
    made: Run, file: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    from argon2 import PasswordHasher

    say(monkeypatch, said)
    assert made("user", "password", "anna", "--password-stdin").out == "The password of Anna has been changed.\n"
    ((stored,),) = query(file, "SELECT password_hash FROM users")
    assert PasswordHasher().verify(stored, "a pass word")
    say(monkeypatch, "other")
    assert made("user", "password", "anna", "--password-stdin", "--json").json == {"name": "Anna"}
    assert query(file, "SELECT password_hash FROM users") != [(stored,)]


@pytest.mark.parametrize("said", ["", "\n"])
@pytest.mark.parametrize("arguments", [["add", "Bert"], ["password", "Anna"]], ids=" ".join)
def test_an_empty_password_is_refused(
    made: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    say(monkeypatch, said)
    result = made("user", *arguments, "--password-stdin")
    assert (result.code, result.err) == (2, "deployserver: The password must not be empty.\n")
    assert [row["hasPassword"] for row in made("user", "list", "--json").json] == [False]


@pytest.mark.parametrize("arguments", [["add", "Bert"], ["password", "Anna"]], ids=" ".join)
def test_without_a_terminal_nobody_is_asked(made: Run, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    """A script must fail at once, and not wait for an answer that never comes."""
    say(monkeypatch, "secret\n")
    result = made("user", *arguments)
    assert result.code == 2
    assert "There is no terminal to ask for the password; send it with --password-stdin." in result.err


@pytest.mark.parametrize(("again", "code"), [("secret", 0), ("secert", 2)])
def test_on_a_terminal_the_password_is_asked_for_twice(made: Run, file: Path, again: str, code: int) -> None:
    pty = pytest.importorskip("pty", reason="terminals are made by other means here")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "deployserver", "--config", str(file), "user", "password", "Anna"]
    with subprocess.Popen(
        command, stdin=theirs, stderr=theirs, stdout=theirs, start_new_session=True, env=environment()
    ) as process:
        os.close(theirs)
        with open(ours, "r+b", buffering=0) as terminal:
            shown = read_until(terminal, b"Password: ")
            terminal.write(b"secret\n")
            shown += read_until(terminal, b"Again: ")
            terminal.write(again.encode() + b"\n")
            shown += read_until(terminal, b".\r\n")
            assert process.wait(20) == code
    assert b"secret" not in shown and b"secert" not in shown
    assert (b"The two passwords differ." in shown) is bool(code)
    assert [row["hasPassword"] for row in made("user", "list", "--json").json] == [not code]


def read_until(terminal: io.FileIO, expected: bytes) -> bytes:
    shown = b""
    while expected not in shown:
        shown += terminal.read(1024) or b""
    return shown


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (["add", "anna", "--no-password"], 1, "There is a user named Anna already."),
        (["add", "a:b", "--no-password"], 2, "'a:b' cannot be a user's name"),
        (["add", "Anonymous", "--no-password"], 2, "'Anonymous' is reserved"),
        (["remove", "Bert"], 1, "There is no user named Bert."),
    ],
)
def test_a_user_command_that_fails_says_why(made: Run, arguments: list[str], code: int, error: str) -> None:
    result = made("user", *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"deployserver: {error}")


def test_a_removed_user_takes_their_keys_and_privileges_along(made: Run) -> None:
    made("key", "create", "--user", "Anna")
    made("privilege", "grant", "Anna", RECORDING)
    assert made("user", "remove", "anna").out == "User Anna removed, with their keys and privileges.\n"
    for command in ("user", "key", "privilege"):
        assert made(command, "list", "--json").json == []
    made("user", "add", "Bert", "--no-password")
    assert made("user", "remove", "Bert", "--json").json == {"name": "Bert"}


# Privileges


def test_privileges_are_granted_denied_listed_and_taken_back(made: Run) -> None:
    granted = made("privilege", "grant", "anna", RECORDING.lower(), "--feed", "Packages")
    assert granted.out == f"{RECORDING} granted to Anna for Packages (entry 1).\n"
    denied = made("privilege", "deny", "EVERYONE", "Feeds_ViewFeed")
    assert denied.out == "Feeds_ViewFeed denied to Everyone for all feeds (entry 2).\n"
    row = made("privilege", "grant", "Anonymous", RECORDING, "--json").json
    assert row == {"id": 3, "principal": "Anonymous", "privilege": RECORDING, "feed": None, "effect": "grant"}
    rows = made("privilege", "list", "--json").json
    assert [(row["principal"], row["feed"], row["effect"]) for row in rows] == [
        ("Anna", "Packages", "grant"),
        ("Everyone", None, "deny"),
        ("Anonymous", None, "grant"),
    ]
    assert made("privilege", "list").out.splitlines()[1].split() == ["1", "Anna", RECORDING, "Packages", "grant"]
    assert made("privilege", "revoke", 1).out == f"Entry 1 ({RECORDING}, Anna) taken back.\n"
    assert made("privilege", "revoke", 2, "--json").json == {"id": 2}
    assert [row["id"] for row in made("privilege", "list", "--json").json] == [3]


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (
            ["grant", "Bert", RECORDING],
            1,
            "There is no user named Bert; built-in principals are Everyone, Authenticated",
        ),
        (["grant", "Anna", "Everything"], 2, "'Everything' is no privilege. Known are Feeds_ViewFeed, Feeds_Download"),
        (["deny", "Anna", RECORDING, "--feed", "x"], 1, "There is no feed named x. Feeds: Packages."),
        (["grant", "everyone", RECORDING], 1, "There is the same entry already: entry 1."),
        (["revoke", "9"], 1, "There is no privilege entry 9."),
        (["explain", "--user", "Bert", "--feed", "Packages"], 1, "There is no user named Bert."),
        (["explain", "--key", "9", "--feed", "Packages"], 1, "There is no such API key; give the key itself, or its"),
        (["explain", "--key", "secret", "--feed", "Packages"], 1, "There is no such API key; give the key itself, or"),
        (["explain", "--anonymous", "--feed", "x"], 1, "There is no feed named x. Feeds: Packages."),
        (["explain", "--anonymous", "--feed", "Packages", "--privilege", "x"], 2, "'x' is no privilege. Known are"),
    ],
)
def test_a_privilege_command_that_fails_says_why(made: Run, arguments: list[str], code: int, error: str) -> None:
    made("privilege", "grant", "Everyone", RECORDING)
    result = made("privilege", *arguments)
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith(f"deployserver: {error}")
    assert "secret" not in result.err


@pytest.mark.parametrize(
    ("who", "privilege", "code", "sentence"),
    [
        (["--key", "1"], RECORDING, 0, "API key 1 (ci) may record in Packages (Feeds_DownloadPackage): the feed key"),
        (["--key", KEY], RECORDING, 0, "API key 1 (ci) may record in Packages (Feeds_DownloadPackage): the feed key"),
        (["--key", "2"], RECORDING, 3, "API key 2 may not record in Packages (Feeds_DownloadPackage): the key has b"),
        (["--key", "3"], RECORDING, 3, "user Anna, API key 3 may not record in Packages (Feeds_DownloadPackage): "),
        (["--user", "anna"], RECORDING, 3, "user Anna may not record in Packages (Feeds_DownloadPackage): entry 2 "),
        (["--anonymous"], RECORDING, 0, "Anonymous may record in Packages (Feeds_DownloadPackage): entry 1 grants "),
        (["--anonymous"], "feeds_viewfeed", 3, "Anonymous may not view Packages (Feeds_ViewFeed): no entry grants "),
    ],
)
def test_who_may_do_what_is_explained(made: Run, who: list[str], privilege: str, code: int, sentence: str) -> None:
    """Exit code 3 lets a script ask; the sentence tells people which entry to change."""
    made("key", "create", "--feed", "Packages", "--value", KEY, "--name", "ci")
    made("key", "create", "--system")
    made("key", "revoke", 2)
    made("key", "create", "--user", "Anna")
    made("privilege", "grant", "Everyone", RECORDING)
    made("privilege", "deny", "Anna", RECORDING)
    result = made("privilege", "explain", *who, "--feed", "PACKAGES", "--privilege", privilege)
    assert (result.code, result.err) == (code, "")
    assert result.out.startswith(sentence)
    answer = made("privilege", "explain", *who, "--feed", "Packages", "--privilege", privilege, "--json").json
    assert list(answer) == ["granted", "caller", "privilege", "feed", "reason", "entry"]
    assert (answer["granted"], answer["feed"]) == (code == 0, "Packages")
    assert KEY not in result.out


def test_an_explanation_takes_the_state_of_the_feed_into_account(made: Run) -> None:
    made("privilege", "grant", "Anonymous", RECORDING)
    made("feed", "update", "Packages", "--active", "off")
    result = made("privilege", "explain", "--anonymous", "--feed", "Packages")
    assert result.code == 3
    assert result.out.endswith("but the feed is inactive.\n")


# The audit


def test_the_audit_lists_the_newest_changes_first(made: Run) -> None:
    made("key", "create", "--system", "--value", KEY, "--name", "ci")
    rows = made("audit", "--json").json
    assert [(row["action"], row["subject"]) for row in rows] == [
        ("key.create", "ci"),
        ("user.add", "Anna"),
        ("feed.add", "Packages"),
    ]
    assert list(rows[0]) == ["at", "count", "actor", "address", "action", "subject", "detail"]
    assert rows[0]["actor"].startswith("command line (")
    assert [row["subject"] for row in made("audit", "--limit", 1, "--json").json] == ["ci"]
    text = made("audit", "--limit", "2").out
    assert len(text.splitlines()) == 3
    assert KEY not in text


# What is printed


def test_a_table_shows_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    """Names come from clients too; none may move the cursor of the administrator's terminal."""
    print_rows([{"name": "a\x1b[2Jb\nc", "value": None}, {"name": "Zürich", "value": ["x", "y"]}], False, "")
    assert capsys.readouterr().out == "name      value\na�[2Jb�c  -\nZürich    x, y\n"


# As a process of its own


def environment(**more: str) -> dict[str, str]:
    root = str(Path(cli.__file__).parents[2])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return inherited | {"PYTHONPATH": root} | more


def start(*arguments: str, unbuffered: str = "", **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "deployserver", *arguments]
    return subprocess.Popen(
        command, text=True, encoding="utf-8", env=environment(PYTHONUNBUFFERED=unbuffered), **options
    )


def test_a_mistake_is_one_line_on_standard_error(file: Path) -> None:
    with start("--config", str(file), "feed", "list", stdout=-1, stderr=-1) as process:
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (1, "")
    assert err.startswith("deployserver: There is no database at ") and err.count("\n") == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_any_more_is_no_error(made: Run, file: Path, unbuffered: str) -> None:
    """As in ``deployserver feed list | head -1``."""
    reading, writing = os.pipe()
    os.close(reading)
    with start("--config", str(file), "feed", "list", unbuffered=unbuffered, stdout=writing, stderr=-1) as process:
        os.close(writing)
        _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_an_error(made: Run, file: Path, unbuffered: str) -> None:
    """A key that was created but not written anywhere must not look like a success."""
    with (
        open("/dev/full", "w") as full,
        start(
            "--config", str(file), "key", "create", "--system", unbuffered=unbuffered, stdout=full, stderr=-1
        ) as process,
    ):
        _, err = process.communicate(timeout=20)
    assert process.returncode == 1
    assert err.splitlines()[-1] == "deployserver: [Errno 28] No space left on device"
    assert "Traceback" not in err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_makes_its_database_serves_and_stops_when_told(file: Path, number: int) -> None:
    with start("serve", "--config", str(file), "--host", "127.0.0.1", "--port", "0", stdout=-1, stderr=-1) as process:
        assert process.stderr is not None
        log = []
        while not any("listening on http://127.0.0.1:" in line for line in log):
            log.append(process.stderr.readline())
            assert log[-1], log
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (0, "")
    messages = [json.loads(line)["message"] for line in "".join([*log, err]).splitlines()]
    assert messages[0] == f"configuration: {file}"
    assert messages[1] == f"database {file.parent / 'test.db'} migrated: {', '.join(MIGRATIONS)}"
    assert messages[-1] == "stopped"


def test_serve_on_a_bad_port_is_exit_code_2(run: Run) -> None:
    result = run("serve", "--port", "http")
    assert result.code == 2
    assert result.err == (
        "deployserver: the command line: [server] port is 'http'; it must be a whole number from 0 to 65535\n"
    )


def test_a_stored_hash_is_not_shown_by_any_command(made: Run, file: Path) -> None:
    stored = hash_password("secret")
    query(file, f"UPDATE users SET password_hash = '{stored}'")
    for command in (["user", "list"], ["audit"], ["privilege", "list"]):
        assert "argon2" not in made(*command, "--json").out
