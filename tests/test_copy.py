"""Copying an installation to another database: whole, or to be gone on with, and never to be taken for whole before."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import pytest
from conftest import FEED, KEY, RECORD, running, settings_of
from copies import PASSWORD, columns, contents, last_ids, make, row
from indexed import check_indexed
from postgres import Cluster
from processes import Installation, Load, closing, environment
from reading import API

from deployserver import cli
from deployserver.administration import Administration
from deployserver.api_keys import create_key, revoke_key
from deployserver.clock import now
from deployserver.errors import DatabaseError
from deployserver.feeds import add_feed, remove_feed
from deployserver.storage import engine_at, migrate
from deployserver.storage.copying import copier
from deployserver.storage.copying.chunks import Chunks
from deployserver.storage.copying.tables import NOT_COPIED, TABLES
from deployserver.storage.migrations import UnfinishedCopy
from deployserver.storage.sqlite.database import SQLiteDatabase
from deployserver.storage.sqlite.engine import SQLiteEngine

T = TypeVar("T")

pytestmark = pytest.mark.every_engine

DERIVED = ("schema_migrations", "sessions", "name_uses", "same_texts", "deployment_ids", "writers")
"""What a copy has by itself; of what feeds had that were removed since, name_uses keeps something."""

IN_STEPS = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
from deployserver import config
from deployserver.storage import engine_at
from deployserver.storage import engine_at, migrate
from deployserver.storage.copying import copier
from deployserver.storage.copying.chunks import Chunks
from deployserver.storage.sqlite import copying
import asyncio

original, copy, left = sys.argv[1], sys.argv[2], int(sys.argv[3])
copying.ROWS_AT_ONCE = 20
copier.CHUNKS_IN_TRANSACTION = 1
copier.INDEXED_AT_ONCE = 60

def happened(more=0):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

@contextmanager
def watch(what, total):
    happened()
    yield happened

settings = config.load().settings
ends = [engine_at(url, settings) for url in (original, copy)]
mark = copier.prepare(*ends)
happened()
assert asyncio.run(copier.copy(*ends, mark, watch)).is_same
"""
"""Copies in small steps, and dies as by kill -9 after so many of them."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with something of everything."""
    path = tmp_path_factory.mktemp("made") / "original.db"
    asyncio.run(make(path))
    return path


@pytest.fixture
def original(made: Path, tmp_path: Path) -> str:
    """The URL of a copy of that file, made by other means."""
    shutil.copy(made, tmp_path / "original.db")
    return url_of(tmp_path / "original.db")


NewUrl = Callable[[], str]


@pytest.fixture
def new_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> NewUrl:
    """Return URLs of new databases."""

    def make_url() -> str:
        if engine == "sqlite":
            return url_of(tmp_path / f"copy-{len(list(tmp_path.iterdir()))}.db")
        cluster: Cluster = request.getfixturevalue("cluster")
        return cluster.url(apart(cluster.make()))

    return make_url


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, and return its exit code and what it wrote."""
    config = tmp_path / "config.ini"
    config.write_text("[database]\nurl = sqlite:///original.db\n")

    def run_command(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = cli.main(["--config", str(config), *arguments])
        return code, *capsys.readouterr()

    return run_command


def apart(work: Coroutine[Any, Any, T]) -> T:
    """Do what is asynchronous, whether or not something asynchronous is being done."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def path_of(url: str) -> Path:
    return Path(url.removeprefix("sqlite:///"))


def changed(url: str, statement: str, *parameters: object) -> None:
    """Change a SQLite file behind everybody's back."""
    with contextlib.closing(sqlite3.connect(path_of(url))) as connection, connection:
        connection.execute(statement, parameters)


async def use(url: str, number: int) -> None:
    """Change in an installation what can change while it is copied."""
    store = SQLiteDatabase(path_of(url), 5)
    await store.open()
    try:
        admin = Administration(store, "test", now)
        access = await admin.access()
        await store.add_deployments([row(feed, 1000 + number) for feed in access.feeds])
        await add_feed(admin, f"feed-{number}")
        if number in (2, 8):
            await remove_feed(admin, {2: "off", 8: FEED}[number], force=True)
        if number == 3:
            await revoke_key(admin, 1)
        await create_key(admin, "feed", feeds=[f"feed-{number}"])
    finally:
        await store.close()


def test_every_table_is_copied_or_said_to_be_left_out(database_url: str, engine: str, tmp_path: Path) -> None:
    """What is not in the list would be missing in every copy."""
    if engine == "sqlite":
        settings = settings_of(tmp_path)
        migrate(settings)
        database_url = url_of(tmp_path / "test.db")
    there = columns(database_url)
    assert set(there).difference(NOT_COPIED) == {table.name for table in TABLES}
    for table in TABLES:
        assert set(table.columns) == set(there[table.name]), table.name
        if engine == "postgresql":
            truths = {name for name, type_ in there[table.name].items() if type_ == "boolean"}
            assert table.booleans == truths, table.name


