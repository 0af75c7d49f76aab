"""What runs where: the latest deployment of each package on each target, now or as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

from deployserver.history import AT_ONCE
from deployserver.models import Caller, Deployment
from deployserver.storage.current import CurrentPosition
from deployserver.viewing import Asked, Viewing


class CurrentPage(NamedTuple):
    """Some records by package and target, where the next ones begin, and how many there are if asked for."""

    deployments: list[Deployment]
    next: CurrentPosition | None
    total: int | None


class Installations:
    """Reads what runs where, for callers who may."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def page(
        self,
        caller: Caller,
        asked: Asked,
        as_of: int | None,
        after: CurrentPosition | None,
        limit: int,
        *,
        count: bool = False,
    ) -> CurrentPage:
        """Return the latest record of up to ``limit`` installations, of those up to ``as_of``. Raises NotPermitted."""
        view = self._viewing.view(caller)
        wanted = view.filter(asked)
        async with view.database.records() as records:
            found = await records.current(wanted, as_of, after, limit + 1)
            total = await records.count_current(wanted, as_of) if count else None
        deployments = view.deployments(item.deployment for item in found[:limit])
        return CurrentPage(deployments, found[limit - 1].position if len(found) > limit else None, total)

    async def all(
        self, caller: Caller, asked: Asked, as_of: int | None, after: CurrentPosition | None = None
    ) -> AsyncIterator[list[Deployment]]:
        """Yield all of them, a part at a time."""
        while True:
            page = await self.page(caller, asked, as_of, after, AT_ONCE)
            yield page.deployments
            after = page.next
            if after is None:
                return
