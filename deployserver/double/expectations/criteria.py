"""What one property is expected to be: a text, a moment, a number, nothing, a pattern, or what a function accepts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from deployserver.dates import format_date, from_micros, parse_date
from deployserver.double.expectations.differences import one_line, shown, shown_apart
from deployserver.double.moments import to_micros
from deployserver.errors import InvalidRequest

Wanted = str | int | datetime | re.Pattern[str] | Callable[[Any], object] | None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A value that cannot be what it should, such as a JSON object; ``words`` show it. It agrees with nothing."""

    words: str


Value = str | int | datetime | Unreadable | None
"""What a property is; None where there is none. Moments have a time zone."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """What the property ``name`` is to be; None is to have none.

    A pattern is searched for, as ``pytest.raises(match=...)`` does; a function gets the text, the status, or for a date
    the ``datetime``, and is not asked about a property that is missing.
    """

    name: str
    wanted: Wanted
    weight: int = 1

    def agrees(self, value: Value) -> bool:
        """Tell whether a value is what is wanted."""
        if value is None or self.wanted is None:
            return value is None and self.wanted is None
        if isinstance(value, Unreadable):
            return False
        if isinstance(self.wanted, re.Pattern):
            return self.wanted.search(_plain(value)) is not None
        if callable(self.wanted):
            return bool(self.wanted(value))
        return value == self.wanted

    @property
    def clause(self) -> str:
        """The criterion as a part of ``with package Newtonsoft.Json, no group``."""
        if self.wanted is None:
            return f"no {self.name}"
        if isinstance(self.wanted, re.Pattern):
            return f"{self.name} matching {shown(self.wanted.pattern)}"
        if callable(self.wanted):
            return f"{self.name} that {_name_of(self.wanted)} accepts"
        return f"{self.name} {_shown(self.wanted)}"

    def difference(self, value: Value) -> str:
        """Return ``version: expected 12.0.3, got 12.0.2`` for a value that does not agree."""
        if isinstance(self.wanted, str) and isinstance(value, str):
            expected, actual, note = shown_apart(self.wanted, value)
            return f"{self.name}: expected {expected}, got {actual}" + (f" ({note})" if note else "")
        if self.wanted is None:
            expected = "none"
        elif isinstance(self.wanted, re.Pattern):
            expected = f"a match of {shown(self.wanted.pattern)}"
        elif callable(self.wanted):
            expected = f"what {_name_of(self.wanted)} accepts"
        else:
            expected = _shown(self.wanted)
        if value is None:
            return f"{self.name}: expected {expected}, and there was none"
        return f"{self.name}: expected {expected}, got {_shown(value)}"


def clauses(criteria: Iterable[Criterion]) -> str:
    """Return `` with package Newtonsoft.Json, version 12.0.3``; empty where there are no criteria."""
    texts = [criterion.clause for criterion in criteria]
    return f" with {', '.join(texts)}" if texts else ""


def read_text(value: Any) -> Wanted:
    """Read what a text is to be: itself, a pattern of texts, or a function. Raises ValueError."""
    if isinstance(value, str):
        if value.strip():
            return value
        raise ValueError("must not be blank; leave it out if it does not matter.")
    if callable(value) or (isinstance(value, re.Pattern) and isinstance(value.pattern, str)):
        return cast("Wanted", value)
    raise ValueError(f"must be a text, not {_json(value)}.")


def read_text_or_none(value: Any) -> Wanted:
    """Read what a text is to be, or None where there is to be none. Raises ValueError."""
    return None if value is None else read_text(value)


def read_date(value: Any) -> Wanted:
    """Read the moment that a date is to be; without a zone it is UTC. Raises ValueError."""
    if isinstance(value, datetime):
        try:
            return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
        except OverflowError:
            raise ValueError("must be between the years 1 and 9999.") from None
    if isinstance(value, str):
        return from_micros(parse_date(value))
    return read_text(value)


def read_status(value: Any) -> Wanted:
    """Read the HTTP status that an answer is to have. Raises ValueError."""
    if callable(value) or (isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599):
        return cast("Wanted", value)
    raise ValueError(f"must be a number from 100 to 599, not {_json(value)}.")


def read_times(value: Any) -> int | None:
    """Read how many there are to be; None for at least one. Raises ValueError."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise ValueError(f"must be a whole number of 0 or more, or left out for at least one, not {_json(value)}.")


def read_headers(value: Any) -> Mapping[str, Wanted]:
    """Read what headers are to be, by their names; None where one is not to be there. Raises ValueError."""
    if not isinstance(value, Mapping):
        raise ValueError(f"must have values by the names of headers, not {_json(value)}.")
    return {str(name): read_text_or_none(wanted) for name, wanted in value.items()}


def read_all(values: Mapping[str, Any], readers: Mapping[str, Callable[[Any], Any]]) -> dict[str, Any]:
    """Read values by their names. Raises InvalidRequest with all that is wrong."""
    wanted = {}
    errors = {}
    for name, value in values.items():
        try:
            if name not in readers:
                raise ValueError(f"is not known; use {', '.join(readers)}.")
            wanted[name] = readers[name](value)
        except ValueError as error:
            errors[name] = [str(error)]
    if errors:
        raise InvalidRequest(errors)
    return wanted


def _json(value: Any) -> str:
    return one_line(json.dumps(value, ensure_ascii=False, default=repr), 100)


def _plain(value: str | int | datetime) -> str:
    return format_date(to_micros(value)) if isinstance(value, datetime) else str(value)


def _shown(value: Any) -> str:
    return value.words if isinstance(value, Unreadable) else shown(_plain(value))


def _name_of(function: Callable[[Any], object]) -> str:
    name = getattr(function, "__name__", "")
    return name if name.isidentifier() else "the given function"
