"""What was answered with 200 is there, whatever happens to the process, the disk, the database file or the network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import FEED, KEY, PATH
from postgres import Cluster
from processes import (
    Installation,
    Load,
    Server,
    check,
    closing,
    health,
    obey_permissions,
    post,
    targets,
    until,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="needs what only Linux lets one do to a process")
posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals, and locks open files")

Install = Callable[..., Installation]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the feed DefaultNuGet and the key abc12345, to be copied."""
    made = Installation(tmp_path_factory.mktemp("prepared"))
    made.prepare()
    return made.database


@pytest.fixture(scope="session")
def prepared_template(cluster: Cluster, template: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same on PostgreSQL: the name of a database to be copied."""
    with ThreadPoolExecutor(1) as thread:
        name = thread.submit(asyncio.run, cluster.make(template)).result()
    Installation(tmp_path_factory.mktemp("prepared"), database={"url": cluster.url(name)}).prepare()
    return name


@pytest.fixture
async def install(tmp_path: Path, engine: str, request: pytest.FixtureRequest) -> AsyncIterator[Install]:
    """Make installations: ``install(database={"busy_timeout": 0.3})``; their servers are ended after the test."""
    made: list[Installation] = []
    url = "sqlite:///records.db"
    if engine == "postgresql":
        running: Cluster = request.getfixturevalue("cluster")
        url = running.url(await running.make(request.getfixturevalue("prepared_template")))
    else:
        prepared: Path = request.getfixturevalue("prepared")

    def make(name: str = "server", **sections: dict[str, object]) -> Installation:
        database = {"url": url} | sections.pop("database", {})
        installation = Installation(tmp_path / name, database=database, **sections)
        if engine == "sqlite":
            shutil.copyfile(prepared, installation.database)
        made.append(installation)
        return installation

    async with closing(made):
        yield make


async def refuses(server: Server, target: str) -> None:
    """See that a post is answered with 503 and that the server says it is not well."""
    answer = await post(server, target)
    assert answer.status == 503, answer.text
    assert int(answer.headers["Retry-After"]) > 0
    report = await health(server)
    assert (report.status, report.json["databaseStatus"]) == (500, "Error")


async def stores(server: Server, target: str) -> None:
    """See that a post is answered with 200 and that the server says it is well."""
    answer = await post(server, target)
    assert answer.status == 200, answer.text
    report = await health(server)
    assert (report.status, report.json["databaseStatus"]) == (200, "OK")


@contextlib.contextmanager
def locked(database: Path, how: str) -> Iterator[None]:
    """Hold a lock on a database, as another program may."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute(f"BEGIN {how}")
        yield
        connection.execute("ROLLBACK")


async def refused_start(installation: Installation, *, preexec_fn: Callable[[], None] | None = None) -> str:
    """See that a server does not start and says why in one line, and return the line."""
    done = await installation.run("serve", preexec_fn=preexec_fn)
    assert done.code == 1, done.err
    *logged, message = done.err.splitlines()
    assert message.startswith(f"deployserver: The database {installation.database} cannot be ")
    assert all(line.startswith('{"time":') for line in logged), done.err
    assert "Traceback" not in done.err
    return message


# The process ends


@pytest.mark.every_engine
async def test_a_server_killed_under_load_has_kept_every_acknowledged_record(install: Install) -> None:
    """A 200 is a promise that a crash right after it cannot break: the record is there once, whole, with its id."""
    installation = install()
    loads = []
    for number in range(4):
        server = await installation.serve()
        async with Load(server.url, f"round{number}") as load:
            await load.reached(150 + 70 * number)
            await server.kill()
        loads.append(load)
        assert load.refused == []
        assert server.unexpected() == []
    server = await installation.serve()
    await stores(server, "after")
    await server.stop()
    check(installation.records, *loads)


@pytest.mark.every_engine
@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_a_server_told_to_stop_finishes_what_it_has_begun(install: Install, name: str) -> None:
    """An ordinary stop under load loses nothing, stores nothing twice, does not hang, and is no failure."""
    installation = install()
    server = await installation.serve()
    async with Load(server.url, "load", clients=32) as load:
        await load.reached(300)
        server.signal(signal.Signals[name])
        assert await server.ended() == 0, server.text
    assert load.refused == []
    assert server.unexpected() == []
    assert "stopped" in server.log[-1]
    check(installation.records, load)
    assert not Path(f"{installation.database}-wal").exists()  # closed, not just left


@pytest.mark.every_engine
@posix_only
async def test_a_request_under_way_is_answered_before_the_server_stops(install: Install) -> None:
    """A client that has sent half of its deployment when the stop comes may send the rest, and has its answer."""
    installation = install()
    server = await installation.serve()
    head, rest = _request("under way")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + rest[:20])
    await writer.drain()
    await _in_progress(server)
    server.signal(signal.SIGTERM)
    await server.logged("stopping")
    writer.write(rest[20:])
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
    writer.close()
    assert await server.ended() == 0, server.text
    assert targets(installation.records) == ["under way"]


