"""A PostgreSQL server of the tests' own: started where its programs are installed, by a user without privileges."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
from ports import free_port

MISSING = "PostgreSQL's programs are not installed (Debian: apt install postgresql), so that it cannot be tested with"


def programs() -> Path | None:
    """Return the directory of initdb and postgres; None where they are not installed."""
    on_path = shutil.which("initdb")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
_END_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Cluster:
    """A server of one's own, with its data in ``directory``; ``durable`` lets it sync as it does by default."""

    def __init__(self, directory: Path, *, durable: bool) -> None:
        bin_directory = programs()
        assert bin_directory is not None
        self._bin = bin_directory
        self._data = directory / "data"
        self._log = directory / "log"
        self._durable = durable
        self._user = None
        if os.geteuid() == 0:  # which initdb refuses to be
            self._user = next(name for name in ("postgres", "nobody") if _is_user(name))
            shutil.chown(directory, self._user)
        self.port = free_port()
        self._databases = 0
        self._given_back: list[str] = []
        self._run(
            "initdb", "--pgdata", self._data, "--username=tests", "--auth=trust", "--encoding=UTF8", "--locale=C",
            "--no-sync",
        )  # fmt: skip

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        options = [
            "listen_addresses=127.0.0.1",
            f"port={self.port}",
            "unix_socket_directories=''",
            "max_connections=200",
        ]
        if not self._durable:
            options += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        given = " ".join(f"-c {option}" for option in options)
        self._run("pg_ctl", "start", "--wait", "--pgdata", self._data, "--log", self._log, "--options", given)

    def stop(self, mode: str = "immediate") -> None:
        """Stop it: ``fast`` as an administrator does, ``immediate`` like a crash."""
        self._run("pg_ctl", "stop", "--wait", "--pgdata", self._data, "--mode", mode)

    def kill(self) -> None:
        """End the postmaster as kill -9 does; its other processes end by themselves."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def start_again(self) -> None:
        """Start it after it was killed: what is left of it takes a moment to end, and keeps another from starting."""
        deadline = time.monotonic() + 30
        while True:
            try:
                return self.start()
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        """Return the URL of a database, at another ``port`` where something stands in between."""
        return f"postgresql://tests@127.0.0.1:{port or self.port}/{database}"

    async def make(self, template: str = "template0") -> str:
        """Make a database and return its name."""
        self._databases += 1
        name = f"test_{self._databases}"
        await self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def take(self, template: str) -> str:
        """Return the name of a database like the template: one that was given back, or a new one."""
        while self._given_back:
            name = self._given_back.pop()
            if await self._restored(name, template):
                return name
        return await self.make(template)

    def give_back(self, name: str) -> None:
        """Let a database be used again: to make one takes as long, and to remove hundreds takes minutes."""
        self._given_back.append(name)

    async def _restored(self, name: str, template: str) -> bool:
        """Empty a database of all that its template does not have; False if somebody has changed its tables."""
        async with _connected(self.url(template)) as connection:
            tables = [row[0] for row in await connection.fetch(_TABLES)]
            rows = {table: await connection.fetchval(f"SELECT json_agg(t)::text FROM {table} AS t") for table in tables}
        async with _connected(self.url(name)) as connection:
            if [row[0] for row in await connection.fetch(_TABLES)] != tables:
                return False
            await connection.execute(_END_OTHERS)
            async with connection.transaction():
                await connection.execute("SET LOCAL session_replication_role = replica")  # in any order
                for table, kept in rows.items():
                    await connection.execute(f"DELETE FROM {table}")
                    if kept is not None:
                        await connection.execute(
                            f"INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1)", kept
                        )
                for (sequence,) in await connection.fetch("SELECT sequencename FROM pg_sequences"):
                    await connection.execute(f"ALTER SEQUENCE {sequence} RESTART")
        return True

    async def execute(self, statement: str, database: str = "postgres") -> None:
        """Execute a statement."""
        connection = await asyncpg.connect(self.url(database))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @property
    def log(self) -> str:
        """What the server has logged."""
        return self._log.read_text("utf-8", "replace")

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [self._bin / program, *map(str, arguments)],
            user=self._user,
            cwd="/",
            stdout=subprocess.DEVNULL,  # what the server inherits must not keep a pipe open
            stderr=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{program} failed; {self._log.read_text() if self._log.exists() else ''}"


@contextlib.contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """Run a server during the block."""
    directory = Path(tempfile.mkdtemp(prefix="deployserver-postgresql-"))
    try:
        running = Cluster(directory, durable=durable)
        running.start()
        try:
            yield running
        finally:
            with contextlib.suppress(AssertionError):  # a test may have stopped it
                running.stop()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def make_template(running: Cluster) -> str:
    """Return the name of a database that has been migrated and holds nothing."""
    from deployserver.storage.postgresql.engine import PostgreSQLEngine

    with ThreadPoolExecutor(1) as thread:
        name = thread.submit(asyncio.run, running.make()).result()
    PostgreSQLEngine(running.url(name), 10).migrate()
    return name


@contextlib.asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _is_user(name: str) -> bool:
    import pwd  # which Windows does not have

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True
