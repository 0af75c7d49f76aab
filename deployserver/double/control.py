"""The control API of the double, below ``/__double__/``: what a test in any language may ask and tell it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from aiohttp import hdrs, web

from deployserver import __version__
from deployserver.api.credentials import asked_parameters
from deployserver.api.encodings import decode, without_byte_order_mark
from deployserver.api.responses import json_response
from deployserver.app import Route
from deployserver.dates import format_date
from deployserver.double.app_keys import WORLD, WORLDS
from deployserver.double.clock import MovableClock
from deployserver.double.clock_schema import move
from deployserver.double.expectations.checks import check_deployed, check_not_deployed, check_requested
from deployserver.double.expectations.expectation import Expectation, RequestExpectation
from deployserver.double.faults.fault import fault_json
from deployserver.double.faults.schema import load_fault, load_faults
from deployserver.double.recordings.recording import dump_recording, recording_document
from deployserver.double.request_json import request_json
from deployserver.double.request_query import RequestQuery, wanted
from deployserver.double.state.document import parse_state
from deployserver.errors import BodyTooLarge, ExpectationFailed, InvalidRequest, MalformedBody
from deployserver.queries import load_query

LARGEST = 256 * 1024 * 1024
"""Bytes that a document may have: a state may hold many records."""


async def show_world(request: web.Request) -> web.Response:
    """Answer with what there is here, in short."""
    world, worlds = request.app[WORLD], request.app[WORLDS]
    return _json(
        {
            "url": worlds.url + world.base,
            "version": __version__,
            "clock": _clock(world.clock),
            "requests": len(world.journal),
            "forgotten": world.journal.forgotten,
            "faults": len(world.faults),
            "namespaces": worlds.names if worlds.has_namespaces else None,
        }
    )


async def read_state(request: web.Request) -> web.Response:
    """Answer with the state document."""
    return _json(await request.app[WORLD].state())


async def replace_state(request: web.Request) -> web.Response:
    """Hold what a state document holds, and nothing else; answer with what that is."""
    world = request.app[WORLD]
    await world.replace_state(parse_state(await _text(request)))
    return _json(await world.state())


async def add_state(request: web.Request) -> web.Response:
    """Add what a state document holds; answer with all there is now."""
    world = request.app[WORLD]
    await world.add_state(parse_state(await _text(request)))
    return _json(await world.state())


async def reset(request: web.Request) -> web.Response:
    """Go back to the beginning."""
    await request.app[WORLD].reset()
    return web.Response(status=204)


async def read_requests(request: web.Request) -> web.Response:
    """Answer with the requests received, or those that are asked for."""
    query = load_query(RequestQuery, asked_parameters(request))
    return _json([request_json(received) for received in wanted(query, request.app[WORLD].journal)])


async def clear_requests(request: web.Request) -> web.Response:
    """Forget the requests."""
    request.app[WORLD].journal.clear()
    return web.Response(status=204)


async def read_recording(request: web.Request) -> web.Response:
    """Answer with the requests received as a recording, without credentials."""
    recording = recording_document(request.app[WORLD].journal)
    return json_response(dump_recording(recording))


async def verify(request: web.Request) -> web.Response:
    """Answer with what was verified. Raises ExpectationFailed if it is not so."""
    world, worlds = request.app[WORLD], request.app[WORLDS]
    document = await _object(request, "deployed", "notDeployed", "requested")
    expectations = {name: _expectation(name, criteria) for name, criteria in document.items()}
    deployments = await world.deployments()
    for name, expectation in expectations.items():
        if isinstance(expectation, RequestExpectation):
            message = check_requested(expectation, world.journal)
        elif name == "deployed":
            message = check_deployed(expectation, deployments, world.journal, base_url=worlds.url + world.base)
        else:
            message = check_not_deployed(expectation, deployments, world.journal)
        if message is not None:
            raise ExpectationFailed(message)
    return _json({"verified": list(document)})


async def read_faults(request: web.Request) -> web.Response:
    """Answer with the faults, in the order in which they are asked."""
    return _json([fault_json(fault) for fault in request.app[WORLD].faults])


async def replace_faults(request: web.Request) -> web.Response:
    """Put faults in the place of all there are."""
    faults = load_faults(await _document(request))
    return _json([fault_json(fault) for fault in request.app[WORLD].faults.replace(faults)])


async def add_fault(request: web.Request) -> web.Response:
    """Add a fault after the others."""
    fault = load_fault(await _document(request))
    return _json(fault_json(request.app[WORLD].faults.add(fault)), 201)


async def clear_faults(request: web.Request) -> web.Response:
    """Remove all faults."""
    request.app[WORLD].faults.clear()
    return web.Response(status=204)


async def remove_fault(request: web.Request) -> web.Response:
    """Remove a fault, and answer with what it did."""
    return _json(fault_json(request.app[WORLD].faults.remove(int(request.match_info["id"]))))


async def read_clock(request: web.Request) -> web.Response:
    """Answer with what is taken for the time."""
    return _json(_clock(request.app[WORLD].clock))


async def move_clock(request: web.Request) -> web.Response:
    """Set the clock, move it forward, freeze it or let it go on."""
    clock = request.app[WORLD].clock
    move(clock, await _document(request))
    return _json(_clock(clock))


async def reset_clock(request: web.Request) -> web.Response:
    """Follow the machine's clock again."""
    request.app[WORLD].clock.reset()
    return web.Response(status=204)


