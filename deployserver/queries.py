"""What a client may ask for: the parameters of each question, checked, and described for the API's documentation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from marshmallow import RAISE, Schema, ValidationError, fields, validate

from deployserver.comparison import DIFFERENCE_KINDS
from deployserver.dates import ACCEPTED, parse_date
from deployserver.errors import InvalidRequest
from deployserver.frequency import PERIODS
from deployserver.schemas import NAME_LENGTH, Text
from deployserver.viewing import Asked

NOW = "now"
DEFAULT_LIMIT = 50
GREATEST_LIMIT = 1000
FORMATS = ("json", "ndjson", "csv")

_MOST_NAMES = 100
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_AGO = re.compile(r"(\d{1,9})([smhdw])", re.ASCII | re.IGNORECASE)
_LONGEST_AGO = 100 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Ago:
    """A moment so many microseconds before now."""

    micros: int


Moment = int | Ago


def at(moment: Moment | None, now: int) -> int | None:
    """Return a moment in microseconds since 1970."""
    return now - moment.micros if isinstance(moment, Ago) else moment


class Names(fields.List[str]):
    """Names, any of which will do; given by repeating the parameter. Empty ones are none."""

    def __init__(self, description: str) -> None:
        super().__init__(
            Text(NAME_LENGTH), load_default=(), validate=_few, metadata={"description": description, "example": None}
        )

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the names as a tuple. Raises ValidationError."""
        if not isinstance(value, list):
            return ()
        texts = dict.fromkeys(text for one in value if (text := self.inner.deserialize(one)) is not None)
        _few(texts)
        return tuple(texts)


class Date(fields.Field[Moment]):
    """A date as the API takes it, or how long ago: ``7d``, ``24h``."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the moment, or None where it is absent. Raises ValidationError."""
        if not isinstance(value, str) or not value.strip():
            return None
        text = value.strip()
        if match := _AGO.fullmatch(text):
            seconds = int(match[1]) * _UNITS[match[2].lower()]
            if seconds > _LONGEST_AGO:
                raise ValidationError("is more than a hundred years ago.")
            return Ago(seconds * 1_000_000)
        try:
            return parse_date(text)
        except ValueError as error:
            message = str(error).replace(ACCEPTED, f"{ACCEPTED}, or how long ago it is, such as 7d or 24h")
            raise ValidationError(message) from None


class Dates(Names):
    """Up to two dates, or ``now`` for all that there is."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the moments as a tuple, None for now. Raises ValidationError."""
        texts = [text for text in value if text.strip()] if isinstance(value, list) else []
        found = tuple(None if text.strip().lower() == NOW else Date().deserialize(text) for text in texts)
        if len(found) > 2:
            raise ValidationError("may be given twice at most.")
        return found


class Words(fields.Field[tuple[str, ...]]):
    """Words, all of which must be there."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the words as a tuple. Raises ValidationError."""
        text = Text(NAME_LENGTH, lines=True).deserialize(value if value is not None else "")
        words = tuple(dict.fromkeys((text or "").split()))
        if len(words) > 10:
            raise ValidationError("has more than ten words.")
        return words


class Whole(fields.Integer):
    """A whole number in plain digits."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the number, or the default where there is none. Raises ValidationError."""
        if isinstance(value, str) and not value.strip():
            value = None
        if value is None or not isinstance(value, str):
            return self.load_default
        low, high = self.metadata["minimum"], self.metadata["maximum"]
        if not re.fullmatch(r"\d{1,19}", value.strip(), re.ASCII) or not low <= int(value) <= high:
            raise ValidationError(f"must be a whole number from {low} to {high}.")
        return int(value)


class Choice(fields.String):
    """One of a few words, in any letter case."""

    def __init__(self, known: Iterable[str], **kwargs: Any) -> None:
        self.known = tuple(known)
        super().__init__(validate=validate.OneOf(self.known), **kwargs)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the word, or the default where there is none. Raises ValidationError."""
        if not isinstance(value, str) or not value.strip():
            return self.load_default
        word = value.strip().lower()
        if word not in self.known:
            raise ValidationError(f"must be one of {', '.join(self.known)}.")
        return word


class Choices(Names):
    """Some of a few words; given by repeating the parameter."""

    def __init__(self, known: Iterable[str], description: str) -> None:
        super().__init__(description)
        self.choice = Choice(known)

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the words as a tuple. Raises ValidationError."""
        words = [self.choice.deserialize(text) for text in value] if isinstance(value, list) else []
        return tuple(dict.fromkeys(word for word in words if word))


class Flag(fields.Boolean):
    """true or false."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the truth, False where it is absent. Raises ValidationError."""
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in ("", "true", "1", "yes", "false", "0", "no"):
            raise ValidationError("must be true or false.")
        return word in ("true", "1", "yes")


class Plain(fields.String):
    """A text that is looked at elsewhere."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the text, or None where it is absent or empty. Raises ValidationError."""
        return Text(4 * NAME_LENGTH).deserialize(value if isinstance(value, str) else "")


def _few(names: Any) -> None:
    if len(names) > _MOST_NAMES:
        raise ValidationError(f"is given more than {_MOST_NAMES} times.")


_ANY = "in any letter case; a * at the end stands for anything, ** for one *; may be repeated, for any of them"
_MOMENT = "a date in any form that a deployment's Date may have, or how long ago: 7d, 24h"


class Query(Schema):
    """Parameters that are not known are refused: a misspelt filter must not return everything."""

    class Meta:
        """See above."""

        unknown = RAISE