@pytest.mark.every_engine
@posix_only
async def test_a_client_that_never_finishes_does_not_keep_the_server(install: Install) -> None:
    """Requests under way get shutdown_timeout to finish, and not more; their clients are cut off."""
    installation = install(server={"shutdown_timeout": 0.3})
    server = await installation.serve()
    await stores(server, "before")
    head, rest = _request("never finished")
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + rest[:20])
    await writer.drain()
    await _in_progress(server)
    server.signal(signal.SIGTERM)
    assert await server.ended() == 0, server.text
    with contextlib.suppress(ConnectionResetError):  # cut off is cut off
        assert await reader.read() == b""
    writer.close()
    assert server.unexpected() == []
    assert targets(installation.records) == ["before"]


@pytest.mark.every_engine
@posix_only
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_a_second_signal_ends_a_server_that_waits_for_a_client(install: Install, name: str) -> None:
    """Who does not want to wait for slow clients says so again; what was acknowledged stays."""
    installation = install(server={"shutdown_timeout": 600})
    server = await installation.serve()
    await stores(server, "before")
    head, rest = _request("never finished")
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(head + rest[:20])
    await writer.drain()
    await _in_progress(server)
    server.signal(signal.Signals[name])
    await server.logged("stopping")
    server.signal(signal.Signals[name])
    assert await server.ended() == 128 + signal.Signals[name]
    writer.close()
    assert "told to stop again" in server.text
    assert server.unexpected() == []
    assert targets(installation.records) == ["before"]


# The disk is full


