"""What the journal keeps, and what it forgets so that no load fills the memory."""

from __future__ import annotations

import socket
import time

import pytest
from conftest import FEED, KEY
from doubles import ask, record

from deployserver.double import journal
from deployserver.double.journal import Answer, Journal, ReceivedRequest
from deployserver.testing import DeployServer


def received(number: int, body: bytes = b"", answer: bytes | None = None) -> ReceivedRequest:
    answered = None if answer is None else Answer(200, [], answer)
    return ReceivedRequest(number, 0, "POST", "/", [], "", body=body, answer=answered)


def filled(*requests: ReceivedRequest) -> Journal:
    kept = Journal()
    for request in requests:
        kept.add(request)
    return kept


def test_the_oldest_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = filled(*(received(number) for number in range(1, journal.LONGEST + 3)))
    assert (len(kept), kept.forgotten, kept.next_number()) == (journal.LONGEST, 2, journal.LONGEST + 3)
    assert next(iter(kept)).number == 3


def test_the_oldest_are_forgotten_when_their_bodies_are_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LARGEST", 100_000)
    kept = filled(*(received(number, b"x" * 400, b"y" * 600) for number in range(1, 1025)))
    assert len(kept) == 100
    assert [one.number for one in kept][-1] == 1024
    assert kept.forgotten == 924


def test_the_newest_are_kept_however_large_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LARGEST", 10)
    kept = filled(*(received(number, b"x" * 1000) for number in range(1, 129)))
    assert len(kept) == 64


def test_large_headers_count_as_bodies_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LARGEST", 100_000)
    kept = Journal()
    for number in range(1, 129):
        kept.add(ReceivedRequest(number, 0, "GET", "/", [], "", head=b"x" * 1000))
    assert len(kept) == 100


def test_whoever_asks_for_requests_is_told_how_many_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LARGEST", 1000)
    with DeployServer(state={"feeds": [FEED], "keys": [KEY]}) as double:
        for _ in range(128):
            record("requests", double.url)
        shown = ask("requests", f"{double.url}/__double__").json
        assert (shown["requests"], shown["forgotten"]) == (64, 64)
        assert double.requests[0].number == 65
        double.assert_deployed(times=128)


def sent(url: str, *parts: bytes) -> bytes:
    host, port = url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for part in parts:
            connection.sendall(part)
            time.sleep(0.02)
        answer = b""
        while data := connection.recv(65536):
            answer += data
    return answer


def test_what_was_no_valid_http_is_there_with_its_bytes_and_its_answer() -> None:
    with DeployServer() as server:
        assert sent(server.url, b"POST /api/package-", b"deployment/ HTTP\r\n\r\n").startswith(b"HTTP/1.0 400 ")
        (request,) = server.requests
        assert request.raw == b"POST /api/package-deployment/ HTTP\r\n\r\n"
        assert request.answer is not None
        assert request.answer.status == 400
        assert str(request) == "1. no valid HTTP: 400"
        with pytest.raises(AssertionError, match=r"request 1 was no valid HTTP, answered 400"):
            server.assert_deployed(package="P")


def test_the_bytes_of_a_request_are_those_that_were_sent() -> None:
    body = b"PackageName=Z\xfcrich"
    head = b"POST /api/package-deployment/?a=%20b HTTP/1.1\r\nhost: x\r\nX-Name: Z\xfcrich\r\nConnection: close\r\n"
    head += b"content-length: %d\r\n\r\n" % len(body)
    with DeployServer() as server:
        sent(server.url, b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" + head, body)
        assert server.requests[1].raw == head + body


def test_what_was_no_valid_http_is_without_the_body_of_the_request_before() -> None:
    body = b"PackageName=P"
    head = b"POST /api/package-deployment/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    with DeployServer(state={"feeds": [{"name": FEED, "anonymous": True}]}) as server:
        sent(server.url, head, body[:5], body[5:], b"POST /", b" is no HTTP\r\n\r\n")
        first, last = server.requests
        assert (first.raw, last.raw) == (head + body, b"POST / is no HTTP\r\n\r\n")


def test_chunks_that_are_broken_are_kept_where_they_are_answered() -> None:
    head = b"POST /api/package-deployment/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with DeployServer() as server:
        assert sent(server.url, head, b"5\r\nPacka\r\n", b"no length\r\n\r\n").count(b" 400 ") == 2
        assert [(one.method, one.body) for one in server.requests] == [("POST", b""), ("", b"no length\r\n\r\n")]
