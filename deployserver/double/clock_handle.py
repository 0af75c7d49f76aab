"""The clock of a server as tests in Python move it."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta

from deployserver.dates import from_micros
from deployserver.double.clock import MovableClock
from deployserver.double.moments import to_micros
from deployserver.double.tracebacks import plainly
from deployserver.errors import InvalidValue

__tracebackhide__ = True


class Clock:
    """The clock of a server: what ``Date`` defaults to, when deployments are recorded, what keys expire by.

    Times are datetimes, or texts as a ``Date`` of a deployment; without a zone, UTC. For a text that is no date,
    InvalidValue is raised.
    """

    def __init__(self, clock: MovableClock) -> None:
        self._clock = clock

    def __repr__(self) -> str:
        return repr(self._clock)

    @property
    def now(self) -> datetime:
        """What the server takes for the time, in UTC."""
        return from_micros(self._clock())

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._clock.frozen

    def freeze(self, at: date | str | None = None) -> None:
        """Stand still, at a time or now."""
        self._clock.freeze(None if at is None else plainly(lambda: to_micros(at)))

    def set(self, to: date | str) -> None:
        """Move to a time, and go on from there; while it is frozen, stay there."""
        self._clock.set(plainly(lambda: to_micros(to)))

    def advance(self, by: timedelta | float) -> None:
        """Move forward, by so many seconds if it is a number; also while it is frozen.

        Raises InvalidValue for what would go back: ``set`` does that.
        """
        seconds = by.total_seconds() if isinstance(by, timedelta) else by
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < math.inf:
            raise InvalidValue(
                f"The clock advances by seconds or a timedelta, 0 or more, not {by!r}; set moves it back."
            )
        self._clock.advance(seconds)

    def unfreeze(self) -> None:
        """Go on from where it stands."""
        self._clock.unfreeze()

    def reset(self) -> None:
        """Follow the machine's clock again."""
        self._clock.reset()
