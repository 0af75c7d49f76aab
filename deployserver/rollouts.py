"""How the newest versions of a package came to its targets, and left them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from deployserver.filters import read_pattern
from deployserver.models import Caller
from deployserver.packages import Package
from deployserver.storage.steps import Step
from deployserver.versions import newest_first
from deployserver.viewing import Asked, Viewing

MOST_RECORDS = 2_000
"""So many of the newest records are looked at: what happened before them is left out."""

MOST_POINTS = 40
"""Where the count of a version changed more often, only what it was at the end of as many equal spans is kept."""


class Point(NamedTuple):
    """From ``at`` (microseconds since 1970) on there were ``targets``."""

    at: int
    targets: int


class VersionRollout(NamedTuple):
    """A version, and on how many targets it ran when."""

    version: str
    points: list[Point]


class Rollout(NamedTuple):
    """The newest versions, the newest first, from ``since`` on.

    ``records`` is how many there are from then on, ``complete`` whether they are all records of the package.
    """

    versions: list[VersionRollout]
    since: int
    records: int
    complete: bool


class Rollouts:
    """Reads rollouts, for callers who may view them."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def of(
        self, caller: Caller, package: Package, targets: tuple[str, ...], versions: tuple[str, ...], most: int
    ) -> Rollout | None:
        """Return the ``most`` newest of the versions that match, on the targets that do; None if there is no record.

        Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        wanted = view.filter(package.asked(Asked(targets=targets)))
        async with view.database.records() as records:
            steps = (await records.steps(wanted, MOST_RECORDS + 1))[::-1]
            if not steps or not wanted.feed_ids:
                return None
            complete, first = len(steps) <= MOST_RECORDS, steps[0].date
            if complete:
                before: dict[int, str] = {}
            else:
                steps = [step for step in steps if step.date > first]
                before = await records.versions_as_of(wanted, first)
        (feed_id,) = wanted.feed_ids
        known = {*before.values(), *(step.version for step in steps)}
        shown = newest_first(view.feeds[feed_id].type, _matching(known, versions))[:most]
        changes = _changes(before, first, steps)
        found = [VersionRollout(version, _thinned(changes[version])) for version in shown]
        return Rollout(found, min((one.points[0].at for one in found), default=first), len(steps), complete)


def _matching(versions: Iterable[str], patterns: Sequence[str]) -> list[str]:
    wanted = [read_pattern(pattern) for pattern in patterns]
    return [version for version in versions if not wanted or any(pattern.matches(version) for pattern in wanted)]


def _changes(before: dict[int, str], since: int, steps: Sequence[Step]) -> dict[str, list[Point]]:
    """Return the counts of each version whenever they changed, from the state ``before`` and the steps after it."""
    running, counts = dict(before), Counter(before.values())
    changes = {version: [Point(since, count)] for version, count in counts.items()}
    for step in steps:
        old = running.get(step.installation)
        if old == step.version:
            continue
        running[step.installation] = step.version
        counts[step.version] += 1
        if old is not None:
            counts[old] -= 1
        for version in filter(None, (old, step.version)):
            points = changes.setdefault(version, [])
            if points and points[-1].at == step.date:
                points.pop()
            points.append(Point(step.date, counts[version]))
    return changes


def _thinned(points: list[Point]) -> list[Point]:
    if len(points) <= MOST_POINTS:
        return points
    first, last = points[0].at, points[-1].at
    ends = {(point.at - first) * (MOST_POINTS - 1) // (last - first): point for point in points[1:]}
    return [points[0], *ends.values()]
