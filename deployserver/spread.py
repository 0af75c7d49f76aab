"""Which versions of a package run now, and on how many targets each."""

from __future__ import annotations

from typing import NamedTuple

from deployserver.drift import Standing, Standings, standings
from deployserver.models import Caller
from deployserver.packages import EVERYTHING, Package
from deployserver.storage.spread import PackageKey
from deployserver.viewing import Asked, Viewing


class VersionSpread(NamedTuple):
    """A version, on how many targets it runs, and where it stands among all versions that run."""

    version: str
    targets: int
    standing: Standing


class Spread(NamedTuple):
    """The versions of a package, the newest first: those on the targets that are asked for, and how all stand."""

    versions: list[VersionSpread]
    standings: Standings

    @property
    def targets(self) -> int:
        """On how many targets the package runs."""
        return sum(version.targets for version in self.versions)

    def on(self, level: str) -> int:
        """Return how many targets run a version of that level."""
        return sum(version.targets for version in self.versions if version.standing.level == level)


class Spreads:
    """Reads which versions run, for callers who may."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def of(self, caller: Caller, package: Package, targets: tuple[str, ...] = ()) -> Spread:
        """Return the versions of a package on the targets, all by default. Raises NotPermitted."""
        view = self._viewing.view(caller)
        wanted = view.filter(package.asked())
        keys = [
            PackageKey(package.name.casefold(), feed_id, (package.group or "").casefold())
            for feed_id in wanted.feed_ids or ()
        ]
        if not keys:
            return Spread([], Standings())
        async with view.database.records() as records:
            running = (await records.spread(keys, view.filter(EVERYTHING)))[keys[0]]
            there = running
            if targets:
                there = (await records.spread(keys, view.filter(Asked(targets=targets))))[keys[0]]
        stand = standings(view.feeds[keys[0].feed_id].type, running)
        return Spread(
            [VersionSpread(version, there[version], stand[version]) for version in stand if version in there], stand
        )
