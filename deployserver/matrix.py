"""What runs where, as a matrix of packages by targets, of which a window is read at a time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import NamedTuple

from deployserver.drift import Standing, Standings, standings
from deployserver.filters import RecordFilter
from deployserver.models import Caller
from deployserver.packages import EVERYTHING, Package
from deployserver.storage.matrix import MatrixPackage, MatrixTarget
from deployserver.storage.records import Records
from deployserver.storage.spread import PackageKey
from deployserver.viewing import Asked, View, Viewing

ROWS, COLUMNS = 40, 20

MOST_LOOKED_AT = 600
"""So many packages are looked at for those that drift; then the reader is asked whether to go on."""

_AT_ONCE = 200


class From(NamedTuple):
    """Where a window begins or, backwards, ends; the place itself is outside."""

    place: PackageKey | str
    backwards: bool


class Row(NamedTuple):
    """A package, the newest version of it that runs anywhere, and how many of the targets asked for run it."""

    key: PackageKey
    package: Package
    newest: str | None
    targets: int
    up_to_date: int


class Cell(NamedTuple):
    """What runs: the record that brought it, its version, and where that stands."""

    id: int
    version: str
    standing: Standing


class Ends(NamedTuple):
    """The places before and after which there is more; None where there is not."""

    before: PackageKey | str | None
    after: PackageKey | str | None


class Window(NamedTuple):
    """Some packages by some of the targets that run one of them; a cell is found by the keys of its row and column.

    ``unfinished`` tells that packages were left that nobody has looked at yet.
    """

    rows: list[Row]
    columns: list[MatrixTarget]
    cells: dict[tuple[PackageKey, str], Cell]
    row_ends: Ends
    column_ends: Ends
    unfinished: bool


class _Found(NamedTuple):
    package: MatrixPackage
    standings: Standings
    there: dict[str, int]

    @property
    def drifts(self) -> bool:
        return any(self.standings[version].level != "newest" for version in self.there)


class Matrix:
    """Reads windows of the matrix, for callers who may view it."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def window(
        self,
        caller: Caller,
        asked: Asked,
        rows_from: From | None,
        columns_from: From | None,
        *,
        only_drifting: bool = False,
    ) -> Window:
        """Return a window: of packages as they are asked for, on targets as they are asked for.

        ``only_drifting`` leaves out packages of which all these targets run the newest version. Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        wanted = view.filter(asked)
        async with view.database.records() as records:
            found, row_ends, unfinished = await _rows(records, view, wanted, rows_from, only_drifting)
            packages = [one.package.key for one in found]
            columns, column_ends = await _columns(records, wanted, packages, columns_from)
            cells = await records.matrix_cells(packages, [column.key for column in columns])
        return Window(
            [_row(view, one) for one in found],
            columns,
            {
                (packages[cell.package], cell.target): Cell(
                    cell.id, cell.version, found[cell.package].standings[cell.version]
                )
                for cell in cells
            },
            row_ends,
            column_ends,
            unfinished,
        )


async def _rows(
    records: Records, view: View, wanted: RecordFilter, start: From | None, only_drifting: bool
) -> tuple[list[_Found], Ends, bool]:
    backwards = start is not None and start.backwards
    place = start.place if start is not None and isinstance(start.place, PackageKey) else None
    at_once = _AT_ONCE if only_drifting else ROWS + 1
    found: list[_Found] = []
    more = False
    for looked_at in count(at_once, at_once):
        packages = await records.matrix_packages(wanted, place, at_once, backwards=backwards)
        more = len(packages) == at_once
        batch = await _stand(records, view, wanted, packages[::-1] if backwards else packages)
        found += [one for one in batch if one.drifts or not only_drifting]
        if not more or len(found) > ROWS or looked_at >= MOST_LOOKED_AT:
            break
        place = batch[-1].package.key
    unfinished = more and len(found) <= ROWS and only_drifting
    beyond = found[ROWS - 1].package.key if len(found) > ROWS else batch[-1].package.key if unfinished else None
    found = found[:ROWS]
    if backwards:
        found.reverse()
        return found, Ends(beyond, found[-1].package.key if found else None), unfinished
    return found, Ends(found[0].package.key if start and found else None, beyond), unfinished


async def _stand(records: Records, view: View, wanted: RecordFilter, packages: Sequence[MatrixPackage]) -> list[_Found]:
    """Return packages with how their versions stand, and which of them the targets run that are asked for."""
    keys = [package.key for package in packages]
    running = await records.spread(keys, view.filter(EVERYTHING))
    there = running
    if wanted.targets:
        there = await records.spread(keys, view.filter(Asked(targets=wanted.targets)))
    return [
        _Found(package, standings(view.feeds[package.key.feed_id].type, running[package.key]), there[package.key])
        for package in packages
    ]


async def _columns(
    records: Records, wanted: RecordFilter, packages: list[PackageKey], start: From | None
) -> tuple[list[MatrixTarget], Ends]:
    backwards = start is not None and start.backwards
    place = start.place if start is not None and isinstance(start.place, str) else None
    found = await records.matrix_targets(wanted, packages, place, COLUMNS + 1, backwards=backwards)
    more = len(found) > COLUMNS
    found = found[-COLUMNS:] if backwards else found[:COLUMNS]
    if not found:
        return [], Ends(None, None)
    if backwards:
        return found, Ends(found[0].key if more else None, found[-1].key)
    return found, Ends(found[0].key if start else None, found[-1].key if more else None)


def _row(view: View, found: _Found) -> Row:
    key, group, name = found.package
    up_to_date = sum(targets for version, targets in found.there.items() if found.standings[version].level == "newest")
    package = Package(view.feeds[key.feed_id].name, group or None, name)
    return Row(key, package, found.standings.newest, sum(found.there.values()), up_to_date)
