"""Was this deployed, was this requested? None if so, else a message that says what there was instead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from deployserver.double.expectations.criteria import clauses
from deployserver.double.expectations.differences import shown
from deployserver.double.expectations.expectation import Expectation, RequestExpectation
from deployserver.double.expectations.misses import (
    UNREQUESTED,
    Miss,
    attempt,
    fault,
    is_attempt,
    nearest,
    outline,
    passage,
    unrequested,
)
from deployserver.double.journal import RECORDING_PATH, Journal, ReceivedRequest
from deployserver.models import Deployment

_LISTED = 10


def check_deployed(
    expectation: Expectation, deployments: Iterable[Deployment], journal: Journal, *, base_url: str = ""
) -> str | None:
    """Return None if the deployment was recorded as often as expected, else what was recorded or requested instead.

    ``base_url`` is that of the world, for clients that have not found it.
    """
    requested = _requested(journal)
    stored = {deployment.id: deployment for deployment in deployments}
    found = [deployment for deployment in stored.values() if expectation.matches(deployment)]
    if _is_enough(len(found), expectation.times):
        return None
    if expectation.times == 0:
        return _unwanted(expectation, found, requested)
    lines = [_verdict("deployment", "recorded", expectation, [_name(deployment, requested) for deployment in found])]
    if len(found) > (expectation.times or 1):
        return "\n".join(lines + _repetitions(found, journal))
    ids = {deployment.id for deployment in found}
    others = [request for request in journal if is_attempt(request) and request.deployment_id not in ids]
    misses = [attempt(request, stored) for request in others]
    misses += [unrequested(other) for other in stored.values() if other.id not in ids and other.id not in requested]
    lines += nearest(misses, expectation.criteria) or _nothing_near(bool(found), journal)
    if not any(request.records for request in journal):
        lines.append(f"Deployments are recorded with POST {base_url.rstrip('/')}{RECORDING_PATH}/")
    return "\n".join(lines + _forgotten(journal))


def check_not_deployed(expectation: Expectation, deployments: Iterable[Deployment], journal: Journal) -> str | None:
    """Return None if no such deployment was recorded, else which were; ``times`` does not count."""
    found = [deployment for deployment in deployments if expectation.matches(deployment)]
    return _unwanted(expectation, found, _requested(journal)) if found else None


def check_requested(expectation: RequestExpectation, journal: Journal) -> str | None:
    """Return None if the request arrived as often as expected, else which requests came near."""
    found = [request for request in journal if expectation.matches(request)]
    if _is_enough(len(found), expectation.times):
        return None
    lines = [_verdict("request", "received", expectation, [f"request {request.number}" for request in found])]
    if len(found) <= (1 if expectation.times is None else expectation.times):
        misses = [
            Miss(f"request {request.number}", passage(request), expectation.values(request), (request.number,))
            for request in journal
            if not expectation.matches(request)
        ]
        none = "No other request has arrived." if found else "No request has arrived since the journal began."
        lines += nearest(misses, expectation.criteria) or [none]
    return "\n".join(lines + _forgotten(journal))


def _is_enough(count: int, times: int | None) -> bool:
    return count > 0 if times is None else count == times


def _verdict(noun: str, verb: str, expectation: Expectation | RequestExpectation, found: Sequence[str]) -> str:
    """Return what was expected, and what there was of it."""
    times, what = expectation.times, clauses(expectation.criteria)
    if not found and times in (None, 1):
        return f"No {noun} was {verb}{what}."
    if times == 0:
        expected = f"No {noun} was expected{what}"
    else:
        expected = f"Expected {times} {noun}{'' if times == 1 else 's'}{what}"
    if not found:
        return f"{expected}, but none was {verb}."
    listed = [*found[:_LISTED], f"{len(found) - _LISTED} more"] if len(found) > _LISTED else found
    names = " and ".join([", ".join(listed[:-1]), listed[-1]] if len(listed) > 1 else listed)
    return f"{expected}, but {len(found)} {'was' if len(found) == 1 else 'were'} {verb}: {names}."


def _unwanted(expectation: Expectation, found: Sequence[Deployment], requested: Mapping[int, int]) -> str:
    """Return what was deployed though it should not have been."""
    count = f"{len(found)} {'was' if len(found) == 1 else 'were'}"
    lines = [f"No deployment was expected{clauses(expectation.criteria)}, but {count} recorded:"]
    for deployment in found[:_LISTED]:
        row = deployment.row
        package = "/".join(shown(part) for part in (row.group_name, row.package_name) if part is not None)
        what = f"{package} {shown(row.version)} on {shown(row.target)}, feed {shown(deployment.feed_name)}"
        lines.append(f"  {_name(deployment, requested)}: {what}")
    if len(found) > _LISTED:
        lines.append(f"  and {len(found) - _LISTED} more")
    return "\n".join(lines)


def _requested(journal: Journal) -> Mapping[int, int]:
    """Return the numbers of the requests that recorded deployments, by the ids of these."""
    return {request.deployment_id: request.number for request in journal if request.deployment_id is not None}


def _name(deployment: Deployment, requested: Mapping[int, int]) -> str:
    """Return ``deployment 1 (request 1)``."""
    number = requested.get(deployment.id)
    return f"deployment {deployment.id} ({UNREQUESTED if number is None else f'request {number}'})"


def _repetitions(found: Sequence[Deployment], journal: Journal) -> list[str]:
    """Return what may have made a client record more than it should: faults, and what it sent again."""
    ids = {deployment.id for deployment in found}
    firsts: dict[str, ReceivedRequest] = {}
    lines = []
    for request in journal:
        if request.deployment_id not in ids:
            continue
        first = firsts.setdefault(repr(sorted(request.fields.items())), request)
        if first is not request and request.fields:
            again = ": the client has probably tried again" if first.fault else ""
            lines.append(f"Request {request.number} sent the same as request {first.number}{again}.")
        if request.fault:
            lines.append(f"Request {request.number} was recorded, but a fault hit it: {fault(request)}.")
    return lines[:_LISTED]


def _nothing_near(found: bool, journal: Journal) -> list[str]:
    """Return what to say of the journal where nothing in it has tried to record a deployment."""
    requests = list(journal)
    if not requests:
        return ["No request has arrived since the journal began."]
    if found:
        return ["No other request has tried to record one."]
    latest = f"the latest of {len(requests)}" if len(requests) > 1 else "the only one"
    return [f"No request has tried to record one: {latest} was {outline(requests[-1])}."]


def _forgotten(journal: Journal) -> list[str]:
    count = journal.forgotten
    return [f"{count} older {'request is' if count == 1 else 'requests are'} no longer kept."] if count else []
