"""Times as people read them, from microseconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

from deployserver.dates import from_micros

MICROSECONDS = 1_000_000
DAY = 24 * 60 * 60 * MICROSECONDS

_MINUTE, _HOUR, _DAY, _MONTH, _YEAR = 60, 3_600, 86_400, 2_629_746, 31_556_952  # the mean Gregorian month and year


def utc(at: int) -> str:
    """Return a time such as ``2026-11-24 18:08 UTC``."""
    return from_micros(at).strftime("%Y-%m-%d %H:%M UTC").rjust(20, "0")  # glibc does not pad years before 1000


def day(at: int) -> str:
    """Return the day in UTC, such as ``2026-11-24``."""
    return from_micros(at).date().isoformat()


def iso(at: int) -> str:
    """Return a time for ``<time datetime>``, such as ``2026-11-24T18:08:31.250000Z``; no fraction where it is zero."""
    return from_micros(at).replace(tzinfo=None).isoformat() + "Z"


def ago(at: int, now: int) -> str:
    """Return how long before ``now`` it was in the largest whole unit: ``3 hours ago``, ``in 2 days``, ``just now``."""
    seconds = abs(now - at) // MICROSECONDS
    if seconds < _MINUTE:
        return "just now"
    for length, unit in ((_YEAR, "year"), (_MONTH, "month"), (_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute")):
        if seconds >= length:
            count = seconds // length
            text = f"{count} {unit}{'' if count == 1 else 's'}"
            break
    return f"{text} ago" if at <= now else f"in {text}"
