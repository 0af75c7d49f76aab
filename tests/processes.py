"""Real server processes, and real load on them, for tests that kill, starve and mistreat them."""

from __future__ import annotations

import asyncio
import configparser
import contextlib
import ctypes
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import asyncpg
from conftest import FEED, KEY, PATH, RECORD, Answer, add_feed_and_key, administered

import deployserver
from deployserver import config

DEADLINE = 60.0
"""Seconds after which something is taken to hang. Nothing here waits for it unless something is broken."""

_LISTENING = re.compile(r"listening on (http://[^\s\"]+)")
_WORKER = re.compile(r"worker (\d+) is process (\d+)")


class Finished(NamedTuple):
    """How a process ended, and what it wrote."""

    code: int
    out: str
    err: str


class Installation:
    """A directory with a configuration and a database, and the processes that use them."""

    def __init__(self, directory: Path, **sections: Mapping[str, object]) -> None:
        self.directory = directory
        self.database = directory / "records.db"
        """The file of an installation on SQLite."""
        self.config = directory / "config.ini"
        self._servers: list[Server] = []
        options: dict[str, dict[str, object]] = {
            "server": {"port": 0},
            "database": {"url": "sqlite:///records.db"},
            "security": {"lockout_failures": 0},
            "logging": {"format": "json"},
        }
        for section, values in sections.items():
            options.setdefault(section, {}).update(values)
        url = str(options["database"]["url"])
        self.records: Path | str = self.database if url.startswith("sqlite:") else url
        """What ``check`` and ``targets`` look into: the file, or the URL of another kind of database."""
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_dict(options)
        directory.mkdir(parents=True, exist_ok=True)
        with self.config.open("w", encoding="utf-8") as file:
            parser.write(file)

    def prepare(self) -> None:
        """Make the database, the feed DefaultNuGet and the key abc12345; commands would take a second each."""
        with ThreadPoolExecutor(1) as thread:  # where no loop runs
            thread.submit(self._prepare).result()

    def _prepare(self) -> None:
        async def prepare() -> None:
            async with administered(config.load(self.config, {}).settings) as admin:
                await add_feed_and_key(admin)

        asyncio.run(prepare())

    async def run(self, *arguments: str, preexec_fn: Callable[[], object] | None = None) -> Finished:
        """Run a command to its end."""
        process = await asyncio.create_subprocess_exec(
            *self._command(*arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.directory,
            env=environment(),
            preexec_fn=preexec_fn,
        )
        try:
            out, err = await asyncio.wait_for(process.communicate(), DEADLINE)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        assert process.returncode is not None
        return Finished(process.returncode, out.decode(), err.decode())

    async def serve(self, *arguments: str, preexec_fn: Callable[[], object] | None = None) -> Server:
        """Start a server and return it once it listens."""
        process = await asyncio.create_subprocess_exec(
            *self._command("serve", *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=self.directory,
            env=environment(),
            preexec_fn=preexec_fn,
        )
        server = Server(process)
        self._servers.append(server)
        await server.listening()
        return server

    async def python(self, *arguments: str) -> asyncio.subprocess.Process:
        """Start Python with the same deployserver; the caller ends it."""
        return await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=asyncio.subprocess.DEVNULL, cwd=self.directory, env=environment()
        )

    async def close(self) -> None:
        """End every server that still runs."""
        for server in self._servers:
            await server.kill()

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "deployserver", *arguments, "--config", str(self.config)]


