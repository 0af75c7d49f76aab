"""How often is deployed: counts by day, week or month, in UTC."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Literal, NamedTuple, get_args

from deployserver.models import Caller
from deployserver.viewing import Asked, Viewing

Per = Literal["day", "week", "month"]
PERIODS: tuple[Per, ...] = get_args(Per)

MOST_PERIODS = 10_000
"""Where a span has more of them, those without deployments are left out: one mistyped year must not make millions."""

_EPOCH = date(1970, 1, 1)
_DAY = 86_400_000_000


class PeriodCount(NamedTuple):
    """How many deployments there were in a period.

    ``label`` is its ISO 8601 name: ``2021-04-13``, ``2021-W15`` (weeks begin on Monday) or ``2021-04``.
    """

    label: str
    first: date
    deployments: int


class Frequency:
    """Counts deployments, for callers who may view them."""

    def __init__(self, viewing: Viewing) -> None:
        self._viewing = viewing

    async def per(self, caller: Caller, asked: Asked, per: Per) -> list[PeriodCount]:
        """Return the counts of all periods from the first to the last that has deployments, or that is asked for.

        Raises NotPermitted.
        """
        view = self._viewing.view(caller)
        async with view.database.records() as records:
            days = await records.counts_by_day(view.filter(asked))
        counts: Counter[date] = Counter()
        for day, count in days.items():
            counts[_start(_EPOCH + timedelta(days=day), per)] += count
        bounds = [_start(_EPOCH + timedelta(days=asked_for // _DAY), per) for asked_for in _bounds(asked)]
        starts = sorted({*counts, *bounds})
        if not starts:
            return []
        span = (starts[-1] - starts[0]).days / {"day": 1, "week": 7, "month": 30}[per]
        chosen = starts if span > MOST_PERIODS else _periods(starts[0], starts[-1], per)
        return [PeriodCount(_label(start, per), start, counts[start]) for start in chosen]


def _bounds(asked: Asked) -> Iterator[int]:
    if asked.since is not None:
        yield asked.since
    if asked.until is not None:
        yield asked.until


def _start(day: date, per: Per) -> date:
    if per == "week":
        return day - timedelta(days=day.weekday())  # the calendar's first day is a Monday
    return day.replace(day=1) if per == "month" else day


def _periods(first: date, last: date, per: Per) -> Iterator[date]:
    while first < last:  # and not one more: the calendar may end there
        yield first
        if per == "month":
            first = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        else:
            first += timedelta(days=1 if per == "day" else 7)
    yield last


def _label(start: date, per: Per) -> str:
    if per == "week":
        year, week, _ = start.isocalendar()
        return f"{year:04}-W{week:02}"
    return start.isoformat()[: 7 if per == "month" else 10]