def test_there_and_back_everything_is_the_same(original: str, new_url: NewUrl, run: Run, tmp_path: Path) -> None:
    """Nothing is lost or changed on the way to a database of another kind, or on the way back."""
    copy, back = new_url(), url_of(tmp_path / "back.db")
    before = contents(original)
    code, out, err = run("database", "copy", "--json", original, copy)
    assert (code, err) == (0, "")
    told = json.loads(out)
    assert told["finished"] is True
    assert told["rows"] == {table.name: len(before[table.name]) for table in TABLES}
    assert run("database", "copy", copy, back)[0] == 0
    for url in (copy, back):
        found = contents(url)
        assert {name: rows for name, rows in found.items() if name not in DERIVED} == {
            name: rows for name, rows in before.items() if name not in DERIVED
        } | {name: found[name] for name in ("indexed", "daily_counts", "name_counts")}
        assert len(found["sessions"]) == 0
    assert contents(original) == before
    check_indexed(tmp_path / "back.db")
    numbered = [table.name for table in TABLES if table.is_numbered]
    assert last_ids(back, numbered) == last_ids(original, numbered)
    assert run("database", "copy", "--check", original, back)[0] == 0


async def test_the_answers_are_the_same(made: Path, tmp_path: Path) -> None:
    """All deployments, as the API exports them, are those of the original, byte by byte."""
    shutil.copy(made, tmp_path / "test.db")
    engines = [SQLiteEngine(tmp_path / name, 5) for name in ("test.db", "copy.db")]
    mark = copier.prepare(*engines)
    assert (await copier.copy(*engines, mark, silent)).is_same
    exports = []
    for name in ("test.db", "copy.db"):
        async with running(settings_of(tmp_path, database_url=f"sqlite:///{name}")) as service:
            answer = await service.request("GET", f"{API}?format=ndjson", headers={"X-ApiKey": KEY})
            assert answer.status == 200
            exports.append(answer.body)
    assert exports[0] == exports[1]
    assert exports[0].count(b"\n") > 300


@contextlib.contextmanager
def silent(what: str, total: int) -> Iterator[Callable[[int], None]]:
    yield lambda more: None


def test_a_copy_that_is_killed_goes_on_where_it_ended(original: str, new_url: NewUrl, run: Run) -> None:
    """Killed again and again, wherever it is, with changes of the original in between, it ends as the original is."""
    copy = new_url()
    for attempt in range(1, 25):
        given = [original, copy, str(attempt**2)]
        done = subprocess.run([sys.executable, "-c", IN_STEPS, *given], env=environment(), capture_output=True)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr.decode()
        if attempt > 1:  # the first is killed before there is a mark
            code, _, err = run("database", "copy", copy, f"{original}-other")
            assert code == 1
            assert "unfinished copy" in err
        asyncio.run(use(original, attempt))
    else:
        pytest.fail("it never ended")
    assert attempt > 8
    found, expected = contents(copy, *DERIVED), contents(original, *DERIVED)
    for name in ("indexed", "daily_counts", "name_counts"):
        found.pop(name), expected.pop(name)
    assert found == expected
    if copy.startswith("sqlite"):  # what is kept of the deployments of a removed feed is passed over by readers
        changed(copy, "DELETE FROM name_uses WHERE deployment_id NOT IN (SELECT id FROM deployments)")
        changed(copy, "DELETE FROM name_counts WHERE feed_id NOT IN (SELECT id FROM feeds)")
        check_indexed(path_of(copy))


def test_an_unfinished_copy_is_of_no_use(original: str, new_url: NewUrl, run: Run, tmp_path: Path) -> None:
    """Who took it for the installation would record in it what then clashes with what is still to come."""
    copy = new_url()
    code, out, err = run("database", "copy", "--unfinished", original, copy)
    assert (code, err) == (0, "")
    assert "unfinished" in out
    config = tmp_path / "copy.ini"
    config.write_text(f"[server]\nport = 0\n[database]\nurl = {copy}\n")
    for command in (["serve"], ["feed", "list"], ["migrate"], ["database", "copy", copy, url_of(tmp_path / "x.db")]):
        code, _, err = run(*command, "--config", str(config))
        assert code == 1, command
        assert f"unfinished copy of {path_of(original)}" in err
    assert not (tmp_path / "x.db").exists()
    asyncio.run(use(original, 2))
    code, _, err = run("database", "copy", original, copy)
    assert (code, err) == (0, "")
    assert run("feed", "list", "--config", str(config))[0] == 0
    assert run("database", "copy", "--check", original, copy)[0] == 0


