"""What the size of a page, the checkpoint and the cache make of the write path of a large SQLite database.

Of each setting, an empty database and a copy of a large one are written to in turn with all others, by the driver's own
``add_deployments``, in batches of rows that are spread over packages and targets as the dataset has them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import sqlite3
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import servers
from dataset import Dataset, Scale
from processes import machine

from deployserver.clock import now
from deployserver.models import DeploymentRow
from deployserver.storage import SQLiteDatabase
from deployserver.storage.sqlite import migrator

BATCH = 64
_DIFFERENT = 20_000
_BATCHES = 60


class Setting(NamedTuple):
    """Bytes of a page, and megabytes before a checkpoint and of the cache."""

    page: int
    checkpoint: int
    cache: int

    @classmethod
    def of(cls, text: str) -> Setting:
        """Read ``PAGE:CHECKPOINT:CACHE``."""
        return cls(*map(int, text.split(":")))


@dataclass
class Subject:
    """A database that is written to, and the rates and processor times of its turns."""

    setting: Setting
    store: SQLiteDatabase
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    longest: float = 0

    async def turn(self, rows: Sequence[DeploymentRow]) -> None:
        """Write some batches."""
        batches = [[_now(row) for row in random.sample(rows, BATCH)] for _ in range(_BATCHES)]
        began, cpu = time.perf_counter(), time.process_time()
        for batch in batches:
            started = time.perf_counter()
            await self.store.add_deployments(batch)
            self.longest = max(self.longest, time.perf_counter() - started)
        self.rates.append(_BATCHES * BATCH / (time.perf_counter() - began))
        self.cpu.append((time.process_time() - cpu) / _BATCHES / BATCH * 1e6)


def main() -> int:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description="Times batches with several sizes of pages, checkpoints and caches.")
    parser.add_argument("--database", type=Path, required=True, help="a large one, made by dataset.py")
    parser.add_argument("--rounds", type=int, default=12, help="in which all take turns (default 12)")
    parser.add_argument(
        "--settings",
        type=Setting.of,
        nargs="+",
        default=[Setting(4096, 16, 2), Setting(4096, 64, 16), Setting(2048, 16, 2), Setting(2048, 64, 16)],
        metavar="PAGE:CHECKPOINT:CACHE",
        help="bytes of a page, megabytes before a checkpoint, megabytes of the cache",
    )
    arguments = parser.parse_args()
    for name, value in machine(servers.RESULTS).items():
        print(f"{name}: {value}")
    asyncio.run(_compare(arguments))
    return 0


async def _compare(arguments: argparse.Namespace) -> None:
    directory = servers.fresh_directory("pages")
    with contextlib.closing(sqlite3.connect(f"{arguments.database.absolute().as_uri()}?mode=ro", uri=True)) as source:
        feeds = {name: id_ for id_, name in source.execute("SELECT id, name FROM feeds")}
    rows = random.sample(list(Dataset(Scale(records=1_000_000)).rows(feeds)), _DIFFERENT)
    async with AsyncExitStack() as stack:
        pairs: list[tuple[Subject, Subject]] = []
        for setting in arguments.settings:
            empty, large = directory / f"empty{len(pairs)}.db", directory / f"large{len(pairs)}.db"
            _copy(arguments.database, large, setting)
            _empty(large, empty, setting)
            pairs.append((await _opened(setting, empty, stack), await _opened(setting, large, stack)))
        subjects = [subject for pair in pairs for subject in pair]
        for subject in subjects:  # so that all know all names, and hold an installation for every row
            for start in range(0, len(rows), 500):
                await subject.store.add_deployments([_now(row) for row in rows[start : start + 500]])
        for number in range(arguments.rounds):
            shift = number % len(subjects)
            for subject in [*subjects[shift:], *subjects[:shift]]:
                await subject.turn(rows)
            print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr)
    print("\n| page bytes | checkpoint MB | cache MB | empty, rows/s | large, rows/s | large of empty | ", end="")
    print("empty, CPU µs/row | large, CPU µs/row | longest batch ms |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for empty_one, large_one in pairs:
        of_empty = statistics.median(b / a for a, b in zip(empty_one.rates, large_one.rates, strict=True))
        figures = (
            *map(str, empty_one.setting),
            *(f"{statistics.median(one.rates):,.0f}" for one in (empty_one, large_one)),
            f"{of_empty:.2f}",
            *(f"{statistics.median(one.cpu):.1f}" for one in (empty_one, large_one)),
            f"{large_one.longest * 1000:.0f}",
        )
        print(f"| {' | '.join(figures)} |")


def _copy(database: Path, to: Path, setting: Setting) -> None:
    """Copy a database into one with pages of another size, and migrate it."""
    with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as source:
        source.execute(f"PRAGMA page_size = {setting.page}")
        source.execute("VACUUM INTO ?", (str(to),))
    migrator.migrate(to)
    for copied in to.parent.glob(f"{to.name}.before-*"):
        copied.unlink()


def _empty(large: Path, to: Path, setting: Setting) -> None:
    """Make a database with the feeds of the large one."""
    with contextlib.closing(sqlite3.connect(to)) as made:
        made.execute(f"PRAGMA page_size = {setting.page}")
        made.execute("PRAGMA journal_mode = WAL")
    migrator.migrate(to)
    with contextlib.closing(sqlite3.connect(to)) as made:
        made.execute("ATTACH ? AS large", (str(large),))
        made.execute("INSERT INTO feeds SELECT * FROM large.feeds")
        made.commit()


async def _opened(setting: Setting, path: Path, stack: AsyncExitStack) -> Subject:
    store = SQLiteDatabase(path, 5)
    await stack.enter_async_context(store.opened())
    for pragma in (
        f"wal_autocheckpoint = {setting.checkpoint * 2**20 // setting.page}",
        f"cache_size = -{setting.cache * 1024}",
    ):
        await store._writer.rows(f"PRAGMA {pragma}")
    return Subject(setting, store)


def _now(row: DeploymentRow) -> DeploymentRow:
    at = now()
    return row._replace(date=at, recorded_at=at)


if __name__ == "__main__":
    sys.exit(main())
