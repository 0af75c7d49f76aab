"""Worlds below ``/ns/NAME/``: made when they are used, apart from each other, and removed."""

from __future__ import annotations

import http.client
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from conftest import FEED, KEY, PATH, RECORD
from doubles import CLIENTS, ask, record

from deployserver.double import worlds
from deployserver.errors import DeployServerError, InvalidValue, NotFound
from deployserver.testing import DeployServer

STATE = {"feeds": [{"name": FEED, "anonymous": True}], "keys": [KEY]}


@pytest.fixture
def double() -> Iterator[DeployServer]:
    with DeployServer(state=STATE) as server:
        yield server


def names(double: DeployServer) -> list[str]:
    found: list[str] = control(double, "GET", "").json()["namespaces"]
    return found


def control(double: DeployServer, method: str, path: str, document: Any = None) -> requests.Response:
    return requests.request(method, f"{double.url}/__double__{path}", json=document, timeout=30)


def get(double: DeployServer, target: str) -> int:
    """Ask with a target exactly as it is, and return the status."""
    connection = http.client.HTTPConnection(urlsplit(double.url).netloc, timeout=30)
    try:
        connection.putrequest("GET", target)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_namespace_is_made_by_the_first_request_for_it(double: DeployServer, client: str, slash: str) -> None:
    heard = record(client, f"{double.url}/ns/ci-{client.replace(':', '.')}{slash}".rstrip("/"))
    assert (heard.status, heard.json["Id"]) == (200, 1)
    assert names(double) == [f"ci-{client.replace(':', '.')}"]
    assert (double.deployments, double.requests) == ([], [])
    namespace = double.namespace(names(double)[0])
    namespace.assert_deployed(times=1)
    assert [one.target for one in namespace.requests] == [PATH]
    assert ask(client, namespace.url + slash).status in (200, 303)


def test_what_happens_in_32_namespaces_at_once_stays_there(double: DeployServer) -> None:
    """Each has its own feed, key, fault, clock and load; nothing of it is to be found in another, or at the root."""

    def use(number: int) -> None:
        base = f"{double.url}/ns/job-{number}"
        feed, key, time_ = f"feed-{number}", f"key-{number}-of-this-job", f"20{number + 10}-01-01T00:00:00Z"
        with requests.Session() as session:

            def tell(method: str, path: str, document: Any = None) -> Any:
                answer = session.request(method, f"{base}/__double__{path}", json=document, timeout=60)
                assert answer.ok, answer.text
                return answer.json() if answer.content else None

            def post(target: str, key: str, feed: str) -> int:
                document = RECORD | {"FeedName": feed, "Target": target}
                return session.post(base + PATH, json=document, headers={"X-ApiKey": key}, timeout=60).status_code

            tell("PUT", "/state", {"feeds": [feed], "keys": [key]})
            tell("PUT", "/clock", {"now": time_, "frozen": True})
            tell("POST", "/faults", {"do": "answer", "status": 500 + number, "first": 1})
            statuses = [post(f"host-{number}-{turn}", key, feed) for turn in range(20)]
            assert statuses == [500 + number, *[200] * 19]
            other = (number + 1) % 32
            assert post("x", f"key-{other}-of-this-job", feed) == 403
            assert post("x", key, f"feed-{other}") == 404
            assert post("x", KEY, feed) == 403
            deployments = tell("GET", "/state")["deployments"]
            assert [one["Target"] for one in deployments] == [f"host-{number}-{turn}" for turn in range(1, 20)]
            assert {(one["FeedName"], one["Date"], one["RecordedAt"]) for one in deployments} == {(feed, time_, time_)}
            assert len(tell("GET", "/requests")) == 23
            assert [fault["hits"] for fault in tell("GET", "/faults")] == [1]
            assert tell("GET", "/clock")["now"] == time_
            assert [one["name"] for one in tell("GET", "/state")["feeds"]] == [feed]

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(use, range(32)))
    assert names(double) == sorted(f"job-{number}" for number in range(32))
    assert (double.deployments, double.requests, double.faults) == ([], [], [])
    assert [feed["name"] for feed in double.state["feeds"]] == [FEED]
    assert not double.clock.now.year < 2024


def test_fifty_first_requests_make_one_world(double: DeployServer) -> None:
    with ThreadPoolExecutor(50) as pool:
        heard = list(
            pool.map(lambda number: record("requests", f"{double.url}/ns/new", Target=f"t{number}"), range(50))
        )
    assert sorted(one.json["Id"] for one in heard) == list(range(1, 51))
    assert names(double) == ["new"]
    assert len(double.namespace("new").requests) == 50


