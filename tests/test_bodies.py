"""Every body, path and method that clients send: read, or refused in words that help."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from conftest import FEED, KEY, PATH, RECORD, Answer, Service, StartService, read_answer, running, settings_of
from test_real_requests import split

from deployserver.api.body import parse_fields
from deployserver.errors import InvalidRequest

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
TEXT = "&".join(f"{name}={value}" for name, value in RECORD.items()).encode()  # raw blanks, as PowerShell sends them
JSON_TEXT = json.dumps(RECORD).encode()
REQUIRED = ("Application", "Description", "Target", "FeedName", "PackageName", "Version")
COLUMNS = {
    "Id": "id",
    "Application": "application",
    "Description": "description",
    "Target": "target",
    "PackageName": "package_name",
    "Version": "version",
    "GroupName": "group_name",
    "UserName": "user_name",
    "Url": "url",
    "RecordedBy": "recorded_by",
}


def without_content_type(**kwargs: Any) -> dict[str, Any]:
    return {"skip_auto_headers": ["Content-Type"], **kwargs}


async def post_as(service: Service, content_type: str | None, body: bytes, **headers: str) -> Answer:
    """Post bytes under a content type, or under none."""
    if content_type is None:
        return await service.post(body, headers=headers, **without_content_type())
    return await service.post(body, headers={"Content-Type": content_type, **headers})


def http(body: bytes, *headers: str, method: str = "POST", path: str = PATH, version: str = "1.1") -> bytes:
    """Return a request as bytes; the key is in it, the length is not."""
    head = [f"{method} {path} HTTP/{version}", "Host: deployments.test", f"X-ApiKey: {KEY}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def sized(body: bytes, *headers: str, **line: str) -> bytes:
    return http(body, *headers, f"Content-Length: {len(body)}", **line)


async def recorded(service: Service, answer: Answer | bytes) -> dict[str, Any]:
    """Return the one record there is, answered as it is stored."""
    if isinstance(answer, bytes):
        status, _, body = split(answer)
    else:
        status, body = answer.status, answer.body
    assert status == 200, body
    record: dict[str, Any] = json.loads(body)
    (row,) = await service.rows()
    assert {name: record[name] for name in COLUMNS} == {name: row[column] for name, column in COLUMNS.items()}
    return record


async def assert_refused(service: Service, answer: Answer | bytes, status: int, *words: str) -> None:
    """Check an error: its status, the words in it, and that nothing has been stored."""
    if isinstance(answer, bytes):
        got, _, body = split(answer)
    else:
        got, body = answer.status, answer.body
    text = body.decode()
    assert (got, [word for word in words if word not in text]) == (status, []), text
    assert await service.rows() == []


def is_the_record(record: dict[str, Any]) -> bool:
    return {name: record[name] for name in RECORD} == RECORD


# Forms


async def test_the_documented_string_body_is_recorded(service: Service) -> None:
    """The first call of ProGet's documentation: a string body, sent verbatim with its blanks."""
    answer = await post_as(service, FORM, TEXT)
    assert is_the_record(await recorded(service, answer))


async def test_the_documented_hashtable_body_is_recorded(service: Service) -> None:
    answer = await service.post(RECORD)
    assert is_the_record(await recorded(service, answer))


async def test_the_documented_json_body_is_recorded(service: Service) -> None:
    answer = await service.post(json=RECORD)
    assert is_the_record(await recorded(service, answer))


@pytest.mark.parametrize(
    "content_type",
    [
        FORM,
        f"{FORM}; charset=utf-8",
        f"{FORM};charset=UTF-8",
        f'{FORM}; charset="utf-8"',
        f"{FORM}; charset=ISO-8859-1",
        f"{FORM}; charset=nonsense",
        f"{FORM};",
        f" {FORM} ; ; x=y",
        "Application/X-WWW-Form-UrlEncoded",
        None,
    ],
)
async def test_a_form_is_read_under_every_spelling_of_its_content_type_and_under_none(
    service: Service, content_type: str | None
) -> None:
    assert is_the_record(await recorded(service, await post_as(service, content_type, TEXT)))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a+b", "a b"),
        ("a b", "a b"),
        ("a%20b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%26b%3Dc", "a&b=c"),
        ("a=b", "a=b"),
        ("a;b", "a;b"),
        ("50% done", "50% done"),
        ("50%zz", "50%zz"),
        ("100%", "100%"),
        ("C:\\deploy\\'x'", "C:\\deploy\\'x'"),
        ("<b>&amp;</b>", "<b>"),
        ("line%0D%0Aline", "line\r\nline"),
        ("{}", "{}"),
        ("", None),
    ],
)
def test_a_form_value_is_unescaped_once(written: str, meant: str | None) -> None:
    fields = parse_fields(f"Description={written}&Target=x".encode(), FORM)
    assert fields.values == {"Description": meant or "", "Target": "x"}