async def remove_namespace(request: web.Request) -> web.Response:
    """End the world of a namespace."""
    await request.app[WORLDS].remove(request.match_info["name"])
    return web.Response(status=204)


ROUTES = tuple(
    Route(method, f"/__double__{path}", handler, public=True)
    for method, path, handler in (
        (hdrs.METH_GET, "", show_world),
        (hdrs.METH_GET, "/state", read_state),
        (hdrs.METH_PUT, "/state", replace_state),
        (hdrs.METH_POST, "/state", add_state),
        (hdrs.METH_POST, "/reset", reset),
        (hdrs.METH_GET, "/requests", read_requests),
        (hdrs.METH_DELETE, "/requests", clear_requests),
        (hdrs.METH_GET, "/recording", read_recording),
        (hdrs.METH_POST, "/verify", verify),
        (hdrs.METH_GET, "/faults", read_faults),
        (hdrs.METH_PUT, "/faults", replace_faults),
        (hdrs.METH_POST, "/faults", add_fault),
        (hdrs.METH_DELETE, "/faults", clear_faults),
        (hdrs.METH_DELETE, "/faults/{id}", remove_fault),
        (hdrs.METH_GET, "/clock", read_clock),
        (hdrs.METH_PUT, "/clock", move_clock),
        (hdrs.METH_DELETE, "/clock", reset_clock),
        (hdrs.METH_DELETE, "/namespaces/{name}", remove_namespace),
    )
)
"""Nobody is asked who they are: whoever reaches the double may do all of this."""


async def _text(request: web.Request) -> str:
    """Return a body as text, whatever its content type says. Raises BodyTooLarge, MalformedBody."""
    try:
        body = await request.clone(client_max_size=LARGEST).read()
    except web.HTTPRequestEntityTooLarge:
        raise BodyTooLarge(LARGEST) from None
    except web.RequestPayloadError:
        raise MalformedBody("The body ends too early, or its chunks are broken.") from None
    return decode(without_byte_order_mark(body), None)


async def _document(request: web.Request) -> Any:
    """Return the JSON of a body. Raises MalformedBody, BodyTooLarge."""
    try:
        return json.loads(await _text(request))
    except RecursionError:
        raise MalformedBody("The JSON is nested too deeply.") from None
    except ValueError as error:
        raise MalformedBody(f"The body must be JSON: {error}.") from None


async def _object(request: web.Request, *known: str) -> Mapping[str, Any]:
    """Return the JSON object of a body, with at least one of the names that are known, and no others."""
    document = await _document(request)
    if not isinstance(document, dict) or not document or set(document).difference(known):
        raise MalformedBody(f"The body must be a JSON object with {' or '.join(known)}.")
    return document


def _expectation(name: str, criteria: Any) -> Expectation | RequestExpectation:
    of_requests = name == "requested"
    if not isinstance(criteria, dict):
        example = '{"method": "POST", "times": 2}' if of_requests else '{"package": "Newtonsoft.Json"}'
        raise InvalidRequest({name: [f"must be an object of criteria, such as {example}."]})
    try:
        return RequestExpectation.from_document(criteria) if of_requests else Expectation.from_document(criteria)
    except InvalidRequest as error:
        raise InvalidRequest({f"{name}.{field}": messages for field, messages in error.errors.items()}) from None


def _clock(clock: MovableClock) -> dict[str, Any]:
    return {"now": format_date(clock()), "frozen": clock.frozen}


def _json(value: Any, status: int = 200) -> web.Response:
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    try:
        return json_response(text, status)
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON may have sent, can only be escaped
        return json_response(json.dumps(value, indent=2) + "\n", status)
