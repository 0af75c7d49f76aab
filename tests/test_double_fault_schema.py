"""The document of a fault: what it may say, what it means, and what is said about a wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployserver.double.faults.delays import Delay
from deployserver.double.faults.fault import Fault, Faults, fault_json
from deployserver.double.faults.schema import FAULT_FIELDS, load_fault, load_faults
from deployserver.errors import InvalidRequest


def errors_of(document: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidRequest) as caught:
        load_fault(document)
    return caught.value.errors


def test_the_smallest_document() -> None:
    assert load_fault({"do": "reset"}) == Fault(do="reset", when="read")


@pytest.mark.parametrize(
    ("do", "when"),
    [
        ("answer", "read"),
        ("reset", "read"),
        ("close", "read"),
        ("hang", "read"),
        ("delay", "read"),
        ("cut", "stored"),
        ("dribble", "stored"),
        ("garbage", "stored"),
    ],
)
def test_when_is_where_the_effect_makes_most_sense(do: str, when: str) -> None:
    more = {"answer": {"status": 500}, "delay": {"delay": 1}}.get(do, {})
    assert load_fault({"do": do, **more}).when == when


def test_retry_after_is_what_the_service_says() -> None:
    assert load_fault({"do": "answer", "status": 503}).retry_after == 5
    assert load_fault({"do": "answer", "status": 429}).retry_after == 300
    assert load_fault({"do": "answer", "status": 500}).retry_after is None
    assert load_fault({"do": "answer", "status": 503, "retry_after": 0}).retry_after == 0


def test_a_dribble_is_a_byte_every_twentieth_of_a_second() -> None:
    fault = load_fault({"do": "dribble"})
    assert (fault.bytes, fault.seconds) == (1, 0.05)


@pytest.mark.parametrize(
    ("given", "delay"),
    [
        (2, Delay("fixed", (2.0,))),
        (0.5, Delay("fixed", (0.5,))),
        ({"uniform": [1, 2]}, Delay("uniform", (1.0, 2.0))),
        ({"normal": [1, 0.2]}, Delay("normal", (1.0, 0.2))),
        ({"lognormal": (0.1, 2)}, Delay("lognormal", (0.1, 2.0))),
        ({"exponential": 3}, Delay("exponential", (3.0,))),
        (Delay("normal", (1.0, 2.0)), Delay("normal", (1.0, 2.0))),
    ],
)
def test_delays(given: Any, delay: Delay) -> None:
    assert load_fault({"do": "hang", "delay": given}).delay == delay


@pytest.mark.parametrize(
    ("document", "errors"),
    [
        ({}, {"do": "is required: one of answer, reset, close, hang, cut, dribble, garbage, delay."}),
        ({"do": None}, {"do": "is required: one of answer, reset, close, hang, cut, dribble, garbage, delay."}),
        ({"do": "explode"}, {"do": "must be one of answer, reset, close, hang, cut, dribble, garbage, delay."}),
        ({"do": 1}, {"do": "must be one of answer, reset, close, hang, cut, dribble, garbage, delay."}),
        ({"do": "answer"}, {"status": "is required with do: answer; such as 500, 503 or 429."}),
        ({"do": "answer", "status": 200}, {"status": "must be from 400 to 599."}),
        ({"do": "answer", "status": "503"}, {"status": "must be from 400 to 599."}),
        ({"do": "answer", "status": 503, "retry_after": -1}, {"retry_after": "must be a whole number, 0 or more."}),
        ({"do": "reset", "status": 503}, {"status": "is for do: answer only."}),
        ({"do": "reset", "text": "x"}, {"text": "is for do: answer only."}),
        ({"do": "reset", "bytes": 3}, {"bytes": "is for do: cut or dribble only."}),
        ({"do": "cut", "seconds": 3}, {"seconds": "is for do: dribble only."}),
        ({"do": "dribble", "bytes": 0}, {"bytes": "must be 1 or more: of none at a time, nothing would ever arrive."}),
        ({"do": "dribble", "seconds": 3601}, {"seconds": "must be seconds from 0 to 3600."}),
        ({"do": "cut", "when": "read"}, {"when": "must be stored: before, there is no answer to cut."}),
        ({"do": "dribble", "when": "unread"}, {"when": "must be stored: before, there is no answer to dribble."}),
        ({"do": "hang", "when": "later"}, {"when": "must be one of unread, read, stored."}),
        ({"do": "delay"}, {"delay": "is required with do: delay; in seconds."}),
        ({"do": "reset", "first": 0}, {"first": "must be a whole number, 1 or more."}),
        ({"do": "reset", "every": 1.5}, {"every": "must be a whole number, 1 or more."}),
        ({"do": "reset", "skip": True}, {"skip": "must be a whole number, 0 or more."}),
        ({"do": "reset", "probability": 1.1}, {"probability": "must be a number from 0 to 1."}),
        ({"do": "reset", "probability": float("nan")}, {"probability": "must be a number from 0 to 1."}),
        (
            {"do": "reset", "first": 1, "every": 2},
            {"first": "cannot be given together with every.", "every": "cannot be given together with first."},
        ),
        ({"do": "reset", "target": 7}, {"target": "must be a text."}),
        *(
            (
                {"do": "reset", "path": path},
                {"path": "must be a path without a query, such as /api/package-deployment or */events."},
            )
            for path in (7, "api", "/x?y=1", "")
        ),
        (
            {"do": "reset", "key": " "},
            {"key": "must be the id or the name of an API key, the name of a user, or Anonymous."},
        ),
        (
            {"do": "reset", "when": "unread", "path": "/x", "method": "POST", "target": "web-*", "key": "ci"},
            dict.fromkeys(("target", "key"), "is not known before the body is read: when must be read or stored."),
        ),
    ],
)
def test_what_is_wrong_is_told(document: dict[str, Any], errors: dict[str, str]) -> None:
    assert errors_of(document) == {name: [message] for name, message in errors.items()}


@pytest.mark.parametrize(
    "delay", ["2", True, [], {}, {"uniform": 1}, {"normal": [1]}, {"gamma": 1}, {"uniform": ["1", 2]}]
)
def test_a_delay_that_is_none_is_told_which_there_are(delay: Any) -> None:
    assert errors_of({"do": "delay", "delay": delay}) == {
        "delay": [
            'must be a number of seconds, or one of {"uniform": [low, high]}, {"normal": [mean, deviation]}, '
            '{"lognormal": [median, sigma]}, {"exponential": mean}.'
        ]
    }


@pytest.mark.parametrize(
    ("delay", "message"),
    [
        (-1, "must be seconds from 0 to 3600."),
        ({"uniform": [2, 1]}, "must have a low that is not above its high."),
        ({"uniform": [0, 4000]}, "must have a high from 0 to 3600."),
        ({"normal": [1, -1]}, "must have a deviation from 0 to 3600."),
        ({"lognormal": [0, 1]}, "must have a median above 0."),
        ({"exponential": 0}, "must have a mean above 0."),
    ],
)
def test_a_delay_with_numbers_that_cannot_be(delay: Any, message: str) -> None:
    assert errors_of({"do": "delay", "delay": delay}) == {"delay": [message]}


def test_an_unknown_name_is_told_which_there_are() -> None:
    assert errors_of({"do": "reset", "feedname": "x"}) == {
        "feedname": [f"is no field of a fault. There are {', '.join(FAULT_FIELDS)}."]
    }


def test_all_that_is_wrong_is_told_at_once() -> None:
    document = {"do": "cut", "when": "read", "first": 0, "skip": -1, "colour": "red", "status": 500, "seconds": 1}
    assert set(errors_of(document)) == {"when", "first", "skip", "colour", "status", "seconds"}


@pytest.mark.parametrize("document", [None, [], "reset", 3])
def test_what_is_no_object_is_no_fault(document: Any) -> None:
    assert errors_of(document) == {"body": ['A fault must be an object, such as {"do": "answer", "status": 503}.']}


def test_null_is_as_if_it_were_left_out() -> None:
    document = dict.fromkeys(FAULT_FIELDS) | {"do": "reset"}
    assert load_fault(document) == load_fault({"do": "reset"})


def test_a_key_may_be_a_number() -> None:
    assert load_fault({"do": "reset", "key": 3}).key == "3"


@pytest.mark.parametrize("delay", [0.5, {"uniform": [1, 2]}, {"exponential": 2}])
def test_a_fault_can_be_sent_back_as_it_was_shown(delay: Any) -> None:
    document = {"name": "n", "do": "dribble", "probability": 0.5, "delay": delay, "target": "web-*"}
    active = Faults().add(load_fault(document))
    shown = json.loads(json.dumps(fault_json(active)))
    assert shown == document | {
        "id": 1,
        "matched": 0,
        "hits": 0,
        "seed": active.seed,
        "skip": 0,
        "bytes": 1,
        "seconds": 0.05,
        "when": "stored",
    }
    assert fault_json(Faults().add(load_fault(shown))) == shown


def test_a_list_of_faults_says_which_one_is_wrong() -> None:
    assert load_faults([{"do": "reset"}, {"do": "hang"}]) == [load_fault({"do": "reset"}), load_fault({"do": "hang"})]
    with pytest.raises(InvalidRequest) as caught:
        load_faults([{"do": "reset"}, {"do": "answer"}, 3])
    assert list(caught.value.errors) == ["[1].status", "[2]"]
    with pytest.raises(InvalidRequest, match="must be a list"):
        load_faults({"do": "reset"})
