"""What a failed expectation says, word for word, and that it says only what is so."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployserver.double import journal as journals
from deployserver.double.expectations.checks import check_deployed, check_not_deployed, check_requested
from deployserver.double.expectations.expectation import Expectation, RequestExpectation
from deployserver.double.journal import FIELDS, Answer, Journal, ReceivedRequest
from deployserver.errors import InvalidRequest, InvalidValue
from deployserver.models import Deployment, DeploymentRow

PATH = "/api/package-deployment/"
TEXT = [("Content-Type", "text/plain; charset=utf-8")]
NOON = 1_618_308_000_000_000  # 2021-04-13T10:00:00Z
RECORD = {
    "FeedName": "DefaultNuGet",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
    "Target": "web01",
    "Application": "ProfitCalc",
    "Description": "Deployed by hand",
}


def deployment(id_: int, **changed: Any) -> Deployment:
    """Return a stored deployment; ``changed`` has values by the names of expectations."""
    values = {name: RECORD.get(property_) for name, property_ in FIELDS.items()}
    values |= {"user": "alice", "date": NOON, "recorded_by": "system key 1 (ci)"} | changed
    return Deployment(
        id_,
        values["feed"],
        DeploymentRow(
            1,
            values["application"],
            values["description"],
            values["target"],
            values["package"],
            values["version"],
            values["group"],
            values["user"],
            values["url"],
            values["date"],
            NOON,
            values["recorded_by"],
            1,
        ),
    )


def request(
    number: int,
    status: int | None = 200,
    text: str = "",
    *,
    method: str = "POST",
    target: str = PATH,
    headers: Iterable[tuple[str, str]] = (),
    answer_headers: Any = TEXT,
    body: bytes = b"",
    fields: Mapping[str, Any] = RECORD,
    **more: Any,
) -> ReceivedRequest:
    """Return a request with all fields of RECORD, answered with ``status`` and ``text``."""
    answer = None if status is None else Answer(status, answer_headers, text.encode())
    return ReceivedRequest(
        number, NOON, method, target, list(headers), "127.0.0.1", body=body, fields=fields, answer=answer, **more
    )


def journal(*requests: ReceivedRequest) -> Journal:
    kept = Journal()
    for one in requests:
        kept.add(one)
    return kept


def deployed(deployments: Iterable[Deployment] = (), *requests: ReceivedRequest, **criteria: Any) -> str | None:
    base_url = "http://127.0.0.1:8624"
    return check_deployed(Expectation(**criteria), deployments, journal(*requests), base_url=base_url)


def lines(text: str | None) -> list[str]:
    return (text or "").splitlines()


class TestDeployed:
    def test_holds_for_a_deployment_of_a_request_and_for_a_seeded_one(self):
        assert deployed([deployment(1)], request(1, deployment_id=1), version="12.0.3", target="web01") is None
        assert deployed([deployment(1)], version="12.0.3") is None
        assert deployed([deployment(1)]) is None
        assert deployed([deployment(1), deployment(2)], version="12.0.3", times=2) is None
        assert deployed([deployment(1)], version="12.0.4", times=0) is None

    def test_shows_what_differs_in_the_nearest_and_why_another_was_refused(self):
        assert lines(
            deployed(
                [deployment(1, version="12.0.2")],
                request(1, deployment_id=1),
                request(2, 403, "The API key may not record deployments here.\n", refusal="key 2 lacks view on X"),
                package="Newtonsoft.Json",
                version="12.0.3",
                target="web01",
            )
        ) == [
            "No deployment was recorded with package Newtonsoft.Json, version 12.0.3, target web01.",
            "Nearest:",
            "  request 2 matches, but was refused with 403: key 2 lacks view on X",
            "  request 1 was recorded as deployment 1:",
            "    version: expected 12.0.3, got 12.0.2",
        ]

    def test_says_that_nothing_has_arrived_and_where_to_send_it(self):
        assert lines(deployed(package="Newtonsoft.Json")) == [
            "No deployment was recorded with package Newtonsoft.Json.",
            "No request has arrived since the journal began.",
            "Deployments are recorded with POST http://127.0.0.1:8624/api/package-deployment/",
        ]

    def test_says_that_nobody_has_tried(self):
        health = request(1, method="GET", target="/health?full=1", fields={})
        assert lines(deployed([], health, package="A")) == [
            "No deployment was recorded with package A.",
            "No request has tried to record one: the only one was GET /health, answered 200.",
            "Deployments are recorded with POST http://127.0.0.1:8624/api/package-deployment/",
        ]
        reading = request(2, None, method="GET", target="/api/deployments", fields={})
        assert lines(deployed([], health, reading, package="A"))[1] == (
            "No request has tried to record one: the latest of 2 was GET /api/deployments, without an answer."
        )

    def test_shows_a_refusal_with_its_first_line_and_the_missing_field(self):
        fields = {name: value for name, value in RECORD.items() if name not in ("Version", "Target")}
        refused = request(1, 400, "Version is required.\nTarget is required.\n", fields=fields)
        assert lines(deployed([], refused, package="Newtonsoft.Json", version="12.0.3")) == [
            "No deployment was recorded with package Newtonsoft.Json, version 12.0.3.",
            "Nearest:",
            "  request 1 was refused with 400: Version is required. (and 1 more)",
            "    version: expected 12.0.3, and there was none",
        ]

    @pytest.mark.parametrize(
        ("content_type", "text", "reason"),
        [
            ("application/problem+json; charset=utf-8", '{"detail": "Version is required."}', ": Version is required."),
            ("application/json", '{"message": "no"}', ""),
            ("application/json", "[]", ""),
            ("application/json", "{", ""),
            ("text/html; charset=utf-8", "<h1>Bad Gateway</h1>", ""),
            ("text/plain", "\n", ""),
            ("text/plain", "a\x1b[31m" + "b" * 300, ": a\\x1b[31m" + "b" * 194 + "…"),
        ],
    )
    def test_finds_the_reason_of_a_refusal_in_any_answer(self, content_type, text, reason):
        refused = request(1, 422, text, answer_headers=[("content-type", content_type)])
        assert lines(deployed([], refused, target="web02")) == [
            "No deployment was recorded with target web02.",
            "Nearest:",
            f"  request 1 was refused with 422{reason}{'' if reason else ':'}",
            "    target: expected web02, got web01",
        ]

    def test_says_which_fault_hit_a_request_that_was_not_stored(self):
        reset = request(1, None, fault="connection reset before it was read (fault 1).")
        unavailable = request(2, 503, "Busy.\n", fault="answered 503 (fault 2)")
        assert lines(deployed([], reset, unavailable, version="12.0.3")) == [
            "No deployment was recorded with version 12.0.3.",
            "Nearest:",
            "  request 2 matches, but failed with 503: Busy; a fault hit it: answered 503 (fault 2)",
            "  request 1 matches, but was neither recorded nor answered; a fault hit it: connection reset before it "
            "was read (fault 1)",
        ]

    def test_says_that_a_request_is_not_answered_yet_or_that_its_answer_was_a_lie(self):
        assert lines(deployed([], request(1, None), request(2, 200, fields={}), version="12.0.3")) == [
            "No deployment was recorded with version 12.0.3.",
            "Nearest:",
            "  request 1 matches, but has not been answered yet",
            "  request 2 was answered 200 and not recorded",
        ]

    def test_says_nothing_of_the_fields_of_a_body_that_could_not_be_read(self):
        broken = request(1, 400, "The body is not valid JSON: …\n", body=b"{", fields={})
        assert lines(deployed([], broken, version="12.0.3")) == [
            "No deployment was recorded with version 12.0.3.",
            "Nearest:",
            "  request 1 was refused with 400: The body is not valid JSON: …",
        ]

    def test_finds_the_fields_that_were_sent_to_a_wrong_path_or_in_a_wrong_way(self):
        body = b"PackageName=Newtonsoft.Json&Version=12.0.3"
        wrong_path = request(1, 404, target="/wrong/path?key=x", body=body, fields={})
        other = request(2, 404, target="/wrong/path", body=body.replace(b"3", b"4"), fields={})
        compressed = request(3, 404, target="/zip", body=body, headers=[("content-encoding", "gzip")], fields={})
        get = request(4, 405, method="GET", fields={})
        assert lines(deployed([], wrong_path, other, compressed, get, version="12.0.3")) == [
            "No deployment was recorded with version 12.0.3.",
            "Nearest 3 of 4:",
            "  request 1 matches, but was POST /wrong/path, answered 404",
            "  request 2 was POST /wrong/path, answered 404:",
            "    version: expected 12.0.3, got 12.0.4",
            "  request 4 was GET /api/package-deployment/, answered 405",
            "Deployments are recorded with POST http://127.0.0.1:8624/api/package-deployment/",
        ]

    def test_shows_a_stored_deployment_that_no_request_has_recorded(self):
        assert lines(deployed([deployment(1)], package="Newtonsoft.Json", version="13.0.1")) == [
            "No deployment was recorded with package Newtonsoft.Json, version 13.0.1.",
            "Nearest:",
            "  deployment 1 (seeded or older than the journal):",
            "    version: expected 13.0.1, got 12.0.3",
            "Deployments are recorded with POST http://127.0.0.1:8624/api/package-deployment/",
        ]

    def test_says_that_a_deployment_is_no_longer_there(self):
        assert lines(deployed([], request(1, deployment_id=5), version="12.0.3")) == [
            "No deployment was recorded with version 12.0.3.",
            "Nearest:",
            "  request 1 matches, but was recorded as deployment 5, which is no longer in the store",
        ]

    def test_ranks_package_target_and_version_first_then_what_was_stored_then_the_latest(self):
        stored = [
            deployment(1, package="Other"),
            deployment(2, application="B"),
            deployment(3, application="C"),
            deployment(4, version="1"),
            deployment(5, package="Other", target="db01"),
        ]
        requests = [request(number, deployment_id=number) for number in range(1, 6)]
        refused = request(6, 400, "No.", fields={**RECORD, "Application": "D"})
        wanted = {"package": "Newtonsoft.Json", "version": "12.0.3", "target": "web01", "application": "A"}
        assert lines(deployed(stored, *requests, refused, **wanted)) == [
            "No deployment was recorded with package Newtonsoft.Json, version 12.0.3, target web01, application A.",
            "Nearest 3 of 6:",
            "  request 3 was recorded as deployment 3:",
            "    application: expected A, got C",
            "  request 2 was recorded as deployment 2:",
            "    application: expected A, got B",
            "  request 6 was refused with 400: No.",
            "    application: expected A, got D",
        ]

    def test_names_the_deployments_where_there_are_too_many_and_why_that_may_be(self):
        first = request(1, deployment_id=1, fault="connection reset after it was stored (fault 1)")
        stored = [deployment(1), deployment(2), deployment(3), deployment(4)]
        assert lines(
            deployed(stored[:2], first, request(2, 400), request(3, deployment_id=2), version="12.0.3", times=1)
        ) == [
            "Expected 1 deployment with version 12.0.3, but 2 were recorded: deployment 1 (request 1) and deployment 2 "
            "(request 3).",
            "Request 1 was recorded, but a fault hit it: connection reset after it was stored (fault 1).",
            "Request 3 sent the same as request 1: the client has probably tried again.",
        ]
        other = request(4, deployment_id=4, fields={**RECORD, "Description": "Again"})
        assert lines(
            deployed(stored, request(1, deployment_id=1), request(3, deployment_id=3), other, version="12.0.3", times=2)
        ) == [
            "Expected 2 deployments with version 12.0.3, but 4 were recorded: deployment 1 (request 1), deployment 2 "
            "(seeded or older than the journal), deployment 3 (request 3) and deployment 4 (request 4).",
            "Request 3 sent the same as request 1.",
        ]

    def test_lists_no_more_than_ten(self):
        stored = [deployment(number) for number in range(1, 13)]
        assert (deployed(stored, times=1) or "").endswith(
            "deployment 10 (seeded or older than the journal) and 2 more."
        )
        assert lines(check_not_deployed(Expectation(), stored, journal()))[-1] == "  and 2 more"

    def test_names_those_that_are_there_and_the_nearest_others_where_there_are_too_few(self):
        refused = request(2, 403, refusal="key 2 was revoked")
        assert lines(deployed([deployment(1)], request(1, deployment_id=1), refused, version="12.0.3", times=2)) == [
            "Expected 2 deployments with version 12.0.3, but 1 was recorded: deployment 1 (request 1).",
            "Nearest:",
            "  request 2 matches, but was refused with 403: key 2 was revoked",
        ]
        assert lines(deployed([deployment(1)], request(1, deployment_id=1), times=2)) == [
            "Expected 2 deployments, but 1 was recorded: deployment 1 (request 1).",
            "No other request has tried to record one.",
        ]
        assert lines(deployed([], request(1, 403, refusal="key 2 was revoked"), times=2)) == [
            "Expected 2 deployments, but none was recorded.",
            "Nearest:",
            "  request 1 was refused with 403: key 2 was revoked",
        ]

    def test_says_that_older_requests_are_forgotten(self, monkeypatch):
        monkeypatch.setattr(journals, "LONGEST", 1)
        assert lines(deployed([], request(1), request(2, 400), version="12.0.3")) == [
            "No deployment was recorded with version 12.0.3.",
            "Nearest:",
            "  request 2 matches, but was refused with 400",
            "1 older request is no longer kept.",
        ]
        assert lines(deployed([], *map(request, range(1, 4))))[-1] == "2 older requests are no longer kept."


def difference(sent: Any, **criteria: Any) -> str:
    """Return the one line about what differs between what was sent and what is expected."""
    (name,) = criteria
    refused = request(1, 400, fields={**RECORD, FIELDS[name]: sent})
    (line,) = [line for line in lines(deployed([], refused, **criteria)) if line.startswith("    ")]
    return line.strip()


LONG = "Deployed by the custom release server of the third floor, at night, "


class TestDifference:
    @pytest.mark.parametrize(
        ("name", "expected", "sent", "line"),
        [
            ("version", "12.0.3", "12.0.2", "expected 12.0.3, got 12.0.2"),
            ("description", "By hand", "By_foot", 'expected "By hand", got "By_foot"'),
            ("description", 'a "b" \\', "a", 'expected "a \\"b\\" \\\\", got "a"'),
            ("target", "web01", "WEB01", 'expected "web01", got "WEB01" (only letter case differs)'),
            ("target", "web01 ", "web01", 'expected "web01 ", got "web01" (only white space differs)'),
            ("target", "web 01", "web\xa001", 'expected "web 01", got "web\\xa001" (only white space differs)'),
            (
                "target",
                "web01",
                "wеb01",
                'expected "web01", got "wеb01" (character 2: expected U+0065 LATIN SMALL LETTER E, got U+0435 CYRILLIC '
                "SMALL LETTER IE)",
            ),
            (
                "target",
                "Café",
                "Cafe\u0301",
                'expected "Café", got "Cafe\u0301" (character 4: expected U+00E9 LATIN SMALL LETTER E WITH ACUTE, got '
                "U+0065 LATIN SMALL LETTER E)",
            ),
            (
                "target",
                "Åb",
                "Åb\u200b",
                'expected "Åb", got "Åb\\u200b"',
            ),
            ("target", "日本", "中国語", "expected 日本, got 中国語"),
            (
                "description",
                "one\ntwo",
                "one\r\ntwo",
                'expected "one\\ntwo", got "one\\r\\ntwo" (only white space differs)',
            ),
            (
                "description",
                LONG + "in 2021",
                LONG + "in 2022",
                'expected …"or, at night, in 2021", got …"or, at night, in 2022" (from character 75 on)',
            ),
            (
                "description",
                LONG + LONG,
                LONG,
                'expected …"ird floor, at night, Deployed by the custom release server o"…, got …"ird floor, at night,"'
                " (from character 68 on)",
            ),
            (
                "description",
                "one\n" + LONG + "\nthree",
                "one\nx" + LONG,
                'expected "one\\nDeployed by the custom release server of the third floor"…, got "one\\nxDeployed by '
                'the custom release server of the third floo"… (from line 2, character 1 on)',
            ),
            (
                "description",
                LONG + "at noon",
                LONG.upper() + "AT NOON",
                'expected "Deployed by the custom release server of the third floor, at"…, got "DEPLOYED BY THE CUSTOM '
                'RELEASE SERVER OF THE THIRD FLOOR, AT"… (only letter case differs, from character 2 on)',
            ),
            ("group", None, "acme", "expected none, got acme"),
            ("url", "http://x/1", "  ", "expected http://x/1, and there was none"),
            ("version", "12", {"major": 12}, 'expected 12, got the JSON "{\\"major\\": 12}"'),
            ("version", "true", True, "expected true, got the JSON true"),
            (
                "date",
                "2021-04-13T12:00:00+02:00",
                "2021-04-13T10:00:01Z",
                "expected 2021-04-13T10:00:00Z, got 2021-04-13T10:00:01Z",
            ),
            (
                "date",
                "2021-04-13",
                "13.04.2021",
                "expected 2021-04-13T00:00:00Z, got 13.04.2021, which cannot be read as a date",
            ),
            ("date", "2021-04-13", {"value": " "}, "expected 2021-04-13T00:00:00Z, and there was none"),
            ("version", re.compile(r"12\.1"), "12.0.3", "expected a match of 12\\.1, got 12.0.3"),
            ("version", str.isdigit, "12.0.3", "expected what isdigit accepts, got 12.0.3"),
            ("version", lambda version: version == "1", "2", "expected what the given function accepts, got 2"),
            ("date", re.compile("2022"), "2021-04-13", "expected a match of 2022, got 2021-04-13T00:00:00Z"),
        ],
    )
    def test_is_said_so_that_it_can_be_seen(self, name, expected, sent, line):
        assert difference(sent, **{name: expected}) == f"{name}: {line}"

    def test_of_a_stored_record_is_that_of_the_defaults_that_were_filled_in(self):
        stored = deployment(1, date=NOON + 1, group="acme")
        sent = request(1, deployment_id=1)
        wanted: dict[str, Any] = {"user": "bob", "date": "2021-04-13 10:00", "recorded_by": "bob", "group": None}
        assert lines(deployed([stored], sent, **wanted)) == [
            "No deployment was recorded with user bob, date 2021-04-13T10:00:00Z, recorded_by bob, no group.",
            "Nearest:",
            "  request 1 was recorded as deployment 1:",
            "    user: expected bob, got alice",
            "    date: expected 2021-04-13T10:00:00Z, got 2021-04-13T10:00:00.000001Z",
            '    recorded_by: expected "bob", got "system key 1 (ci)"',
            "    group: expected none, got acme",
        ]


class TestNotDeployed:
    def test_lists_what_should_not_be_there(self):
        stored = [deployment(1), deployment(2, group="@acme", target="the office"), deployment(3, version="13")]
        one = journal(request(4, deployment_id=1))
        assert check_not_deployed(Expectation(version="14"), stored, one) is None
        listed = [
            "  deployment 1 (request 4): Newtonsoft.Json 12.0.3 on web01, feed DefaultNuGet",
            '  deployment 2 (seeded or older than the journal): @acme/Newtonsoft.Json 12.0.3 on "the office", feed '
            "DefaultNuGet",
        ]
        message = ["No deployment was expected with version 12.0.3, but 2 were recorded:", *listed]
        assert lines(check_not_deployed(Expectation(version="12.0.3"), stored, one)) == message
        assert lines(check_deployed(Expectation(version="12.0.3", times=0), stored, one)) == message
        assert lines(check_not_deployed(Expectation(), stored[:1], one)) == [
            "No deployment was expected, but 1 was recorded:",
            listed[0],
        ]


class TestRequested:
    KEPT = (
        request(1, target="/api/x?a=1", headers=[("X-ApiKey", "one")]),
        request(2, 404, method="GET", target="/health", fault="answered 404 (fault 1)"),
        request(3, None, target="/api/y"),
    )

    def check(self, *requests: ReceivedRequest, **wanted: Any) -> str | None:
        return check_requested(RequestExpectation(**wanted), journal(*requests))

    def test_holds_for_what_has_arrived(self):
        assert self.check(*self.KEPT) is None
        assert self.check(*self.KEPT, method="post", path="/api/x", status=200, header={"x-apikey": "one"}) is None
        assert self.check(*self.KEPT, path=re.compile("^/api/"), header={"Accept": None}, times=2) is None
        assert self.check(*self.KEPT, status=lambda status: status >= 400, times=1) is None
        assert self.check(times=0) is None

    def test_shows_what_differs_in_the_nearest(self):
        assert lines(self.check(*self.KEPT, method="POST", path="/api/z", status=200, header={"X-ApiKey": "two"})) == [
            "No request was received with method POST, path /api/z, status 200, header X-ApiKey two.",
            "Nearest:",
            "  request 1 was POST /api/x, answered 200:",
            "    path: expected /api/z, got /api/x",
            "    header X-ApiKey: expected two, got one",
            "  request 3 was POST /api/y, without an answer:",
            "    path: expected /api/z, got /api/y",
            "    status: expected 200, and there was none",
            "    header X-ApiKey: expected two, and there was none",
            "  request 2 was GET /health, answered 404; a fault hit it: answered 404 (fault 1)",
            "    method: expected POST, got GET",
            "    path: expected /api/z, got /health",
            "    status: expected 200, got 404",
            "    header X-ApiKey: expected two, and there was none",
        ]

    def test_counts(self):
        assert lines(self.check(*self.KEPT, method="POST", times=1)) == [
            "Expected 1 request with method POST, but 2 were received: request 1 and request 3.",
        ]
        assert lines(self.check(*self.KEPT[:1], method="POST", times=0)) == [
            "No request was expected with method POST, but 1 was received: request 1.",
        ]
        assert lines(self.check(*self.KEPT[:1], method="POST", times=2)) == [
            "Expected 2 requests with method POST, but 1 was received: request 1.",
            "No other request has arrived.",
        ]
        assert lines(self.check(path="/")) == [
            "No request was received with path /.",
            "No request has arrived since the journal began.",
        ]


class TestCriteria:
    def test_are_texts_patterns_functions_or_moments(self):
        stored = [deployment(1)]
        two_hours_east = timezone(timedelta(hours=2))
        assert deployed(stored, date=datetime(2021, 4, 13, 12, tzinfo=two_hours_east)) is None
        assert deployed(stored, date=datetime(2021, 4, 13, 10)) is None  # noqa: DTZ001 - without a zone it is UTC
        assert deployed(stored, date="/Date(1618308000000)/", group=None, url=None) is None
        assert deployed(stored, date=lambda date: date == datetime(2021, 4, 13, 10, tzinfo=UTC)) is None
        assert deployed(stored, version=re.compile(r"^12\."), target=str.islower, recorded_by=re.compile("ci")) is None
        function_of_none = deployed(stored, url=lambda url: url.startswith("https"))
        assert "url: expected what the given function accepts, and there was none" in (function_of_none or "")
        assert lines(deployed(stored, version=re.compile("^13"), package=str.isdigit))[0] == (
            "No deployment was recorded with version matching ^13, package that isdigit accepts."
        )

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ({"version": 12}, "version must be a text, not 12."),
            ({"version": None}, "version must be a text, not null."),
            ({"version": re.compile(b"1")}, "version must be a text, not \"re.compile(b'1')\"."),
            ({"target": " "}, "target must not be blank; leave it out if it does not matter."),
            (
                {"date": "13.04.2021"},
                "date is not in an accepted form; send an ISO 8601 date such as 2021-04-13T10:00:00Z or "
                "2021-04-13T12:00:00+02:00.",
            ),
            (
                {"date": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))},
                "date must be between the years 1 and 9999.",
            ),
            (
                {"times": -1, "url": 1},
                "url must be a text, not 1. times must be a whole number of 0 or more, or left out for at least one, "
                "not -1.",
            ),
            ({"times": True}, "times must be a whole number of 0 or more, or left out for at least one, not true."),
            (
                {"PackageName": "A"},
                "PackageName is not known; use feed, group, package, version, target, application, description, user, "
                "url, date, recorded_by, times.",
            ),
        ],
    )
    def test_that_make_no_sense_are_refused(self, wanted, message):
        with pytest.raises(InvalidValue) as error:
            Expectation(**wanted)
        assert str(error.value) == message

    @pytest.mark.parametrize(
        ("wanted", "message"),
        [
            ({"status": "200"}, 'status must be a number from 100 to 599, not "200".'),
            ({"status": 99}, "status must be a number from 100 to 599, not 99."),
            ({"header": "X"}, 'header must have values by the names of headers, not "X".'),
            ({"header": {"X": 1}}, "header must be a text, not 1."),
        ],
    )
    def test_of_requests_that_make_no_sense_are_refused(self, wanted, message):
        with pytest.raises(InvalidValue) as error:
            RequestExpectation(**wanted)
        assert str(error.value) == message

    def test_are_read_from_documents(self):
        document = json.loads('{"package": "Newtonsoft.Json", "group": null, "times": 1}')
        assert check_deployed(Expectation.from_document(document), [deployment(1)], journal()) is None
        assert Expectation.from_document({"times": None}).times is None
        with pytest.raises(InvalidRequest) as error:
            Expectation.from_document({"package": None, "times": 1.5, "version": ["1"]})
        assert error.value.errors == {
            "package": ["must be a text, not null."],
            "times": ["must be a whole number of 0 or more, or left out for at least one, not 1.5."],
            "version": ['must be a text, not ["1"].'],
        }
        wanted = RequestExpectation.from_document({"method": "get", "header": {"X": None}, "times": 1})
        assert check_requested(wanted, journal(request(1, method="GET"))) is None
        with pytest.raises(InvalidRequest, match=r"query: is not known; use method, path, status, header, times\."):
            RequestExpectation.from_document({"query": "a=1"})


TEXTS = st.sampled_from(
    [
        "a",
        "A",
        "a b",
        "a\xa0b",
        'a "b"',
        "a, got b",
        "а",
        "none",
        LONG + "1",
        LONG + "2",
        LONG + LONG + "3",
        "x\ny",
        "x\r\ny",
    ]
)
NAMES = [name for name in FIELDS if name != "date"]
PROPERTIES = st.fixed_dictionaries(dict.fromkeys(NAMES, TEXTS))
WANTED = st.dictionaries(st.sampled_from(NAMES), TEXTS, max_size=4)


@given(
    st.lists(st.tuples(PROPERTIES, st.booleans()), max_size=6),
    st.lists(PROPERTIES, max_size=3),
    WANTED,
    st.none() | st.integers(0, 3),
)
def test_holds_exactly_if_a_plain_search_finds_as_many_and_else_names_real_differences(
    requested, seeded, wanted, times
):
    stored, requests, values = [], [], {}
    for number, (properties, is_stored) in enumerate(requested, 1):
        if is_stored:
            stored.append(deployment(number, **properties))
        fields = {FIELDS[name]: f" {value}\n" for name, value in properties.items()}
        requests.append(
            request(number, 200 if is_stored else 400, fields=fields, deployment_id=number if is_stored else None)
        )
        values[f"request {number}"] = properties
    for number, properties in enumerate(seeded, 11):
        stored.append(deployment(number, **properties))
        values[f"deployment {number}"] = properties
    present = [properties for properties, is_stored in requested if is_stored] + seeded
    found = [properties for properties in present if wanted.items() <= properties.items()]

    message = deployed(stored, *requests, **wanted, times=times)
    assert (message is None) == (bool(found) if times is None else len(found) == times)
    assert (check_not_deployed(Expectation(**wanted), stored, journal(*requests)) is None) == (not found)
    title = ""
    said: dict[str, list[str]] = {}
    for line in lines(message):
        if line.startswith("    "):
            match = re.fullmatch(r"    (\w+): expected (.+?), got (.+)", line)
            assert match
            assert match[2] != match[3]
            said[title].append(match[1])
        elif (match := re.match(r"  (request|deployment) \d+", line)) and times != 0:
            title = match[0].strip()
            said[title] = []
    for title, names in said.items():
        assert names == [name for name, value in wanted.items() if values[title][name] != value]