@pytest.mark.parametrize("text", [b"%s\r\n", b"%s\n", b"&%s", b"%s&", b"&&%s&&x&", b"=x&%s", b"flag&%s"])
async def test_what_is_around_the_fields_of_a_form_does_not_matter(service: Service, text: bytes) -> None:
    """A file posted with curl ends with a line break; string building leaves an ampersand too many."""
    assert is_the_record(await recorded(service, await post_as(service, FORM, text % TEXT)))


async def test_an_escaped_name_is_the_name(service: Service) -> None:
    escaped = TEXT.replace(b"FeedName", b"%46eed%4Eame")
    assert is_the_record(await recorded(service, await post_as(service, FORM, escaped)))


@pytest.mark.parametrize("content_type", [FORM, None, JSON])
async def test_an_empty_body_is_told_what_is_required(service: Service, content_type: str | None) -> None:
    answer = await post_as(service, content_type, b"")
    words = ["JSON"] if content_type == JSON else [f"{name} is required." for name in REQUIRED]
    await assert_refused(service, answer, 400, *words)


async def test_a_form_with_nul_bytes_is_refused(service: Service) -> None:
    await assert_refused(service, await post_as(service, FORM, TEXT + b"\0"), 400, "NUL", FORM, JSON)


# JSON


@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
        "Application/JSON",
        "application/json; charset=nonsense",
        "application/json; odata=verbose",
    ],
)
async def test_json_is_read_under_every_spelling_of_its_content_type(service: Service, content_type: str) -> None:
    assert is_the_record(await recorded(service, await post_as(service, content_type, JSON_TEXT)))


@pytest.mark.parametrize("content_type", [FORM, f"{FORM}; charset=utf-8", "text/plain", "text/plain; charset=x", None])
@pytest.mark.parametrize("before", [b"", b"\xef\xbb\xbf \r\n\t"], ids=["at once", "after a mark and blanks"])
async def test_json_under_the_wrong_label_is_still_json(
    service: Service, content_type: str | None, before: bytes
) -> None:
    """PowerShell users forget the content type, which then is that of a form."""
    assert is_the_record(await recorded(service, await post_as(service, content_type, before + JSON_TEXT)))


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"FeedName": "x"',
        b'{"FeedName": "x",}',
        b"{'FeedName': 'x'}",
        b'{"FeedName": "x"} and more',
        b'{"FeedName": x}',
        b'{"FeedName": "a\nb"}',
        b'{"FeedName": "\\q"}',
        b'{"Version": NaN}',
        b'{"Version": Infinity}',
        b'{"Version": -Infinity}',
        b'{"Version": 012}',
        b"[]",
        b"null",
        b'"FeedName"',
        b"12",
        b"true",
        b"FeedName=x",
        b"\0",
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
    ids=lambda body: body[:30].decode(),
)
async def test_what_is_labelled_json_and_is_no_json_object_is_refused(service: Service, body: bytes) -> None:
    await assert_refused(service, await post_as(service, JSON, body), 400, "JSON")


@pytest.mark.parametrize("content_type", [FORM, "text/plain", None])
async def test_what_begins_like_json_and_is_none_is_refused(service: Service, content_type: str | None) -> None:
    await assert_refused(service, await post_as(service, content_type, JSON_TEXT[:-1]), 400, "JSON")


@pytest.mark.parametrize("value", ["{}", '{"a": [1, {"b": null}]}', "[[]]", "true", "1e999", '"x"'])
async def test_an_unknown_property_may_hold_anything(service: Service, value: str) -> None:
    body = JSON_TEXT[:-1] + f', "Extra": {value}}}'.encode()
    assert is_the_record(await recorded(service, await post_as(service, JSON, body)))


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")], ids=["objects", "arrays"])
@pytest.mark.parametrize("depth", [100, 500, 700, 900, 960, 970, 980, 990, 1000, 5000])
def test_deep_nesting_is_ignored_or_refused_at_any_depth(depth: int, opening: str, closing: str) -> None:
    nested = f'"Extra": {opening * depth}1{closing * depth}'
    body = JSON_TEXT[:-1] + f", {nested}, {nested}}}".encode()
    try:
        assert parse_fields(body, JSON).values == RECORD
    except InvalidRequest as error:
        assert error.errors == {"body": ["The JSON is nested too deeply."]}  # noqa: PT017 - Python draws the line


