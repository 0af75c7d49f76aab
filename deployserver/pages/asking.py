"""What the address of a page asks for: the API's parameters, checked as the API does."""

from __future__ import annotations

from typing import Any, NamedTuple

from aiohttp import web

from deployserver import queries
from deployserver.api import keys
from deployserver.api.credentials import asked_parameters
from deployserver.pages.links import Links
from deployserver.parameters import Plain, Whole, Words
from deployserver.queries import DEFAULT_LIMIT, GREATEST_LIMIT, Query, TimeFilter, load_query
from deployserver.schemas import NAME_LENGTH
from deployserver.viewing import Asked


def one_name(what: str) -> Plain:
    """Return a parameter that is one name, and not a pattern."""
    return Plain(NAME_LENGTH, metadata={"description": f"{what}, in any letter case"})


def place(what: str, length: int = 128) -> Plain:
    """Return a parameter that says where something goes on; one that holds names is longer."""
    return Plain(length, metadata={"description": f"where to go on with {what}: as in the links of the page"})


class HistoryPageQuery(TimeFilter):
    """``/deployments``: ``cursor`` leads to older records, as in the API, and ``newer`` to newer ones."""

    limit = Whole(
        load_default=DEFAULT_LIMIT,
        metadata={"description": "how many at most", "minimum": 1, "maximum": GREATEST_LIMIT},
    )
    cursor = place("older records")
    newer = place("newer records")


class SearchQuery(Query):
    """``/search``."""

    q = Words(metadata={"description": "up to ten words, in any letter case"})


class PageQuestion(NamedTuple):
    """A query that has been checked, what was given for it, and when: ``given`` has the texts by name in lower case."""

    query: dict[str, Any]
    given: dict[str, list[str]]
    now: int

    @property
    def asked(self) -> Asked:
        """Which records are asked for. Raises InvalidRequest."""
        return queries.asked(self.query, self.now)


def ask(request: web.Request, schema: type[Query]) -> PageQuestion:
    """Return what a page is asked for. Raises InvalidRequest."""
    given = asked_parameters(request)
    query = load_query(schema, given)
    texts: dict[str, list[str]] = {}
    for name, values in given.items():
        texts.setdefault(name.lower(), []).extend(text for value in values if (text := value.strip()))
    return PageQuestion(
        query,
        {name: list(dict.fromkeys(values)) for name, values in texts.items() if values},
        request.app[keys.CLOCK](),
    )


def links_of(request: web.Request) -> Links:
    """Return what makes the addresses of this server."""
    return Links(request.app[keys.SETTINGS].server.base_path)
