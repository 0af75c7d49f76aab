"""What came near to what was expected: requests and deployments, ranked, and what became of each in one line."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from marshmallow import ValidationError

from deployserver.api.body import parse_fields
from deployserver.dates import from_micros
from deployserver.double.expectations.criteria import Criterion, Unreadable, Value
from deployserver.double.expectations.differences import one_line, shown
from deployserver.double.journal import FIELDS, RECORDING_PATH, ReceivedRequest
from deployserver.errors import InvalidRequest
from deployserver.models import Deployment
from deployserver.schemas import SubmissionSchema

SHOWN = 3
"""Misses that are shown at most."""

UNREQUESTED = "seeded or older than the journal"
"""What is said of a stored deployment that no request of the journal has recorded."""

_WRITING = ("POST", "PUT", "PATCH")
_LOADERS = {str(field.data_key): field for field in SubmissionSchema().load_fields.values()}


@dataclass(frozen=True, slots=True)
class Miss:
    """Something that is not what was expected: ``values`` are None where nothing can be compared."""

    title: str
    outcome: str
    values: Mapping[str, Value] | None
    rank: tuple[int, ...] = ()
    """What else counts after the criteria that agree; the highest comes first."""


def nearest(misses: Iterable[Miss], criteria: Sequence[Criterion]) -> list[str]:
    """Return the lines that show the misses nearest to the criteria, and how many there are."""
    ranked = sorted(misses, key=lambda miss: (_agreement(miss, criteria), *miss.rank), reverse=True)
    if not ranked:
        return []
    lines = ["Nearest:" if len(ranked) <= SHOWN else f"Nearest {SHOWN} of {len(ranked)}:"]
    for miss in ranked[:SHOWN]:
        lines += _lines(miss, criteria)
    return lines


def attempt(request: ReceivedRequest, stored: Mapping[int, Deployment]) -> Miss:
    """Return a request that did not record what was expected, with the values that it stored, or else sent."""
    deployment = stored.get(request.deployment_id or 0)
    values = sent_values(request) if deployment is None else stored_values(deployment)
    rank = (deployment is not None, request.records, True, request.number)
    return Miss(f"request {request.number}", outcome(request, stored), values, rank)


def unrequested(deployment: Deployment) -> Miss:
    """Return a stored deployment that no request of the journal has recorded."""
    return Miss(f"deployment {deployment.id}", f"({UNREQUESTED})", stored_values(deployment), (1, 1, 0, deployment.id))


def is_attempt(request: ReceivedRequest) -> bool:
    """Tell whether a request may have been meant to record a deployment, also in a wrong way or place."""
    return not request.method or request.method in _WRITING or request.path.rstrip("/").lower() == RECORDING_PATH


def stored_values(deployment: Deployment) -> Mapping[str, Value]:
    """Return the properties of a stored deployment."""
    row = deployment.row
    return {
        "feed": deployment.feed_name,
        "group": row.group_name,
        "package": row.package_name,
        "version": row.version,
        "target": row.target,
        "application": row.application,
        "description": row.description,
        "user": row.user_name,
        "url": row.url,
        "date": from_micros(row.date),
        "recorded_by": row.recorded_by,
    }


def sent_values(request: ReceivedRequest) -> Mapping[str, Value] | None:
    """Return the properties that a request holds, as they would have been stored; None if it holds none to be read."""
    fields = request.fields or _fields_of(request)
    if not fields:
        return None
    values = {name: _sent(property_, fields.get(property_)) for name, property_ in FIELDS.items()}
    return values | {"recorded_by": request.caller}


def outcome(request: ReceivedRequest, stored: Collection[int]) -> str:
    """Say what became of a request, after ``request 1``; ``stored`` are the ids of the deployments that there are."""
    if request.deployment_id is not None:
        text = f"was recorded as deployment {request.deployment_id}"
        text += "" if request.deployment_id in stored else ", which is no longer in the store"
    elif not request.records:
        return passage(request)
    elif request.answer is None:
        text = "was neither recorded nor answered" if request.fault else "has not been answered yet"
    elif request.answer.status >= 400:
        verb = "was refused" if request.answer.status < 500 else "failed"
        text = f"{verb} with {request.answer.status}{_reason(request)}"
    else:
        text = f"was answered {request.answer.status} and not recorded"
    return _with_fault(text, request)


def passage(request: ReceivedRequest) -> str:
    """Say what a request was, after ``request 1``."""
    return _with_fault(f"was {outline(request)}", request)


def outline(request: ReceivedRequest) -> str:
    """Return what was asked for and the status of the answer: ``GET /health, answered 200``."""
    answered = f"answered {request.answer.status}" if request.answer else "without an answer"
    if not request.method:
        return f"no valid HTTP, {answered}"
    return f"{one_line(request.method)} {shown(request.path)}, {answered}"


def fault(request: ReceivedRequest) -> str:
    """Return what a fault did to the request, without a full stop."""
    return one_line(request.fault or "").rstrip(".")


def _with_fault(text: str, request: ReceivedRequest) -> str:
    # That the one led to the other is not said: it may have been refused for its own reasons.
    return f"{text.rstrip('.')}; a fault hit it: {fault(request)}" if request.fault else text


def _agreement(miss: Miss, criteria: Sequence[Criterion]) -> int:
    if miss.values is None:
        return -1
    return sum(criterion.weight for criterion in criteria if criterion.agrees(miss.values[criterion.name]))


def _lines(miss: Miss, criteria: Sequence[Criterion]) -> list[str]:
    if miss.values is None:
        return [f"  {miss.title} {miss.outcome}"]
    differences = [
        criterion.difference(miss.values[criterion.name])
        for criterion in criteria
        if not criterion.agrees(miss.values[criterion.name])
    ]
    if not differences:
        return [f"  {miss.title} {'matches, but ' if criteria else ''}{miss.outcome}"]
    return [
        f"  {miss.title} {miss.outcome}{'' if ': ' in miss.outcome else ':'}",
        *(f"    {difference}" for difference in differences),
    ]


def _sent(property_: str, value: object) -> Value:
    """Return a value as it would have been stored: stripped, and a date as the moment that it names."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        loaded = _LOADERS[property_].deserialize(value)
    except ValidationError:
        if not isinstance(value, str):
            return Unreadable(f"the JSON {shown(json.dumps(value, ensure_ascii=False, default=str))}")
        return (
            value.strip()
            if property_ != "Date"
            else Unreadable(f"{shown(value.strip())}, which cannot be read as a date")
        )
    if loaded is None:  # an object around a blank date
        return None
    return from_micros(loaded) if isinstance(loaded, int) else str(loaded)


def _fields_of(request: ReceivedRequest) -> Mapping[str, object]:
    """Read the body of a request that nobody has read, such as one to a wrong path."""
    if not request.body or request.header("Content-Encoding"):
        return {}
    try:
        return parse_fields(request.body, request.header("Content-Type") or "").values
    except InvalidRequest:
        return {}


def _reason(request: ReceivedRequest) -> str:
    """Return ``: Version is required.``, or nothing where no reason was given."""
    assert request.answer is not None
    if request.refusal:
        return f": {one_line(request.refusal)}"
    media_type = next((value for name, value in request.answer.headers if name.lower() == "content-type"), "")
    text = request.answer.text
    if "json" in media_type:
        try:
            text = str(json.loads(text)["detail"])
        except (ValueError, TypeError, KeyError):
            return ""
    elif "html" in media_type:
        return ""
    first, *more = [line for line in text.splitlines() if line.strip()] or [""]
    if not first:
        return ""
    return f": {one_line(first)}" + (f" (and {len(more)} more)" if more else "")
