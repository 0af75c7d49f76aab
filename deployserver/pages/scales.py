"""Where the lines of a grid go: round counts, and round times in UTC."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from deployserver.dates import from_micros, to_micros
from deployserver.pages.times import DAY

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Not strftime's, which change with the locale of the process."""

_HOUR = DAY // 24
_FIRST_MONDAY = 4 * DAY
_SPANS = (_HOUR, 2 * _HOUR, 3 * _HOUR, 6 * _HOUR, 12 * _HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000, 12000, 24000)


class Tick(NamedTuple):
    """A line of the grid: where it is, from 0 to 1, and what it says."""

    share: float
    label: str


@dataclass(frozen=True, slots=True)
class TimeScale:
    """The time from ``since`` to ``until``, in microseconds; never empty."""

    since: int
    until: int

    def share(self, at: int) -> float:
        """Return where a time is, from 0 to 1; what is outside is at the end that it is beyond."""
        span = max(self.until - self.since, 1)
        return min(max((at - self.since) / span, 0.0), 1.0)

    def ticks(self, most: int = 7) -> list[Tick]:
        """Return at most ``most`` round times within, hours to millennia apart."""
        span = self.until - self.since
        for step in _SPANS:
            if span // step < most:
                origin = _FIRST_MONDAY if step % (7 * DAY) == 0 else 0
                first = self.since + (origin - self.since) % step
                return [Tick(self.share(at), _label(at, step)) for at in range(first, self.until + 1, step)]
        for months in _MONTHS:
            if span // (months * 30 * DAY) < most:
                break
        return [Tick(self.share(at), _label(at, months * 30 * DAY)) for at in _each(months, self.since, self.until)]


def count_ticks(highest: int, about: int = 4) -> list[int]:
    """Return round counts from 0 to ``highest`` or just above it; always at least 0 and 1."""
    step = next(size for size in _round_sizes() if size * about >= highest)
    count = max(-(-highest // step), 1)
    return [step * index for index in range(count + 1)]


def _round_sizes() -> Iterator[int]:
    """Yield 1, 2, 5, 10, 20, 50 and so on."""
    for exponent in itertools.count():
        for digit in (1, 2, 5):
            yield digit * 10**exponent


def _each(months: int, since: int, until: int) -> list[int]:
    first = from_micros(since)
    number = first.year * 12 + first.month - 1
    number += -number % months
    times = []
    while number // 12 <= 9999:
        at = to_micros(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC))
        if at > until:
            break
        if at >= since:
            times.append(at)
        number += months
    return times


def _label(at: int, step: int) -> str:
    time = from_micros(at)
    if step < DAY and (time.hour or time.minute):
        return f"{time.hour:02}:{time.minute:02}"
    if step < 28 * DAY:
        return f"{time.day} {MONTHS[time.month - 1]}"
    if step < 360 * DAY:
        return f"{MONTHS[time.month - 1]} {time.year}"
    return str(time.year)
