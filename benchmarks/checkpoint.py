"""What ``CHECKPOINT_PAGES`` of the SQLite driver costs and brings: batches through the product's own INSERT, timed."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import servers

from deployserver.models import DeploymentRow
from deployserver.storage import SQLiteDatabase, migrator, sqlite

BATCH = 48
"""Rows in a batch: about as many as queue up at 64 connections while the batch before is written."""


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description="Times batches at several settings of the WAL checkpoint.")
    parser.add_argument("--pages", type=int, nargs="+", default=[1000, 4000, 16000, 64000])
    parser.add_argument("--rows", type=int, nargs="+", default=[0, 1_000_000], help="in the database to begin with")
    parser.add_argument("--rounds", type=int, default=30, help="in which the settings take turns (default 30)")
    parser.add_argument("--batches", type=int, default=800, help="of a setting in a round (default 800)")
    arguments = parser.parse_args()
    directory = servers.fresh_directory("checkpoint")
    print("| rows before | pages | rows/s | mean ms | p50 ms | p99 ms | longest ms | WAL MB |")
    print("| ----------: | ----: | -----: | ------: | -----: | -----: | ---------: | -----: |")
    for rows in arguments.rows:
        filled = directory / "filled.db"
        migrator.migrate(filled)
        asyncio.run(_fill(filled, rows))
        for pages, measured in asyncio.run(_compared(filled, arguments)).items():
            print(_line(rows, pages, measured), flush=True)
        for file in directory.iterdir():
            file.unlink()


async def _fill(path: Path, rows: int) -> None:
    """Make the feed 1 and that many deployments in it; the file is complete, without a WAL, when this returns."""
    store = SQLiteDatabase(path, 5)
    await store.open()
    try:
        async with store.transaction() as repository:
            await repository.add_feed("DefaultNuGet", "nuget", 0)
        for _ in range(0, rows, 10_000):
            await store.add_deployments([_row()] * 10_000)
    finally:
        await store.close()


@dataclass
class Measured:
    """How many milliseconds each batch took, and how many bytes the WAL came to."""

    times: list[float] = field(default_factory=list)
    wal: int = 0


async def _compared(filled: Path, arguments: argparse.Namespace) -> dict[int, Measured]:
    """Measure every setting on a copy of its own, in turns, so that other load on the machine hits them alike."""
    measured = {pages: Measured() for pages in arguments.pages}
    async with AsyncExitStack() as stack:
        stores = {pages: await _copied(filled, pages, stack) for pages in measured}
        for number in range(arguments.rounds):
            shift = number % len(stores)
            for pages in [*arguments.pages[shift:], *arguments.pages[:shift]]:
                measured[pages].times += await _timed(stores[pages], arguments.batches)
        for pages, store in stores.items():  # a WAL is used again from its start, and never made shorter
            measured[pages].wal = store.path.with_name(f"{store.path.name}-wal").stat().st_size
    return measured


async def _copied(filled: Path, pages: int, stack: AsyncExitStack) -> SQLiteDatabase:
    """Return a copy of the database, open with that setting until the stack is closed."""
    copy = filled.with_name(f"{pages}.db")
    shutil.copyfile(filled, copy)
    store = SQLiteDatabase(copy, 5)
    with _checkpoint_pages(pages):
        await store.open()
    stack.push_async_callback(store.close)
    return store


async def _timed(store: SQLiteDatabase, batches: int) -> list[float]:
    """Return how many milliseconds each batch took."""
    rows, times = [_row()] * BATCH, []
    for _ in range(batches):
        started = time.perf_counter()
        await store.add_deployments(rows)
        times.append((time.perf_counter() - started) * 1000)
    return times


@contextmanager
def _checkpoint_pages(pages: int) -> Iterator[None]:
    before = sqlite.CHECKPOINT_PAGES
    sqlite.CHECKPOINT_PAGES = pages
    try:
        yield
    finally:
        sqlite.CHECKPOINT_PAGES = before


def _row() -> DeploymentRow:
    now = time.time_ns() // 1000
    return DeploymentRow(
        feed_id=1,
        application="ProfitCalc",
        description="Deployed by Custom Release Server",
        target="localhost",
        package_name="Newtonsoft.Json",
        version="12.0.3",
        group_name=None,
        user_name="API",
        url=None,
        date=now,
        recorded_at=now,
        recorded_by="API key 1",
        recorded_key_id=1,
    )


def _line(rows: int, pages: int, measured: Measured) -> str:
    percentiles = statistics.quantiles(measured.times, n=100)
    mean = statistics.fmean(measured.times)
    return (
        f"| {rows:11,} | {pages:5} | {BATCH / mean * 1000:6,.0f} | {mean:7.3f} | {percentiles[49]:6.3f} | "
        f"{percentiles[98]:6.3f} | {max(measured.times):10.1f} | {measured.wal / 1e6:6.1f} |"
    )


if __name__ == "__main__":
    main()
