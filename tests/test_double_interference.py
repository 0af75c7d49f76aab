"""What is noted of a request that a fault acts on."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from conftest import FEED, KEY, RECORD
from doubles import ask, record

from deployserver.testing import DeployServer


@pytest.fixture
def double() -> Iterator[DeployServer]:
    with DeployServer(state={"feeds": [FEED], "keys": [KEY]}) as server:
        yield server


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "cut"},
        {"do": "dribble", "bytes": 1000},
        {"do": "garbage"},
        {"do": "delay", "delay": 0.01},
        {"do": "close"},
    ],
)
def test_the_answer_that_is_noted_is_all_of_the_servers_own(double: DeployServer, fault: dict[str, Any]) -> None:
    double.add_fault(**fault, when="stored")
    record("requests", double.url)
    (request,) = double.requests
    assert request.fault is not None
    assert request.answer is not None
    assert request.answer.status == 200
    assert json.loads(request.answer.body or b"")["Id"] == request.deployment_id == 1
    assert ("Content-Type", "application/json; charset=utf-8") in request.answer.headers


@pytest.mark.parametrize("fault", [{"do": "cut"}, {"do": "dribble", "bytes": 1000}])
def test_a_refusal_is_noted_as_one_though_not_all_of_it_arrives(double: DeployServer, fault: dict[str, Any]) -> None:
    double.add_fault(**fault)
    record("requests", double.url, FeedName="Other")
    (request,) = double.requests
    assert request.answer is not None
    assert request.answer.status == 404
    assert "Other" in request.answer.text


def test_an_answer_in_the_place_of_the_servers_own_is_noted(double: DeployServer) -> None:
    double.add_fault("answer", status=502, when="stored")
    assert record("requests", double.url).status == 502
    (request,) = double.requests
    assert (request.answer and request.answer.status, request.deployment_id) == (502, 1)


@pytest.mark.parametrize("fault", [{"do": "cut"}, {"do": "reset"}, {"do": "garbage"}, {"do": "answer", "status": 500}])
def test_no_fault_is_said_to_have_hit_an_answer_that_was_streamed(double: DeployServer, fault: dict[str, Any]) -> None:
    record("requests", double.url)
    added = double.add_fault(**fault, when="stored")
    heard = ask("requests", f"{double.url}/api/deployments?format=ndjson", headers={"X-ApiKey": KEY})
    assert (heard.status, heard.headers["transfer-encoding"]) == (200, "chunked")
    assert json.loads(heard.text)["Id"] == 1
    assert (added.hits, double.requests[-1].fault) == (0, None)


def test_a_body_that_the_server_did_not_look_at_is_noted(double: DeployServer) -> None:
    body = json.dumps(RECORD)
    for path in ("/api/package-deployments/", "/health"):
        headers = {"Content-Type": "application/json", "X-ApiKey": KEY}
        assert ask("requests", double.url + path, method="POST", body=body, headers=headers).status in (404, 405)
    assert [json.loads(request.body) for request in double.requests] == [RECORD] * 2
    with pytest.raises(AssertionError, match=r'request 1 was POST .* 404:\n    target: expected "no such", got'):
        double.assert_deployed(package=RECORD["PackageName"], target="no such")


def test_a_body_that_does_not_come_is_not_waited_for_for_long(double: DeployServer) -> None:
    with socket.create_connection(("127.0.0.1", int(double.url.rpartition(":")[2])), timeout=10) as connection:
        connection.sendall(b"POST /no/such/path HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nPackageName=P")
        assert connection.recv(10_000).startswith(b"HTTP/1.1 404 ")
    assert [request.body for request in double.requests] == [b""]


def test_a_refusal_is_noted_with_who_was_refused_and_why(double: DeployServer) -> None:
    double.add_feed("Other")
    bound = double.add_key(feed=FEED, name="ci")
    revoked = double.add_key(feed=FEED)
    double.revoke_key(revoked)
    for key, feed in ((bound, "Other"), (revoked, FEED), ("wrong", FEED)):
        assert record("requests", double.url, key=key, FeedName=feed).status == 403
    assert [request.refusal for request in double.requests] == [
        "API key 2 (ci) may not record in feed Other (the feed key is not bound to feed Other)",
        "API key 3: The API key is not valid: it is unknown or has been revoked.",
        "The API key is not valid: it is unknown or has been revoked.",
    ]
