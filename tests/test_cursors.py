"""Cursors: where a page goes on, and nothing that a client could make or mix up."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import KEY, Service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reading import all_pages, ids, next_url, read, row, rows
from reading import error as wrong

from deployserver.api.cursors import decode_cursor, encode_cursor
from deployserver.errors import InvalidRequest

pytestmark = pytest.mark.every_engine

MESSAGE = "is not one that the Link header of such an answer gave."
TYPES: dict[str, tuple[type, ...]] = {
    "history": (int, int),
    "current": (str, str, int),
    "compare": (str, str, str),
}
PATHS: dict[str, dict[str, Any]] = {
    "history": {"path": ""},
    "current": {"path": "/current"},
    "compare": {"path": "/compare", "target": ["a", "b"]},
}

positions = {
    "history": st.tuples(st.integers(-(2**63) + 1, 2**63 - 1), st.integers(-(2**63) + 1, 2**63 - 1)),
    "current": st.tuples(st.text(), st.text(), st.integers(-(2**63) + 1, 2**63 - 1)),
    "compare": st.tuples(st.text(), st.text(), st.text()),
}
questions = st.sampled_from(sorted(TYPES))
some_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
crafted = st.one_of(
    some_json,
    st.tuples(questions, some_json).map(list),
    st.tuples(questions, some_json, some_json).map(list),
    st.tuples(questions, some_json, some_json, some_json).map(list),
).map(lambda value: base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("="))
anything = st.one_of(
    st.text(),
    st.text("ABCXYZabcxyz0189-_="),
    st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()),
    crafted,
)


@given(st.data(), questions)
def test_a_cursor_gives_back_its_position(data: st.DataObject, question: str) -> None:
    """Names of all scripts included; it needs no escaping in a URL."""
    position = data.draw(positions[question])
    cursor = encode_cursor(question, position)
    assert cursor.isascii() and cursor.replace("-", "").replace("_", "").isalnum()
    assert decode_cursor(question, cursor, TYPES[question]) == position


@given(st.data(), questions, questions)
def test_a_cursor_belongs_to_one_question(data: st.DataObject, made_for: str, used_in: str) -> None:
    cursor = encode_cursor(made_for, data.draw(positions[made_for]))
    if made_for != used_in:
        with pytest.raises(InvalidRequest):
            decode_cursor(used_in, cursor, TYPES[used_in])


@settings(max_examples=500, deadline=None)
@given(questions, anything)
def test_whatever_else_is_refused(question: str, cursor: str) -> None:
    """What is not, is exactly what we would have made."""
    refused = position = None
    try:
        position = decode_cursor(question, cursor, TYPES[question])
    except InvalidRequest as error:
        refused = error.errors
    if position is None:
        assert refused == {"cursor": [MESSAGE]}
    else:
        assert encode_cursor(question, position) == cursor


def encoded(text: str | bytes) -> str:
    data = text if isinstance(text, bytes) else text.encode()
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


BAD = {
    "no base64": "%%%",
    "not all of it": encoded('["history",1,2]')[:-1] + "!",
    "no JSON": encoded("history"),
    "no UTF-8": encoded(b"\xff\xfe\xfa"),
    "UTF-16": encoded('["history",1,2]'.encode("utf-16")),
    "no list": encoded("1"),
    "nothing": encoded("[]"),
    "null": encoded("null"),
    "an object": encoded('{"history":1}'),
    "too short": encoded('["history",1]'),
    "too long": encoded('["history",1,2,3]'),
    "truth": encoded('["history",true,1]'),
    "a fraction": encoded('["history",1.0,1]'),
    "no number": encoded('["history",NaN,1]'),
    "without end": encoded('["history",1e999,1]'),
    "too large": encoded('["history",9223372036854775808,1]'),
    "too small": encoded('["history",1,-9223372036854775808]'),
    "thousands of digits": encoded(f'["history",{"9" * 3000},1]'),
    "blanks": encoded('["history", 1, 2]'),
    "half a pair": encoded(r'["current","\ud800","x",1]'),
    "half a pair in compare": encoded(r'["compare","x","\udfff","x"]'),
    "a name for a number": encoded('["current","x","x","1"]'),
    "deep": encoded("[" * 3000),
    "deep within": encoded('["history",' + "[" * 1400 + "]" * 1400 + ",1]"),
    "long": "A" * 4096,
}


@pytest.mark.parametrize("cursor", list(BAD.values()), ids=list(BAD))
async def test_a_cursor_that_is_none_of_ours_is_refused(service: Service, cursor: str) -> None:
    for question in PATHS.values():
        for more in ({}, {"format": "csv"}, {"limit": 1}):
            answer = await read(service, cursor=cursor, **question, **more)
            assert (answer.status, answer.text) == (400, f"cursor {MESSAGE}\n"), question


async def test_a_cursor_as_long_as_a_url_can_be_is_refused(service: Service) -> None:
    assert await wrong(service, cursor="A" * 7168) == "cursor is not one that the Link header of such an answer gave."


async def test_a_cursor_of_one_answer_is_refused_by_another(service: Service) -> None:
    """However alike they are."""
    await service.store.add_deployments([row(target="a", package_name=f"p{number}") for number in range(3)])
    cursors: dict[str, str] = {}
    for question, query in PATHS.items():
        link = next_url(await read(service, limit=1, **query))
        assert link
        (cursors[question],) = parse_qs(urlsplit(link).query)["cursor"]
    for made_for, cursor in cursors.items():
        for used_in, query in PATHS.items():
            answer = await read(service, cursor=cursor, **query)
            assert answer.status == (200 if made_for == used_in else 400), (made_for, used_in)
    for path in ("/frequency", "/events", "/1"):
        assert (await read(service, path, cursor=cursors["history"])).status == 400


async def test_the_longest_names_make_cursors_that_are_taken(service: Service) -> None:
    """Of two bytes a character, as in the alphabets of Europe, or of what has to be escaped."""
    names = ["ж" * 1024, "ü" * 1024, '"' * 1024]
    for number, name in enumerate(names):
        await service.store.add_deployments([row(number, package_name=name, target=name)])
        await service.store.add_deployments([row(number, package_name=name, group_name=name, target="a")])
    for path, query, count in (("/current", {}, 6), ("/compare", {"target": ["a", "b"]}, 3)):
        assert len(await all_pages(service, path, limit=1, **query)) == count


async def test_a_cursor_outlives_what_it_was_made_of(service: Service) -> None:
    """It is a place and no record: what was there may have been removed."""
    await service.store.add_deployments(rows(4))
    link = next_url(await read(service, limit=2))
    assert link
    async with service.store.connected_transaction() as connection:
        await connection.rows("DELETE FROM deployments WHERE id = 3")
    answer = await service.request("GET", link.removeprefix(service.url), headers={"X-ApiKey": KEY})
    assert [item["Id"] for item in answer.json] == [2, 1]


async def test_a_cursor_goes_on_in_every_format(service: Service) -> None:
    await service.store.add_deployments(rows(4))
    link = next_url(await read(service, limit=2))
    assert link
    (cursor,) = parse_qs(urlsplit(link).query)["cursor"]
    assert await ids(service, cursor=cursor) == [2, 1]
    assert (await read(service, cursor=cursor, format="ndjson")).text.count("\n") == 2
    assert (await read(service, cursor=cursor, format="csv")).text.count("\n") == 3


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cursors=st.lists(anything, min_size=1, max_size=5))
async def test_no_cursor_is_an_error_of_ours(service: Service, cursors: list[str]) -> None:
    """Over the wire: a 400, and for what happens to be one a 200."""
    answers = await asyncio.gather(
        *(read(service, cursor=cursor, **query) for cursor in cursors for query in PATHS.values())
    )
    assert {answer.status for answer in answers} <= {200, 400}