def test_what_is_not_to_be_copied_is_refused(original: str, new_url: NewUrl, run: Run, tmp_path: Path) -> None:
    """Whoever mistypes one of two URLs must lose nothing, and learn what is wrong."""
    copy = new_url()

    def refused(*arguments: str) -> str:
        code, out, err = run("database", "copy", *arguments)
        assert (code in (1, 2), out) == (True, "")
        return err

    assert "cannot be copied to itself" in refused(original, original)
    assert "There is no database at" in refused(url_of(tmp_path / "none.db"), copy)
    assert "must be sqlite:///FILE" in refused("mysql://db.example/x", copy)
    assert "none.ini" in refused("none.ini", copy)
    assert run("database", "copy", "--unfinished", original, copy)[0] == 0
    shutil.copy(path_of(original), tmp_path / "other.db")
    assert f"unfinished copy of {path_of(original)}, not of" in refused(url_of(tmp_path / "other.db"), copy)
    assert run("database", "copy", original, copy)[0] == 0
    before = contents(copy)
    assert "is not empty: it holds 2 feeds, 4 feed names, 2 users, 5 api keys" in refused(original, copy)
    assert contents(copy) == before
    changed(original, "INSERT INTO schema_migrations VALUES ('9999_later', '')")
    assert "newer version" in refused(original, new_url())
    changed(original, "DELETE FROM schema_migrations WHERE name > '0003'")
    changed(original, "DELETE FROM schema_migrations WHERE name = (SELECT max(name) FROM schema_migrations)")
    assert "is of an older version: it lacks the migrations" in refused(original, new_url())
    assert "older version" in refused(copy, original)


def test_a_difference_is_found(original: str, new_url: NewUrl, run: Run, tmp_path: Path) -> None:
    """The check says in which table, and which row, and never shows what may be secret."""
    copy = new_url()
    assert run("database", "copy", original, copy)[0] == 0
    changed(original, "UPDATE deployments SET description = description || ' ' WHERE id = 77")
    changed(original, "UPDATE users SET password_hash = 'other' WHERE id = 1")
    changed(original, "DELETE FROM audit WHERE id = 3")
    changed(original, "UPDATE sqlite_sequence SET seq = 100000 WHERE name = 'deployments'")
    code, out, err = run("database", "copy", "--check", original, copy)
    assert code == 3
    assert "do not hold the same" in out
    assert err.splitlines() == [
        "deployserver: users, id 1: password_hash differ",
        f"deployserver: audit, id 3: only in {copy.removeprefix('sqlite:///')}",
        "deployserver: deployments, id 77: description differ",
        f"deployserver: deployments, the greatest id that was ever given: is 100000 in {path_of(original)} and 425 in "
        f"{copy.removeprefix('sqlite:///')}",
    ]


async def test_rows_that_nobody_takes_are_read_to_their_end() -> None:
    """After the first difference in a table, others are compared in the same transaction, which must not be broken."""
    read: list[int] = []

    async def rows() -> AsyncIterator[list[tuple[int]]]:
        for number in range(9):
            await asyncio.sleep(0.001)
            read.append(number)
            yield [(number,)]

    async with Chunks(rows()) as chunks:
        assert await chunks.next() == [(0,)]
        await asyncio.sleep(0)
    assert read == [0, 1]


def test_an_original_that_was_replaced_is_noticed(original: str, new_url: NewUrl, run: Run) -> None:
    """An unfinished copy that does not fit what is at the place of its original is never finished."""
    copy = new_url()
    assert run("database", "copy", "--unfinished", original, copy)[0] == 0
    changed(original, "UPDATE names SET name = 'other' WHERE id = 1")
    code, _, err = run("database", "copy", original, copy)
    assert code == 1
    assert "names, id 1: name differ" in err
    assert "unfinished copy" in run("database", "copy", copy, f"{original}-other")[2]


async def test_a_copy_of_an_installation_in_use_is_of_one_moment(tmp_path: Path, new_url: NewUrl) -> None:
    """While a server records, the copy is whole as of its beginning; copied again, it takes what came since."""
    copy = new_url()
    installation = Installation(tmp_path / "installation", database={"busy_timeout": 30})
    installation.prepare()
    url = url_of(installation.database)
    async with closing([installation]):
        server = await installation.serve()
        async with Load(server.url, "a", clients=4) as load:
            await load.reached(50)
            first = await installation.run("database", "copy", "--unfinished", "--json", url, copy)
            await load.reached(50)
            other = await installation.run("database", "copy", "--json", url, url_of(tmp_path / "moment.db"))
            await load.reached(1)
        assert load.statuses == set()
        await server.stop()
    for done in (first, other):
        assert done.code == 0, done.err
        count = json.loads(done.out)["rows"]["deployments"]
        assert count >= 50
    assert "have been recorded in" in other.err
    with contextlib.closing(sqlite3.connect(tmp_path / "moment.db")) as connection:
        ids = [id_ for (id_,) in connection.execute("SELECT id FROM deployments ORDER BY id")]
    assert ids == list(range(1, count + 1))
    last = await installation.run("database", "copy", "--json", url, copy)
    assert (last.code, last.err) == (0, "")
    assert json.loads(last.out)["rows"]["deployments"] == len(load.stored)
    assert json.loads(last.out)["recordedSince"] == 0


