"""Where a version stands among those that run: the newest, behind, or nobody can tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from deployserver.models import Caller, Deployment
from deployserver.packages import EVERYTHING, key_of
from deployserver.versions import ranked
from deployserver.viewing import Viewing

Level = Literal["newest", "behind", "unknown"]


class Standing(NamedTuple):
    """Where a version stands, and how many different newer ones run."""

    level: Level
    newer: int = 0


NEWEST = Standing("newest")
UNKNOWN = Standing("unknown")


class Standings(dict[str, Standing]):
    """Where each of some versions stands, the newest first."""

    @property
    def newest(self) -> str | None:
        """The newest version, if there is one that is known to be."""
        return next((version for version, standing in self.items() if standing is NEWEST), None)


def standings(feed_type: str, versions: Iterable[str]) -> Standings:
    """Return where versions stand among themselves, by the order of the feed's type.

    A text that is no version of that type is unknown, unless it is the only one there is: nothing is newer then.
    """
    ordered = ranked(feed_type, versions)
    if len({version.casefold() for version, _ in ordered}) == 1:
        return Standings((version, NEWEST) for version, _ in ordered)
    return Standings((version, _standing(newer)) for version, newer in ordered)


def _standing(newer: int | None) -> Standing:
    if newer is None:
        return UNKNOWN
    return Standing("behind", newer) if newer else NEWEST


class Drift:
    """Tells how far records are behind the newest version that runs, for callers who may view them."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def standings(self, caller: Caller, deployments: Sequence[Deployment]) -> dict[int, Standing]:
        """Return where the versions of records stand among those that run on any target now, by the records' ids.

        What does not run anywhere any more is left out. Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        versions = {
            deployment.id: (key_of(deployment.row), deployment.row.version)
            for deployment in deployments
            if deployment.row.feed_id in view.feeds
        }
        async with view.database.records() as records:
            running = await records.spread({key for key, _ in versions.values()}, view.filter(EVERYTHING))
        stand = {key: standings(view.feeds[key.feed_id].type, found) for key, found in running.items()}
        return {id_: stand[key][version] for id_, (key, version) in versions.items() if version in stand[key]}