async def test_deep_nesting_is_no_error_of_the_server(service: Service) -> None:
    body = JSON_TEXT[:-1] + b', "Extra": ' + b'{"a":' * 700 + b"1" + b"}" * 700 + b"}"
    assert is_the_record(await recorded(service, await post_as(service, JSON, body)))


@pytest.mark.parametrize("depth", range(900, 1000, 5))
def test_the_same_deep_property_twice_is_refused_and_never_an_error_of_the_server(depth: int) -> None:
    nested = '"Url": ' + "[" * depth + "]" * depth
    try:
        fields = parse_fields(f"{{{nested}, {nested}}}".encode(), JSON)
    except InvalidRequest as error:
        assert error.errors  # noqa: PT017 - either is right, at whichever depth Python draws the line
    else:
        assert set(fields.values) == {"Url"}


# multipart/form-data


def multipart(boundary: str = "XYZ", end: str = "\r\n", quote: str = '"', headers: str = "", **fields: str) -> bytes:
    """Return a multipart body; ``headers`` come after the disposition of every part."""
    parts = [
        f"--{boundary}{end}Content-Disposition: form-data; name={quote}{name}{quote}{end}{headers}{end}{value}{end}"
        for name, value in (fields or RECORD).items()
    ]
    return ("".join(parts) + f"--{boundary}--{end}").encode()


MULTIPART = "multipart/form-data; boundary=XYZ"


@pytest.mark.parametrize("quote", ['"', ""], ids=["quoted names", "unquoted names"])
@pytest.mark.parametrize(
    "content_type",
    [
        MULTIPART,
        'multipart/form-data; boundary="XYZ"',
        "Multipart/Form-Data; Boundary=XYZ",
        "multipart/form-data; charset=utf-8; boundary=XYZ",
        "multipart/form-data;boundary=XYZ;",
    ],
)
async def test_multipart_is_read_with_names_and_boundary_quoted_or_not(
    service: Service, content_type: str, quote: str
) -> None:
    """curl quotes names, PowerShell does not but quotes the boundary."""
    assert is_the_record(await recorded(service, await post_as(service, content_type, multipart(quote=quote))))


@pytest.mark.parametrize(
    "body",
    [
        multipart(end="\n"),
        multipart(headers="Content-Type: text/plain; charset=utf-8\r\n"),
        multipart(headers="Content-Length: 3\r\nX-Own: x\r\n"),
        b"preamble\r\n" + multipart() + b"epilogue",
        multipart().removesuffix(b"\r\n"),
        multipart().replace(b"--XYZ\r\n", b"--XYZ \t\r\n"),
        multipart().replace(b"Content-Disposition: form-data", b"content-disposition:form-data"),
        multipart().replace(b'name="Version"', b'filename="v.txt"; name="Version"'),
        multipart().replace(b'name="Version"', b'name="Version"; filename="v.txt"\r\nContent-Type: text/plain'),
    ],
    ids=["LF", "types", "headers", "around", "no last line", "padding", "lower case", "file name", "file"],
)
async def test_multipart_is_read_as_its_senders_write_it(service: Service, body: bytes) -> None:
    assert is_the_record(await recorded(service, await post_as(service, MULTIPART, body)))


@pytest.mark.parametrize("boundary", ["'()+_,-./:=?", "-" * 24 + "5411c6487a24a17a", "a b", "[.*]", "x" * 70])
async def test_every_boundary_that_is_allowed_is_understood(service: Service, boundary: str) -> None:
    content_type = f'multipart/form-data; boundary="{boundary}"'
    assert is_the_record(await recorded(service, await post_as(service, content_type, multipart(boundary))))


@pytest.mark.parametrize("value", ["a\r\nb\nc", "--XY\r\n-- XYZ", "--XYZ--x", "a & b = c + d % e", "line\r\n\r\nline"])
async def test_a_multipart_value_arrives_as_it_is(service: Service, value: str) -> None:
    answer = await post_as(service, MULTIPART, multipart(**RECORD | {"Description": value}))
    assert (await recorded(service, answer))["Description"] == value


