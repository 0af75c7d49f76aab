"""Where to go from a table: its pages before and after, and what it shows in other formats."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from deployserver.api import keys
from deployserver.api.cursors import decode_cursor, encode_cursor
from deployserver.filters import exactly
from deployserver.history import HistoryPage
from deployserver.installations import CurrentPage
from deployserver.packages import Package
from deployserver.pages.asking import PageQuestion, links_of
from deployserver.pages.links import Links
from deployserver.viewing import Asked

RECORDS, RUNNING = 25, 30
"""How many rows the tables have beside which a page has more."""

CURSORS = ("cursor", "newer", "runs")

Ways = dict[str, Any]


def without_cursors(given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
    """Return the parameters of a page but for those that lead through its tables."""
    return {name: texts for name, texts in given.items() if name not in CURSORS}


def api_package(package: Package) -> dict[str, Any]:
    """Return the API's parameters for a package alone."""
    group = exactly(package.group) if package.group else None
    return {
        "feed": exactly(package.feed),
        "group": group,
        "ungrouped": None if group else True,
        "package": exactly(package.name),
    }


async def read_records(request: web.Request, question: PageQuestion, asked: Asked) -> HistoryPage:
    """Return the part of a history that the address asks for. Raises InvalidRequest, NotPermitted."""
    history, caller = request.app[keys.HISTORY], request[keys.CALLER]
    after: Any = decode_cursor("newer", question.query["newer"], (int, int), "newer")
    if after is not None:
        return await history.newer(caller, asked, after, RECORDS)
    before: Any = decode_cursor("history", question.query["cursor"], (int, int))
    return await history.page(caller, asked, before, RECORDS)


def ways_of_records(
    links: Links, path: str, state: Mapping[str, Any], api: Mapping[str, Any], page: HistoryPage
) -> Ways:
    """Return the addresses around a part of a history: ``newer``, ``older``, ``newest``, ``csv``, ``json``, ``all``."""
    ways: Ways = {
        "newer": page.newer and links.url(path, state, newer=encode_cursor("newer", page.newer)) + "#history",
        "older": page.next and links.url(path, state, cursor=encode_cursor("history", page.next)) + "#history",
        "newest": links.url(path, state) + "#history" if page.newer else None,
        "all": links.url("/api/deployments", api, format="csv") if page.newer or page.next else None,
    }
    if page.deployments:
        # Begin with the first that is shown, so that what arrives in the meantime does not move the rest.
        first = page.deployments[0]
        cursor = encode_cursor("history", (first.row.date, first.id + 1))
        shown = {**api, "limit": len(page.deployments), "cursor": cursor}
        ways |= {name: links.url("/api/deployments", shown, format=name) for name in ("csv", "json")}
    return ways


async def read_running(request: web.Request, question: PageQuestion, asked: Asked, as_of: int | None) -> CurrentPage:
    """Return the part of what runs that the address asks for, and how much there is. Raises as ``read_records``."""
    after: Any = decode_cursor("current", question.query["runs"], (str, str, int), "runs")
    return await request.app[keys.INSTALLATIONS].page(request[keys.CALLER], asked, as_of, after, RUNNING, count=True)


def ways_of_running(
    request: web.Request, path: str, question: PageQuestion, api: Mapping[str, Any], page: CurrentPage
) -> Ways:
    """Return the addresses around a part of what runs: ``first``, ``next``, ``csv``, ``json``, ``all``."""
    links, state, address = links_of(request), without_cursors(question.given), "/api/deployments/current"
    runs = question.query["runs"]
    shown = {**api, "limit": RUNNING, "cursor": runs}
    return {
        "first": links.url(path, state) + "#now" if runs else None,
        "next": page.next and links.url(path, state, runs=encode_cursor("current", page.next)) + "#now",
        "all": links.url(address, api, format="csv") if runs or page.next else None,
        **{name: links.url(address, shown, format=name) for name in ("csv", "json")},
    }
