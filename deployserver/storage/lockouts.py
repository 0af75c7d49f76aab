"""Wrong credentials by the address they came from, and right ones, as all servers on one database count them.

Rows are written in the order of their keys: two servers that write the same ones must not wait for each other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from deployserver.storage.connection import Connection

_LOCKOUTS = 10_000
_PROVEN = 100_000
_PROVEN_KEPT = 30 * 86_400_000_000

_IS_OVER = "coalesce(l.locked_until, l.since + CAST(:period AS bigint)) <= CAST(:now AS bigint)"

_COUNT = f"""
INSERT INTO lockouts AS l (address, since, count, locked_until)
SELECT
    address, CAST(:now AS bigint), failures,
    CASE WHEN failures >= CAST(:most AS bigint) THEN CAST(:now AS bigint) + CAST(:period AS bigint) END
FROM (%s) AS t WHERE true ORDER BY number
ON CONFLICT (address) DO UPDATE SET
    since = CASE WHEN {_IS_OVER} THEN excluded.since ELSE l.since END,
    count = CASE WHEN {_IS_OVER} THEN excluded.count ELSE l.count + excluded.count END,
    locked_until = CASE
        WHEN {_IS_OVER} THEN excluded.locked_until
        WHEN l.locked_until IS NULL AND l.count + excluded.count >= CAST(:most AS bigint)
            THEN excluded.since + CAST(:period AS bigint)
        ELSE l.locked_until
    END
RETURNING address, since, count, locked_until
"""

_PROVE = """
INSERT INTO proven_credentials AS p (address, proof, at)
SELECT address, proof, CAST(:now AS bigint) FROM (%s) AS t WHERE true ORDER BY number
ON CONFLICT (address, proof) DO UPDATE SET at = excluded.at WHERE p.at < excluded.at
"""

_LOCKED = """
SELECT address, since, count, locked_until
FROM lockouts
WHERE locked_until > :now
ORDER BY locked_until DESC
LIMIT :most
"""

_PROVEN_WHERE_LOCKED = """
SELECT p.address, p.proof
FROM lockouts AS l CROSS JOIN proven_credentials AS p ON p.address = l.address
WHERE l.locked_until > :now
LIMIT :most
"""


class Counted(NamedTuple):
    """The wrong credentials of an address since a time; ``locked_until`` is None if they are not too many."""

    address: str
    since: int
    failures: int
    locked_until: int | None


class Locked(NamedTuple):
    """The addresses that are locked, and what was right from them before, as pairs of address and proof."""

    addresses: Sequence[Counted]
    proven: Sequence[tuple[str, str]]


async def count(connection: Connection, failures: Mapping[str, int], most: int, period: int, now: int) -> list[Counted]:
    """Add wrong credentials by address, lock for ``period`` where there are ``most``, and return the new counts."""
    parameters = connection.parameters()
    rows = parameters.tuples(sorted(failures.items()), address=str, failures=int)
    parameters.values |= {"most": most, "period": period, "now": now}
    return [Counted(*row) for row in await connection.rows(_COUNT % rows, parameters)]


async def prove(connection: Connection, proven: Collection[tuple[str, str]], now: int) -> None:
    """Note what is right now, as pairs of address and proof."""
    parameters = connection.parameters()
    rows = parameters.tuples(sorted(proven), address=str, proof=str)
    parameters.values["now"] = now
    await connection.rows(_PROVE % rows, parameters)


async def locked(connection: Connection, now: int) -> Locked:
    """Return what is locked now; of very much, the latest."""
    rows = await connection.rows(_LOCKED, {"now": now, "most": _LOCKOUTS})
    if not rows:
        return Locked((), ())
    proven = await connection.rows(_PROVEN_WHERE_LOCKED, {"now": now, "most": _PROVEN})
    return Locked([Counted(*row) for row in rows], [(address, proof) for address, proof in proven])


async def sweep(connection: Connection, period: int, now: int) -> None:
    """Remove what is over, what was not proven for a month, and the oldest of what would be too much."""
    queries, driver = connection.queries, connection.driver
    await queries.sweep_lockouts(driver, period=period, now=now, kept=_LOCKOUTS)
    await queries.sweep_proven(driver, unused_since=now - _PROVEN_KEPT, kept=_PROVEN)