@pytest.mark.parametrize(
    ("content_type", "body", "words"),
    [
        ("multipart/form-data", multipart(), ["boundary"]),
        ("multipart/form-data; boundary=", multipart(), ["boundary"]),
        ('multipart/form-data; boundary=""', multipart(), ["boundary"]),
        ("multipart/form-data; boundary=other", multipart(), ["boundary"]),
        (MULTIPART, b"", ["boundary"]),
        (MULTIPART, TEXT, ["boundary"]),
        (MULTIPART, JSON_TEXT, ["boundary"]),
        (MULTIPART, multipart()[:-20], ["cut off"]),
        (MULTIPART, multipart().removesuffix(b"--XYZ--\r\n"), ["cut off"]),
        (MULTIPART, multipart().replace(b"--XYZ--\r\n", b"--XYZ-\r\n"), ["cut off"]),
        (MULTIPART, b"--XYZ\r\n\r\nvalue\r\n--XYZ--\r\n", ["part"]),
        (MULTIPART, b"--XYZ\r\nvalue\r\n--XYZ--\r\n", ["part"]),
        (MULTIPART, b"--XYZ\r\nContent-Disposition: form-data\r\n\r\nvalue\r\n--XYZ--\r\n", ["name"]),
        (MULTIPART, b"--XYZ\r\nContent-Type: text/plain\r\n\r\nvalue\r\n--XYZ--\r\n", ["name"]),
        (MULTIPART, multipart(**{f"n{number}": "x" for number in range(2000)}), ["100"]),
        (MULTIPART, b"--XYZ--\r\n", ["FeedName is required."]),
    ],
)
async def test_multipart_that_is_not_what_it_says_is_refused(
    service: Service, content_type: str, body: bytes, words: list[str]
) -> None:
    await assert_refused(service, await post_as(service, content_type, body), 400, *words)


# Other content types


@pytest.mark.parametrize("body", [TEXT, JSON_TEXT], ids=["form", "json"])
@pytest.mark.parametrize(
    "content_type",
    [
        "application/xml",
        "text/xml; charset=utf-8",
        "text/html",
        "text/json",
        "application/octet-stream",
        "application/json-patch+json",
        "multipart/mixed; boundary=XYZ",
        "application/x-www-form-urlencoded, application/json",
        "nonsense",
    ],
)
async def test_any_other_content_type_is_told_what_is_expected(
    service: Service, content_type: str, body: bytes
) -> None:
    media_type = content_type.partition(";")[0]
    answer = await post_as(service, content_type, body)
    await assert_refused(service, answer, 400, media_type, FORM, JSON, "multipart/form-data")


async def test_plain_text_that_is_no_json_is_told_what_is_expected(service: Service) -> None:
    await assert_refused(service, await post_as(service, "text/plain", TEXT), 400, "text/plain", FORM, JSON)


@pytest.mark.parametrize("content_type", [b"\xff\xfe/<x>", b"\xff\xc2\x80", b"Z\xfcrich; charset=\xc3\xbc\xff"])
async def test_a_content_type_that_is_not_even_text_is_refused(service: Service, content_type: bytes) -> None:
    request = sized(TEXT, "Content-Type: X").replace(b"Content-Type: X", b"Content-Type: " + content_type)
    await assert_refused(service, await service.raw(request), 400, FORM, JSON)


# How the body travels


async def test_a_chunked_body_is_read(service: Service) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(TEXT), 7):
            yield TEXT[start : start + 7]

    answer = await service.post(chunks(), headers={"Content-Type": FORM})
    assert is_the_record(await recorded(service, answer))


def chunked(body: bytes, size: int, extension: bytes = b"", trailer: bytes = b"") -> bytes:
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    written = [b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces]
    return b"".join(written) + b"0\r\n" + trailer + b"\r\n"


@pytest.mark.parametrize(
    "body",
    [
        chunked(JSON_TEXT, 1),
        chunked(JSON_TEXT, 10_000),
        chunked(JSON_TEXT, 20, extension=b";name=value"),
        chunked(JSON_TEXT, 20, trailer=b"X-Checksum: 1\r\n"),
    ],
    ids=["one byte a chunk", "one chunk", "extensions", "trailer"],
)
async def test_chunks_of_every_kind_are_put_together(service: Service, body: bytes) -> None:
    answer = await service.raw(http(body, f"Content-Type: {JSON}", "Transfer-Encoding: chunked"))
    assert is_the_record(await recorded(service, answer))


