"""What goes on: how much is deployed, what the most, and what has come up since yesterday."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, NamedTuple, get_args

from deployserver.clock import Clock
from deployserver.filters import RecordFilter
from deployserver.frequency import PeriodCount
from deployserver.models import Caller, Deployment
from deployserver.storage.history import StoredDeployment
from deployserver.storage.novelties import LOOKED_AT
from deployserver.storage.records import Records
from deployserver.viewing import View, Viewing

Novelty = Literal["package", "version", "target"]
Busy = Literal["package", "target", "application"]

DAYS = 30

CHEAP_SECONDS = 0.05
REST = 100
"""What took longer than ``CHEAP_SECONDS`` is not counted again for so many times as long, but for a minute at most.

After that whoever asks gets it once more, and the next one what has been counted meanwhile.
"""

_MOST_KEPT = 200
_MOST_REST = 60.0
_OLDEST = 600.0
_LISTED = 6
_DAY = 86_400_000_000
_EPOCH = date(1970, 1, 1)


class New(NamedTuple):
    """What came up in the last 24 hours and in the 24 before: how many, and the first deployments of the latest."""

    total: int
    day_before: int
    first: list[Deployment]


class Summary(NamedTuple):
    """How much went on up to ``at``.

    ``days`` are whole days (UTC), the last of them today; the other counts are of the last 24 hours, of the 24 before
    them, and of the last 7 days. ``at_least`` tells whether there was so much that not all of it was looked at for
    ``new``.
    """

    at: int
    days: list[PeriodCount]
    last_day: int
    day_before: int
    last_week: int
    busiest: dict[Busy, list[tuple[str, int]]]
    new: dict[Novelty, New]
    at_least: bool


class Overview:
    """Counts for callers what they may view.

    With very many records that takes a while, so that it is then kept for all who may view the same feeds.
    """

    def __init__(self, viewing: Viewing, clock: Clock, stopwatch: Callable[[], float] = time.monotonic) -> None:
        self._viewing = viewing
        self._clock = clock
        self._stopwatch = stopwatch
        self._kept: dict[frozenset[int], _Kept] = {}

    async def summary(self, caller: Caller) -> Summary:
        """Return the counts, which are from ``at``; ten minutes old at most. Raises NotPermitted."""
        view = self._viewing.view(caller)
        feed_ids = frozenset(view.feeds)
        now = self._stopwatch()
        kept = self._kept.get(feed_ids)
        if kept is None or not kept.is_good(now):
            # Whoever asks while it is counted gets the same: what there was, if that is not too old and took long.
            earlier = kept.counting.result() if kept is not None and kept.is_usable(now) else None
            kept = _Kept(asyncio.create_task(self._count(view)), earlier)
            kept.counting.add_done_callback(lambda counting: counting.cancelled() or counting.exception())
            self._kept.pop(feed_ids, None)
            self._kept[feed_ids] = kept
            while len(self._kept) > _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
        if kept.earlier is not None and not kept.counting.done():
            return _summary(view, kept.earlier)
        return _summary(view, await asyncio.shield(kept.counting))

    async def _count(self, view: View) -> _Counts:
        begun, now = self._stopwatch(), self._clock()
        async with view.database.records() as records:
            counted = await _counted(records, view, now)
        ended = self._stopwatch()
        rest = min(REST * (ended - begun), _MOST_REST) if ended - begun > CHEAP_SECONDS else 0.0
        return counted._replace(good_until=ended + rest, usable_until=ended + _OLDEST if rest else 0.0)


class _Counts(NamedTuple):
    at: int
    days: dict[int, int]
    last_day: int
    two_days: int
    last_week: int
    busiest: dict[Busy, list[tuple[str, int]]]
    new: dict[Novelty, tuple[int, int, list[StoredDeployment]]]
    good_until: float = 0.0
    usable_until: float = 0.0


@dataclass(frozen=True, slots=True)
class _Kept:
    counting: asyncio.Task[_Counts]
    earlier: _Counts | None = None
    """What there is until it has been counted."""

    def is_usable(self, now: float) -> bool:
        return self.counting.done() and self.counting.exception() is None and now < self.counting.result().usable_until

    def is_good(self, now: float) -> bool:
        if not self.counting.done():
            return True
        return self.counting.exception() is None and now < self.counting.result().good_until


async def _counted(records: Records, view: View, now: int) -> _Counts:
    feed_ids = frozenset(view.feeds)

    def since(moment: int) -> RecordFilter:
        return RecordFilter(None if view.everything else feed_ids, since=moment)

    new: dict[Novelty, tuple[int, int, list[StoredDeployment]]] = {}
    for kind in get_args(Novelty):
        recent = await records.novelties(kind, feed_ids, now - _DAY, now + 1, _LISTED)
        before = await records.novelties(kind, feed_ids, now - 2 * _DAY, now - _DAY, 1)
        new[kind] = (recent.total, before.total, recent.first)
    week = since(now - 7 * _DAY)
    return _Counts(
        now,
        await records.counts_by_day(since((now // _DAY - DAYS + 1) * _DAY)),
        await records.count(since(now - _DAY)),
        await records.count(since(now - 2 * _DAY)),
        await records.count(week),
        {kind: await records.most(kind, week, _LISTED) for kind in get_args(Busy)},
        new,
    )


def _summary(view: View, counts: _Counts) -> Summary:
    today = counts.at // _DAY
    return Summary(
        counts.at,
        [_day(number, counts.days) for number in range(today - DAYS + 1, today + 1)],
        counts.last_day,
        counts.two_days - counts.last_day,
        counts.last_week,
        counts.busiest,
        {kind: New(total, before, view.deployments(first)) for kind, (total, before, first) in counts.new.items()},
        counts.last_day > LOOKED_AT,
    )


def _day(number: int, counts: dict[int, int]) -> PeriodCount:
    first = _EPOCH + timedelta(days=number)
    return PeriodCount(first.isoformat(), first, counts.get(number, 0))
