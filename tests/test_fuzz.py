"""Whatever arrives is recorded or refused; the server never fails on it, and what it says yes to is stored."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import zlib
from typing import Any
from urllib.parse import urlencode

from conftest import KEY, PATH, RECORD, Service, read_answer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bodies import COLUMNS, FORM, JSON, JSON_TEXT, MULTIPART, TEXT, chunked, multipart
from test_real_requests import split

from deployserver.api.body import Fields, parse_fields
from deployserver.errors import InvalidRequest
from deployserver.models import Submission
from deployserver.schemas import load_submission

EXPECTED = {200, 400, 403, 404, 413}
EVERYTHING = RECORD | {
    "GroupName": "@acme/tools",
    "UserName": "Jörg",
    "Url": "http://buildserver:8622/x?y=z",
    "Date": "2021-04-13T12:00:00+02:00",
}
UNDECLARED = ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-32"]
ENCODINGS = [*UNDECLARED, "utf-16-le", "utf-32-be", "utf-7"]


def valid_bodies() -> list[tuple[bytes, str]]:
    """Return good bodies with their content types, in every format and many encodings."""
    text = json.dumps(EVERYTHING, ensure_ascii=False)
    bodies = [(TEXT, FORM), (JSON_TEXT, JSON), (urlencode(EVERYTHING).encode(), FORM), (multipart(), MULTIPART)]
    bodies += [(text.encode(encoding), f"{JSON}; charset={encoding}") for encoding in ENCODINGS]
    bodies += [(text.encode(encoding), JSON) for encoding in UNDECLARED]
    bodies += [(multipart(**EVERYTHING), MULTIPART), (multipart(end="\n", quote=""), MULTIPART)]
    wrapped = EVERYTHING | {
        "Date": {"value": "/Date(1618308000000)/", "DisplayHint": 2},
        "API_Key": KEY,
        "x": [1.0, {}],
    }
    return [*bodies, (json.dumps(wrapped).encode(), JSON)]


TOKENS = [
    *(
        b"&",
        b"=",
        b"%",
        b"+",
        b";",
        b"%00",
        b"%FF",
        b"%E2%82",
        b"\0",
        b"\xff",
        b"\xfe\xff",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"\n",
    ),
    *(
        b"{",
        b"}",
        b"[",
        b"]",
        b'"',
        b",",
        b":",
        b"\\",
        b"\\ud800",
        b"\\u0000",
        b"null",
        b"true",
        b"NaN",
        b"1e9999",
        b"-0",
    ),
    *(b"--XYZ", b"--XYZ--", b"\r\n--XYZ\r\n", b"\r\n\r\n", b'name="', b"; charset=utf-16", b"name*=utf-8''FeedName"),
    *(
        b"FeedName",
        b"feedname=",
        b'"Date"',
        b"Version",
        b"key=",
        b'"API_Key":',
        b"<",
        b">",
        b"[" * 2000,
        b'{"a":' * 900,
    ),
    *(b"x" * 3000, b"\xed\xa0\x80", b"\x1b[31m", b"\x7f", b"\xc2\x85", b"\xe2\x80\xa8", b"javascript:", b"http://["),
]


@st.composite
def mutated(draw: st.DrawFn) -> tuple[bytes, str]:
    """Return a good body with its content type, after a few accidents."""
    body, content_type = draw(st.sampled_from(valid_bodies()))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(body)))
        end = min(len(body), start + draw(st.sampled_from([0, 0, 1, 2, 5, 30])))
        piece = draw(st.one_of(st.sampled_from(TOKENS), st.binary(max_size=4), st.just(body[start:end] * 2)))
        body = body[:start] + piece + body[end:]
    return body, content_type


def content_types() -> st.SearchStrategy[str]:
    pieces = [
        FORM,
        JSON,
        "multipart/form-data",
        "text/plain",
        "text/xml",
        ";",
        " ",
        "charset=",
        "boundary=",
        "XYZ",
        '"',
    ]
    pieces += [
        "utf-8",
        "utf-16",
        "hex",
        "punycode",
        "unicode_escape",
        "idna",
        "charset*=utf-8''x",
        "boundary*0=X",
        "=",
        ",",
    ]
    return st.one_of(
        st.lists(st.sampled_from(pieces), max_size=6).map("".join),
        st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=20),
    )


def bodies() -> st.SearchStrategy[tuple[bytes, str]]:
    """Return bodies and content types, from good ones to noise."""
    return st.one_of(
        mutated(),
        mutated(),
        st.tuples(mutated().map(lambda body: body[0]), content_types()),
        st.tuples(st.binary(max_size=300), content_types()),
        st.tuples(st.lists(st.sampled_from(TOKENS), max_size=12).map(b"".join), content_types()),
    )


# Without a server, for volume


def read(body: bytes, content_type: str) -> tuple[Fields, Submission] | None:
    """Return what a body holds, or None if it is refused as it should be: with words for every fault."""
    try:
        fields = parse_fields(body, content_type)
        return fields, load_submission(fields.values)
    except InvalidRequest as error:
        refused = error.errors
    assert refused and all(messages and all(messages) for messages in refused.values())
    return None


@given(bodies())
@settings(max_examples=1000, deadline=None, derandomize=True, database=None)
def test_any_body_is_a_deployment_or_is_refused(sent: tuple[bytes, str]) -> None:
    read(*sent)


@given(bodies())
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_what_is_accepted_keeps_every_rule(sent: tuple[bytes, str]) -> None:
    accepted = read(*sent)
    if accepted is None:
        return
    values: dict[str, Any] = accepted[1]._asdict()
    for name, value in values.items():
        if isinstance(value, str):
            allowed = "\r\n\t" if name == "description" else ""
            assert value and value == value.strip() and len(value) <= 16_384
            assert not [
                found for found in re.findall(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", value) if found not in allowed
            ]
    assert all(
        values[name] for name in ("application", "description", "target", "feed_name", "package_name", "version")
    )
    assert values["url"] is None or re.match("https?://", values["url"], re.IGNORECASE)


def test_the_bodies_that_are_spoilt_are_good_ones() -> None:
    assert [read(body, content_type) for body, content_type in valid_bodies()].count(None) == 0


# Over the wire


HEADERS = [
    "Accept",
    "Authorization",
    "X-ApiKey",
    "X-Request-Id",
    "X-Forwarded-For",
    "Cookie",
    "Range",
    "Expect",
    "X-Own",
]
VALUES = [
    b"application/json",
    b"application/json;q=x",
    b"Basic YXBpOmFiYzEyMzQ1",
    b"Basic \xff",
    b"a:b",
    b"\xff:\xfe",
    b"%s<>",
]


@st.composite
def requests(draw: st.DrawFn) -> tuple[bytes, int]:
    """Return a request, and where to cut it in two."""
    body, content_type = draw(bodies())
    headers: list[bytes] = [b"Content-Type: " + content_type.encode("latin-1")] if draw(st.booleans()) else []
    value = st.one_of(st.sampled_from(VALUES), st.binary(max_size=30).map(lambda data: re.sub(rb"[\r\n]", b"", data)))
    for name in draw(st.lists(st.sampled_from(HEADERS), max_size=2)):
        headers.append(name.encode() + b": " + draw(value))
    if draw(st.integers(0, 5)):
        headers.append(f"X-ApiKey: {KEY}".encode())
    encoding = draw(st.sampled_from([b"", b"", b"", b"gzip", b"deflate", b"br", b"nonsense"]))
    if encoding:
        compress = draw(st.sampled_from([gzip.compress, zlib.compress, bytes]))
        body = compress(body)[: draw(st.sampled_from([None, -1, -9]))]
        headers.append(b"Content-Encoding: " + encoding)
    if draw(st.integers(0, 3)) == 0:
        body = chunked(body, draw(st.integers(1, 400)))
        headers.append(b"Transfer-Encoding: chunked")
    else:
        headers.append(b"Content-Length: %d" % len(body))
    query = draw(st.sampled_from(["", "", "?key=abc12345", "?key=%FF", "?key=a:b", "?%zz&&=", "?x=<y>"]))
    head = [f"POST {PATH}{query} HTTP/1.1".encode(), b"Host: x", *headers]
    request = b"\r\n".join(head) + b"\r\n\r\n" + body
    return request, draw(st.integers(len(request) - len(body), len(request)))


async def exchange(service: Service, request: bytes, cut: int) -> bytes:
    """Send a request in two pieces and return the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    try:
        writer.write(request[:cut])
        await asyncio.sleep(0)
        writer.write(request[cut:])
        return await read_answer(reader)
    finally:
        writer.close()