async def test_an_empty_chunked_body_is_told_what_is_required(service: Service) -> None:
    answer = await service.raw(http(b"0\r\n\r\n", "Transfer-Encoding: chunked"))
    await assert_refused(service, answer, 400, "FeedName is required.")


@pytest.mark.parametrize("body", [b"xyz\r\nabc", b"5\r\nabcdefgh\r\n0\r\n\r\n", b"-1\r\n\r\n", b"F" * 18 + b"\r\n"])
async def test_broken_chunks_are_refused(service: Service, body: bytes) -> None:
    await assert_refused(service, await service.raw(http(body, "Transfer-Encoding: chunked")), 400)


async def test_a_client_that_expects_100_continue_is_told_to_go_on_and_then_answered(service: Service) -> None:
    """Windows PowerShell and curl wait for it before they send the body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(http(b"", f"Content-Length: {len(TEXT)}", "Expect: 100-continue"))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(TEXT)
    assert is_the_record(await recorded(service, await read_answer(reader)))
    writer.close()


async def test_a_client_that_does_not_wait_for_100_continue_is_answered_too(service: Service) -> None:
    answer = await service.raw(sized(TEXT, "Expect: 100-Continue"))
    assert is_the_record(await recorded(service, answer))


async def test_an_expectation_nobody_knows_is_ignored(service: Service) -> None:
    assert is_the_record(await recorded(service, await service.raw(sized(TEXT, "Expect: 200-ok"))))


async def test_a_client_of_http_1_0_is_answered_and_not_told_to_go_on(service: Service) -> None:
    answer = await service.raw(sized(TEXT, "Expect: 100-continue", version="1.0"))
    assert answer.startswith(b"HTTP/1.0 200 ")
    assert is_the_record(await recorded(service, answer))


@pytest.mark.parametrize("protocol", ["h2c", "h2c, websocket", "websocket", "TLS/1.0"])
async def test_an_offer_to_upgrade_is_passed_over(service: Service, protocol: str) -> None:
    """Java's HTTP client offers h2c with every request over plain HTTP."""
    headers = ("Connection: Upgrade, HTTP2-Settings", f"Upgrade: {protocol}", "HTTP2-Settings: AAEAAEAAAAIAAAAA")
    assert is_the_record(await recorded(service, await service.raw(sized(TEXT, *headers))))


@pytest.mark.parametrize("cut", [10, 60, 200, 300])
async def test_a_request_that_comes_in_two_pieces_is_read(service: Service, cut: int) -> None:
    request = sized(JSON_TEXT, f"Content-Type: {JSON}")
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request[:cut])
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(request[cut:])
    assert is_the_record(await recorded(service, await read_answer(reader)))
    writer.close()


async def test_one_connection_serves_many_requests(service: Service) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(sized(TEXT) + sized(b"") + sized(JSON_TEXT))
    assert [split(await read_answer(reader))[0] for _ in range(3)] == [200, 400, 200]
    writer.close()
    assert len(await service.rows()) == 2


# Too large, too slow, cut off


LIMIT = 1000


@pytest.fixture
async def small(start: StartService) -> Service:
    """A server that takes a body of at most 1,000 bytes."""
    return await start(limits_body_bytes=LIMIT, security_lockout_failures=0)


def padded(length: int) -> bytes:
    return TEXT + b"&x=" + b"y" * (length - len(TEXT) - 3)


def a_body_of_a_mebibyte() -> bytes:
    return padded(1024 * 1024)


async def test_a_body_of_one_mebibyte_is_read_by_default(service: Service) -> None:
    assert is_the_record(await recorded(service, await post_as(service, FORM, a_body_of_a_mebibyte())))


async def test_a_body_of_one_byte_more_is_too_large_by_default(service: Service) -> None:
    answer = await service.raw(sized(a_body_of_a_mebibyte() + b"y"))
    await assert_refused(service, answer, 413, "1048576 bytes")


@pytest.mark.parametrize("how", ["sized", "chunked", "gzip"])
async def test_a_body_of_exactly_the_limit_is_read(small: Service, how: str) -> None:
    assert is_the_record(await recorded(small, await small.raw(travelling(padded(LIMIT), how))))


@pytest.mark.parametrize("how", ["sized", "chunked", "gzip", "declared", "expected"])
async def test_a_body_over_the_limit_is_413_and_says_the_limit(small: Service, how: str) -> None:
    answer = await small.raw(travelling(padded(LIMIT + 1), how))
    assert b" 100 Continue" not in answer
    await assert_refused(small, answer, 413, f"{LIMIT} bytes")


