"""Moments as tests in Python say and read them, and as they are counted inside: in microseconds since 1970."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from deployserver.dates import parse_date
from deployserver.errors import InvalidValue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def from_micros(micros: int) -> datetime:
    """Return the moment that is so many microseconds after 1970-01-01T00:00:00Z, in UTC."""
    return _EPOCH + micros * _MICROSECOND


def to_micros(moment: date | str) -> int:
    """Return the microseconds of a moment; without a zone it is in UTC. Raises InvalidValue for what is no date.

    A day by itself is its beginning, as it is in a ``Date``.
    """
    if isinstance(moment, str):
        try:
            return parse_date(moment)
        except ValueError as error:
            raise InvalidValue(f"{moment!r} {error}") from None
    if not isinstance(moment, date):
        raise InvalidValue(f"{moment!r} is no time; give a datetime, or a text such as 2021-04-13T10:00:00Z.")
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MICROSECOND
