"""Dates as clients write them, to and from microseconds since 1970-01-01T00:00:00Z.

The accepted forms are those of the Package Deployment API (ISO 8601 UTC) and of the serialisers its clients use:
.NET's ``/Date(ms)/`` and RFC 1123. Locale forms are refused: ``04/05/2021`` means two different days.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

ACCEPTED = "an ISO 8601 date such as 2021-04-13T10:00:00Z or 2021-04-13T12:00:00+02:00"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROSECOND = timedelta(microseconds=1)
_FORMATTED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z", re.ASCII)

_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,9}))?)?"
    # A plus that a form sent unescaped has become a blank: "10:00:00 02:00" is "10:00:00+02:00".
    r"(?: ?([Zz])|( ?[+-]| {1,2})(\d\d)(?::?(\d\d))?)?)?",
    re.ASCII,
)
_DOTNET = re.compile(r"/Date\((-?\d{1,18})(?:[+ -]\d{4})?\)/", re.ASCII)  # the offset says nothing: they are UTC
_RFC_1123 = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [1-9]\d{3} "
    r"\d\d:\d\d:\d\d (?:GMT|UTC|UT|Z|[+ -]\d{4})",
    re.ASCII | re.IGNORECASE,
)


def parse_date(text: str) -> int:
    """Return the moment ``text`` names, in microseconds since 1970; further digits are cut off.

    Without a zone it is UTC, without a time midnight UTC. Raises ValueError with a message for the sender.
    """
    text = text.strip()
    try:
        if match := _ISO.fullmatch(text):
            return _from_iso(match)
        if match := _DOTNET.fullmatch(text):
            return to_micros(_EPOCH + timedelta(milliseconds=int(match[1])))
        if _RFC_1123.fullmatch(text):
            moment = parsedate_to_datetime(text.replace("  ", " +"))  # an unescaped plus, as above
            return to_micros(moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC))
    except OverflowError:
        raise ValueError(f"is a date outside the years 1 to 9999; send {ACCEPTED}.") from None
    except ValueError as error:
        raise ValueError(f"is not a date that exists ({error}); send {ACCEPTED}.") from None
    raise ValueError(f"is not in an accepted form; send {ACCEPTED}.")


def format_date(micros: int) -> str:
    """Return ``micros`` as ISO 8601 in UTC with ``Z``; six fraction digits, or none where they are zero."""
    second, fraction = divmod(micros, 1_000_000)
    return f"{_second(second)}.{fraction:06}Z" if fraction else f"{_second(second)}Z"


def parse_formatted(text: str) -> int | None:
    """Return what ``format_date`` made the text of, None for any other; much sooner than ``parse_date``."""
    if not _FORMATTED.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:  # there is no such date
        return None
    seconds = (moment.hour * 60 + moment.minute) * 60 + moment.second
    return ((moment.toordinal() - _EPOCH_DAY) * 86_400 + seconds) * 1_000_000 + moment.microsecond


@lru_cache(maxsize=64)
def _second(seconds: int) -> str:
    """Return a whole second; what is recorded at the same time shares it."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]


def _from_iso(match: re.Match[str]) -> int:
    year, month, day, hour, minute, second, fraction, _, sign, offset_hours, offset_minutes = match.groups()
    moment = datetime(
        int(year),
        int(month),
        int(day),
        int(hour or 0),
        int(minute or 0),
        int(second or 0),
        int((fraction or "")[:6].ljust(6, "0")),
        tzinfo=UTC,
    )
    if offset_hours:
        hours, minutes = int(offset_hours), int(offset_minutes or 0)
        if hours > 23 or minutes > 59:
            raise ValueError("its offset must be between -23:59 and +23:59")
        offset = timedelta(hours=hours, minutes=minutes)
        moment = moment + offset if sign.strip() == "-" else moment - offset
    return to_micros(moment)


def from_micros(micros: int) -> datetime:
    """Return the moment that is so many microseconds after 1970-01-01T00:00:00Z, in UTC, exactly."""
    return _EPOCH + timedelta(microseconds=micros)


def to_micros(moment: datetime) -> int:
    """Return the microseconds of an aware moment, exactly."""
    return (moment - _EPOCH) // _MICROSECOND
