"""What one synced commit takes: the least that a durable answer over one connection can take."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from pathlib import Path

from load import Sample

from deployserver.models import DeploymentRow
from deployserver.storage import SQLiteDatabase
from deployserver.storage.references import StoredRow
from deployserver.storage.sqlite import migrator

COMMIT = "one commit"

_COLUMNS = ", ".join(StoredRow._fields)
_AGAIN = f"INSERT INTO deployments ({_COLUMNS}) SELECT {_COLUMNS} FROM deployments WHERE id = 1"


class Commits:
    """The product's database in ``directory``, to which deployments are committed one by one, as durably as it does."""

    def __init__(self, directory: Path) -> None:
        path = directory / "commits.db"
        migrator.migrate(path)
        asyncio.run(_record(path))
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA synchronous = FULL")

    def measure(self, seconds: float) -> Sample:
        """Commit for so many seconds."""
        times: list[float] = []
        began, cpu = time.perf_counter(), time.process_time()
        while (started := time.perf_counter()) - began < seconds:
            self._connection.execute(_AGAIN)
            times.append((time.perf_counter() - started) * 1000)
        return Sample(
            requests=len(times),
            per_second=len(times) / seconds,
            p50=statistics.median(times),
            p99=statistics.quantiles(times, n=100)[-1],
            resident_mb=0,
            cpu=(time.process_time() - cpu) / len(times) * 1e6,
            not_2xx=0,
            failed=0,
            rows_missing=0,
        )


async def _record(path: Path) -> None:
    """Record the first deployment, with all that the others refer to."""
    store = SQLiteDatabase(path, 5)
    async with store.opened():
        async with store.transaction() as repository:
            feed = await repository.add_feed("DefaultNuGet", "nuget", 0)
        text = "Deployed by Custom Release Server"
        names = ("ProfitCalc", text, "localhost", "Newtonsoft.Json", "12.0.3")
        await store.add_deployments([DeploymentRow(feed, *names, None, "API", None, 1, 1, "API key 1", 1)])