def test_a_namespace_begins_as_the_root_did_and_is_reset_by_itself() -> None:
    with DeployServer(state=STATE, faults=[{"do": "answer", "status": 503, "first": 1}]) as double:
        double.load({"feeds": ["later"]})
        one, other = double.namespace("one"), double.namespace("other")
        for world in (one, other):
            assert [record("requests", world.url).status for _ in range(2)] == [503, 200]
            assert [feed["name"] for feed in world.state["feeds"]] == [FEED]
        one.reset()
        assert (len(one.deployments), len(other.deployments)) == (0, 1)
        assert [record("requests", world.url).status for world in (one, other)] == [503, 200]
        double.reset()
        assert len(other.deployments) == 2


# Names


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/ns/a/health/live", ["a"]),
        ("/ns/A/health/live", ["A"]),
        ("/NS/a/Health/Live/", ["a"]),
        ("/ns/%61/health/live", ["a"]),
        ("http://proget.example/ns/a/health/live", ["a"]),
        ("/ns/v1.2_x-y/health/live", ["v1.2_x-y"]),
        ("/ns/.a/health/live", [".a"]),
        ("/ns/ns/health/live", ["ns"]),
        (f"/ns/{'x' * 100}/health/live", ["x" * 100]),
    ],
)
def test_a_name_may_be_spelt_in_several_ways(double: DeployServer, target: str, expected: list[str]) -> None:
    assert get(double, target) == 200
    assert names(double) == expected
    (received,) = double.namespace(expected[0]).requests
    assert received.path.rstrip("/").lower() == "/health/live"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/ns/../health/live", 400),
        ("/ns/%2E%2e/health/live", 400),
        ("/ns/./health/live", 400),
        ("/ns/a%2Fb/health/live", 400),
        ("/ns/a%20b/health/live", 400),
        ("/ns/%E4/health/live", 400),
        ("/ns/%00/health/live", 400),
        (f"/ns/{'x' * 101}/health/live", 400),
        ("/ns", 404),
        ("/ns/", 404),
        ("/ns//health/live", 404),
        ("/nsa/b/health/live", 404),
    ],
)
def test_what_can_be_no_name_makes_no_namespace(double: DeployServer, target: str, status: int) -> None:
    assert get(double, target) == status
    assert names(double) == []


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "ä", "x" * 101])
def test_a_name_that_no_request_can_have_is_refused(double: DeployServer, name: str) -> None:
    with pytest.raises(InvalidValue, match="letters, digits"):
        double.namespace(name)


def test_letter_case_tells_names_apart(double: DeployServer) -> None:
    record("requests", f"{double.url}/ns/Job")
    assert double.namespace("job").deployments == []
    assert len(double.namespace("Job").deployments) == 1


# Where pages and descriptions lead


def test_every_link_of_a_page_stays_in_its_namespace(double: DeployServer) -> None:
    namespace = double.namespace("team-a")
    for version, target in (("1.0", "web-1"), ("1.1", "web-1"), ("1.0", "web-2")):
        assert record("requests", namespace.url, Version=version, Target=target, key=None).status == 200
    seen: set[str] = set()
    waiting = [f"{namespace.url}/"]
    with requests.Session() as session:
        while waiting and len(seen) < 60:
            page = waiting.pop(0)
            seen.add(page)
            answer = session.get(page, headers={"Accept": "text/html"}, timeout=30)
            assert answer.status_code == 200, page
            assert answer.url.startswith(f"{namespace.url}/")
            if not answer.headers["content-type"].startswith("text/html"):
                continue
            text = re.sub(r"<template.*?</template>", "", answer.text, flags=re.DOTALL)  # those are filled in first
            for name, link in re.findall(r'(href|src|action)="([^"#]+)', text):
                to = urljoin(answer.url, link.replace("&amp;", "&"))
                if urlsplit(to).netloc == urlsplit(double.url).netloc:
                    assert to.startswith(f"{namespace.url}/"), f"{page} links to {to}"
                    if name != "action" and to not in seen and to not in waiting:
                        waiting.append(to)
    assert len(seen) > 15
    assert double.requests == []


def test_a_description_names_its_own_server(double: DeployServer) -> None:
    namespace = double.namespace("team-a")
    described = requests.get(f"{namespace.url}/api/openapi.json", timeout=30).json()
    assert urljoin(f"{double.url}/", described["servers"][0]["url"]).rstrip("/") == namespace.url
    assert control(namespace, "GET", "").json()["url"] == namespace.url


def test_the_next_page_of_an_answer_is_in_the_same_namespace(double: DeployServer) -> None:
    namespace = double.namespace("team-a")
    for number in range(3):
        record("requests", namespace.url, Target=f"t{number}")
    answer = requests.get(f"{namespace.url}/api/deployments?limit=2", headers={"X-ApiKey": KEY}, timeout=30)
    assert answer.links["next"]["url"].startswith(f"{namespace.url}/api/deployments?")
    assert len(requests.get(answer.links["next"]["url"], headers={"X-ApiKey": KEY}, timeout=30).json()) == 1


# Their end


