"""What a client gets to see when something is wrong: enough to put it right, and nothing of the inside."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from conftest import FEED, KEY, PATH, RECORD, Answer, Service, StartService, read_answer
from test_bodies import FORM, JSON, MULTIPART, TEXT, assert_refused, http, post_as, recorded, sized
from test_real_requests import split

from deployserver.api.accept import wants_json
from deployserver.api_keys import create_key, revoke_key
from deployserver.feeds import add_feed
from deployserver.models import DOWNLOAD_PACKAGE
from deployserver.privileges import add_privilege
from deployserver.users import add_user

TAGS = "<script>alert(1)</script>"
REQUIRED = ("Application", "Description", "Target", "FeedName", "PackageName", "Version")

Failing = Callable[[Service, dict[str, str]], Awaitable[Answer]]


async def again(start: StartService) -> Service:
    """Start a second server over the same database; it knows at once what was added to it."""
    return await start(security_lockout_failures=0)


async def _missing_field(service: Service, headers: dict[str, str]) -> Answer:
    return await service.post({"FeedName": FEED}, headers=headers)


async def _malformed_body(service: Service, headers: dict[str, str]) -> Answer:
    return await service.post(f"{{{TAGS}".encode(), headers={"Content-Type": JSON} | headers)


async def _content_type(service: Service, headers: dict[str, str]) -> Answer:
    return await service.post(TEXT, headers={"Content-Type": f"text/{TAGS}"} | headers)


async def _wrong_key(service: Service, headers: dict[str, str]) -> Answer:
    return await service.post(RECORD, key=TAGS, headers=headers)


async def _no_key(service: Service, headers: dict[str, str]) -> Answer:
    return await service.post(RECORD, key=None, headers=headers)


async def _unknown_path(service: Service, headers: dict[str, str]) -> Answer:
    return await service.post(RECORD, path=f"/{TAGS}", headers=headers)


async def _wrong_method(service: Service, headers: dict[str, str]) -> Answer:
    return await service.request("GET", PATH, headers=headers)


async def _too_large(service: Service, headers: dict[str, str]) -> Answer:
    body = gzip.compress(bytes(2_000_000))
    return await service.post(body, headers={"Content-Type": FORM, "Content-Encoding": "gzip"} | headers)


FAILURES: dict[str, tuple[int, Failing]] = {
    "missing field": (400, _missing_field),
    "malformed body": (400, _malformed_body),
    "content type": (400, _content_type),
    "wrong key": (403, _wrong_key),
    "no key": (403, _no_key),
    "unknown path": (404, _unknown_path),
    "wrong method": (405, _wrong_method),
    "too large": (413, _too_large),
}


@pytest.mark.parametrize("failure", FAILURES)
async def test_an_error_is_plain_text_with_a_length_and_without_tags(service: Service, failure: str) -> None:
    """PowerShell up to 7.3 strips what looks like a tag, and 5.1 shows nothing of a chunked error."""
    status, fail = FAILURES[failure]
    answer = await fail(service, {})
    assert (answer.status, answer.headers["Content-Type"]) == (status, "text/plain; charset=utf-8")
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert "Transfer-Encoding" not in answer.headers
    assert len(answer.text.strip()) > 10 and not set(answer.text) & set("<>")
    assert await service.rows() == []


@pytest.mark.parametrize("failure", FAILURES)
async def test_an_error_is_problem_details_where_json_is_asked_for(service: Service, failure: str) -> None:
    status, fail = FAILURES[failure]
    answer = await fail(service, {"Accept": "application/json"})
    assert answer.status == status
    assert answer.headers["Content-Type"].partition(";")[0] == "application/problem+json"
    assert answer.headers["Content-Length"] == str(len(answer.body))
    problem = answer.json
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["title"] and problem["detail"]
    assert ("errors" in problem) == (status == 400)


@pytest.mark.parametrize("failure", FAILURES)
async def test_no_error_is_a_challenge(service: Service, failure: str) -> None:
    """ProGet answers 403, and clients of ours are made for ProGet."""
    answer = await FAILURES[failure][1](service, {})
    assert answer.status != 401 and "WWW-Authenticate" not in answer.headers


async def test_404_and_405_keep_their_headers_as_problem_details(service: Service) -> None:
    answer = await service.request("PUT", PATH, headers={"Accept": "application/problem+json"})
    assert (answer.json["status"], answer.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_an_error_has_a_length_in_every_version_of_http(service: Service, version: str) -> None:
    status, head, body = split(await service.raw(sized(b"", version=version)))
    assert status == 400 and f"content-length: {len(body)}".encode() in head.lower()


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", True),
        ("APPLICATION/JSON", True),
        ("application/json; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/vnd.api+json", True),
        ("application/json, text/plain, */*", True),
        ("text/plain, application/json", True),
        ("text/plain, application/json;q=0.9", False),
        ("text/plain;q=0.5, application/json;q=0.9", True),
        ("text/plain;q=0.9, application/json;q=0.5", False),
        ("application/json;q=0", False),
        ("application/json; q=0.0, */*", False),
        ("application/json;q=0.001", True),
        ("application/json ; Q=0.5 , text/plain ; q=0.4", True),
        ("application/json;q=0, application/problem+json", True),
        ("application/json;q=nonsense", False),
        ("application/json;q=nan", False),
        ("application/xml, application/json;q=0.1", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("text/plain", False),
        ("text/json", True),
        ("application/jsonp", False),
        (",,;;,", False),
    ],
)
def test_accept_decides_by_its_qualities(accept: str, json_wanted: bool) -> None:
    assert wants_json(accept) is json_wanted


@pytest.mark.parametrize(
    ("accept", "media_type"), [("application/json", "application/problem+json"), ("*/*", "text/plain")]
)
async def test_accept_is_heeded_on_the_wire(service: Service, accept: str, media_type: str) -> None:
    answer = await service.post({}, headers={"Accept": accept})
    assert answer.headers["Content-Type"].startswith(media_type)


async def test_a_record_is_json_whatever_accept_says(service: Service) -> None:
    answer = await service.post(RECORD, headers={"Accept": "text/html"})
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    await recorded(service, answer)


# Every wrong field


WRONG = {
    "Application": "",
    "Description": "a\x07b",
    "Target": "x" * 1025,
    "PackageName": " ",
    "GroupName": "a\nb",
    "UserName": "x" * 2000,
    "Url": "javascript:alert(1)",
    "Date": "13.04.2021",
    "FeedName": FEED,
}


@pytest.mark.parametrize("kind", ["form", "json", "multipart"])
async def test_every_wrong_field_is_named_at_once(service: Service, kind: str) -> None:
    """Nobody wants to mend a script field by field."""
    if kind == "form":
        answer = await service.post(WRONG)
    elif kind == "json":
        answer = await service.post(json=WRONG)
    else:
        parts = "".join(f'--XYZ\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in WRONG.items())
        answer = await post_as(service, MULTIPART, f"{parts}--XYZ--\r\n".encode())
    names = [*(name for name in WRONG if name != "FeedName"), "Version"]
    await assert_refused(service, answer, 400, *(f"{name} " for name in names))
    assert sorted(line.partition(" ")[0] for line in answer.text.splitlines()) == sorted(names)


async def test_problem_details_map_every_wrong_field_to_its_messages(service: Service) -> None:
    answer = await service.post(WRONG, headers={"Accept": "application/json"})
    errors = answer.json["errors"]
    assert set(errors) == {*WRONG, "Version"} - {"FeedName"}
    assert errors["Version"] == ["is required."]
    assert errors["Application"] == ["must not be blank."]
    assert all(isinstance(message, str) for messages in errors.values() for message in messages)


async def test_a_malformed_body_is_an_error_of_the_body(service: Service) -> None:
    answer = await service.post(b"{", headers={"Content-Type": JSON, "Accept": "application/json"})
    assert set(answer.json["errors"]) == {"body"}


@pytest.mark.parametrize("value", [TAGS, "'; DROP TABLE deployments; --", "\x1b[31m", "x" * 100_000])
async def test_the_value_of_a_wrong_field_is_not_repeated(service: Service, value: str) -> None:
    answer = await service.post({"FeedName": FEED, "Url": value, "Date": value})
    assert answer.status == 400
    assert value not in answer.text and len(answer.text) < 1000


# The order of the checks


async def test_a_malformed_body_goes_before_a_wrong_key(service: Service) -> None:
    answer = await service.post(b"{", key="wrong", headers={"Content-Type": JSON})
    await assert_refused(service, answer, 400, "JSON")


async def test_a_body_that_is_too_large_goes_before_a_wrong_key(start: StartService) -> None:
    service = await start(limits_body_bytes=10)
    await assert_refused(service, await service.post(RECORD, key="wrong"), 413)


async def test_a_wrong_key_goes_before_wrong_fields(service: Service) -> None:
    await assert_refused(service, await service.post(WRONG, key="wrong"), 403, "key is not valid")


async def test_wrong_fields_go_before_an_unknown_feed(service: Service) -> None:
    await assert_refused(service, await service.post(WRONG | {"FeedName": "nowhere"}), 400, "Version")


async def test_wrong_fields_go_before_a_missing_privilege(service: Service) -> None:
    await assert_refused(service, await service.post(WRONG, key=None), 400, "Version is required.")


async def test_an_unknown_feed_goes_before_a_missing_privilege(service: Service) -> None:
    await assert_refused(service, await service.post(RECORD | {"FeedName": "nowhere"}), 404, "'nowhere'")


async def test_a_missing_privilege_comes_last(service: Service, start: StartService) -> None:
    await add_feed(service.admin, "Other")
    service = await again(start)
    await assert_refused(service, await service.post(RECORD | {"FeedName": "Other"}), 403, "may not record")


async def test_a_method_that_is_not_allowed_goes_before_everything(service: Service) -> None:
    answer = await service.request("PUT", PATH, data=b"{", headers={"X-ApiKey": "wrong", "Content-Type": JSON})
    await assert_refused(service, answer, 405)


# Credentials


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


WRONG_CREDENTIALS: dict[str, dict[str, Any]] = {
    "X-ApiKey": {"headers": {"X-ApiKey": "wrong"}},
    "query": {"path": f"{PATH}?key=wrong"},
    "form": {"data": RECORD | {"key": "wrong"}},
    "json": {"data": None, "json": RECORD | {"API_Key": "wrong"}},
    "basic": {"headers": {"Authorization": basic("api", "wrong")}},
    "pseudo-key": {"headers": {"X-ApiKey": "nobody:wrong"}},
    "own password": {"headers": {"Authorization": basic("nobody", "wrong")}},
    "bearer": {"headers": {"Authorization": "Bearer abc12345"}},
    "not base64": {"headers": {"Authorization": "Basic !!!"}},
}


@pytest.mark.parametrize("way", WRONG_CREDENTIALS)
async def test_a_wrong_credential_is_403_even_where_anonymous_may_record(
    service: Service, start: StartService, way: str
) -> None:
    await add_privilege(service.admin, "Anonymous", DOWNLOAD_PACKAGE, None, granted=True)
    service = await again(start)
    request = {"data": RECORD} | WRONG_CREDENTIALS[way]
    await assert_refused(service, await service.request("POST", request.pop("path", PATH), **request), 403)
    assert (await service.post(RECORD, key=None)).status == 200


@pytest.mark.parametrize(
    "header",
    [
        b"X-ApiKey: \xff\xfe",
        b"X-ApiKey: nobody:\xff\xfe",
        b"X-ApiKey: J\xfcrgen:geheim",
        b"X-ApiKey: J\xc3\xbcrgen:geheim",
        b"X-ApiKey: :",
        b"X-ApiKey: a:",
        b"X-ApiKey: api:api:api",
        b"Authorization: \xff",
        b"Authorization: Basic \xff",
        b"Authorization: Basic " + base64.b64encode(b"nobody:\xff\xfe"),
        b"Authorization: Basic " + base64.b64encode(b"\xff"),
        b"Authorization: Basic",
    ],
)
async def test_a_credential_of_any_bytes_is_refused_and_no_error_of_the_server(service: Service, header: bytes) -> None:
    request = sized(TEXT, "X-Own: x").replace(f"X-ApiKey: {KEY}".encode(), b"X-Own: y").replace(b"X-Own: x", header)
    await assert_refused(service, await service.raw(request), 403)


@pytest.mark.parametrize("key", ["nobody:\ud800", "\udc80", "x\udfff:y", "\x00", "😀:😀"])
async def test_a_key_of_any_characters_in_json_is_refused_and_no_error_of_the_server(
    service: Service, key: str
) -> None:
    answer = await service.post(json=RECORD | {"API_Key": key}, key=None)
    await assert_refused(service, answer, 403)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_password_in_a_header_may_be_utf_8_or_latin_1(
    service: Service, start: StartService, encoding: str
) -> None:
    """.NET Framework sends the characters of a header as Latin-1."""
    await add_user(service.admin, "Jörg", "Schlüssel-9")
    await add_privilege(service.admin, "Jörg", DOWNLOAD_PACKAGE, None, granted=True)
    request = sized(TEXT).replace(f"X-ApiKey: {KEY}".encode(), "X-ApiKey: Jörg:Schlüssel-9".encode(encoding))
    service = await again(start)
    assert (await recorded(service, await service.raw(request)))["UserName"] == "Jörg"


async def test_a_revoked_key_and_an_unknown_one_are_told_the_same(service: Service, start: StartService) -> None:
    """An answer that told them apart would say which keys there have been."""
    new = await create_key(service.admin, "feed", feeds=[FEED])
    await revoke_key(service.admin, new.key.id)
    service = await again(start)
    revoked = await service.post(RECORD, key=new.secret)
    unknown = await service.post(RECORD, key="unknown")
    assert (revoked.status, revoked.text) == (unknown.status, unknown.text) == (403, revoked.text)


async def test_a_key_is_never_repeated(service: Service) -> None:
    for key in ("a-wrong-key-4711", "nobody:a-wrong-key-4711"):
        answer = await service.post(RECORD, key=key, headers={"Accept": "application/json"})
        assert answer.status == 403 and "4711" not in answer.text + str(answer.headers)


# 404 and 403


@pytest.mark.parametrize("feed", [FEED, "nowhere"])
async def test_a_caller_who_is_let_in_nowhere_cannot_guess_feeds(service: Service, feed: str) -> None:
    answer = await service.post(RECORD | {"FeedName": feed}, key=None)
    await assert_refused(service, answer, 403, "An API key is needed")
    assert feed not in answer.text


@pytest.mark.parametrize("feed", [FEED, "nowhere"])
async def test_a_key_that_is_let_in_nowhere_cannot_guess_feeds(
    service: Service, start: StartService, feed: str
) -> None:
    new = await create_key(service.admin, "feed", scopes=["add"], feeds=[FEED])
    service = await again(start)
    answer = await service.post(RECORD | {"FeedName": feed}, key=new.secret)
    await assert_refused(service, answer, 403, "may not record")
    assert feed not in answer.text


@pytest.mark.parametrize("feed", [FEED, "nowhere"])
async def test_a_user_who_is_let_in_nowhere_cannot_guess_feeds(
    service: Service, start: StartService, feed: str
) -> None:
    await add_user(service.admin, "Jane", None)
    new = await create_key(service.admin, "personal", user="Jane")
    service = await again(start)
    answer = await service.post(RECORD | {"FeedName": feed}, key=new.secret)
    await assert_refused(service, answer, 403, "Jane", DOWNLOAD_PACKAGE)
    assert feed not in answer.text


async def test_a_feed_that_cannot_be_found_is_404_and_named(service: Service) -> None:
    await assert_refused(service, await service.post(RECORD | {"FeedName": "nowhere"}), 404, "'nowhere'")


@pytest.mark.parametrize("feed", [TAGS, "a\u202eb", "x" * 1024, "ünbekannt", "a\u2028b"])
async def test_a_feed_name_is_repeated_so_that_it_can_do_no_harm(service: Service, feed: str) -> None:
    answer = await service.post(RECORD | {"FeedName": feed})
    assert answer.status == 404 and len(answer.text) < 600
    assert not set(answer.text) & set("<>\u202e\u2028")
    assert answer.text.count("\n") == 1


# The inside


class Broken:
    """A clock that fails when told to, as only a bug would."""

    def __init__(self) -> None:
        self.broken = False

    def __call__(self) -> int:
        if self.broken:
            raise RuntimeError("the inside: /etc/secret, abc12345")
        return time.time_ns() // 1000


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
async def test_500_hides_the_inside_and_carries_the_request_id(
    start: StartService, accept: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Broken()
    service = await start(clock=clock)
    clock.broken = True
    answer = await service.post(RECORD, headers={"Accept": accept})
    clock.broken = False
    assert answer.status == 500
    request_id = answer.headers["X-Request-Id"]
    assert request_id in answer.text
    for inside in ("RuntimeError", "secret", "Traceback", "clock", KEY, ".py"):
        assert inside not in answer.text + str(answer.headers)
    assert answer.headers["Content-Length"] == str(len(answer.body))
    assert f"request {request_id} failed" in caplog.text and "/etc/secret" in caplog.text


async def test_after_a_500_the_server_goes_on(start: StartService) -> None:
    clock = Broken()
    service = await start(clock=clock)
    clock.broken = True
    assert (await service.post(RECORD)).status == 500
    clock.broken = False
    await recorded(service, await service.post(RECORD))


@pytest.mark.parametrize("failure", FAILURES)
async def test_what_the_client_did_wrong_is_no_error_in_the_log(
    service: Service, failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await FAILURES[failure][1](service, {})
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


@pytest.mark.parametrize("failure", FAILURES)
async def test_no_answer_names_the_software_underneath(service: Service, failure: str) -> None:
    answer = await FAILURES[failure][1](service, {})
    assert answer.headers["Server"] == "deployserver"
    assert "aiohttp" not in answer.text.lower() + str(answer.headers).lower()


# Headers that hold anything


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/nowhere", 404), ("PUT", PATH, 405), ("POST", PATH, 400)]
)
@pytest.mark.parametrize("host", [b"\xff\xfe", b"<script>", b"x" * 5000, b"a b", b"[", b"host:99999999"])
async def test_a_strange_host_is_no_error_of_the_server(
    service: Service, host: bytes, method: str, path: str, status: int
) -> None:
    request = sized(b"", method=method, path=path).replace(b"deployments.test", host)
    answer = await service.raw(request)
    assert split(answer)[0] in (status, 400), answer
    assert not set(split(answer)[2]) & set(b"<>")


@pytest.mark.parametrize("header", ["Accept", "User-Agent", "X-Request-Id", "X-Forwarded-For", "Cookie", "Expect"])
async def test_header_bytes_that_are_no_text_do_not_matter(service: Service, header: str) -> None:
    request = sized(TEXT, f"{header}: X").replace(f"{header}: X".encode(), header.encode() + b": \xff\xfe\x80")
    await recorded(service, await service.raw(request))


# Malformed HTTP


SECRET = "s3cr3t-4711"
MALFORMED = {
    "no HTTP": f"{SECRET}\r\n\r\n",
    "version": f"POST /{SECRET} HTTP/9.9\r\nHost: x\r\n\r\n",
    "method": f"{SECRET} / HTTP/1.1\r\nHost: x\r\n\r\n",
    "header without colon": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey {SECRET}\r\n\r\n",
    "header name": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX ApiKey: {SECRET}\r\n\r\n",
    "NUL in a header": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey: {SECRET}\0\r\n\r\n",
    "folded header": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey: a\r\n {SECRET}\r\n\r\n",
    "length": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey: {SECRET}\r\nContent-Length: {SECRET}\r\n\r\n",
    "negative length": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey: {SECRET}\r\nContent-Length: -1\r\n\r\n",
    "two lengths": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{SECRET}",
    "length and chunks": f"POST {PATH} HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n{SECRET}",
    "transfer encoding": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: {SECRET}\r\n\r\n",
    "chunk size": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{SECRET}\r\n",
    "two hosts": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nHost: {SECRET}\r\n\r\n",
    "long line": f"POST /{SECRET * 1000} HTTP/1.1\r\nHost: x\r\n\r\n",
    "long header": f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey: {SECRET * 1000}\r\n\r\n",
    "URL": f"POST http://[{SECRET}/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS": f"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03{SECRET}",
    "HTTP/2": f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{SECRET}",
}


@pytest.mark.parametrize("case", MALFORMED)
async def test_malformed_http_is_400_and_neither_answer_nor_log_holds_its_bytes(
    service: Service, case: str, caplog: pytest.LogCaptureFixture
) -> None:
    """They may hold a key, and are repeated by aiohttp itself."""
    caplog.set_level("INFO")
    answer = await service.raw(MALFORMED[case].encode("latin-1"))
    status, head, body = split(answer)
    assert (status, await service.rows()) == (400, [])
    assert b"text/plain; charset=utf-8" in head
    assert b"not valid HTTP" in body and not set(body) & set(b"<>")
    assert SECRET.encode() not in answer
    assert SECRET not in caplog.text
    assert "Traceback" not in caplog.text


async def test_chunks_that_break_in_the_middle_are_not_repeated(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    writer.write(http(b"5\r\nFeedN\r\n", "Transfer-Encoding: chunked"))
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.write(f"{SECRET}\r\n".encode())
    answer = await read_answer(reader)
    writer.close()
    await asyncio.sleep(0.1)
    assert split(answer)[0] == 400
    assert SECRET.encode() not in answer and SECRET not in caplog.text


async def test_many_headers_are_400(service: Service) -> None:
    request = sized(b"", *(f"X-Header-{number}: x" for number in range(500)))
    assert split(await service.raw(request))[0] == 400


async def test_the_server_goes_on_after_malformed_http(service: Service) -> None:
    for case in MALFORMED.values():
        await service.raw(case.encode("latin-1"))
    await recorded(service, await service.post(RECORD))


# Request ids


@pytest.mark.parametrize(
    "sent",
    ["abc", "0HMVD:00000001", "4bf92f3577b34da6a3ce929d0e0e4736", "a.b-c_d/e+f=g@h", "x" * 128],
)
@pytest.mark.parametrize("status", [200, 400])
async def test_a_request_id_that_was_sent_is_taken(service: Service, sent: str, status: int) -> None:
    answer = await service.post(RECORD if status == 200 else {}, headers={"X-Request-Id": sent})
    assert (answer.status, answer.headers["X-Request-Id"]) == (status, sent)


@pytest.mark.parametrize("sent", ["", " ", "a b", "<x>", "x" * 129, 'a"b', "a,b", "ü", "a;b", "a\tb"])
async def test_a_request_id_that_could_do_harm_is_replaced(service: Service, sent: str) -> None:
    answer = await service.post(RECORD, headers={"X-Request-Id": sent})
    assert answer.headers["X-Request-Id"] != sent
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]+", answer.headers["X-Request-Id"])


async def test_every_answer_has_a_request_id_of_its_own(service: Service) -> None:
    ids = [(await service.post(RECORD)).headers["X-Request-Id"] for _ in range(5)]
    ids += [(await fail(service, {})).headers["X-Request-Id"] for _, fail in FAILURES.values()]
    assert len(set(ids)) == len(ids)


async def test_an_error_is_json_that_any_parser_reads(service: Service) -> None:
    request = sized(TEXT, "Content-Type: X", "Accept: application/json").replace(b": X\r\n", b": \xff\xfe/<x>\r\n")
    status, _, body = split(await service.raw(request))
    assert status == 400 and json.loads(body)["errors"]["body"]
