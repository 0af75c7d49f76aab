"""A PostgreSQL server for the time of a benchmark: that of the tests, only that it syncs."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any


def cluster() -> AbstractContextManager[Any] | None:
    """Return a server as ``tests/postgres.py`` has it; None where PostgreSQL or its driver is not installed."""
    if importlib.util.find_spec("asyncpg") is None:
        return None
    tests = Path(__file__).resolve().parents[1] / "tests"
    sys.path.append(str(tests))  # for what it imports
    spec = importlib.util.spec_from_file_location("tests_postgres", tests / "postgres.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.programs() is None:
        return None
    running: AbstractContextManager[Any] = module.cluster(durable=True)
    return running


def count(url: str, table: str) -> int:
    """Return how many rows a table has."""
    import asyncpg

    async def ask() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(await connection.fetchval(f"SELECT count(*) FROM {table}"))
        finally:
            await connection.close()

    return asyncio.run(ask())