class FormatQuery(Query):
    """How the answer is to be written."""

    format = Choice(FORMATS, load_default=None, metadata={"description": "beats the Accept header"})


class PlaceFilter(Query):
    """Which installations."""

    feed = Names(f"the feed's name or an alternate name, {_ANY}")
    group = Names(f"the package's group, {_ANY}")
    ungrouped = Flag(metadata={"description": "packages without a group, also where groups are asked for"})
    package = Names(f"the package's name, {_ANY}")


class RecordFilterQuery(PlaceFilter):
    """Which records."""

    version = Names(f"the version as it was recorded, {_ANY}")
    target = Names(f"the target, {_ANY}")
    application = Names(f"the application that deployed, {_ANY}")
    user = Names(f"who deployed, {_ANY}")
    q = Words(metadata={"description": "words, each of which is in some field, in any letter case"})


class TimeFilter(RecordFilterQuery):
    """Which records, also by their dates."""

    since = Date(metadata={"description": f"the earliest Date: {_MOMENT}"})
    until = Date(metadata={"description": f"the latest Date: {_MOMENT}"})


class PageQuery(FormatQuery):
    """Which part of the answer."""

    limit = Whole(
        load_default=None,
        metadata={
            "description": f"how many at most; default {DEFAULT_LIMIT}, and all for ndjson and csv",
            "minimum": 1,
            "maximum": GREATEST_LIMIT,
        },
    )
    cursor = Plain(metadata={"description": "where to go on: from the Link header of the page before"})


class CountedPageQuery(PageQuery):
    """Which part, and how many there are altogether."""

    count = Flag(metadata={"description": "whether to count all, for the X-Total-Count header"})


class HistoryQuery(TimeFilter, CountedPageQuery):
    """``GET /api/deployments``."""


class CurrentQuery(TimeFilter, CountedPageQuery):
    """``GET /api/deployments/current``."""

    as_of = Date(metadata={"description": f"the state as it was at {_MOMENT}"})


class CompareQuery(PlaceFilter, PageQuery):
    """``GET /api/deployments/compare``."""

    target = Names("a target's name, in any letter case: two of them, or one and as_of")
    as_of = Dates(f"the state as it was at {_MOMENT}, or now; twice for the left and the right side")
    difference = Choices(DIFFERENCE_KINDS, f"only these: {', '.join(DIFFERENCE_KINDS)}; may be repeated")


class AffectedQuery(RecordFilterQuery, PageQuery):
    """``GET /api/deployments/affected``."""

    purl = Plain(metadata={"description": "a package URL, such as pkg:nuget/Newtonsoft.Json@12.0.3"})
    range = Plain(
        metadata={"description": "a range in the syntax of the package's ecosystem, or vers:, such as [12.0,13.0.1)"}
    )


class FrequencyQuery(TimeFilter, FormatQuery):
    """``GET /api/deployments/frequency``."""

    per = Choice(PERIODS, load_default="day", metadata={"description": "the period; days are UTC, weeks ISO 8601"})


class EventsQuery(RecordFilterQuery):
    """``GET /api/deployments/events``."""

    last_event_id = Whole(
        load_default=None,
        metadata={
            "description": "the id of the last event that was seen, as the Last-Event-ID header has it",
            "minimum": 0,
            "maximum": 2**63 - 1,
        },
    )


@cache
def _schema(cls: type[Query]) -> Query:
    return cls()


def load_query(cls: type[Query], given: Mapping[str, list[str]]) -> dict[str, Any]:
    """Check the parameters of a query, each with all its values, by name in any letter case.

    Raises InvalidRequest with every parameter that is wrong, and why.
    """
    schema = _schema(cls)
    values: dict[str, Any] = {}
    errors: dict[str, list[str]] = {}
    for name, texts in given.items():
        known = schema.fields.get(name.lower())
        if known is None:
            known_names = ", ".join(schema.fields)
            errors[name] = [f"is no parameter here. Known are {known_names}."]
        elif isinstance(known, Names):
            values[name.lower()] = [*values.get(name.lower(), []), *texts]
        elif len({text.strip() for text in texts} | {values.get(name.lower(), texts[0]).strip()}) > 1:
            errors[name] = ["is given more than once, with different values."]
        else:
            values[name.lower()] = texts[0]
    loaded: dict[str, Any] = {}
    for name, known in schema.fields.items():
        try:
            loaded[name] = known.deserialize(values.get(name))
        except ValidationError as error:
            errors[name] = cast("list[str]", error.messages)
    if errors:
        raise InvalidRequest(errors)
    return loaded


def asked(query: Mapping[str, Any], now: int) -> Asked:
    """Return which records a query asks for. Raises InvalidRequest for a time that ends before it begins."""
    since, until = at(query.get("since"), now), at(query.get("until"), now)
    if since is not None and until is not None and since > until:
        raise InvalidRequest({"since": ["is later than until."]})
    return Asked(
        query.get("feed", ()),
        (*query.get("group", ()), *([""] if query.get("ungrouped") else [])),
        query.get("package", ()),
        query.get("target", ()),
        query.get("version", ()),
        query.get("application", ()),
        query.get("user", ()),
        since,
        until,
        query.get("q", ()),
    )


def is_relative(query: Mapping[str, Any]) -> bool:
    """Tell whether the answer depends on the time of the question."""
    values = [query.get("since"), query.get("until"), query.get("as_of")]
    return any(isinstance(one, Ago) for value in values for one in (value if isinstance(value, tuple) else (value,)))