async def assert_stored(service: Service, body: bytes) -> None:
    record = json.loads(body)
    (row,) = await service.rows("SELECT * FROM deployment_records WHERE id = ?", record["Id"])
    assert {name: record[name] for name in COLUMNS} == {name: row[column] for name, column in COLUMNS.items()}


@given(request=requests())
@settings(
    max_examples=300,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_request_is_answered_and_a_yes_is_stored(service: Service, request: tuple[bytes, int]) -> None:
    before = len(await service.rows("SELECT id FROM deployment_records"))
    status, head, body = split(await exchange(service, *request))
    assert status in EXPECTED, body
    after = len(await service.rows("SELECT id FROM deployment_records"))
    if status == 200:
        assert after == before + 1
        await assert_stored(service, body)
    else:
        assert after == before
        assert b"application/problem+json" in head or not set(body) & set(b"<>")


@given(sent=mutated())
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_the_server_stores_what_the_body_says(service: Service, sent: tuple[bytes, str]) -> None:
    """What the parts make of a body is what the whole makes of it."""
    body, content_type = sent
    expected = read(body, content_type)
    answer = await service.post(body, headers={"Content-Type": content_type})
    if expected is None:
        assert answer.status == 400
    elif answer.status == 200:
        _, submission = expected
        got = answer.json
        assert (got["Version"], got["Description"]) == (submission.version, submission.description)
        await assert_stored(service, answer.body)
    else:
        assert answer.status in (403, 404)
