"""When people deploy: by the hour, over years, with quiet nights and weekends, a slow growth, and a few spikes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import accumulate

SECOND = 1_000_000
HOUR = 3600 * SECOND

_OPEN = 0.5
"""The least weight of an hour in which a rollout goes on that may wait."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_OF_WORK = (
    *(0.03, 0.03, 0.06, 0.06, 0.04, 0.1, 0.3, 0.7, 1.3, 1.7, 1.6, 1.1),
    *(0.9, 1.5, 1.8, 1.5, 1.0, 0.6, 0.35, 0.25, 0.3, 0.25, 0.15, 0.06),
)
_SPIKES_A_YEAR = 8


class Calendar:
    """The ``hours`` before ``end`` (microseconds since 1970), counted from ``start``."""

    def __init__(self, end: int, days: int, random_: random.Random) -> None:
        self.start = end - days * 24 * HOUR
        self.hours = days * 24
        first = _EPOCH + timedelta(microseconds=self.start)
        spikes = {random_.randrange(days): 3 + 4 * random_.random() for _ in range(round(days / 365 * _SPIKES_A_YEAR))}
        weights = []
        self.days: list[str] = []
        """The day of each hour, as 20261121."""
        for hour in range(self.hours):
            moment = first + timedelta(hours=hour)
            weekend = 0.06 if moment.weekday() > 4 else 1
            holidays = 0.2 if (moment.month, moment.day) >= (12, 23) or (moment.month, moment.day) <= (1, 3) else 1
            growth = 0.7 + 0.6 * hour / self.hours
            weight = _DAY_OF_WORK[moment.hour] * weekend * holidays
            weights.append((weight, weight * growth * spikes.get(hour // 24, 1)))
            self.days.append(f"{moment:%Y%m%d}")
        cumulated = list(accumulate(weight for _, weight in weights))
        self.share = [weight / cumulated[-1] for weight in cumulated]
        """What share of everything has happened at the end of each hour."""
        self._next_open = list(range(self.hours + 1))
        for hour in reversed(range(self.hours)):
            if weights[hour][0] < _OPEN:
                self._next_open[hour] = self._next_open[hour + 1]

    def opened(self, at: int, patience: float) -> int:
        """Return a moment at which people work: ``at``, or else within the first hours in which they do.

        ``patience``, from 0 to 1, says how late then.
        """
        hour = (at - self.start) // HOUR
        if hour >= self.hours or self._next_open[hour] == hour:
            return at
        return self.start + self._next_open[hour] * HOUR + int(9 * HOUR * patience)
