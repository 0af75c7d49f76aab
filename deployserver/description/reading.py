"""What is said about ``/api/deployments`` and what is below it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from marshmallow import Schema

from deployserver import queries
from deployserver.description.answers import DifferenceSchema, PeriodCountSchema, RecordSchema, SuspectSchema
from deployserver.description.operations import IF_NONE_MATCH, READERS, Answer, Operation, problem
from deployserver.description.recording import RECORD

_CACHING = ("ETag", "Cache-Control", "Vary")
_REFUSED: Mapping[int, Answer | str] = {
    400: "InvalidQuery",
    403: "Forbidden",
    429: "TooManyFailures",
    503: "Unavailable",
}


def _list(
    id: str,
    path: str,
    summary: str,
    description: str,
    query: type[Schema],
    item: type[Schema],
    example: Mapping[str, Any],
    columns: Sequence[str] = (),
    headers: tuple[str, ...] = ("Link",),
) -> tuple[tuple[str, str], Operation]:
    """Return a question that is answered with a list, in each of the formats."""
    cells = ["" if example[name] is None else str(example[name]) for name in columns or example]
    content = {
        "application/json": {"schema": {"type": "array", "items": item}, "example": [example]},
        "application/x-ndjson": {
            "schema": {"type": "string", "description": "a JSON object a line"},
            "example": json.dumps(example, separators=(",", ":")) + "\n",
        },
        "text/csv": {
            "schema": {
                "type": "string",
                "description": "RFC 4180 with a header; what a spreadsheet would take for a formula has a ' before it",
            },
            "example": f"{','.join(columns or example)}\r\n{','.join(cells)}\r\n",
        },
    }
    answers: dict[int, Answer | str] = {
        200: Answer("The items, by default a page of them.", content, (*headers, *_CACHING)),
        304: "NotModified",
        406: "NotAcceptable",
        **_REFUSED,
    }
    return ("GET", path), Operation(
        id, "Reading", summary, description, answers, query, (IF_NONE_MATCH,), security=READERS
    )


_SUSPECT = {**RECORD, "Affected": True, "Reason": None}
_DIFFERENCE = {
    "FeedName": "DefaultNuGet",
    "GroupName": None,
    "PackageName": "Newtonsoft.Json",
    "Difference": "only-left",
    "Left": RECORD,
    "Right": None,
}
_PERIOD = {"Period": "2021-04-13", "From": "2021-04-13T00:00:00Z", "Count": 12}
_ID = {
    "name": "id",
    "in": "path",
    "required": True,
    "description": "the record's `Id`",
    "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1, "examples": [1]},
}

OPERATIONS = MappingProxyType(
    dict(
        (
            _list(
                "listDeployments",
                "/api/deployments",
                "The history: which deployments there were",
                "Newest first, by `Date` and then by arrival. Only records of feeds in which the caller has "
                "`Feeds_ViewFeed`.",
                queries.HistoryQuery,
                RecordSchema,
                RECORD,
                headers=("Link", "X-Total-Count"),
            ),
            _list(
                "listCurrent",
                "/api/deployments/current",
                "What runs where: the latest deployment of each package on each target",
                "In the order of package and target. With `as_of` the state as it was then. The filters are about the "
                "deployments that are current: `version=12.0.3` finds the targets that run it now, and `since=7d` "
                "what has changed in the last week.",
                queries.CurrentQuery,
                RecordSchema,
                RECORD,
                headers=("Link", "X-Total-Count"),
            ),
            _list(
                "compareTargets",
                "/api/deployments/compare",
                "How two targets differ, or one target at two times",
                "Give `target` twice, the left side first; or once, with `as_of` for the left side, or twice for both. "
                "Versions that differ in letter case alone are the same.",
                queries.CompareQuery,
                DifferenceSchema,
                _DIFFERENCE,
            ),
            _list(
                "listAffected",
                "/api/deployments/affected",
                "Which targets now run a version in a range: the question after every advisory",
                "Give `purl` with a version; or `purl` or `package`, and a `range`. A deployment whose version cannot "
                "be compared is not left out: `Affected` is then `null`, and `Reason` says why.",
                queries.AffectedQuery,
                SuspectSchema,
                _SUSPECT,
            ),
            _list(
                "countDeployments",
                "/api/deployments/frequency",
                "How often is deployed: counts by day, week or month",
                "All periods from the first to the last that has deployments or is asked for, also those without any; "
                "over more than 10,000 periods, only those with some. There are no pages.",
                queries.FrequencyQuery,
                PeriodCountSchema,
                _PERIOD,
                headers=(),
            ),
            (
                ("GET", "/api/deployments/events"),
                Operation(
                    id="followDeployments",
                    tag="Reading",
                    summary="What is recorded, as it is recorded",
                    description=(
                        "Server-sent events for as long as the client listens: a browser's `EventSource` can read "
                        "them, and `curl -N`. Each event is a `deployment` whose data is the record as JSON and whose "
                        "id is the record's. `Last-Event-ID`, which browsers send by themselves when they connect "
                        "again, goes on where it broke off; without it, events begin now. After 15 seconds without "
                        "news comes a comment. The stream ends when the key or user is no longer accepted."
                    ),
                    query=queries.EventsQuery,
                    parameters=(
                        {
                            "name": "Last-Event-ID",
                            "in": "header",
                            "description": "the id of the last event that was seen; goes before `last_event_id`",
                            "schema": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
                        },
                    ),
                    security=READERS,
                    answers={
                        200: Answer(
                            "Events, without end.",
                            {
                                "text/event-stream": {
                                    "schema": {"type": "string"},
                                    "example": "retry: 3000\n\nid: 1\nevent: deployment\n"
                                    f"data: {json.dumps(RECORD, separators=(',', ':'))}\n\n: still here\n\n",
                                }
                            },
                            ("Cache-Control",),
                        ),
                        **_REFUSED,
                    },
                ),
            ),
            (
                ("GET", "/api/deployments/{id}"),
                Operation(
                    id="getDeployment",
                    tag="Reading",
                    summary="One record",
                    description="Records are never changed.",
                    query=queries.Query,
                    parameters=(_ID, IF_NONE_MATCH),
                    security=READERS,
                    answers={
                        200: Answer(
                            "The record.", {"application/json": {"schema": RecordSchema, "example": RECORD}}, _CACHING
                        ),
                        304: "NotModified",
                        404: problem(
                            "There is no such record, or none that the caller may see.",
                            "Not found",
                            404,
                            "There is no deployment 77.",
                        ),
                        **_REFUSED,
                    },
                ),
            ),
        )
    )
)
