"""A clock that can be stopped and set: what the double takes for the time."""

from __future__ import annotations

from deployserver.clock import Clock, now
from deployserver.dates import format_date, parse_date
from deployserver.errors import InvalidValue

_SECOND = 1_000_000
EARLIEST = parse_date("1970-01-01")
"""What it can be set to: so far from the first date there is that pages can look back from it."""
_END = parse_date("9999-12-31T23:59:59.999999Z")
"""Where it stands still for good: no date is later."""


class MovableClock:
    """The time in microseconds since 1970-01-01T00:00:00Z: the machine's, until it is moved or frozen.

    It is what dates default to, when records are noted as recorded, and what keys and sessions expire by. It may be
    read on one thread while it is set on another.
    """

    def __init__(self, real: Clock = now) -> None:
        self._real = real
        self._ahead = 0
        self._frozen: int | None = None

    def __call__(self) -> int:
        frozen = self._frozen
        return min(self._real() + self._ahead if frozen is None else frozen, _END)

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._frozen is not None

    def set(self, to: int) -> None:
        """Move to a time; it goes on from there, or stays there if it is frozen. Raises InvalidValue."""
        checked_time(to)
        if self._frozen is None:
            self._ahead = to - self._real()
        else:
            self._frozen = to

    def freeze(self, at: int | None = None) -> None:
        """Stand still, at a time or now. Raises InvalidValue."""
        self._frozen = self() if at is None else checked_time(at)

    def advance(self, seconds: float) -> None:
        """Move forward; also while it stands still. Raises InvalidValue."""
        self.set(self() + round(seconds * _SECOND))

    def unfreeze(self) -> None:
        """Go on from where it stands."""
        if self._frozen is not None:
            self._ahead = self._frozen - self._real()
            self._frozen = None

    def reset(self) -> None:
        """Follow the machine's clock again."""
        self._ahead = 0
        self._frozen = None

    def __repr__(self) -> str:
        return f"<clock {'frozen at' if self.frozen else 'at'} {format_date(self())}>"


def checked_time(time: int) -> int:
    """Return a time that a clock can be set to. Raises InvalidValue."""
    if time < EARLIEST:
        raise InvalidValue("must be in 1970 or later.")
    return time