class Server:
    """A ``deployserver serve`` process; ``log`` is what it has written to standard error, line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.log: list[str] = []
        self.url = ""
        self._listens = asyncio.Event()
        self._reading = asyncio.create_task(self._read_log())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def workers(self) -> dict[int, int]:
        """The process ids of the workers, by their numbers."""
        return {int(found[1]): int(found[2]) for line in self.log if (found := _WORKER.search(line))}

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    async def listening(self) -> None:
        """Wait until connections are accepted."""
        await asyncio.wait_for(self._listens.wait(), DEADLINE)
        assert self.url, f"the server ended before it listened:\n{self.text}"

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until the process has ended, and return its exit code."""
        await asyncio.wait_for(asyncio.gather(self._process.wait(), self._reading), DEADLINE)
        assert self._process.returncode is not None
        return self._process.returncode

    async def stop(self) -> None:
        """End the process as an administrator does, and see that it ends well."""
        if sys.platform == "win32":  # which has no gentle signal for a process without a console
            await self.kill()
            return
        self.signal(signal.SIGTERM)
        assert await self.ended() == 0, self.text

    async def kill(self) -> None:
        """End the process as kill -9 does; one that has ended already is left alone."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.ended()

    async def logged(self, text: str) -> None:
        """Wait until a log line holds ``text``."""
        await until(lambda: text in self.text)

    @property
    def text(self) -> str:
        return "\n".join(self.log)

    def unexpected(self) -> list[str]:
        """Return the log lines that must not be there, whatever clients and disks do: crashes and internal errors."""
        return [
            line
            for line in self.log
            if "Traceback" in line
            or not line.startswith('{"time":')
            or ('"status":500' in line and '"path":"/health"' not in line)
        ]

    async def _read_log(self) -> None:
        assert self._process.stderr is not None
        try:
            async for line in self._process.stderr:
                self.log.append(line.decode("utf-8", "replace").rstrip())
                if not self.url and (found := _LISTENING.search(self.log[-1])):
                    self.url = found[1]
                    self._listens.set()
        finally:
            self._listens.set()


@dataclass
class Load:
    """Clients that post one deployment after another, each unlike all others, and keep what they were answered.

    A client stops when its connection breaks. ``name`` tells this load's deployments from those of others.
    """

    url: str
    name: str
    clients: int = 16
    feed: str = FEED
    key: str = KEY
    stored: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    refused: list[tuple[dict[str, str], int]] = field(default_factory=list)
    unanswered: list[dict[str, str]] = field(default_factory=list)
    _stopping: bool = False

    async def __aenter__(self) -> Load:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=DEADLINE)
        )
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self.clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let every client finish what it has begun; one that is never answered fails the test."""
        self._stopping = True
        try:
            await asyncio.gather(*self._tasks)
        finally:
            await self._session.close()

    async def reached(self, count: int) -> None:
        """Wait until so many more deployments have been acknowledged."""
        goal = len(self.stored) + count
        await until(lambda: len(self.stored) >= goal)

    @property
    def statuses(self) -> set[int]:
        """The statuses of the answers that were not 200."""
        return {status for _, status in self.refused}

    async def _client(self, client: int) -> None:
        number = 0
        while not self._stopping:
            number += 1
            posted = {
                "FeedName": self.feed,
                "Application": "Zürich – Release Server",
                "Description": f"line {number} of {client}\nwith ümlauts, 'quotes' & \"more\" {'x' * (number % 50)}.",
                "Target": f"{self.name}-{client}-{number}",
                "PackageName": f"package-{client}",
                "Version": f"{client}.{number}.0+build",
                "GroupName": "@acme/tools",
                "UserName": f"user-{client}",
                "Url": f"http://buildserver:8622/{client}/{number}",
                "Date": f"2021-04-13T10:{number % 60:02}:{client % 60:02}.123456Z",
            }
            try:
                async with self._session.post(self.url + PATH, data=posted, headers={"X-ApiKey": self.key}) as response:
                    body = await response.read()
            except (aiohttp.ClientError, ConnectionError):
                self.unanswered.append(posted)
                return
            if response.status == 200:
                self.stored.append((posted, json.loads(body)))
            else:
                self.refused.append((posted, response.status))
                assert response.status != 503 or "Retry-After" in response.headers


def check(database: Path | str, *loads: Load) -> None:
    """See that a database holds what was acknowledged once, what was refused never, and all of it whole."""
    rows: dict[str, list[Row]] = {}
    for row in _stored(database):
        rows.setdefault(row["target"], []).append(row)
    for load in loads:
        for posted, answered in load.stored:
            (row,) = rows[posted["Target"]]
            assert row["id"] == answered["Id"]
            assert {name: answered[name] for name in posted} == posted
            assert _posted(row) == posted
        for posted, _ in load.refused:
            assert posted["Target"] not in rows
        for posted in load.unanswered:
            assert [_posted(row) for row in rows.get(posted["Target"], [])] in ([], [posted])
        ids = [answered["Id"] for _, answered in load.stored]
        assert len(set(ids)) == len(ids)