def test_a_namespace_that_was_removed_is_another_when_it_is_used_again(double: DeployServer) -> None:
    old = double.namespace("a")
    record("requests", old.url)
    assert control(double, "DELETE", "/namespaces/a").status_code == 204
    assert names(double) == []
    assert control(double, "DELETE", "/namespaces/a").status_code == 404
    assert record("requests", f"{double.url}/ns/a").json["Id"] == 1
    for use in (lambda: old.state, lambda: old.deployments, old.reset, lambda: old.add_feed("x"), lambda: old.load({})):
        with pytest.raises(RuntimeError, match="has ended"):
            use()
    assert len(double.namespace("a").deployments) == 1


def test_a_namespace_can_remove_itself(double: DeployServer) -> None:
    namespace = double.namespace("a")
    assert control(namespace, "DELETE", "/namespaces/a").status_code == 204
    assert names(double) == []


def test_nothing_is_left_hanging_in_a_namespace_that_is_removed(double: DeployServer) -> None:
    namespace = double.namespace("a")
    namespace.add_fault("hang")
    with ThreadPoolExecutor(4) as pool:
        hanging = [pool.submit(record, "requests", namespace.url) for _ in range(4)]
        while len(namespace.requests) < 4:
            time.sleep(0.01)
        started = time.monotonic()
        assert control(double, "DELETE", "/namespaces/a").status_code == 204
        assert time.monotonic() - started < 1
        assert {one.result().failure for one in hanging} == {"ConnectionError"}


def test_whoever_uses_a_namespace_while_it_is_removed_gets_an_answer(
    double: DeployServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Each request is answered by the old world, or by the new one that takes its place, and by nothing else."""
    stop = threading.Event()

    def use(_: int) -> set[int]:
        statuses = set()
        with requests.Session() as session:
            while not stop.is_set():
                url, headers = f"{double.url}/ns/a{PATH}", {"X-ApiKey": KEY}
                statuses.add(session.post(url, json=RECORD, headers=headers, timeout=30).status_code)
                statuses.add(session.get(f"{double.url}/ns/a/__double__/state", timeout=30).status_code)
        return statuses

    with ThreadPoolExecutor(8) as pool:
        using = [pool.submit(use, number) for number in range(8)]
        removed = [control(double, "DELETE", "/namespaces/a").status_code for _ in range(30)]
        removed += [control(double.namespace("a"), "POST", "/reset").status_code for _ in range(10)]
        stop.set()
        answered = set().union(*(one.result() for one in using))
    assert set(removed) <= {204, 404}
    assert 204 in removed
    assert answered <= {200, 404}, "404 is for what was told to a world that has ended meanwhile"
    assert not [one for one in caplog.records if one.levelname in ("ERROR", "CRITICAL")]


def test_a_server_that_stops_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    with DeployServer(state=STATE) as double, ThreadPoolExecutor(8) as pool:
        for number in range(20):
            double.namespace(f"n{number}").add_fault("hang")
        for number in range(8):
            pool.submit(record, "requests", f"{double.url}/ns/n{number}")
        while sum(len(double.namespace(f"n{number}").requests) for number in range(8)) < 8:
            time.sleep(0.01)
        started = time.monotonic()
        double.stop()
        assert time.monotonic() - started < 2
    assert threading.active_count() <= before


def test_no_namespace_is_made_while_the_server_stops(double: DeployServer) -> None:
    double.namespace("old")
    double._thread.worlds._stop()
    assert ask("requests", f"{double.url}/ns/old/health/live").status == 200
    refused = ask("requests", f"{double.url}/ns/new/health/live")
    assert (refused.status, refused.text) == (503, "The server is stopping.\n")
    assert names(double) == ["old"]


def test_no_namespace_is_made_after_the_end(double: DeployServer) -> None:
    """Whoever asks for one while all ends comes after the end, and would have it stay for the next test."""
    double._thread.end()
    worlds = double._thread.worlds
    with pytest.raises(NotFound, match="has ended"):
        double._thread.call(lambda: worlds.namespace("late"))
    assert worlds.names == []
    double._thread.renew()
    assert ask("requests", f"{double._thread.url}/ns/new/health/live").status == 200


def test_there_is_a_bound(double: DeployServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert worlds.MOST == 1000
    monkeypatch.setattr(worlds, "MOST", 3)
    for number in range(3):
        double.namespace(f"n{number}")
    refused = ask("requests", f"{double.url}/ns/n3/health/live")
    assert refused.status == 503
    assert "DELETE /__double__/namespaces/NAME" in refused.text
    assert ask("requests", f"{double.url}/ns/n2/health/live").status == 200
    with pytest.raises(DeployServerError):
        double.namespace("n3")
    assert control(double, "DELETE", "/namespaces/n0").status_code == 204
    assert ask("requests", f"{double.url}/ns/n3/health/live").status == 200
    assert names(double) == ["n1", "n2", "n3"]
