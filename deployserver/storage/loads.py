"""What ``deployserver load`` has read, and how far; within a transaction. The SQL is in ``queries/loads.sql``."""

from __future__ import annotations

from deployserver.models import LoadState
from deployserver.storage.connection import Connection


async def find(connection: Connection, fingerprint: str) -> LoadState | None:
    """Return how far has been loaded what has this fingerprint."""
    rows = [row async for row in connection.queries.load_of(connection.driver, fingerprint=fingerprint)]
    return LoadState(*rows[0]) if rows else None


async def begin(connection: Connection, fingerprint: str, name: str, actor: str, at: int) -> None:
    """Take note that what has this fingerprint is loaded, from its beginning."""
    await connection.queries.begin_load(connection.driver, fingerprint=fingerprint, name=name, actor=actor, at=at)


async def advance(connection: Connection, before: LoadState, after: LoadState, at: int) -> bool:
    """Take note of how far a load has come; False, and nothing is changed, if it is not where it was ``before``."""
    moved = await connection.queries.advance_load(
        connection.driver,
        id=before.id,
        before=before.position,
        before_lines=before.lines,
        at=at,
        finished_at=after.finished_at,
        position=after.position,
        digest=after.digest,
        lines=after.lines,
        loaded=after.loaded,
        refused=after.refused,
        refused_bytes=after.refused_bytes,
    )
    return moved is not None
