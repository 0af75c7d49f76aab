"""What documents of the test double's control API hold, as JSON schemas made of the schemas that read them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import get_args

from deployserver.description.double_state import STATE_SCHEMAS, JsonObject, reference, said
from deployserver.double.clock_schema import FURTHEST_SECONDS
from deployserver.double.faults.delays import LONGEST_SECONDS
from deployserver.double.faults.fault import Effect, Stage
from deployserver.double.faults.schema import FaultSchema


def _whole(low: int, high: int | None = None) -> JsonObject:
    return {"type": ["integer", "null"], "minimum": low} | ({} if high is None else {"maximum": high})


def _number(high: float) -> JsonObject:
    return {"type": ["number", "null"], "minimum": 0, "maximum": high}


def _distribution(kind: str, value: JsonObject) -> JsonObject:
    return {"type": "object", "properties": {kind: value}, "required": [kind], "additionalProperties": False}


_SECONDS = {"type": "number", "minimum": 0, "maximum": LONGEST_SECONDS}
_TWO = {"type": "array", "items": _SECONDS, "minItems": 2, "maxItems": 2}
_TEXT = {"type": ["string", "null"]}

_FAULT_VALUES: Mapping[str, JsonObject] = {
    "key": {"type": ["string", "integer", "null"], "pattern": r"\S", "examples": ["ci", 1]},
    "path": {"type": ["string", "null"], "examples": ["/api/package-deployment"]},
    "package": {"type": ["string", "null"], "examples": ["Newtonsoft.*"]},
    "first": _whole(1) | {"examples": [2]},
    "every": _whole(1) | {"examples": [3]},
    "probability": _number(1) | {"examples": [0.2]},
    "seed": _whole(0),
    "skip": _whole(0),
    "do": {"type": "string", "enum": list(get_args(Effect))},
    "status": _whole(400, 599) | {"examples": [503]},
    "retry_after": _whole(0),
    "bytes": _whole(0),
    "seconds": _number(LONGEST_SECONDS),
    "delay": {
        "anyOf": [
            _SECONDS,
            *(_distribution(kind, _TWO) for kind in ("uniform", "normal", "lognormal")),
            _distribution("exponential", _SECONDS),
            {"type": "null"},
        ],
        "examples": [0.5, {"uniform": [0.1, 2]}],
    },
    "when": {"type": ["string", "null"], "enum": [*get_args(Stage), None]},
}

_COUNTS = {
    "id": "its number, which no other fault of this world has had",
    "matched": "how many requests have fitted it",
    "hits": "how many of them it has hit",
}


def _fault() -> tuple[JsonObject, JsonObject]:
    """Return the schema of a fault as it is sent, and as it is shown."""
    properties = {name: said(field) | _FAULT_VALUES.get(name, _TEXT) for name, field in FaultSchema().fields.items()}
    ignored = {name: {"description": f"{words}; ignored here"} for name, words in _COUNTS.items()}
    shown = {
        name: {"type": "integer", "minimum": 1 if name == "id" else 0, "description": words}
        for name, words in _COUNTS.items()
    }
    return (
        {
            "type": "object",
            "description": "What is to go wrong, with which requests, and how often.",
            "properties": {**properties, **ignored},
            "required": ["do"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "description": "A fault, and how often it has acted; what does not apply is left out.",
            "properties": {**properties, **shown},
            "required": ["id", "skip", "do", "when", "matched", "hits"],
        },
    )


_CRITERIA = {
    "feed": "the feed's name of today",
    "group": "the package's group; null for none",
    "package": "the package's name",
    "version": "the version",
    "target": "the target",
    "application": "the application",
    "description": "the description",
    "user": "who deployed it",
    "url": "the link; null for none",
    "date": "when, in any form that `Date` may have",
    "recorded_by": "who really recorded it, such as `API key 1 (ci)`",
}
_TIMES: JsonObject = {
    "type": ["integer", "null"],
    "minimum": 0,
    "description": "how many there are to be; without it, one or more",
}
_EXPECTATION: JsonObject = {
    "type": "object",
    "description": "What a deployment has to have: all of it, exactly as it is stored. Without any, each is meant.",
    "properties": {
        **{
            name: {"type": ["string", "null"] if name in ("group", "url") else "string", "pattern": r"\S"}
            | {"description": words}
            for name, words in _CRITERIA.items()
        },
        "times": _TIMES | {"description": f"{_TIMES['description']}. It does not count for `notDeployed`"},
    },
    "additionalProperties": False,
}
_REQUEST_EXPECTATION: JsonObject = {
    "type": "object",
    "description": "What a request has to have, and its answer: all of it. Without any, each is meant.",
    "properties": {
        "method": {"type": "string", "pattern": r"\S", "description": "the method", "examples": ["POST"]},
        "path": {"type": "string", "pattern": r"\S", "description": "the path, decoded, below the world's base"},
        "status": {"type": "integer", "minimum": 100, "maximum": 599, "description": "the status of the answer"},
        "header": {
            "type": "object",
            "additionalProperties": {"type": ["string", "null"]},
            "description": "values of headers by their names; null for one that is not to be there",
        },
        "times": _TIMES,
    },
    "additionalProperties": False,
}


def _object(description: str, properties: Mapping[str, JsonObject]) -> JsonObject:
    """Return the schema of an answer in which all of these are."""
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": list(properties),
    }


def _text(description: str, *, null: bool = False) -> JsonObject:
    return {"type": ["string", "null"] if null else "string", "description": description}


def _count(description: str, *, null: bool = False) -> JsonObject:
    return {"type": ["integer", "null"] if null else "integer", "description": description, "minimum": 0}


def _pairs(description: str) -> JsonObject:
    pair = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}
    return {"type": "array", "items": pair, "description": description}


_BODY = {
    "body": _text("the body as text; null if it is no UTF-8 or was not kept", null=True),
    "bodyBase64": _text("the bytes of the body in base 64; null if it was not kept", null=True),
}
_CLOCK = _object(
    "What is taken for the time.",
    {
        "now": {"type": "string", "format": "date-time", "description": "the time, in UTC"},
        "frozen": {"type": "boolean", "description": "whether it stands still"},
    },
)
_ANSWER = _object(
    "What the server has answered; where it was streamed, the body is not kept.",
    {"status": _count("the status"), "headers": _pairs("names and values of the headers"), **_BODY},
)

SCHEMAS: Mapping[str, JsonObject] = MappingProxyType(
    {
        **STATE_SCHEMAS,
        **dict(zip(("Fault", "ActiveFault"), _fault(), strict=True)),
        "Expectation": _EXPECTATION,
        "RequestExpectation": _REQUEST_EXPECTATION,
        "Verification": {
            "type": "object",
            "description": "What is expected; everything in it has to be so.",
            "properties": {
                "deployed": {**reference("Expectation"), "description": "has been recorded"},
                "notDeployed": {**reference("Expectation"), "description": "has not been recorded"},
                "requested": {**reference("RequestExpectation"), "description": "has arrived"},
            },
            "minProperties": 1,
            "additionalProperties": False,
        },
        "Clock": _CLOCK,
        "ClockMove": {
            "type": "object",
            "description": "How the clock is to be moved: first frozen or not, then set, then moved forward.",
            "properties": {
                "frozen": {"type": "boolean", "description": "whether it is to stand still"},
                "now": {
                    "type": "string",
                    "description": "the time to set, in any form that `Date` may have",
                    "examples": ["2021-04-13T10:00:00Z"],
                },
                "advance": {
                    "type": "number",
                    "description": "seconds to move forward",
                    "minimum": 0,
                    "maximum": FURTHEST_SECONDS,
                },
            },
            "minProperties": 1,
            "additionalProperties": False,
        },
        "World": _object(
            "What there is here, in short.",
            {
                "url": _text("the address of this server or namespace, without a slash at its end"),
                "version": _text("the version of deployserver"),
                "clock": reference("Clock"),
                "requests": _count("requests that are kept"),
                "forgotten": _count("older ones that no longer are"),
                "faults": _count("faults that there are"),
                "namespaces": {
                    "type": ["array", "null"],
                    "items": {"type": "string"},
                    "description": "names of the namespaces; null without `--namespaces`",
                },
            },
        ),
        "ReceivedAnswer": _ANSWER,
        "ReceivedRequest": _object(
            "A request as it arrived, and what became of it.",
            {
                "number": _count("counts the requests, from 1"),
                "receivedAt": {"type": "string", "format": "date-time", "description": "when, by the double's clock"},
                "method": _text("the method; empty for what was no valid HTTP, whose bytes are then in the body"),
                "target": _text("path and query as they were sent, below the namespace"),
                "path": _text("the path, decoded"),
                "query": _pairs("names and values of the query, decoded"),
                "headers": _pairs("names and values of the headers, in their order and letter case"),
                **_BODY,
                "fields": {
                    "type": "object",
                    "description": "what was read of the body, by the API's names (`PackageName`)",
                },
                "caller": _text("who called, as in `RecordedBy`; null if nobody was asked for", null=True),
                "address": _text("the client's address"),
                "answer": {"anyOf": [reference("ReceivedAnswer"), {"type": "null"}], "description": "null for none"},
                "deploymentId": _count("the `Id` of the deployment that it recorded", null=True),
                "refusal": _text("why it was refused, in more words than the client gets", null=True),
                "fault": _text("what a fault did to it", null=True),
            },
        ),
        "Recording": _object(
            "Requests and what was answered, as a file to read, review and commit.",
            {
                "format": {"type": "string", "enum": ["deployserver recording"], "description": "what it is"},
                "version": {"type": "integer", "enum": [1], "description": "the version of the format"},
                "source": _text("what has recorded it"),
                "requests": {
                    "type": "array",
                    "items": {"type": "object"},
                    "description": "the requests, in the order of their arrival",
                },
            },
        ),
        "Verified": _object(
            "What was asked, and is so.",
            {
                "verified": {
                    "type": "array",
                    "items": {"type": "string", "enum": ["deployed", "notDeployed", "requested"]},
                }
            },
        ),
    }
)
"""Component schemas by their names."""
