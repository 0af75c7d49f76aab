"""Which requests a fault hits, and how often."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployserver.double.faults.fault import Faults, Stage
from deployserver.double.faults.schema import load_fault
from deployserver.double.journal import ReceivedRequest
from deployserver.errors import NotFound

FIELDS = {
    "FeedName": "DefaultNuGet",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
    "Target": " web-01 ",
    "Application": "ProfitCalc",
    "GroupName": None,
}


def received(target: str = "/api/package-deployment/", *, method: str = "POST", **more: Any) -> ReceivedRequest:
    more.setdefault("fields", MappingProxyType(FIELDS))
    return ReceivedRequest(1, 0, method, target, [], "127.0.0.1", **more)


def faults_of(*documents: dict[str, Any]) -> Faults:
    faults = Faults()
    faults.replace([load_fault(document) for document in documents])
    return faults


def hits(faults: Faults, count: int, request: ReceivedRequest | None = None, stage: Stage = "read") -> list[int]:
    """Return the number of the fault that hit each of ``count`` requests, 0 for none."""
    chosen = (faults.choose(stage, request or received(), 200) for _ in range(count))
    return [active.id if active else 0 for active in chosen]


@pytest.mark.parametrize(
    ("often", "expected"),
    [
        ({}, [1, 1, 1, 1, 1, 1]),
        ({"first": 2}, [1, 1, 0, 0, 0, 0]),
        ({"every": 3}, [0, 0, 1, 0, 0, 1]),
        ({"skip": 4}, [0, 0, 0, 0, 1, 1]),
        ({"first": 2, "skip": 1}, [0, 1, 1, 0, 0, 0]),
        ({"every": 2, "skip": 1}, [0, 0, 1, 0, 1, 0]),
        ({"probability": 0}, [0, 0, 0, 0, 0, 0]),
        ({"probability": 1}, [1, 1, 1, 1, 1, 1]),
    ],
)
def test_how_often_a_fault_hits(often: dict[str, Any], expected: list[int]) -> None:
    faults = faults_of({"do": "reset", **often})
    assert hits(faults, 6) == expected
    (active,) = faults
    assert (active.matched, active.hits) == (6, sum(expected))


@given(st.integers(0, 2**63 - 1), st.floats(0, 1), st.integers(0, 3))
def test_the_same_seed_hits_the_same_requests(seed: int, probability: float, skip: int) -> None:
    document = {"do": "reset", "probability": probability, "seed": seed, "skip": skip}
    assert hits(faults_of(document), 40) == hits(faults_of(document), 40)


def test_a_seed_that_was_drawn_makes_it_happen_again() -> None:
    faults = faults_of({"do": "reset", "probability": 0.5})
    (active,) = faults
    assert hits(faults_of({"do": "reset", "probability": 0.5, "seed": active.seed}), 60) == hits(faults, 60)


def test_delays_that_are_drawn_do_not_change_who_is_hit() -> None:
    document = {"do": "reset", "probability": 0.5, "seed": 7, "delay": {"uniform": [0, 1]}}
    drawing, other = faults_of(document), faults_of(document)
    sequence = []
    for _ in range(40):
        active = drawing.choose("read", received())
        sequence.append(active.id if active else 0)
        if active:
            active.draw_delay()
    assert sequence == hits(other, 40)
    assert len({next(iter(other)).draw_delay() for _ in range(5)}) == 5


def test_a_list_is_a_script() -> None:
    """What one fault has taken, those after it do not count."""
    faults = faults_of({"do": "reset", "first": 2}, {"do": "answer", "status": 503, "first": 1})
    assert hits(faults, 4) == [1, 1, 2, 0]


@pytest.mark.parametrize(
    ("criteria", "fits"),
    [
        ({"method": "post"}, True),
        ({"method": "GET"}, False),
        ({"path": "/API/Package-Deployment"}, True),
        ({"path": "/api/*/"}, True),
        ({"path": "/api"}, False),
        ({"path": "/health"}, False),
        ({"feed": "defaultnuget"}, True),
        ({"feed": "Default*"}, True),
        ({"feed": "npm"}, False),
        ({"package": "*.json"}, True),
        ({"version": "12.*"}, True),
        ({"version": "12"}, False),
        ({"target": "WEB-*"}, True),
        ({"target": "web-01"}, True),
        ({"application": "Profit*"}, True),
        ({"group": ""}, True),
        ({"group": "*"}, True),
        ({"group": "@acme"}, False),
        ({"target": "web-*", "package": "other"}, False),
    ],
)
def test_which_requests_a_fault_is_meant_for(criteria: dict[str, str], fits: bool) -> None:
    faults = faults_of({"do": "reset", **criteria})
    assert (faults.choose("read", received()) is not None) is fits
    assert next(iter(faults)).matched == fits


def test_a_property_that_is_no_text_is_as_if_it_were_not_there() -> None:
    faults = faults_of({"do": "reset", "version": "1*"})
    assert faults.choose("read", received(fields={"Version": {"a": 1}})) is None


def test_the_path_of_the_root() -> None:
    faults = faults_of({"do": "reset", "path": "/"})
    assert faults.choose("read", received("/?x=1")) is not None
    assert faults.choose("read", received("/health")) is None


@pytest.mark.parametrize(
    ("caller", "called"),
    [
        ({"caller": "Anonymous"}, {"anonymous"}),
        ({"caller": "API key 3 (ci)", "key_id": 3, "key_name": "ci"}, {"3", "CI"}),
        ({"caller": "API key 3", "key_id": 3}, {"3"}),
        ({"caller": "user alice", "user_name": "alice"}, {"alice"}),
        (
            {"caller": "user alice, API key 3", "user_name": "alice", "key_id": 3, "key_name": "ci"},
            {"alice", "3", "ci"},
        ),
        ({"caller": None}, set()),
    ],
)
def test_a_fault_for_one_caller(caller: dict[str, Any], called: set[str]) -> None:
    names = {"anonymous", "3", "CI", "ci", "alice", "API", "33", "*"}
    hit = {
        name for name in names if faults_of({"do": "reset", "key": name}).choose("read", received(**caller)) is not None
    }
    assert {name.casefold() for name in hit} == {name.casefold() for name in called}


@pytest.mark.parametrize("target", ["/__double__", "/__double__/faults", "/__DOUBLE__/faults/1?x"])
def test_the_control_api_is_never_hit(target: str) -> None:
    faults = faults_of({"do": "reset"}, {"do": "reset", "path": "*"})
    assert faults.choose("read", received(target)) is None
    assert faults.choose("read", received("/__double__s")) is not None


def test_a_fault_acts_at_its_own_stage() -> None:
    stages: tuple[Stage, ...] = ("unread", "read", "stored")
    for when in stages:
        faults = faults_of({"do": "reset", "when": when})
        assert [stage for stage in stages if faults.choose(stage, received(), 200)] == [when]


@pytest.mark.parametrize(
    ("document", "refused_too"),
    [
        ({"do": "reset"}, False),
        ({"do": "close"}, False),
        ({"do": "hang"}, False),
        ({"do": "answer", "status": 500}, False),
        ({"do": "cut"}, True),
        ({"do": "dribble"}, True),
        ({"do": "garbage"}, True),
        ({"do": "delay", "delay": 1}, True),
    ],
)
def test_only_a_success_can_be_hidden_after_it_was_stored(document: dict[str, Any], refused_too: bool) -> None:
    faults = faults_of(document | {"when": "stored"})
    assert faults.choose("stored", received(), 200) is not None
    assert (faults.choose("stored", received(), 404) is not None) is refused_too


def test_faults_are_numbered_and_no_number_comes_twice() -> None:
    faults = faults_of({"do": "reset"}, {"do": "hang"})
    assert [active.id for active in faults] == [1, 2]
    assert faults.remove(1).fault.do == "reset"
    assert faults.get(2).fault.do == "hang"
    with pytest.raises(NotFound, match=r"There is no fault 1\."):
        faults.remove(1)
    assert faults.add(load_fault({"do": "close"})).id == 3
    assert [active.id for active in faults.replace([load_fault({"do": "reset"})])] == [4]
    assert len(faults) == 1
    faults.clear()
    assert len(faults) == 0 and faults.choose("read", received()) is None


@pytest.mark.parametrize(
    ("document", "sentence"),
    [
        ({"do": "answer", "status": 503}, "answered 503 (fault 1)"),
        (
            {"do": "reset", "when": "stored", "name": "flaky switch"},
            "connection reset after it was stored (fault 1: flaky switch)",
        ),
        ({"do": "answer", "status": 500, "when": "stored"}, "answered 500 after it was stored (fault 1)"),
        ({"do": "close", "when": "unread"}, "connection closed without an answer before its body was read (fault 1)"),
        ({"do": "hang", "delay": 0.5}, "never answered, delayed by 0.5 s (fault 1)"),
        ({"do": "cut"}, "answer cut off halfway (fault 1)"),
        ({"do": "cut", "bytes": 1}, "answer cut off after 1 byte (fault 1)"),
        ({"do": "dribble", "bytes": 3}, "answer sent 3 bytes at a time (fault 1)"),
        ({"do": "garbage", "delay": {"exponential": 1}}, "answered with what is no HTTP, delayed (fault 1)"),
        ({"do": "delay", "delay": 2}, "delayed by 2 s (fault 1)"),
        ({"do": "delay", "delay": 2, "when": "stored"}, "answer delayed by 2 s (fault 1)"),
    ],
)
def test_a_fault_says_what_it_does(document: dict[str, Any], sentence: str) -> None:
    (active,) = faults_of(document)
    assert str(active) == sentence
