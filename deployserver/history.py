"""The history: which deployments there were, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from deployserver.errors import NotFound
from deployserver.models import Caller, Deployment
from deployserver.storage.history import StoredDeployment
from deployserver.storage.records import Records
from deployserver.storage.ways import Position
from deployserver.viewing import Asked, View, Viewing

AT_ONCE = 1000
"""Records that are read together where all are asked for."""


class HistoryPage(NamedTuple):
    """Some records, newest first, where the next ones begin (None at the end), and how many there are if asked for.

    ``newer`` is where those before them begin, None at the beginning.
    """

    deployments: list[Deployment]
    next: Position | None
    total: int | None = None
    newer: Position | None = None


class Placed(NamedTuple):
    """A record, what was on its installation before and after it, and what is there now."""

    deployment: Deployment
    before: Deployment | None
    after: Deployment | None
    latest: Deployment


class History:
    """Reads the history, for callers who may."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def page(
        self, caller: Caller, asked: Asked, before: Position | None, limit: int, *, count: bool = False
    ) -> HistoryPage:
        """Return up to ``limit`` records, by date and then by arrival. Raises NotPermitted."""
        view = self._viewing.view(caller)
        wanted = view.filter(asked)
        async with view.database.records() as records:
            found = await records.history(wanted, before, limit + 1)
            total = await records.count(wanted) if count else None
        last = found[limit - 1] if len(found) > limit else None
        newer = _position(found[0]) if found and before is not None else None
        return HistoryPage(view.deployments(found[:limit]), _position(last) if last else None, total, newer)

    async def newer(self, caller: Caller, asked: Asked, after: Position, limit: int) -> HistoryPage:
        """Return the ``limit`` records right before a position, or the first page if there are no more than that.

        Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        async with view.database.records() as records:
            found = await records.newer(view.filter(asked), after, limit + 1)
        if len(found) <= limit:
            return await self.page(caller, asked, None, limit)
        shown = found[limit - 1 :: -1]
        return HistoryPage(view.deployments(shown), _position(shown[-1]), newer=_position(shown[0]))

    async def all(self, caller: Caller, asked: Asked, before: Position | None) -> AsyncIterator[list[Deployment]]:
        """Yield all records, a part at a time, so that neither memory nor the database is held."""
        while True:
            page = await self.page(caller, asked, before, AT_ONCE)
            yield page.deployments
            before = page.next
            if before is None:
                return

    async def record(self, caller: Caller, id_: int) -> Deployment:
        """Return one record. Raises NotFound, also for one that the caller may not view, and NotPermitted."""
        view = self._viewing.view(caller)
        async with view.database.records() as records:
            return _found(view, id_, await _stored(records, id_))

    async def placed(self, caller: Caller, id_: int) -> Placed:
        """Return one record with its neighbours. Raises NotFound and NotPermitted as ``record`` does."""
        view = self._viewing.view(caller)
        async with view.database.records() as records:
            stored = await _stored(records, id_)
            deployment = _found(view, id_, stored)
            assert stored is not None
            around = await records.neighbours(stored)
        before, after, latest = (view.deployments([one] if one else []) for one in around)
        return Placed(
            deployment, before[0] if before else None, after[0] if after else None, latest[0] if latest else deployment
        )


async def _stored(records: Records, id_: int) -> StoredDeployment | None:
    return await records.record(id_) if id_ < 2**63 else None


def _found(view: View, id_: int, stored: StoredDeployment | None) -> Deployment:
    found = view.deployments([stored] if stored else [])
    if not found:
        raise NotFound(f"There is no deployment {id_}.")
    return found[0]


def _position(record: StoredDeployment) -> Position:
    return record.row.date, record.id
