"""Whatever arrives at the control API is done or refused, and can be read back; none of it is answered with 500."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.error import HTTPError

import pytest
from conftest import RECORD
from test_double_description import ask

from deployserver.testing import DeployServer

DOCUMENTS = ["/state", "/faults", "/clock"]


@pytest.fixture
def server() -> Iterator[DeployServer]:
    with DeployServer() as server:
        yield server


@pytest.mark.parametrize("path", [*DOCUMENTS, "/verify"])
@pytest.mark.parametrize("document", [[], {}, None, 1, "text", True, [[]], {"x": 1}, [1], {"deployed": []}])
def test_other_json_is_refused_or_taken(server: DeployServer, path: str, document: Any) -> None:
    method = "POST" if path == "/verify" else "PUT"
    status, _ = ask(server, method, f"/__double__{path}", document)
    empty = (path, document) in (("/state", {}), ("/faults", []))
    assert status == (200 if empty else 400)


@pytest.mark.parametrize("path", DOCUMENTS)
def test_json_that_is_nested_deeply_is_refused(server: DeployServer, path: str) -> None:
    request = urllib.request.Request(f"{server.url}/__double__{path}", b"[" * 100_000, method="PUT")
    with pytest.raises(HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as error:
        assert (error.code, error.read()) == (400, b"The JSON is nested too deeply.\n")


def test_half_a_surrogate_pair_is_shown_as_it_was_sent(server: DeployServer) -> None:
    status, text = ask(server, "POST", "/__double__/faults", {"do": "answer", "status": 500, "text": "\ud800"})
    assert (status, json.loads(text)["text"]) == (201, "\ud800")
    assert json.loads(ask(server, "GET", "/__double__/faults")[1])[0]["text"] == "\ud800"


@pytest.mark.parametrize("number", [10**400, -(10**400), 1e308, True])
def test_numbers_that_nothing_can_hold_are_refused(server: DeployServer, number: float) -> None:
    for document in ({"do": "delay", "delay": number}, {"do": "reset", "probability": number}):
        assert ask(server, "POST", "/__double__/faults", document)[0] == 400
    assert ask(server, "PUT", "/__double__/clock", {"advance": number})[0] == 400


def test_the_clock_stands_still_at_the_end_of_time(server: DeployServer) -> None:
    ask(server, "PUT", "/__double__/clock", {"now": "9999-12-31T23:00:00Z"})
    status, text = ask(server, "PUT", "/__double__/clock", {"advance": 86_400})
    assert (status, json.loads(text)["now"]) == (200, "9999-12-31T23:59:59.999999Z")
    assert ask(server, "GET", "/__double__")[0] == 200


def test_a_number_in_a_state_is_the_text_that_it_was_written_as(server: DeployServer) -> None:
    document = {"feeds": ["DefaultNuGet"], "deployments": [{**RECORD, "Version": "VERSION"}]}
    body = json.dumps(document).replace('"VERSION"', "1.10").encode()
    with urllib.request.urlopen(f"{server.url}/__double__/state", body, timeout=10) as answer:
        assert json.load(answer)["deployments"][0]["Version"] == "1.10"


def test_what_is_added_may_use_what_is_there(server: DeployServer) -> None:
    ask(server, "POST", "/__double__/state", {"feeds": ["DefaultNuGet"], "keys": ["abc12345"]})
    added = {"keys": [{"key": "abc12346", "feeds": ["DefaultNuGet"]}], "deployments": [RECORD]}
    status, text = ask(server, "POST", "/__double__/state", added)
    assert status == 200, text
    assert [key["key"] for key in json.loads(text)["keys"]] == ["abc12345", "abc12346"]


def test_both_sides_of_a_question_are_read_before_either_is_answered(server: DeployServer) -> None:
    question = {"deployed": {"package": "A"}, "notDeployed": {"versio": "1"}}
    status, text = ask(server, "POST", "/__double__/verify", question)
    assert status == 400
    assert text.startswith("notDeployed.versio is not known; use feed, group, package, version")
