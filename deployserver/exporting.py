"""Writing out all records, in the order in which they arrived."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from deployserver.formulas import shielded
from deployserver.live_access import read_access
from deployserver.models import Deployment
from deployserver.schemas import DEPLOYMENT_COLUMNS, deployment_cells, deployment_json
from deployserver.storage import Database
from deployserver.storage.records import Records
from deployserver.viewing import Asked, View

FORMATS = ("ndjson", "csv")

AT_ONCE = 2000
"""Records that are read together."""


async def export(
    database: Database,
    asked: Asked,
    format_: str,
    write: Callable[[bytes], object],
    progress: Callable[[int, int, int], None],
) -> int:
    """Write the records that are asked for, at one state of the database, and return how many they are.

    ``progress`` is told the id that it has come to, the last id, and how many records were written. Raises
    StoreUnavailable, and what ``write`` raises.
    """
    write(_csv([DEPLOYMENT_COLUMNS]) if format_ == "csv" else b"")
    lines = _table if format_ == "csv" else _objects
    count = 0
    async with database.snapshot() as repository:
        feeds = (await read_access(repository)).feeds
        records = Records(repository.connection)
        last = await records.newest_id()
        async for found in records.all_after(View(feeds, True, database).filter(asked), 0, AT_ONCE):
            deployments = [Deployment(id_, feeds[row.feed_id].name, row) for id_, row in found]
            write(lines(deployments))
            count += len(found)
            progress(found[-1].id, last, count)
    return count


def _objects(deployments: Iterable[Deployment]) -> bytes:
    return "".join([f"{deployment_json(deployment)}\n" for deployment in deployments]).encode()


def _table(deployments: Iterable[Deployment]) -> bytes:
    return _csv([[shielded(cell) for cell in deployment_cells(deployment)] for deployment in deployments])


def _csv(rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
