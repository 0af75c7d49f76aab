"""``GET /api/deployments`` and what is below it: what runs where, since when, who did it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from aiohttp import hdrs, web

from deployserver import queries
from deployserver.affected import Suspect
from deployserver.api import keys, tables
from deployserver.api.credentials import asked_parameters
from deployserver.api.cursors import decode_cursor, encode_cursor
from deployserver.api.formats import (
    TOTAL_COUNT,
    Item,
    Page,
    Table,
    choose_format,
    entity_tag,
    is_known,
    page_response,
    stream_response,
)
from deployserver.api.responses import json_response
from deployserver.comparison import Difference, Pair, Side
from deployserver.errors import InvalidRequest
from deployserver.filters import read_pattern
from deployserver.models import Deployment
from deployserver.queries import DEFAULT_LIMIT, Query, load_query
from deployserver.schemas import deployment_json

Found = TypeVar("Found")

_VARY = "Accept, Authorization, Cookie, X-ApiKey"


class Question(NamedTuple):
    """A query that has been checked: its parameters by name, what was given, and the time it was asked at."""

    query: dict[str, Any]
    now: int
    format: str

    @property
    def asked(self) -> Any:
        """Which records are asked for."""
        return queries.asked(self.query, self.now)

    @property
    def as_of(self) -> int | None:
        """The moment whose state is asked for; None for now."""
        return queries.at(self.query["as_of"], self.now)

    @property
    def limit(self) -> int:
        """How many items a page has at most."""
        limit = self.query["limit"]
        return DEFAULT_LIMIT if limit is None else int(limit)

    @property
    def everything(self) -> bool:
        """Whether all is asked for, and not a page of it."""
        return self.format != "json" and self.query["limit"] is None


def ask(request: web.Request, schema: type[Query]) -> Question:
    """Return the question of a request. Raises InvalidRequest, NotAcceptable."""
    query = load_query(schema, asked_parameters(request))
    format_ = choose_format(request, query["format"]) if "format" in query else "json"
    return Question(query, request.app[keys.CLOCK](), format_)


async def read_history(request: web.Request) -> web.StreamResponse:
    """Answer with the history, newest first."""
    question = ask(request, queries.HistoryQuery)
    history, caller, asked = request.app[keys.HISTORY], request[keys.CALLER], question.asked
    before: Any = decode_cursor("history", question.query["cursor"], (int, int))

    async def page() -> Page[Deployment]:
        found = await history.page(caller, asked, before, question.limit, count=question.query["count"])
        return Page(found.deployments, found.next and encode_cursor("history", found.next), found.total)

    return await _answer(request, question, tables.DEPLOYMENTS, page, lambda: history.all(caller, asked, before))


async def read_current(request: web.Request) -> web.StreamResponse:
    """Answer with the latest record of each package on each target."""
    question = ask(request, queries.CurrentQuery)
    installations, caller, asked = request.app[keys.INSTALLATIONS], request[keys.CALLER], question.asked
    after: Any = decode_cursor("current", question.query["cursor"], (str, str, int))

    async def page() -> Page[Deployment]:
        found = await installations.page(
            caller, asked, question.as_of, after, question.limit, count=question.query["count"]
        )
        return Page(found.deployments, found.next and encode_cursor("current", found.next), found.total)

    return await _answer(
        request,
        question,
        tables.DEPLOYMENTS,
        page,
        lambda: installations.all(caller, asked, question.as_of, after),
    )


async def read_deployment(request: web.Request) -> web.StreamResponse:
    """Answer with one record."""
    ask(request, queries.Query)
    tag = await _tag(request)
    id_ = int(request.match_info["id"])
    deployment = await request.app[keys.HISTORY].record(request[keys.CALLER], id_)
    if is_known(request, tag):
        return _not_modified(tag)
    response = json_response(deployment_json(deployment))
    response.headers.update(_caching(tag))
    return response


async def compare(request: web.Request) -> web.StreamResponse:
    """Answer with the packages of two targets, or of one target at two times, and how they differ."""
    question = ask(request, queries.CompareQuery)
    left, right = _sides(question)

    comparison, caller = request.app[keys.COMPARISON], request[keys.CALLER]

    async def pairs() -> Sequence[Pair]:
        return await comparison.compare(caller, left, right, question.asked, question.query["difference"])

    async def differences(shown: Sequence[Pair]) -> Sequence[Difference]:
        return await comparison.differences(caller, shown)

    return await _answer_list(
        request, question, "compare", tables.DIFFERENCES, pairs, differences, lambda pair: pair.place, 3
    )


async def read_affected(request: web.Request) -> web.StreamResponse:
    """Answer with what now runs of a package and is in a range of versions."""
    question = ask(request, queries.AffectedQuery)
    query = question.query

    async def suspects() -> Sequence[Suspect]:
        return await request.app[keys.AFFECTED].find(
            request[keys.CALLER], query["purl"], query["range"], question.asked
        )

    async def themselves(shown: Sequence[Suspect]) -> Sequence[Suspect]:
        return shown

    return await _answer_list(
        request, question, "affected", tables.SUSPECTS, suspects, themselves, lambda suspect: suspect.place, 4
    )


async def read_frequency(request: web.Request) -> web.StreamResponse:
    """Answer with the counts of all periods, the earliest first."""
    question = ask(request, queries.FrequencyQuery)
    asked = question.asked

    async def page() -> Page[Any]:
        return Page(await request.app[keys.FREQUENCY].per(request[keys.CALLER], asked, question.query["per"]))

    return await _answer(request, question, tables.PERIOD_COUNTS, page, None)


def _sides(question: Question) -> tuple[Side, Side]:
    """Return what is compared with what. Raises InvalidRequest."""
    targets = question.query["target"]
    moments = [queries.at(moment, question.now) for moment in question.query["as_of"]]
    if any(read_pattern(target).is_prefix for target in targets):
        raise InvalidRequest({"target": ["names one target each; a * cannot stand for several here."]})
    if len(targets) == 2:
        first, second = (moments * 2 or [None, None])[:2]
        return Side(targets[0], first), Side(targets[1], second)
    if len(targets) != 1:
        raise InvalidRequest({"target": ["is needed: two targets, or one target and as_of."]})
    if not moments:
        raise InvalidRequest({"target": [f"is only {targets[0]}; give another one, or as_of for another time."]})
    return Side(targets[0], moments[0]), Side(targets[0], moments[1] if len(moments) == 2 else None)


async def _answer_list(
    request: web.Request,
    question: Question,
    name: str,
    table: Table[Item],
    read: Callable[[], Awaitable[Sequence[Found]]],
    complete: Callable[[Sequence[Found]], Awaitable[Sequence[Item]]],
    place: Callable[[Found], tuple[str, ...]],
    parts: int,
) -> web.StreamResponse:
    """Answer with a list that is short enough to be found at once, in pages all the same.

    The list is in the order of ``place``, which is so many texts and is where the next page goes on, whatever has come
    before it meanwhile. What is on the page is made complete.
    """
    after = decode_cursor(name, question.query["cursor"], (str,) * parts)

    async def page() -> Page[Item]:
        found = [one for one in await read() if after is None or place(one) > after]
        if question.everything or len(found) <= question.limit:
            return Page(await complete(found))
        shown = found[: question.limit]
        return Page(await complete(shown), encode_cursor(name, place(shown[-1])))

    return await _answer(request, question, table, page, None)


async def _answer(
    request: web.Request,
    question: Question,
    table: Table[Item],
    page: Callable[[], Awaitable[Page[Item]]],
    everything: Callable[[], AsyncIterator[Sequence[Item]]] | None,
) -> web.StreamResponse:
    """Answer with a page or with everything, or not at all if the client has it."""
    tag = None if queries.is_relative(question.query) else await _tag(request, question.format)
    if tag is not None and is_known(request, tag):
        request.app[keys.VIEWING].view(request[keys.CALLER])
        return _not_modified(tag)
    headers = _caching(tag)
    if everything is not None and question.everything:
        if question.query["count"]:
            headers[TOTAL_COUNT] = str((await page()).total)
        return await stream_response(request, question.format, table, everything(), headers)
    response = page_response(request, question.format, table, await page())
    response.headers.update(headers)
    return response


async def _tag(request: web.Request, *more: object) -> str:
    """Return an ETag for the answer to this question as long as no record comes and nobody's access changes."""
    newest = await request.app[keys.LIVE].newest_id()
    revision = request.app[keys.ACCESS].current.revision
    query = sorted(asked_parameters(request).items())
    return entity_tag(newest, revision, request.path, query, request[keys.CALLER].recorded_by, *more)


def _caching(tag: str | None) -> dict[str, str]:
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "private, no-cache", hdrs.VARY: _VARY}
    return headers if tag is None else {**headers, hdrs.ETAG: tag}


def _not_modified(tag: str) -> web.Response:
    return web.Response(status=304, headers=_caching(tag))
