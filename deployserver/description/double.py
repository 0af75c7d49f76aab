"""What is said about the control API of the test double, below ``/__double__``; the service itself has none of it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import Schema

from deployserver.description import double_examples as examples
from deployserver.description.double_schemas import SCHEMAS
from deployserver.description.double_state import reference
from deployserver.description.operations import Answer, Operation, problem
from deployserver.double.request_query import RequestQuery

__all__ = ["OPERATIONS", "SCHEMAS", "TAG", "TAGS"]

TAG = "Test double"
TAGS: Mapping[str, str] = {TAG: "For tests: seed this server, ask what it has received, and break it on purpose."}

JSON = "application/json"

_TOO_MANY = problem(
    "Below `/ns/`: there are as many namespaces as there may be. Or the server is just being reset.",
    "Store unavailable",
    503,
    "There are 1000 namespaces already. Remove those that are no longer used, with DELETE /__double__/namespaces/NAME.",
    ("Retry-After",),
)
_TOO_LARGE = problem(
    "The body is larger than 256 MiB.",
    "Request Entity Too Large",
    413,
    "Request Entity Too Large.",
)


def _operation(
    id: str,
    summary: str,
    description: str,
    answers: Mapping[int, Answer | str],
    query: type[Schema] | None = None,
    parameters: tuple[Mapping[str, Any], ...] = (),
    body: Mapping[str, Any] | None = None,
) -> Operation:
    """Return an operation of the double; a ``body`` is JSON, and what is wrong with it is among the ``answers``."""
    return Operation(
        id,
        TAG,
        summary,
        description,
        {503: _TOO_MANY, **({413: _TOO_LARGE} if body else {}), **answers},
        query,
        parameters,
        {JSON: body} if body else None,
    )


def _json(schema: Mapping[str, Any], example: Any) -> Mapping[str, Any]:
    return {"schema": schema, "example": example}


def _answer(description: str, schema: Mapping[str, Any], example: Any) -> Answer:
    return Answer(description, {JSON: _json(schema, example)})


def _list(name: str) -> Mapping[str, Any]:
    return {"type": "array", "items": reference(name)}


def _wrong(what: str, errors: Mapping[str, list[str]]) -> Answer:
    return problem(f"{what} Everything that is wrong is named, and nothing is changed.", *_INVALID, errors)


_INVALID = ("Invalid or missing data", 400)
_DONE = Answer("It is done.")
_NOW = _answer("What there is now, in full.", reference("State"), examples.FULL_STATE)
_WRONG_STATE = _wrong(
    "The document is no valid state.", {"keys[0].feeds[0]": ["There is no feed named Default. Feeds: DefaultNuGet."]}
)
_WRONG_FAULT = _wrong("The document is no valid fault.", {"status": ["is required with do: answer; such as 500, 503."]})

OPERATIONS: Mapping[tuple[str, str], Operation] = MappingProxyType(
    {
        ("GET", "/__double__"): _operation(
            "getDouble",
            "What there is here, in short",
            "Nobody is asked who they are: whoever reaches the double may do all of what follows. Below `/ns/NAME` the "
            "same paths are about that namespace alone. What is asked here is not among the requests received, and no "
            "fault acts on it.",
            {200: _answer("The double.", reference("World"), examples.WORLD)},
        ),
        ("GET", "/__double__/state"): _operation(
            "getState",
            "All feeds, users, keys, privileges and deployments",
            "As one document, which `PUT` takes back. Keys are in it with their texts, users with the hashes of their "
            "passwords.",
            {200: _NOW},
        ),
        ("PUT", "/__double__/state"): _operation(
            "replaceState",
            "Hold what a document says, and nothing else",
            "What is left out is empty. A text alone stands for a feed of that name, a user of that name, or a system "
            "key of that text. Names match in any letter case and without underscores. The requests received, the "
            "faults and the clock stay as they are. Event streams end.",
            {200: _NOW, 400: _WRONG_STATE},
            body=_json(reference("State"), examples.STATE),
        ),
        ("POST", "/__double__/state"): _operation(
            "addState",
            "Add what a document says",
            "To what there is; see `PUT`.",
            {200: _NOW, 400: _WRONG_STATE},
            body=_json(reference("State"), examples.STATE),
        ),
        ("POST", "/__double__/reset"): _operation(
            "reset",
            "Go back to the beginning",
            "To the state and the faults that the double was started with. The requests received are forgotten, and "
            "the clock is the machine's again. Requests under way are broken off after a second.",
            {204: _DONE},
        ),
        ("GET", "/__double__/requests"): _operation(
            "listReceivedRequests",
            "The requests received, in the order of their arrival",
            "All, or those that fit every parameter given. The latest 10,000 are kept. Credentials are in them as they "
            "were sent.",
            {
                200: _answer("The requests.", _list("ReceivedRequest"), [examples.REQUEST]),
                400: "InvalidQuery",
            },
            RequestQuery,
        ),
        ("DELETE", "/__double__/requests"): _operation(
            "clearReceivedRequests",
            "Forget the requests received",
            "What they have recorded stays. Counting begins at 1 again.",
            {204: _DONE},
        ),
        ("GET", "/__double__/recording"): _operation(
            "getRecording",
            "The requests received, as a recording",
            "For `deployserver replay`, which sends them to a server and compares its answers. No credential is in it, "
            "only whose it was.",
            {200: _answer("The recording.", reference("Recording"), examples.RECORDING)},
        ),
        ("POST", "/__double__/verify"): _operation(
            "verify",
            "Whether something was deployed, and something else was not",
            "Each value is compared with what is stored, letter case included. The 409 is for shell scripts: "
            "`curl --fail-with-body` prints what there was instead, and fails.",
            {
                200: _answer(
                    "It is so.", reference("Verified"), {"verified": ["deployed", "notDeployed", "requested"]}
                ),
                400: _wrong(
                    "The document is no valid question.",
                    {"deployed.versio": ["is not known; use feed, group, package, version, target, application."]},
                ),
                409: problem(
                    "It is not so. The text shows what came nearest, and why it did not count.",
                    "Expectation failed",
                    409,
                    "No deployment was recorded with package Newtonsoft.Json, version 12.0.3.\nNearest:\n"
                    "  request 1 was recorded as deployment 1:\n    version: expected 12.0.3, got 12.0.2",
                ),
            },
            body=_json(reference("Verification"), examples.VERIFICATION),
        ),
        ("GET", "/__double__/faults"): _operation(
            "listFaults",
            "The faults, in the order in which they are asked",
            "`hits` is how often each has acted.",
            {200: _answer("The faults.", _list("ActiveFault"), [examples.ACTIVE_FAULT])},
        ),
        ("PUT", "/__double__/faults"): _operation(
            "replaceFaults",
            "Put faults in the place of all there are",
            "The first in the list that fits a request acts on it, and those after it do not count that request: a "
            "list is a script.",
            {
                200: _answer("The faults there are now.", _list("ActiveFault"), [examples.ACTIVE_FAULT]),
                400: _wrong("The document is no list of valid faults.", {"[0].do": ["is required: one of answer."]}),
            },
            body=_json(_list("Fault"), [examples.FAULT]),
        ),
        ("POST", "/__double__/faults"): _operation(
            "addFault",
            "Add a fault after the others",
            "It acts from now on, for as long as it says or until it is removed.",
            {201: _answer("The fault.", reference("ActiveFault"), examples.ACTIVE_FAULT), 400: _WRONG_FAULT},
            body=_json(reference("Fault"), examples.FAULT),
        ),
        ("DELETE", "/__double__/faults"): _operation(
            "clearFaults", "Remove all faults", "Requests that one is acting on still suffer it.", {204: _DONE}
        ),
        ("DELETE", "/__double__/faults/{id}"): _operation(
            "removeFault",
            "Remove a fault",
            "The answer says how often it has acted.",
            {
                200: _answer("The fault, which is no longer there.", reference("ActiveFault"), examples.ACTIVE_FAULT),
                404: problem("There is no such fault.", "Not found", 404, "There is no fault 7."),
            },
            parameters=(
                {
                    "name": "id",
                    "in": "path",
                    "required": True,
                    "description": "the fault's `id`",
                    "schema": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1, "examples": [1]},
                },
            ),
        ),
        ("GET", "/__double__/clock"): _operation(
            "getClock",
            "What is taken for the time",
            "Dates default to it, records are noted as recorded at it, keys expire by it.",
            {200: _answer("The clock.", reference("Clock"), examples.CLOCK)},
        ),
        ("PUT", "/__double__/clock"): _operation(
            "moveClock",
            "Set the clock, move it forward, freeze it or let it go on",
            "In this order, whatever of it is asked for: `frozen`, `now`, `advance`. A clock that is frozen stays "
            "where it is put; one that is not goes on from there.",
            {
                200: _answer("The clock.", reference("Clock"), examples.CLOCK),
                400: _wrong("The document moves no clock.", {"advance": ["must be a number of seconds, 0 or more."]}),
            },
            body=_json(reference("ClockMove"), {"frozen": True, "now": "2021-04-13T10:00:00Z"}),
        ),
        ("DELETE", "/__double__/clock"): _operation(
            "resetClock", "Follow the machine's clock again", "The clock goes on, with the real time.", {204: _DONE}
        ),
        ("DELETE", "/__double__/namespaces/{name}"): _operation(
            "removeNamespace",
            "End a namespace",
            "With all that it holds. The next request below `/ns/NAME` begins a new one.",
            {
                204: _DONE,
                404: problem("There is no such namespace.", "Not found", 404, "There is no namespace feature-7."),
            },
            parameters=(
                {
                    "name": "name",
                    "in": "path",
                    "required": True,
                    "description": "the namespace's name",
                    "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$", "examples": ["feature-7"]},
                },
            ),
        ),
    }
)
