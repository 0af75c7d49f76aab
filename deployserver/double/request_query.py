"""Which of the requests received somebody asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deployserver.double.journal import FIELDS, ReceivedRequest
from deployserver.filters import read_pattern
from deployserver.parameters import Names, Whole
from deployserver.queries import Query

_ANY = "in any letter case; a * at the end stands for anything; may be repeated, for any of them"
_PROPERTIES = ("feed", "group", "package", "version", "target", "application")


class RequestQuery(Query):
    """``GET /__double__/requests``."""

    method = Names(f"the method, {_ANY}", "POST")
    path = Names(f"the path below the base, decoded and without a last slash, {_ANY}", "/api/package-deployment")
    feed = Names(f"the feed that was sent, {_ANY}", "DefaultNuGet")
    group = Names(f"the group that was sent, {_ANY}", "@acme")
    package = Names(f"the package that was sent, {_ANY}", "Newtonsoft.Json")
    version = Names(f"the version that was sent, {_ANY}", "12.0.3")
    target = Names(f"the target that was sent, {_ANY}", "web01")
    application = Names(f"the application that was sent, {_ANY}", "ProfitCalc")
    status = Whole(
        load_default=None, metadata={"description": "the status of the answer", "minimum": 100, "maximum": 599}
    )
    after = Whole(
        load_default=0,
        metadata={"description": "only those with a greater number", "minimum": 0, "maximum": 2**53},
    )


def wanted(query: Mapping[str, Any], received: Iterable[ReceivedRequest]) -> list[ReceivedRequest]:
    """Return the requests that a query asks for."""
    return [request for request in received if _is_wanted(query, request)]


def _is_wanted(query: Mapping[str, Any], request: ReceivedRequest) -> bool:
    if request.number <= query["after"]:
        return False
    if query["status"] is not None and (request.answer is None or request.answer.status != query["status"]):
        return False
    texts = {"method": request.method, "path": request.path.rstrip("/") or "/"}
    texts |= {name: str(request.fields.get(FIELDS[name]) or "").strip() for name in _PROPERTIES}
    return all(
        any(
            read_pattern(pattern.rstrip("/") or "/" if name == "path" else pattern).matches(text)
            for pattern in query[name]
        )
        for name, text in texts.items()
        if query[name]
    )
