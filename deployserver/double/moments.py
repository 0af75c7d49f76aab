"""Moments as tests in Python say them, to microseconds since 1970, as they are counted inside."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from deployserver import dates
from deployserver.errors import InvalidValue


def to_micros(moment: date | str) -> int:
    """Return the microseconds of a moment; without a zone it is in UTC. Raises InvalidValue for what is no date.

    A day by itself is its beginning, as it is in a ``Date``.
    """
    if isinstance(moment, str):
        try:
            return dates.parse_date(moment)
        except ValueError as error:
            raise InvalidValue(f"{moment!r} {error}") from None
    if not isinstance(moment, date):
        raise InvalidValue(f"{moment!r} is no time; give a datetime, or a text such as 2021-04-13T10:00:00Z.")
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time())
    return dates.to_micros(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
