"""What a range comes to, whatever its syntax: intervals of sort keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Holds = Callable[[Any], bool]
"""Says whether a range holds the version with this sort key."""

COMPARISONS_ALLOWED = 50
"""More in one range are an attack or a mistake: every version that is looked at is compared with them all."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Keys from ``low`` to ``high``, each None for no end; ``outside`` turns it into all others."""

    low: Any = None
    high: Any = None
    with_low: bool = True
    with_high: bool = True
    outside: bool = False

    def holds(self, key: Any) -> bool:
        """Return whether the key is in the interval."""
        return self._inside(key) is not self.outside

    def _inside(self, key: Any) -> bool:
        if self.low is not None and (key < self.low or (key == self.low and not self.with_low)):
            return False
        return self.high is None or key < self.high or (key == self.high and self.with_high)


def compared(operator: str, equals: tuple[Any, Any]) -> Interval:
    """Return the interval that one of ``= == != > >= < <=`` makes of the keys that equal a version."""
    least, greatest = equals
    match operator:
        case ">=":
            return Interval(low=least)
        case ">":
            return Interval(low=greatest, with_low=False)
        case "<=":
            return Interval(high=greatest)
        case "<":
            return Interval(high=least, with_high=False)
        case "!=":
            return Interval(least, greatest, outside=True)
        case _:
            return Interval(least, greatest)


def everything(_: object) -> bool:
    """Hold every version, also one that has no key."""
    return True


def any_of(alternatives: Iterable[Iterable[Interval]]) -> Holds:
    """Return what holds a key that all intervals of one of the alternatives hold. Raises ValueError for too many."""
    frozen = tuple(tuple(intervals) for intervals in alternatives)
    refuse_too_many(frozen)

    def holds(key: Any) -> bool:
        return any(all(interval.holds(key) for interval in intervals) for intervals in frozen)

    return holds


def refuse_too_many(alternatives: Sequence[Sequence[object]]) -> None:
    """Raise ValueError if there are more comparisons than a range may have."""
    count = sum(map(len, alternatives))
    if count > COMPARISONS_ALLOWED:
        raise ValueError(f"it has {count} comparisons; at most {COMPARISONS_ALLOWED} are allowed.")