Row = Mapping[str, Any]


def _stored(database: Path | str) -> list[Row]:
    """Return all records with the names of their feeds, in the order of their ids, from a database that is whole."""
    records = "SELECT d.*, f.name AS feed FROM deployment_records d JOIN feeds f ON f.id = d.feed_id ORDER BY d.id"
    if isinstance(database, str):
        return [dict(row) for row in fetched(database, records)]
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        assert [tuple(row) for row in connection.execute("PRAGMA integrity_check")] == [("ok",)]
        assert [tuple(row) for row in connection.execute("PRAGMA foreign_key_check")] == []
        return [dict(row) for row in connection.execute(records)]


def fetched(url: str, statement: str) -> list[Any]:
    """Return the rows of a statement on a PostgreSQL database."""

    async def fetch() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, fetch()).result()


def _posted(row: Row) -> dict[str, str]:
    """Return what a client must have posted to be stored as this row."""
    seconds, microseconds = divmod(row["date"], 1_000_000)
    minute, second = divmod(seconds - 1_618_308_000, 60)  # 2021-04-13T10:00:00Z
    return {
        "FeedName": row["feed"],
        "Application": row["application"],
        "Description": row["description"],
        "Target": row["target"],
        "PackageName": row["package_name"],
        "Version": row["version"],
        "GroupName": row["group_name"],
        "UserName": row["user_name"],
        "Url": row["url"],
        "Date": f"2021-04-13T10:{minute:02}:{second:02}.{microseconds:06}Z",
    }


def targets(database: Path | str) -> list[str]:
    """Return the targets of all deployments in a database, in the order of their ids."""
    return [row["target"] for row in _stored(database)]


async def post(server: Server, target: str, *, key: str = KEY, feed: str = FEED) -> Answer:
    """Post one deployment."""
    form = RECORD | {"Target": target, "FeedName": feed}
    return await _request("POST", server.url + PATH, data=form, headers={"X-ApiKey": key})


async def health(server: Server) -> Answer:
    """Ask whether a server is well."""
    return await _request("GET", f"{server.url}/health")


async def _request(method: str, url: str, **options: Any) -> Answer:
    timeout = aiohttp.ClientTimeout(total=DEADLINE)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(method, url, **options) as response,
    ):
        return Answer(response.status, response.headers, await response.read())


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something holds; fail if that takes longer than ``DEADLINE``."""
    async with asyncio.timeout(DEADLINE):
        while True:
            answer = holds()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def closing(installations: Iterable[Installation]) -> AsyncIterator[None]:
    """End the servers of all installations when the block ends, those that were added in it too."""
    try:
        yield
    finally:
        for installation in installations:
            await installation.close()


def obey_permissions() -> Callable[[], None]:
    """Return a ``preexec_fn`` that makes a process of root obey file permissions, as other users must (Linux)."""
    libc = ctypes.CDLL(None)
    overrides = (1, 2, 3)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
    pr_capbset_drop = 24

    def drop() -> None:
        if os.geteuid() == 0:
            for capability in overrides:
                libc.prctl(pr_capbset_drop, capability, 0, 0, 0)

    return drop


def is_running(pid: int) -> bool:
    """Tell whether a process has not ended yet, be it that nobody has asked how (Linux)."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def environment() -> dict[str, str]:
    """Let a process find the same deployserver as this one, wherever it runs, and no settings but its file's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DEPLOYSERVER_")}
    package = Path(deployserver.__file__).absolute().parents[1]
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, (str(package), os.environ.get("PYTHONPATH"))))}


@contextlib.contextmanager
def quickstart(command: str | Path, directory: Path, environment: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Run ``quickstart`` on a free port in ``directory`` and give the URL and the API key that it prints."""
    server = subprocess.Popen(
        [command, "quickstart", "--port", "0"],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        printed = ""
        while "or with curl" not in printed:
            line = server.stdout.readline()
            assert line, f"quickstart ended: {printed}"
            printed += line
        url = re.search(r"http://[\d.:]+", printed)
        key = re.search(r"\b[0-9a-f]{40}\b", printed)
        assert url
        assert key
        yield url[0], key[0]
    finally:
        server.terminate()
        server.communicate(timeout=30)