def travelling(body: bytes, how: str) -> bytes:
    """Return a request with the body in one piece, chunked or compressed, or with no more than its length."""
    if how == "chunked":
        return http(chunked(body, 300), "Transfer-Encoding: chunked")
    if how == "gzip":
        return sized(gzip.compress(body), "Content-Encoding: gzip")
    if how == "declared":
        return http(b"", f"Content-Length: {len(body)}")
    if how == "expected":
        return http(b"", f"Content-Length: {len(body)}", "Expect: 100-continue")
    return sized(body)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_zip_bomb_is_413(service: Service, encoding: str) -> None:
    """Twenty megabytes in twenty kilobytes are given up at the limit."""
    bomb = (gzip.compress if encoding == "gzip" else zlib.compress)(bytes(20_000_000))
    assert len(bomb) < 30_000
    answer = await service.raw(sized(bomb, f"Content-Encoding: {encoding}"))
    await assert_refused(service, answer, 413, "1048576 bytes")


async def test_a_chunked_zip_bomb_is_413(service: Service) -> None:
    bomb = chunked(gzip.compress(bytes(20_000_000)), 1000)
    answer = await service.raw(http(bomb, "Content-Encoding: gzip", "Transfer-Encoding: chunked"))
    await assert_refused(service, answer, 413, "1048576 bytes")


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data)[2:-4]


@pytest.mark.parametrize("content_type", [FORM, JSON])
@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", gzip.compress),
        ("GZip", gzip.compress),
        ("deflate", zlib.compress),
        ("deflate", raw_deflate),
        ("identity", bytes),
    ],
    ids=["gzip", "GZip", "deflate", "raw deflate", "identity"],
)
async def test_a_compressed_body_is_read(service: Service, encoding: str, compress: Any, content_type: str) -> None:
    body = compress(TEXT if content_type == FORM else JSON_TEXT)
    answer = await service.raw(sized(body, f"Content-Type: {content_type}", f"Content-Encoding: {encoding}"))
    assert is_the_record(await recorded(service, answer))


async def test_gzip_in_several_members_is_read_as_one(service: Service) -> None:
    """What was appended to a gzip file is part of it (RFC 1952)."""
    body = gzip.compress(TEXT[:30]) + gzip.compress(TEXT[30:])
    assert is_the_record(await recorded(service, await service.raw(sized(body, "Content-Encoding: gzip"))))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
@pytest.mark.parametrize("body", [TEXT, b"\x1f\x8b", b"\x1f\x8b\x08\x00" + bytes(30), b"x\x9c" + b"\xff" * 30])
async def test_broken_compression_is_refused(service: Service, encoding: str, body: bytes) -> None:
    await assert_refused(service, await service.raw(sized(body, f"Content-Encoding: {encoding}")), 400)


@pytest.mark.parametrize("lost", [1, 4, 9, 20])
@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_compression_that_has_been_cut_off_is_refused(service: Service, encoding: str, lost: int) -> None:
    """What is left may well be a whole form, with the end of the last version missing."""
    body = (gzip.compress if encoding == "gzip" else zlib.compress)(TEXT + b"." + bytes(range(48, 58)) * 3)
    answer = await service.raw(sized(body[:-lost], f"Content-Encoding: {encoding}"))
    await assert_refused(service, answer, 400)


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(TEXT) + b"more"),
        ("gzip", gzip.compress(TEXT) + gzip.compress(b"") * 200),
        ("deflate", zlib.compress(TEXT) + b"more"),
        ("deflate", zlib.compress(TEXT) + zlib.compress(b"&Target=other")),
    ],
)
async def test_what_follows_the_compressed_data_is_refused(service: Service, encoding: str, body: bytes) -> None:
    await assert_refused(service, await service.raw(sized(body, f"Content-Encoding: {encoding}")), 400)


async def test_a_gzip_body_with_a_wrong_checksum_is_refused(service: Service) -> None:
    body = bytearray(gzip.compress(TEXT))
    body[-6] ^= 1
    await assert_refused(service, await service.raw(sized(bytes(body), "Content-Encoding: gzip")), 400)


@pytest.mark.parametrize("encoding", ["br", "zstd", "compress", "gzip, gzip", "aws-chunked", "<nonsense>"])
async def test_an_unknown_content_encoding_is_told_what_is_known(service: Service, encoding: str) -> None:
    answer = await service.raw(sized(TEXT, f"Content-Encoding: {encoding}"))
    await assert_refused(service, answer, 400, "gzip", "deflate")


