"""What ran when on a target, package by package."""

from __future__ import annotations

from typing import NamedTuple

from deployserver.models import Caller
from deployserver.storage.steps import Step
from deployserver.viewing import Asked, Viewing

MOST_RECORDS = 200
"""So many of the newest records are looked at."""


class TimelineLane(NamedTuple):
    """A package, with its group if it has one, and the records of it, the oldest first."""

    package: str
    steps: list[Step]


class Timeline(NamedTuple):
    """The packages that changed last, out of so many, and whether there are no more records than were looked at."""

    lanes: list[TimelineLane]
    packages: int
    records: int
    complete: bool


class Timelines:
    """Reads timelines, for callers who may view them."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def of(self, caller: Caller, asked: Asked, most: int) -> Timeline:
        """Return the ``most`` packages whose records are the newest. Raises NotPermitted."""
        view = self._viewing.view(caller)
        async with view.database.records() as records:
            found = await records.steps(view.filter(asked), MOST_RECORDS + 1)
            steps = found[:MOST_RECORDS]
            lanes: dict[int, list[Step]] = {}
            for step in steps:
                lanes.setdefault(step.installation, []).insert(0, step)
            shown = list(lanes)[:most]
            names = await records.packages_of(shown)
        return Timeline(
            [TimelineLane("/".join(filter(None, names[number])), lanes[number]) for number in shown],
            len(lanes),
            len(steps),
            len(found) == len(steps),
        )
