"""What can be asked of the records; see ``RecordFilter`` for what is asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Sequence

from deployserver.filters import RecordFilter
from deployserver.storage import current, history, matrix, search, spread, steps, tallies
from deployserver.storage.conditions import resolve
from deployserver.storage.connection import Connection
from deployserver.storage.current import CurrentDeployment, CurrentPosition, CurrentVersion
from deployserver.storage.history import StoredDeployment
from deployserver.storage.matrix import MatrixCell, MatrixPackage, MatrixTarget
from deployserver.storage.neighbours import Neighbours, neighbours
from deployserver.storage.novelties import Novelties, novelties
from deployserver.storage.search import FoundName
from deployserver.storage.spread import PackageKey
from deployserver.storage.steps import Step
from deployserver.storage.ways import FORTH, Position


class Records:
    """The records at one state of the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def history(self, asked: RecordFilter, before: Position | None, limit: int) -> list[StoredDeployment]:
        """Return the newest records, by date and then by arrival, that come after the position ``before``."""
        return await history.following(self._connection, await resolve(self._connection, asked), before, limit)

    async def newer(self, asked: RecordFilter, after: Position, limit: int) -> list[StoredDeployment]:
        """Return the records that come right before the position ``after`` in the history, the nearest first."""
        conditions = await resolve(self._connection, asked)
        return await history.following(self._connection, conditions, after, limit, FORTH)

    async def count(self, asked: RecordFilter) -> int:
        """Return how many records there are."""
        return await history.count(self._connection, await resolve(self._connection, asked))

    async def after(self, asked: RecordFilter, id_: int, limit: int) -> list[StoredDeployment]:
        """Return the first records that arrived after the one with this id, in the order of their arrival."""
        return await history.after_id(self._connection, await resolve(self._connection, asked), id_, limit)

    async def all_after(self, asked: RecordFilter, id_: int, at_once: int) -> AsyncIterator[list[StoredDeployment]]:
        """Yield all records that ``after`` would return, so many at once."""
        conditions = await resolve(self._connection, asked)
        while found := await history.after_id(self._connection, conditions, id_, at_once):
            yield found
            id_ = found[-1].id

    async def record(self, id_: int) -> StoredDeployment | None:
        """Return the record with this id."""
        return await history.by_id(self._connection, id_)

    async def with_ids(self, ids: Iterable[int]) -> dict[int, StoredDeployment]:
        """Return the records with these ids by their ids, those that there are."""
        return await history.by_ids(self._connection, ids)

    async def neighbours(self, record: StoredDeployment) -> Neighbours:
        """Return what was on the installation of a record before and after it, and what is there now."""
        return await neighbours(self._connection, record)

    async def current(
        self, asked: RecordFilter, as_of: int | None, after: CurrentPosition | None, limit: int | None
    ) -> list[CurrentDeployment]:
        """Return the latest record of each installation, of those up to ``as_of``, where that is asked for.

        They come in the order of package and target; ``after`` is where to go on.
        """
        conditions = await resolve(self._connection, asked)
        return await current.current(self._connection, conditions, as_of, after, limit)

    async def count_current(self, asked: RecordFilter, as_of: int | None) -> int:
        """Return how many ``current`` would return."""
        return await current.count(self._connection, await resolve(self._connection, asked), as_of)

    async def versions(self, asked: RecordFilter, as_of: int | None) -> list[CurrentVersion]:
        """Return what ``current`` would, only smaller, and in no order."""
        return await current.versions(self._connection, await resolve(self._connection, asked), as_of)

    async def names(self, kind: str) -> list[str]:
        """Return all names of a kind that records have, or had."""
        parameters = self._connection.parameters()
        rows = await self._connection.rows(f"SELECT name FROM names WHERE kind = {parameters.add(kind)}", parameters)
        return [name for (name,) in rows]

    async def counts_by_day(self, asked: RecordFilter) -> dict[int, int]:
        """Return how many records there are by days (UTC) since 1970; days without any are left out."""
        return await tallies.by_day(self._connection, await resolve(self._connection, asked))

    async def most(self, kind: str, asked: RecordFilter, limit: int) -> list[tuple[str, int]]:
        """Return the names of a kind that most records have, and how many have them."""
        return await tallies.most(self._connection, kind, await resolve(self._connection, asked), limit)

    async def spread(self, packages: Iterable[PackageKey], asked: RecordFilter) -> dict[PackageKey, dict[str, int]]:
        """Return which versions of packages run, and on how many targets, as far as feeds and targets are asked for."""
        return await spread.spread(self._connection, tuple(packages), await resolve(self._connection, asked))

    async def steps(self, asked: RecordFilter, limit: int) -> list[Step]:
        """Return what ``history`` would, only smaller."""
        return await steps.newest(self._connection, await resolve(self._connection, asked), limit)

    async def packages_of(self, installations: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Return group and name of the packages of installations, which ``steps`` has given, by their numbers."""
        return await steps.packages(self._connection, installations)

    async def versions_as_of(self, asked: RecordFilter, moment: int) -> dict[int, str]:
        """Return the version of each installation at a moment, by the installation's number."""
        return await steps.versions_as_of(self._connection, await resolve(self._connection, asked), moment)

    async def matrix_packages(
        self, asked: RecordFilter, start: PackageKey | None, limit: int, *, backwards: bool = False
    ) -> list[MatrixPackage]:
        """Return packages that run somewhere, as far as feeds, names and targets are asked for, in their order.

        They are those after ``start``, or the last ones before it.
        """
        conditions = await resolve(self._connection, asked)
        return await matrix.packages(self._connection, conditions, start, limit, backwards=backwards)

    async def matrix_targets(
        self,
        asked: RecordFilter,
        packages: Sequence[PackageKey],
        start: str | None,
        limit: int,
        *,
        backwards: bool = False,
    ) -> list[MatrixTarget]:
        """Return targets that run one of the packages, in the order of their names; ``start`` is a casefolded one."""
        conditions = await resolve(self._connection, asked)
        return await matrix.targets(self._connection, packages, conditions, start, limit, backwards=backwards)

    async def matrix_cells(self, packages: Sequence[PackageKey], targets: Sequence[str]) -> list[MatrixCell]:
        """Return what runs of the packages on the targets, which are given by their casefolded names."""
        return await matrix.cells(self._connection, packages, targets)

    async def names_with(
        self, kind: str, words: Sequence[str], feed_ids: Collection[int], limit: int
    ) -> list[FoundName]:
        """Return names of a kind that have all of the words, the best matches first, of records in these feeds."""
        return await search.find_names(self._connection, kind, words, feed_ids, limit)

    async def novelties(self, kind: str, feed_ids: frozenset[int], since: int, until: int, limit: int) -> Novelties:
        """Return what came up in these feeds from ``since`` until before ``until``: packages, versions, or targets."""
        return await novelties(self._connection, kind, feed_ids, since, until, limit)

    async def newest_id(self) -> int:
        """Return the id of the record that arrived last; 0 if there is none."""
        ((id_,),) = await self._connection.rows("SELECT coalesce(max(id), 0) FROM deployments")
        return int(id_)