async def test_a_content_encoding_that_is_not_even_text_is_refused(service: Service) -> None:
    request = sized(TEXT, "Content-Encoding: X").replace(b"Encoding: X", b"Encoding: \xff\xfe")
    await assert_refused(service, await service.raw(request), 400, "gzip")


async def test_a_body_that_does_not_arrive_in_time_is_given_up(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    impatient = dataclasses.replace(settings, limits=dataclasses.replace(settings.limits, body_timeout=0.1))
    async with running(impatient) as service:
        answer = await service.raw(http(TEXT[:50], f"Content-Length: {len(TEXT)}"))
        await assert_refused(service, answer, 400, "did not arrive", "0.1 seconds")


@pytest.mark.parametrize("how", ["sized", "chunked"])
async def test_a_client_that_goes_away_in_the_middle_leaves_no_record_and_no_error_in_the_log(
    service: Service, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    if how == "sized":
        request = http(TEXT, f"Content-Length: {len(TEXT) + 10}")
    else:
        request = http(chunked(TEXT, 20).removesuffix(b"0\r\n\r\n"), "Transfer-Encoding: chunked")
    _, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(request)
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()
    await asyncio.sleep(0.1)
    assert await service.rows() == []
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


# Names


SPELLINGS = {
    "lower case": str.lower,
    "upper case": str.upper,
    "camel case": lambda name: name[0].lower() + name[1:],
    "mixed case": str.swapcase,
    "blanks around": lambda name: f" {name} ",
}


@pytest.mark.parametrize("kind", ["form", "json", "multipart"])
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_names_match_in_any_letter_case(service: Service, spelling: str, kind: str) -> None:
    """.NET serialises properties in camel case; ASP.NET, and so ProGet, never minded."""
    everything = RECORD | {"GroupName": "g", "UserName": "u", "Url": "http://host/x", "Date": "2021-04-13"}
    fields = {SPELLINGS[spelling](name): value for name, value in everything.items()}
    if kind == "json":
        answer = await service.post(json=fields)
    elif kind == "form":
        answer = await service.post(fields)
    else:
        answer = await post_as(service, MULTIPART, multipart(**fields))
    record = await recorded(service, answer)
    assert {name: record[name] for name in everything} == everything | {"Date": "2021-04-13T00:00:00Z"}


@pytest.mark.parametrize("content_type", [FORM, JSON])
async def test_unknown_names_are_ignored(service: Service, content_type: str) -> None:
    unknown = ("Id", "RecordedBy", "Recorded_By", "Feed Name", "FeedNames", "", "İ")
    fields = RECORD | dict.fromkeys(unknown, "7")
    body = urlencode(fields).encode() if content_type == FORM else json.dumps(fields).encode()
    record = await recorded(service, await post_as(service, content_type, body))
    assert is_the_record(record)
    assert (record["Id"], record["RecordedBy"]) == (1, "API key 1 (ci)")


@pytest.mark.parametrize("second", ["Target=other", "target=other", "TARGET=Localhost", "Target="])
async def test_a_form_field_given_twice_with_different_values_is_refused(service: Service, second: str) -> None:
    answer = await post_as(service, FORM, TEXT + b"&" + second.encode())
    await assert_refused(service, answer, 400, "Target is given more than once")


async def test_every_field_that_contradicts_itself_is_named(service: Service) -> None:
    answer = await post_as(service, FORM, TEXT + b"&Target=other&version=1&VERSION=2")
    await assert_refused(service, answer, 400, "Target is given more than once", "Version is given more than once")


async def test_a_form_field_given_twice_with_the_same_value_is_taken(service: Service) -> None:
    answer = await post_as(service, FORM, TEXT + b"&target=localhost&TARGET=localhos%74")
    assert is_the_record(await recorded(service, answer))


async def test_a_multipart_field_given_twice_with_different_values_is_refused(service: Service) -> None:
    answer = await post_as(service, MULTIPART, multipart(**RECORD, target="other"))
    await assert_refused(service, answer, 400, "Target is given more than once")


@pytest.mark.parametrize("second", ['"Target": "other"', '"target": null', '"TARGET": 1', '"Target": {}'])
async def test_a_json_property_given_twice_with_different_values_is_refused(service: Service, second: str) -> None:
    answer = await post_as(service, JSON, JSON_TEXT[:-1] + f", {second}}}".encode())
    await assert_refused(service, answer, 400, "Target is given more than once")


async def test_a_json_property_given_twice_with_the_same_value_is_taken(service: Service) -> None:
    answer = await post_as(service, JSON, JSON_TEXT[:-1] + b', "target": "localhost"}')
    assert is_the_record(await recorded(service, answer))


@pytest.mark.parametrize("content_type", [FORM, JSON])
async def test_an_unknown_name_may_be_given_twice(service: Service, content_type: str) -> None:
    body = TEXT + b"&x=1&x=2" if content_type == FORM else JSON_TEXT[:-1] + b', "x": 1, "x": 2}'
    assert is_the_record(await recorded(service, await post_as(service, content_type, body)))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [(FORM, TEXT + b"&key=abc12345&Key=other"), (JSON, JSON_TEXT[:-1] + b', "API_Key": "abc12345", "api_key": "x"}')],
)
async def test_two_different_keys_in_a_body_are_refused(service: Service, content_type: str, body: bytes) -> None:
    await assert_refused(service, await post_as(service, content_type, body), 400, "given more than once")


# Paths and methods


@pytest.mark.parametrize(
    "path",
    [
        "/api/package-deployment/",
        "/api/package-deployment",
        "/API/Package-Deployment/",
        "/API/PACKAGE-DEPLOYMENT",
        "/Api/package-Deployment",
        "/api/package%2Ddeployment/",
        "/api/package-deployment/?x=1",
        "/api/package-deployment?",
    ],
)
async def test_every_spelling_of_the_path_records_and_none_redirects(service: Service, path: str) -> None:
    """A redirected POST is followed as a GET, and the record is lost without a word."""
    assert is_the_record(await recorded(service, await service.raw(sized(TEXT, path=path))))


@pytest.mark.parametrize(
    "path", ["/api", "/api/", "/api/package-deployments", "/api/package-deployment/1", "/package-deployment/"]
)
async def test_any_other_path_is_404_and_names_the_right_one(service: Service, path: str) -> None:
    await assert_refused(service, await service.post(RECORD, path=path), 404, f"{service.url}{PATH}")


async def test_the_path_of_a_page_takes_no_record_and_names_the_right_one(service: Service) -> None:
    await assert_refused(service, await service.post(RECORD, path="/"), 405, f"{service.url}{PATH}")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [PATH, "/API/package-deployment"])
