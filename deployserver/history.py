"""The history: which deployments there were, newest first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from deployserver.errors import NotFound
from deployserver.models import Caller, Deployment
from deployserver.storage.history import Position
from deployserver.viewing import Asked, Viewing

AT_ONCE = 1000
"""Records that are read together where all are asked for."""


class HistoryPage(NamedTuple):
    """Some records, newest first, where the next ones begin (None at the end), and how many there are if asked for."""

    deployments: list[Deployment]
    next: Position | None
    total: int | None


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
        return HistoryPage(view.deployments(found[:limit]), (last.row.date, last.id) if last else None, total)

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
            stored = await records.record(id_) if id_ < 2**63 else None
        found = view.deployments([stored] if stored else [])
        if not found:
            raise NotFound(f"There is no deployment {id_}.")
        return found[0]
