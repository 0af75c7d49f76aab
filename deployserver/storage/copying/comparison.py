"""Whether two databases hold the same: all rows of all tables that are copied, one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from deployserver.storage.copying.chunks import Chunks
from deployserver.storage.copying.sides import Reader, Row
from deployserver.storage.copying.tables import TABLES, Table

Watch = Callable[[str, int], AbstractContextManager[Callable[[int], None]]]
"""Is told what is being done and of how much, and gives what is to be told how much more of it has been done."""


@dataclass(frozen=True)
class Difference:
    """The first row of a table that is not the same in both databases."""

    table: str
    row: str
    detail: str

    def __str__(self) -> str:
        return f"{self.table}, {self.row}: {self.detail}"


async def compare(one: Reader, other: Reader, watch: Watch) -> tuple[dict[str, int], list[Difference]]:
    """Return how many rows of each table are the same in both, and what is not the same: at most one for a table.

    A truth value is the same as its number, and a text or a number only as itself.
    """
    same: dict[str, int] = {}
    differences: list[Difference] = []
    for table in TABLES:
        with watch(f"checking {table.name}", await one.count(table)) as advance:
            same[table.name] = 0
            async with Chunks(one.rows(table)) as ours, Chunks(other.rows(table)) as theirs:
                async for left, right in _side_by_side(ours, theirs):
                    if left != right:
                        place, difference = _first_difference(table, left, right, (one.place, other.place))
                        same[table.name] += place
                        differences.append(difference)
                        break
                    same[table.name] += len(left)
                    advance(len(left))
    ours_last, theirs_last = await one.last_ids(), await other.last_ids()
    for name, last in ours_last.items():
        if name == "deployments" and last != theirs_last[name]:
            detail = f"is {last} in {one.place} and {theirs_last[name]} in {other.place}"
            differences.append(Difference(name, "the greatest id that was ever given", detail))
    return same, differences


async def _side_by_side(ours: Chunks, theirs: Chunks) -> AsyncIterator[tuple[Sequence[Row], Sequence[Row]]]:
    """Give the rows of both, as many of each; where one has ended, all that is left of the other beside nothing."""
    left: Sequence[Row] = ()
    right: Sequence[Row] = ()
    while True:
        left = left or await ours.next()
        right = right or await theirs.next()
        if not left and not right:
            return
        count = min(len(left), len(right)) or None
        yield left[:count], right[:count]
        left, right = (left[count:], right[count:]) if count else ((), ())


def _first_difference(
    table: Table, left: Sequence[Row], right: Sequence[Row], places: tuple[str, str]
) -> tuple[int, Difference]:
    """Return where rows differ first, and how. What the columns hold is not said: it may be the hash of a key."""
    pairs = zip(left, right, strict=False)
    place = next((n for n, (ours, theirs) in enumerate(pairs) if ours != theirs), min(len(left), len(right)))
    keys = [tuple(rows[place][n] for n in table.key_places) if place < len(rows) else None for rows in (left, right)]
    if keys[0] == keys[1]:
        columns = zip(table.columns, left[place], right[place], strict=True)
        differing = [name for name, ours, theirs in columns if ours != theirs]
        return place, Difference(table.name, _named(table, left[place]), f"{', '.join(differing)} differ")
    only_left = keys[1] is None or (keys[0] is not None and keys[0] < keys[1])
    row = left[place] if only_left else right[place]
    return place, Difference(table.name, _named(table, row), f"only in {places[0] if only_left else places[1]}")


def _named(table: Table, row: Row) -> str:
    return ", ".join(f"{table.columns[n]} {row[n]!r}" for n in table.key_places)