async def test_any_other_method_is_405_and_allows_post_alone(service: Service, method: str, path: str) -> None:
    """A POST that a proxy's redirect turned into a GET must fail loudly."""
    answer = await service.request(method, path, headers={"X-ApiKey": KEY})
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_405_says_how_deployments_are_recorded(service: Service) -> None:
    answer = await service.request("GET", PATH)
    await assert_refused(service, answer, 405, "GET is not allowed", f"POST {service.url}{PATH}")


@pytest.mark.parametrize("method", ["PUT", "GET"])
async def test_the_body_of_another_method_is_not_recorded(service: Service, method: str) -> None:
    answer = await service.request(method, PATH, data=TEXT, headers={"X-ApiKey": KEY, "Content-Type": FORM})
    await assert_refused(service, answer, 405)


@pytest.mark.parametrize("base", ["", "/proget", "/ProGet"])
@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/"), "/API/package-deployment"])
async def test_under_a_base_path_the_server_answers_with_and_without_it(
    start: StartService, base: str, path: str
) -> None:
    """Reverse proxies pass the prefix on, or strip it."""
    service = await start(server_base_path="/proget")
    assert is_the_record(await recorded(service, await service.post(RECORD, path=base + path)))


@pytest.mark.parametrize("base", ["", "/proget"])
async def test_under_a_base_path_other_methods_are_405_and_told_the_whole_path(start: StartService, base: str) -> None:
    service = await start(server_base_path="/proget")
    answer = await service.request("GET", base + PATH)
    assert (answer.status, answer.headers["Allow"]) == (405, "POST")
    assert f"{service.url}/proget{PATH}" in answer.text


async def test_fields_are_not_taken_from_the_query(service: Service) -> None:
    answer = await service.post(b"", path=f"{PATH}?{urlencode(RECORD)}", **without_content_type())
    await assert_refused(service, answer, 400, "FeedName is required.")


async def test_the_feed_is_answered_with_its_own_name(service: Service) -> None:
    record = await recorded(service, await service.post(RECORD | {"FeedName": FEED.upper()}))
    assert record["FeedName"] == FEED