@linux_only
async def test_a_full_disk_is_answered_with_503_until_there_is_room(install: Install) -> None:
    """Nothing is acknowledged that could not be written, and room is all it takes to go on."""
    import resource

    installation = install()
    server = await installation.serve()

    def let_files_grow(limit: int) -> None:
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))

    loads = []
    for number in range(2):
        async with Load(server.url, f"filling{number}") as load:
            await load.reached(100)
            let_files_grow(0)
            await until(lambda load=load: len(load.refused) > 50)
        loads.append(load)
        assert load.statuses == {503}
        assert load.unanswered == []
        await refuses(server, "full")
        let_files_grow(resource.RLIM_INFINITY)
        await stores(server, f"room{number}")
    await server.stop()
    assert server.unexpected() == []
    check(installation.database, *loads)
    assert "full" not in targets(installation.database)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of two megabytes, where this process may make one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    try:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if mounted.returncode != 0:
        pytest.skip("only root may mount a file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)  # a server that a failed test left may use it


@linux_only
async def test_a_really_full_file_system_is_answered_with_503_until_there_is_room(
    install: Install, small_disk: Path
) -> None:
    """The same where it is the disk that says so, with part of a batch written perhaps."""
    installation = install("disk")
    assert installation.directory == small_disk
    server = await installation.serve()
    ballast = small_disk / "ballast"
    async with Load(server.url, "filling") as load:
        await load.reached(50)
        with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
            while file.write(b"x" * 4096) == 4096:
                pass
        await until(lambda: len(load.refused) > 20)
    assert load.statuses == {503}
    assert load.unanswered == []
    await until(lambda: _is_unwell(server))  # the last bit of room may do for what the question tries, not for a record
    await refuses(server, "full")
    ballast.unlink()
    await stores(server, "room")
    await server.stop()
    assert server.unexpected() == []
    check(installation.database, load)


# Another process holds the database


@posix_only
@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
async def test_a_locked_database_is_answered_with_503_until_it_is_free(install: Install, how: str) -> None:
    """A program that sits on the database costs the time of busy_timeout, not the record, and then nothing more."""
    installation = install(database={"busy_timeout": 0.3})
    server = await installation.serve()
    async with Load(server.url, "load", clients=8) as load:
        await load.reached(50)
        with locked(installation.database, how):
            await until(lambda: len(load.refused) >= 8)
            await refuses(server, "locked")
        await load.reached(50)
    await stores(server, "free")
    assert load.statuses == {503}
    await server.stop()
    assert server.unexpected() == []
    check(installation.database, load)


@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
async def test_a_database_locked_at_the_start_is_named_as_the_reason(install: Install, how: str) -> None:
    """Who starts a server beside a program that holds the database reads so, in one line."""
    installation = install(database={"busy_timeout": 0.3})
    with locked(installation.database, how):
        assert "another process has kept it locked" in await refused_start(installation)


# The database cannot be written, or is none


@posix_only
@pytest.mark.parametrize(
    ("file", "directory"), [(0o444, 0o755), (0o644, 0o555), (0o444, 0o555), (0o000, 0o755), (0o644, 0o000)]
)
async def test_a_database_without_permissions_is_named_as_the_reason(
    install: Install, tmp_path: Path, file: int, directory: int
) -> None:
    """A server that may not write says so at its start, and not with its first record."""
    if os.geteuid() == 0 and sys.platform != "linux":
        pytest.skip("root may write everything here")
    installation = install()
    (tmp_path / "data").mkdir()
    database = installation.database.rename(tmp_path / "data" / "records.db")
    installation.config.write_text(installation.config.read_text().replace("records.db", str(database)))
    installation.database = database
    database.chmod(file)
    database.parent.chmod(directory)
    try:
        message = await refused_start(installation, preexec_fn=obey_permissions())
    finally:
        database.parent.chmod(0o755)
    assert "check that this user may" in message


async def test_a_database_in_a_missing_directory_is_named_as_the_reason(install: Install, tmp_path: Path) -> None:
    """A mistyped path must not make a database somewhere."""
    installation = install()
    database = tmp_path / "missing" / "records.db"
    installation.config.write_text(
        installation.config.read_text().replace("records.db", database.as_posix()), encoding="utf-8"
    )
    installation.database = database
    assert "does not exist" in await refused_start(installation)


def _garbage(database: Path) -> None:
    database.write_bytes(b"this is no database\n" * 1000)


def _truncated(database: Path) -> None:
    os.truncate(database, database.stat().st_size // 2)


def _cut_in_a_page(database: Path) -> None:
    os.truncate(database, 1000)


def _damaged_feeds(database: Path) -> None:
    _overwrite(database, "feeds")


def _damaged_revision(database: Path) -> None:
    _overwrite(database, "access_revision")


def _damaged_ledger(database: Path) -> None:
    _overwrite(database, "sqlite_autoindex_schema_migrations_1")


def _overwrite(database: Path, name: str) -> None:
    """Overwrite the first page of a table or index, and only that."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    with database.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


@pytest.mark.parametrize(
    "damage",
    [_garbage, _truncated, _cut_in_a_page, _damaged_feeds, _damaged_revision, _damaged_ledger],
    ids=lambda damage: damage.__name__.strip("_"),
)
async def test_a_damaged_database_is_named_as_the_reason(install: Install, damage: Callable[[Path], None]) -> None:
    """A server does not start on a file that it cannot read, and does not make it worse."""
    installation = install()
    damage(installation.database)
    before = installation.database.read_bytes()
    assert "it is damaged or no SQLite database" in await refused_start(installation)
    assert installation.database.read_bytes() == before


async def test_another_programs_database_is_named_as_the_reason(install: Install) -> None:
    """A mistyped path must not put our tables into, or change anything about, somebody else's database."""
    installation = install()
    installation.database.unlink()
    with contextlib.closing(sqlite3.connect(installation.database)) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.commit()
    before = installation.database.read_bytes()
    assert "it is the database of another program" in await refused_start(installation)
    assert installation.database.read_bytes() == before


@posix_only
async def test_a_database_damaged_while_in_use_takes_no_more_records(install: Install) -> None:
    """A record that nobody could read again is not acknowledged."""
    installation = install()
    server = await installation.serve()
    await stores(server, "before")
    good = installation.directory / "good.db"
    with contextlib.closing(sqlite3.connect(installation.database)) as connection:
        with contextlib.closing(sqlite3.connect(good)) as copy:
            connection.backup(copy)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    with installation.database.open("r+b") as file:
        file.write(b"\xa5" * installation.database.stat().st_size)
    for number in range(10):
        await refuses(server, f"damaged{number}")
    good.replace(installation.database)
    await until(lambda: _is_well(server))
    await stores(server, "after")
    await server.stop()
    assert server.unexpected() == []
    assert targets(installation.database) == ["before", "after"]


# The database file goes away


@posix_only
async def test_records_are_not_acknowledged_into_a_deleted_file(install: Install) -> None:
    """A file without a name is lost with the process, so nothing written to it counts; a good file is taken up."""
    installation = install()
    server = await installation.serve()
    async with Load(server.url, "load") as load:
        await load.reached(50)
        with contextlib.closing(sqlite3.connect(installation.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        for file in installation.directory.glob("records.db*"):
            file.unlink()
        await until(lambda: len(load.refused) > 50)
    assert load.statuses == {503}
    await refuses(server, "deleted")
    assert not installation.database.exists()
    await installation.run("migrate")
    assert (await installation.run("feed", "add", FEED)).code == 0
    assert (await installation.run("key", "create", "--feed", FEED, "--value", KEY)).code == 0
    await until(lambda: _is_stored(server, "first", KEY, FEED))
    await stores(server, "second")
    await server.stop()
    assert server.unexpected() == []
    assert targets(installation.database) == ["first", "second"]


@posix_only
async def test_the_health_of_a_server_without_its_file_is_an_error_before_anybody_posts(install: Install) -> None:
    """Monitoring hears of it first, not the agent that has a deployment to record."""
    installation = install()
    server = await installation.serve()
    assert (await health(server)).status == 200
    moved = installation.database.rename(installation.directory / "moved.db")
    report = await health(server)
    assert (report.status, report.json["databaseStatus"]) == (500, "Error")
    moved.rename(installation.database)
    await until(lambda: _is_well(server))
    await stores(server, "back")


@posix_only
async def test_what_a_replaced_file_says_of_keys_and_feeds_is_in_force(install: Install) -> None:
    """A copy put in the place of the database brings its own feeds and keys, though it counts as many changes."""
    installation, other = install(), install("other")
    other.database.unlink()
    for arguments in (
        ("migrate",),
        ("feed", "add", "Other"),
        ("feed", "add", FEED),
        ("key", "create", "--feed", FEED, "--value", "another-key"),
    ):
        assert (await other.run(*arguments)).code == 0
    assert (await installation.run("feed", "update", FEED, "--add-name", "Alias")).code == 0  # as many changes
    server = await installation.serve()
    async with Load(server.url, "load") as load:
        await load.reached(50)
        other.database.replace(installation.database)
        await until(lambda: bool(load.refused))
        await until(lambda: _has_status(server, 403))
    assert load.statuses <= {503, 403}
    answer = await post(server, "replaced", key="another-key")
    assert (answer.status, answer.json["FeedName"]) == (200, FEED)
    await server.stop()
    assert server.unexpected() == []
    with contextlib.closing(sqlite3.connect(installation.database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        found = connection.execute("SELECT f.name, d.target FROM deployment_records d JOIN feeds f ON f.id = d.feed_id")
        assert found.fetchall() == [(FEED, "replaced")]


# Several processes


@pytest.mark.every_engine
async def test_two_servers_share_one_database(install: Install) -> None:
    """Two servers on one file both record, no id is given twice, and a revoked key stops working in both."""
    installation = install(database={"busy_timeout": 30})
    servers = [await installation.serve(), await installation.serve()]
    async with Load(servers[0].url, "one", clients=8) as one, Load(servers[1].url, "two", clients=8) as two:
        await one.reached(100)
        await two.reached(100)
        assert (await installation.run("key", "revoke", "1")).code == 0
        async with asyncio.timeout(5):  # the promise is one second; the rest is for a busy machine
            await asyncio.gather(*(until(lambda server=server: _has_status(server, 403)) for server in servers))
    assert one.statuses <= {403}
    assert two.statuses <= {403}
    check(installation.records, one, two)
    ids = [answered["Id"] for load in (one, two) for _, answered in load.stored]
    assert len(set(ids)) == len(ids)
    for server in servers:
        assert (await post(server, "revoked")).status == 403
        assert server.unexpected() == []


@pytest.mark.every_engine
async def test_commands_work_while_the_server_is_busy(install: Install) -> None:
    """Administration does not wait for a quiet moment, and the server takes notice of it."""
    installation = install()
    server = await installation.serve()
    async with Load(server.url, "load") as load:
        await load.reached(50)
        for arguments in (
            ("feed", "add", "Second"),
            ("feed", "list", "--json"),
            ("feed", "update", "Second", "--add-name", "Alias"),
            ("user", "add", "alice", "--no-password"),
            ("key", "create", "--system", "--value", "a-system-key-for-all"),
            ("key", "list", "--json"),
            ("privilege", "explain", "--key", KEY, "--feed", FEED),
            ("audit", "--json"),
            ("migrate",),
            ("migrate", "--check"),
            ("config", "check"),
        ):
            done = await installation.run(*arguments)
            assert done.code == 0, (arguments, done.err)
        await until(lambda: _is_stored(server, "second", "a-system-key-for-all", "Alias"))
        await load.reached(50)
    assert load.refused == []
    assert load.unanswered == []
    await server.stop()
    check(installation.records, load)


@pytest.mark.every_engine
async def test_a_feed_removed_under_load_costs_its_neighbours_nothing(install: Install) -> None:
    """Posts for a feed that is being removed are answered with 404; those in the same batch are stored."""
    installation = install()
    assert (await installation.run("key", "create", "--system", "--value", "a-system-key-for-all")).code == 0
    server = await installation.serve()
    for number in range(2):
        assert (await installation.run("feed", "add", "Doomed")).code == 0
        await until(lambda: _is_stored(server, "first", "a-system-key-for-all", "Doomed"))
        async with (
            Load(server.url, f"kept{number}") as kept,
            Load(server.url, f"doomed{number}", feed="Doomed", key="a-system-key-for-all") as doomed,
        ):
            await kept.reached(100)
            await doomed.reached(100)
            assert (await installation.run("feed", "remove", "Doomed", "--force")).code == 0
            await until(lambda doomed=doomed: len(doomed.refused) > 50)
            await kept.reached(50)
        assert doomed.statuses == {404}
        assert kept.refused == []
        assert kept.unanswered == doomed.unanswered == []
        check(installation.records, kept)
        assert not any(target.startswith(("first", "doomed")) for target in targets(installation.records))
    await server.stop()
    assert server.unexpected() == []


# The client goes away


@pytest.mark.every_engine
async def test_clients_that_hang_up_do_not_hurt_the_others(install: Install) -> None:
    """A client gone before, in or after its body is its own loss: no error is logged, and no other client notices."""
    installation = install()
    server = await installation.serve()
    head, rest = _request("hung up")
    half_head, half_rest = _request("half")
    async with Load(server.url, "load") as load:
        await load.reached(20)
        for _ in range(15):
            for data in (head[:30], half_head, half_head + half_rest[:40], head + rest, (head + rest) * 3):
                await asyncio.to_thread(_send_and_reset, server.port, data)
        await load.reached(50)
    assert load.refused == []
    assert load.unanswered == []
    await stores(server, "after")
    await server.stop()
    assert server.unexpected() == []
    check(installation.records, load)
    found = targets(installation.records)
    assert "half" not in found
    assert found.count("hung up") <= 60


def _request(target: str) -> tuple[bytes, bytes]:
    """Return the head and the body of a post."""
    body = (
        f"FeedName={FEED}&Application=ProfitCalc&Description=Deployed&PackageName=Newtonsoft.Json&Version=12.0.3"
        f"&Target={target}"
    ).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nX-ApiKey: {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode(), body


def _send_and_reset(port: int, data: bytes) -> None:
    """Send something, and break the connection without waiting for an answer."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(data)


async def _in_progress(server: Server) -> None:
    """Wait until a server has read what was sent to it before: it answers what comes after."""
    for _ in range(3):
        assert (await health(server)).status == 200


async def _has_status(server: Server, status: int) -> bool:
    return (await post(server, "probe")).status == status


async def _is_unwell(server: Server) -> bool:
    return await _is_refused(server) and (await health(server)).status == 500


async def _is_refused(server: Server) -> bool:
    return await _has_status(server, 503)


async def _is_stored(server: Server, target: str, key: str, feed: str) -> bool:
    return (await post(server, target, key=key, feed=feed)).status == 200


async def _is_well(server: Server) -> bool:
    answer = await health(server)
    return answer.status == 200 and bool(json.loads(answer.body)["databaseStatus"] == "OK")


@pytest.mark.every_engine
async def test_a_refused_call_from_a_strange_address_is_audited_all_the_same(install: Install) -> None:
    """What somebody sends to be refused must not blind the audit for those who come after."""
    installation = install(server={"trusted_proxies": "127.0.0.1"})
    server = await installation.serve()
    for address in (b"\xff\xfe", b"192.0.2.7"):
        request = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n".encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request + b"X-ApiKey: wrong\r\nX-Forwarded-For: " + address + b"\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 403")
        writer.close()
        await asyncio.sleep(0.1)  # a batch of the audit for each
    await server.stop()
    assert server.unexpected() == []
    audit = await installation.run("audit", "--json")
    assert [entry["address"] for entry in json.loads(audit.out)[:2]] == ["192.0.2.7", "127.0.0.1"]
