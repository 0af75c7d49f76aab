"""Where a version stands among those that run: the newest, behind, or nobody can tell."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from deployserver.models import Caller, Deployment
from deployserver.packages import EVERYTHING, key_of
from deployserver.versions import is_version, newest_first, same_version
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
        return next((version for version, standing in self.items() if standing.level == "newest"), None)


def standings(feed_type: str, versions: Iterable[str]) -> Standings:
    """Return where versions stand among themselves, by the order of the feed's type.

    A text that is no version of that type is unknown, unless it is the only one there is: nothing is newer then.
    """
    ordered = newest_first(feed_type, versions)
    if len({version.casefold() for version in ordered}) == 1:
        return Standings(dict.fromkeys(ordered, NEWEST))
    found = Standings()
    newer, previous = -1, None
    for version in ordered:
        if not is_version(feed_type, version):
            found[version] = UNKNOWN
            continue
        if previous is None or not same_version(feed_type, previous, version):
            newer += 1
        found[version] = Standing("behind", newer) if newer else NEWEST
        previous = version
    return found


class Drift:
    """Tells how far records are from the newest version that runs, for callers who may view them."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def standings(self, caller: Caller, deployments: Iterable[Deployment]) -> Mapping[int, Standing]:
        """Return where the versions of records stand among those that run on any target now, by the records' ids.

        What runs nowhere any more stands nowhere. Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        packages = {deployment.id: key_of(deployment.row) for deployment in deployments}
        async with view.database.records() as records:
            running = await records.spread(sorted(set(packages.values())), view.filter(EVERYTHING))
        stand = {
            key: standings(view.feeds[key.feed_id].type, running[key]) for key in running if key.feed_id in view.feeds
        }
        found = {
            deployment.id: stand.get(packages[deployment.id], Standings()).get(deployment.row.version)
            for deployment in deployments
        }
        return {id_: standing for id_, standing in found.items() if standing is not None}
