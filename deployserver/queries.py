"""What a client may ask for: the parameters of each question, checked, and described for the API's documentation."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from marshmallow import RAISE, Schema, ValidationError

from deployserver.comparison import DIFFERENCE_KINDS
from deployserver.errors import InvalidRequest
from deployserver.frequency import PERIODS
from deployserver.parameters import Ago, Choice, Choices, Date, Dates, Flag, Moment, Names, Plain, Whole, Words
from deployserver.viewing import Asked

DEFAULT_LIMIT = 50
GREATEST_LIMIT = 1000
FORMATS = ("json", "ndjson", "csv")


def at(moment: Moment | None, now: int) -> int | None:
    """Return a moment in microseconds since 1970."""
    return now - moment.micros if isinstance(moment, Ago) else moment


_ANY = "in any letter case; a * at the end stands for anything, ** for one *; may be repeated, for any of them"
MOMENT = "a date in any form that a deployment's Date may have, or how long ago: 7d, 24h"


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

    feed = Names(f"the feed's name or an alternate name, {_ANY}", "DefaultNuGet")
    group = Names(f"the package's group, {_ANY}", "@acme")
    ungrouped = Flag(metadata={"description": "packages without a group, also where groups are asked for"})
    package = Names(f"the package's name, {_ANY}", "Newtonsoft.Json", "Newtonsoft.*")


class RecordFilterQuery(PlaceFilter):
    """Which records."""

    version = Names(f"the version as it was recorded, {_ANY}", "12.0.3", "12.*")
    target = Names(f"the target, {_ANY}", "web01", "web*")
    application = Names(f"the application that deployed, {_ANY}", "ProfitCalc")
    user = Names(f"who deployed, {_ANY}", "alice")
    q = Words(
        metadata={
            "description": "up to ten words, each of which is in some field, in any letter case",
            "examples": ("hotfix json",),
        }
    )


class TimeFilter(RecordFilterQuery):
    """Which records, also by their dates."""

    since = Date(metadata={"description": f"the earliest Date: {MOMENT}", "examples": ("7d", "2021-04-01")})
    until = Date(
        metadata={"description": f"the latest Date: {MOMENT}", "examples": ("24h", "2021-04-13T10:00:00+02:00")}
    )


def filter_parameter(name: str) -> Any:
    """Return the filter of a name, for another query that has it too."""
    return TimeFilter._declared_fields[name]


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

    as_of = Date(
        metadata={"description": f"the state as it was at {MOMENT}", "examples": ("30d", "2021-04-13T10:00:00Z")}
    )


class CompareQuery(PlaceFilter, PageQuery):
    """``GET /api/deployments/compare``."""

    target = Names("a target's name, in any letter case: two of them, or one and as_of", "web01", least=1)
    as_of = Dates(f"the state as it was at {MOMENT}, or now; twice for the left and the right side", "7d")
    difference = Choices(DIFFERENCE_KINDS, f"only these: {', '.join(DIFFERENCE_KINDS)}; may be repeated")


class AffectedQuery(RecordFilterQuery, PageQuery):
    """``GET /api/deployments/affected``."""

    purl = Plain(
        metadata={
            "description": "a package URL, in place of package: with a version, or with a range beside it",
            "examples": ("pkg:nuget/Newtonsoft.Json@12.0.3",),
        }
    )
    range = Plain(
        metadata={
            "description": "a range in the syntax of the package's ecosystem, or vers:; * for every version",
            "examples": ("[12.0,13.0.1)", "vers:nuget/>=12.0|<13.0.1"),
        }
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
            known_names = ", ".join(schema.fields) or "none"
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