async def test_a_copied_installation_serves(
    made: Path, tmp_path: Path, new_url: NewUrl, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys and passwords are what they were, and no id is given twice."""
    copy = new_url()
    arguments = ["database", "copy", url_of(made), copy, "--config", os.devnull]
    assert await asyncio.to_thread(cli.main, arguments) == 0, capsys.readouterr().err
    async with running(settings_of(tmp_path, database_url=copy)) as service:
        answer = await service.post(RECORD | {"FeedName": "OTHER~name"})
        assert (answer.status, answer.json["Id"]) == (200, 426)
        assert (await service.post(RECORD, key=f"Anna:{PASSWORD}")).status == 200
        assert (await service.post(RECORD, key="Anna:wrong")).status == 403
        assert (await service.post(RECORD | {"FeedName": "off"})).status in (400, 403)
        assert (await add_feed(service.admin, "new")).id == 4
        assert (await create_key(service.admin, "feed", feeds=["new"])).key.id == 7
        rows = await service.rows("SELECT id FROM deployments ORDER BY id")
        assert [r["id"] for r in rows[-2:]] == [426, 427]
        assert (await service.admin.access()).require_feed(FEED).alternate_names == ("nuget.ORG", "Other~Name")


def test_a_full_disk_and_what_the_copy_does_then(original: str, run: Run, tmp_path: Path) -> None:
    """It says so, and goes on when there is room."""
    resource = pytest.importorskip("resource", reason="files cannot be kept small here")
    copy = url_of(tmp_path / "copy.db")
    arguments = [sys.executable, "-m", "deployserver", "database", "copy", original, copy]
    done = subprocess.run(
        arguments,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000)),
    )
    assert done.returncode == 1
    assert f"The database {path_of(copy)} failed" in done.stderr
    assert "Traceback" not in done.stderr
    assert run("database", "copy", original, copy)[0] == 0


@pytest.mark.parametrize("lost", ["the copy", "the original"])
def test_a_connection_that_is_cut(lost: str, original: str, run: Run, cluster: Cluster) -> None:
    """It is said which database was lost, and the copy goes on when it is back."""
    names = [apart(cluster.make()) for _ in range(2)]
    copy, again = map(cluster.url, names)
    ends = [original, copy]
    if lost == "the original":
        assert run("database", "copy", original, copy)[0] == 0
        ends = [copy, again]
    engines = [engine_at(url, settings_of(path_of(original).parent)) for url in ends]

    @contextlib.contextmanager
    def cut(what: str, total: int) -> Iterator[Callable[[int], None]]:
        if what == "copying installations":
            apart(
                cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{names[0]}'")
            )
        yield lambda more: None

    mark = copier.prepare(*engines)
    with pytest.raises(DatabaseError, match=names[0]):
        asyncio.run(copier.copy(*engines, mark, cut))
    with pytest.raises(UnfinishedCopy):
        engines[1].migration_state()
    assert run("database", "copy", *ends)[0] == 0


def test_who_may_not_write_is_told_so(original: str, run: Run, cluster: Cluster) -> None:
    """A role without rights learns what it lacks."""
    name = apart(cluster.make())
    apart(cluster.execute(f"CREATE ROLE reader_{name} LOGIN"))
    copy = cluster.url(name).replace("tests@", f"reader_{name}@")
    code, _, err = run("database", "copy", original, copy)
    assert code == 1
    assert "permission denied" in err


def test_only_one_copies_at_a_time(original: str, cluster: Cluster) -> None:
    """Two copies to one database do not spoil it."""
    copy = cluster.url(apart(cluster.make()))
    engines = [engine_at(url, settings_of(path_of(original).parent)) for url in (original, copy)]
    mark = copier.prepare(*engines)

    async def twice() -> list[Any]:
        return await asyncio.gather(*(copier.copy(*engines, mark, silent) for _ in range(2)), return_exceptions=True)

    results = asyncio.run(twice())
    assert sorted(isinstance(result, DatabaseError) for result in results) == [False, True]
