"""The control API of the double, as curl and Node use it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from conftest import FEED, KEY, RECORD, Service
from doubles import Heard, ask, curl, needs_curl, needs_node, node, record

from deployserver.app import ROUTES
from deployserver.double.control import ROUTES as CONTROL
from deployserver.testing import DeployServer

STATE = {"feeds": [FEED], "keys": [KEY]}
CLIENTS = ("requests", pytest.param("curl", marks=needs_curl), pytest.param("fetch", marks=needs_node))


@pytest.fixture(scope="module")
def server() -> Iterator[DeployServer]:
    with DeployServer(state=STATE) as server:
        yield server


@pytest.fixture
def double(server: DeployServer) -> DeployServer:
    """A server that nobody has used."""
    server.reset()
    return server


def tell(
    double: DeployServer, method: str, path: str, document: Any = None, *, client: str = "requests", **headers: str
) -> Heard:
    """Send a document, or text as it is, to the control API."""
    body = document if isinstance(document, str) or document is None else json.dumps(document)
    return ask(client, f"{double.url}/__double__{path}", method=method, body=body, headers=headers)


def errors(heard: Heard) -> dict[str, list[str]]:
    """Return what a refusal says to a client that wants JSON."""
    assert heard.status == 400
    named: dict[str, list[str]] = heard.json["errors"]
    return named


# From all clients


@pytest.mark.parametrize("client", CLIENTS)
def test_all_of_it_can_be_done_from_every_language(double: DeployServer, client: str) -> None:
    def say(method: str, path: str, document: Any = None) -> Heard:
        return tell(double, method, path, document, client=client)

    shown = say("GET", "").json
    assert (shown["url"], shown["requests"], shown["faults"]) == (double.url, 0, 0)

    fault = say("POST", "/faults", {"do": "answer", "status": 503, "first": 1})
    assert (fault.status, fault.json["hits"]) == (201, 0)
    assert record(client, double.url).status == 503
    assert record(client, double.url, Target="web-1").status == 200
    (faults,) = say("GET", "/faults").json
    assert (faults["hits"], faults["matched"]) == (1, 2)
    removed = say("DELETE", f"/faults/{fault.json['id']}")
    assert (removed.status, removed.json["hits"]) == (200, 1)
    assert say("GET", "/faults").json == []
    assert [one["do"] for one in say("PUT", "/faults", [{"do": "reset"}, {"do": "hang"}]).json] == ["reset", "hang"]
    assert say("DELETE", "/faults").status == 204

    received = say("GET", "/requests").json
    assert [one["answer"]["status"] for one in received] == [503, 200]
    assert say("GET", "/requests?status=200&target=web*").json == received[1:]
    assert say("GET", "/requests?after=2").json == []

    assert say("POST", "/verify", {"deployed": {"target": "web-1", "times": 1}}).status == 200
    failed = say("POST", "/verify", {"deployed": {"target": "web-2"}})
    assert failed.status == 409
    assert failed.headers["content-type"] == "text/plain; charset=utf-8"
    assert "web-2" in failed.text
    assert "web-1" in failed.text
    assert say("POST", "/verify", {"notDeployed": {"target": "web-1"}}).status == 409
    assert say("POST", "/verify", {"notDeployed": {"target": "web-2"}}).status == 200

    assert say("DELETE", "/requests").status == 204
    assert say("GET", "/requests").json == []
    assert len(say("GET", "/state").json["deployments"]) == 1

    frozen = say("PUT", "/clock", {"now": "2021-04-13T10:00:00Z", "frozen": True}).json
    assert frozen == {"now": "2021-04-13T10:00:00Z", "frozen": True}
    assert say("PUT", "/clock", {"advance": 1.5}).json["now"] == "2021-04-13T10:00:01.500000Z"
    assert record(client, double.url).json["Date"] == "2021-04-13T10:00:01.500000Z"
    assert say("DELETE", "/clock").status == 204
    assert say("GET", "/clock").json["frozen"] is False

    added = say("POST", "/state", {"feeds": ["npm"], "deployments": [RECORD | {"FeedName": "npm"}]}).json
    assert [feed["name"] for feed in added["feeds"]] == [FEED, "npm"]
    assert [one["Id"] for one in added["deployments"]] == [1, 2, 3]
    replaced = say("PUT", "/state", {"feeds": ["other"]}).json
    assert ([feed["name"] for feed in replaced["feeds"]], replaced["deployments"]) == (["other"], [])
    assert record(client, double.url).status == 403

    assert say("POST", "/reset").status == 204
    assert record(client, double.url).json["Id"] == 1


@needs_curl
def test_curl_prints_why_what_was_to_be_verified_is_not_so(double: DeployServer) -> None:
    record("requests", double.url, Version="12.0.2")
    url = f"{double.url}/__double__/verify"
    wanted = {"deployed": {"package": "Newtonsoft.Json", "version": "12.0.3"}}
    done = curl("--fail-with-body", url, "-d", json.dumps(wanted))
    assert done.returncode == 22
    assert "12.0.2" in done.stdout
    assert "12.0.3" in done.stdout
    assert "<" not in done.stdout
    found = wanted | {"deployed": {"package": "Newtonsoft.Json", "version": "12.0.2"}}
    assert curl("--fail-with-body", url, "-d", json.dumps(found)).returncode == 0


@needs_node
def test_node_reads_a_failed_verification_as_a_problem(double: DeployServer) -> None:
    module = """
    const answer = await fetch(process.argv[1], {method: "POST", headers: {Accept: "application/json"},
      body: JSON.stringify({deployed: {package: "nothing"}})});
    console.log(JSON.stringify([answer.status, await answer.json()]));
    process.exit(0);
    """
    status, problem = node(module, f"{double.url}/__double__/verify")
    assert status == problem["status"] == 409
    assert "nothing" in problem["detail"]


# What is left alone


def test_control_requests_are_neither_noted_nor_hit(double: DeployServer) -> None:
    double.add_fault("reset")
    double.add_fault("answer", status=500, when="unread")
    double.add_fault("hang", path="/__double__*")
    spellings = ("/__double__", "/__double__/", "/__DOUBLE__/faults", "/%5F_double__/faults", "/__double__/nothing")
    answers = [requests.get(double.url + path, timeout=30).status_code for path in spellings]
    assert answers == [200, 200, 200, 200, 404]
    assert requests.patch(f"{double.url}/__double__/faults", timeout=30).status_code == 405
    assert double.requests == []
    assert [fault.matched for fault in double.faults] == [0, 0, 0]


def test_what_only_begins_like_a_control_request_is_a_request(double: DeployServer) -> None:
    assert requests.get(f"{double.url}/__double__x", timeout=30).status_code == 404
    assert [one.path for one in double.requests] == ["/__double__x"]


def test_a_request_that_names_the_host_as_a_proxy_is_asked_is_the_same(double: DeployServer) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.proxies = {"http": double.url}
        assert session.get("http://proget.example/health", timeout=30).status_code == 200
        assert session.get("http://proget.example/__double__/requests", timeout=30).json()[0]["path"] == "/health"
    assert [one.target for one in double.requests] == ["/health"]


async def test_the_service_knows_nothing_of_it(service: Service) -> None:
    assert not {route.path for route in ROUTES if "__double__" in route.path}
    for route in CONTROL:
        path = route.path.replace("{id}", "1").replace("{name}", "x")
        for method in ("GET", "POST", "PUT", "DELETE", route.method):
            answer = await service.request(method, path, data=b"{}" if method in ("POST", "PUT") else None)
            assert answer.status == 404, (method, path)


@pytest.mark.parametrize("route", CONTROL, ids=[f"{route.method} {route.path}" for route in CONTROL])
def test_a_wrong_method_is_told_which_are_right(double: DeployServer, route: Any) -> None:
    path = route.path.removeprefix("/__double__").replace("{id}", "1").replace("{name}", "x")
    heard = tell(double, "PATCH", path, "{}")
    assert heard.status == 405
    allowed = {method.strip() for method in heard.headers["allow"].split(",")}
    same = {other.method for other in CONTROL if other.path == route.path}
    assert allowed == same | ({"HEAD"} if "GET" in same else set())
    assert "PATCH is not allowed here" in heard.text


# Wrong documents


@pytest.mark.parametrize(
    ("method", "path", "document", "places"),
    [
        ("PUT", "/state", {"feeds": ["a", {"name": "b", "type": "nougat"}]}, ["feeds[1].type"]),
        ("PUT", "/state", {"feeds": ["a"], "keys": [{"feeds": ["b"]}]}, ["keys[0].feeds[0]"]),
        ("PUT", "/state", {"feed": []}, ["feed"]),
        ("PUT", "/state", "[]", ["body"]),
        ("POST", "/state", {"deployments": [RECORD, RECORD | {"Version": ""}]}, ["deployments[1].Version"]),
        ("POST", "/faults", {"do": "explode"}, ["do"]),
        ("POST", "/faults", [], ["body"]),
        ("PUT", "/faults", [{"do": "reset"}, {"do": "answer"}], ["[1].status"]),
        ("PUT", "/faults", {}, ["body"]),
        ("PUT", "/clock", {"now": "yesterday"}, ["now"]),
        ("PUT", "/clock", {"now": 5}, ["now"]),
        ("PUT", "/clock", {"advance": -1, "frozen": "yes"}, ["advance", "frozen"]),
        ("PUT", "/clock", {"advance": True}, ["advance"]),
        ("PUT", "/clock", '{"advance": 1e999}', ["advance"]),
        ("PUT", "/clock", '{"advance": NaN}', ["advance"]),
        ("PUT", "/clock", {"now": "0001-01-01"}, ["now"]),
        ("PUT", "/clock", {"now": "1969-12-31T23:59:59Z", "advance": 1}, ["now"]),
        ("PUT", "/clock", {"tomorrow": 1}, ["tomorrow"]),
        ("PUT", "/clock", {}, ["body"]),
        ("POST", "/verify", {}, ["body"]),
        ("POST", "/verify", {"deployed": []}, ["deployed"]),
        ("POST", "/verify", {"deployed": {"packages": "x"}}, ["deployed.packages"]),
        ("POST", "/verify", {"deplyed": {}}, ["body"]),
        ("GET", "/requests?status=ok", None, ["status"]),
        ("GET", "/requests?state=200", None, ["state"]),
        *(
            (method, path, text, ["body"])
            for method, path in (("PUT", "/state"), ("POST", "/state"), ("POST", "/faults"), ("POST", "/verify"))
            for text in ("", "{", "no", "[" * 100_000, '{"a": \x00}')
        ),
    ],
)
def test_a_wrong_document_is_refused_and_its_place_is_named(
    double: DeployServer, method: str, path: str, document: Any, places: list[str]
) -> None:
    before = double.state, double.clock.now.year, len(double.faults)
    heard = tell(double, method, path, document, Accept="application/json")
    assert list(errors(heard)) == places
    assert all(messages and messages[0] for messages in errors(heard).values())
    assert (double.state, double.clock.now.year, len(double.faults)) == before


@pytest.mark.parametrize("now", ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_everything_works_at_the_ends_of_time(double: DeployServer, now: str) -> None:
    assert tell(double, "PUT", "/clock", {"now": now, "frozen": True}).json["now"] == now
    assert record("requests", double.url).json["Date"] == now
    pages = (
        "/",
        "/deployments",
        "/matrix",
        f"/target?target={RECORD['Target']}",
        f"/package?feed={FEED}&package=Newtonsoft.Json",
    )
    for path in (*pages, "/api/deployments", "/api/deployments/current", "/api/deployments/frequency", "/sign-in"):
        assert ask("requests", double.url + path, headers={"X-ApiKey": KEY}).status == 200, path


def test_who_is_lost_in_it_is_shown_the_way(double: DeployServer) -> None:
    at = f"{double.url}/ns/a"
    described = "All that there is below /__double__ is described at /ns/a/api/docs\n"
    assert requests.get(f"{at}/__double__/request", timeout=30).text == (
        f"There is nothing at /ns/a/__double__/request. {described}"
    )
    assert requests.get(f"{at}/__double__/verify", timeout=30).text == (
        f"GET is not allowed here. Allowed are POST. {described}"
    )
    assert "Deployments are recorded with POST" in requests.get(f"{at}/nothing", timeout=30).text


def test_what_is_not_there_cannot_be_removed(double: DeployServer) -> None:
    assert tell(double, "DELETE", "/faults/99").status == 404
    assert tell(double, "DELETE", "/faults/9999999999999999999").status == 404
    assert tell(double, "DELETE", "/faults/x").status == 404
    assert tell(double, "DELETE", "/namespaces/never").status == 404


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/x-www-form-urlencoded"])
def test_a_document_is_read_whatever_it_says_it_is(double: DeployServer, encoding: str, content_type: str) -> None:
    body = json.dumps({"users": ["Zoë Zürich"]}, ensure_ascii=False).encode(encoding)
    answer = requests.put(
        f"{double.url}/__double__/state", data=body, headers={"Content-Type": content_type}, timeout=30
    )
    assert answer.status_code == 200
    assert double.state["users"][0]["name"] == "Zoë Zürich"


def test_numbers_are_taken_as_they_are_written(double: DeployServer) -> None:
    text = json.dumps({"feeds": ["f"], "deployments": [RECORD | {"FeedName": "f", "Version": 0}]})
    assert tell(double, "PUT", "/state", text.replace('"Version": 0', '"Version": 1.10')).status == 200
    assert double.deployments[0].version == "1.10"


# Adding to what there is


def test_what_is_added_goes_on_from_what_there_is(double: DeployServer) -> None:
    record("requests", double.url)
    made = double.add_key(feed=FEED)
    more = {
        "feeds": ["npm"],
        "users": ["anna"],
        "keys": ["another", {"key": "third", "feeds": [FEED, "npm"]}, {"user": "anna"}],
        "privileges": [{"principal": "anna", "privilege": "Feeds_ViewFeed", "feed": FEED}],
        "deployments": [RECORD, RECORD | {"Id": 10, "FeedName": "npm"}, RECORD],
    }
    before = double.state
    double.load(more)
    state = double.state
    assert state["keys"][:2] == before["keys"]
    assert [key["id"] for key in state["keys"]] == [1, 2, 3, 4, 5]
    assert [one["Id"] for one in state["deployments"]] == [1, 2, 10, 11]
    assert state["deployments"][0] == before["deployments"][0]
    for key in (KEY, made, "another", "third"):
        assert record("requests", double.url, key=key).status == 200
    assert record("requests", double.url).json["Id"] == 16
    double.load({"deployments": [RECORD]})
    assert double.deployments[-1].id == 17


@pytest.mark.parametrize(
    ("document", "place", "message"),
    [
        ({"feeds": ["npm", FEED.upper()]}, "feeds[1].name", "DEFAULTNUGET is a name of one of the feeds there are"),
        ({"feeds": [{"name": "x", "alternateNames": [FEED]}]}, "feeds[0].alternateNames[0]", "one of the feeds"),
        ({"feeds": ["x", "X"]}, "feeds[1].name", "X is a name of feeds[0] already."),
        ({"users": ["Anna"]}, "users[0].name", "is that of one of the users there are already."),
        ({"keys": ["new", KEY]}, "keys[1].key", "is that of one of the keys there are already."),
        ({"keys": [{"id": 1}]}, "keys[0].id", "is that of one of the keys there are already."),
        ({"keys": [{"feeds": ["npm"]}]}, "keys[0].feeds[0]", "npm"),
        ({"deployments": [RECORD, RECORD | {"Id": 2}]}, "deployments[1].Id", "must be greater than 2"),
        ({"deployments": [RECORD | {"FeedName": "npm"}]}, "deployments[0].FeedName", "npm"),
        (
            {"privileges": [{"principal": "anna", "privilege": "Feeds_ViewFeed"}]},
            "privileges[0]",
            "says the same as one of the privileges there are.",
        ),
    ],
)
def test_what_does_not_fit_to_what_there_is_is_named_by_its_own_place(
    double: DeployServer, document: Any, place: str, message: str
) -> None:
    double.load({"users": ["anna"], "privileges": [{"principal": "anna", "privilege": "Feeds_ViewFeed"}]})
    record("requests", double.url)
    before = double.state
    said = errors(tell(double, "POST", "/state", document, Accept="application/json"))
    assert list(said) == [place]
    assert message in said[place][0]
    assert double.state == before


def test_feeds_that_are_open_to_all_stay_what_they_are_when_more_is_added(double: DeployServer) -> None:
    double.load({"feeds": [{"name": "open", "anonymous": True}]})
    double.load({"feeds": [{"name": "open-too", "anonymous": True}]})
    assert [feed["anonymous"] for feed in double.state["feeds"]] == [False, True, True]
    assert double.state["privileges"] == []


def test_nobody_loses_a_record_to_a_state_that_is_added(double: DeployServer) -> None:
    """What is recorded while states are added, right and wrong ones in turn, is there afterwards, once."""
    with ThreadPoolExecutor(8) as pool:
        posts = [pool.submit(record, "requests", double.url, Target=f"p{number}") for number in range(200)]
        for number in range(20):
            double.load({"feeds": [f"f{number}"], "deployments": [RECORD | {"Target": f"s{number}"}] * 5})
            assert tell(double, "POST", "/state", {"feeds": [FEED]}).status == 400
        ids = {post.result().json["Id"]: number for number, post in enumerate(posts)}
    stored = {one.id: one.target for one in double.deployments}
    assert len(stored) == 300
    assert {id_: stored[id_] for id_ in ids} == {id_: f"p{number}" for id_, number in ids.items()}


def test_a_state_is_replaced_all_at_once(double: DeployServer) -> None:
    """Whoever records meanwhile finds the old world or the new one, and never one without feeds or keys."""
    with ThreadPoolExecutor(4) as pool:
        posts = [pool.submit(record, "requests", double.url) for _ in range(150)]
        for _ in range(15):
            assert tell(double, "PUT", "/state", STATE | {"deployments": [RECORD] * 20}).status == 200
            assert tell(double, "POST", "/reset").status == 204
        assert {post.result().status for post in posts} == {200}


def test_resets_at_the_same_time_do_not_get_in_each_others_way(double: DeployServer) -> None:
    def one(number: int) -> int:
        method, path = [("POST", "/reset"), ("GET", "/state"), ("PUT", "/state"), ("POST", "/verify")][number % 4]
        document = {"PUT": STATE, "POST": {"notDeployed": {}} if path == "/verify" else None}.get(method)
        return tell(double, method, path, document).status

    started = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(one, range(80))) == {200, 204}
    assert time.monotonic() - started < 20
    assert record("requests", double.url).status == 200


def test_a_reset_ends_what_hangs_and_counts_anew(double: DeployServer) -> None:
    double.add_fault("hang")
    with ThreadPoolExecutor(3) as pool:
        hanging = [pool.submit(record, "requests", double.url) for _ in range(3)]
        while len(double.requests) < 3:
            time.sleep(0.01)
        started = time.monotonic()
        assert tell(double, "POST", "/reset").status == 204
        assert time.monotonic() - started < 1
        assert {one.result().failure for one in hanging} == {"ConnectionError"}
    assert double.requests == []
    assert record("requests", double.url).json["Id"] == 1
    assert double.requests[0].number == 1


# Much at once


def test_a_large_state_is_loaded_and_read(double: DeployServer) -> None:
    rows = [RECORD | {"Target": f"t{number % 500}", "Version": f"1.{number}"} for number in range(20_000)]
    body = json.dumps(STATE | {"deployments": rows})
    assert len(body) > 3_000_000
    started = time.monotonic()
    answer = requests.put(f"{double.url}/__double__/state", data=body, timeout=120)
    assert answer.status_code == 200
    assert len(answer.json()["deployments"]) == 20_000
    loaded = time.monotonic()
    for number in range(5):
        double.load({"feeds": [f"feed-{number}"], "deployments": [RECORD]})
    assert time.monotonic() - loaded < loaded - started, "what is added is not checked against all there is"
    assert record("requests", double.url).json["Id"] == 20_006


async def test_the_double_answers_others_while_a_state_is_loaded(double: DeployServer) -> None:
    body = json.dumps(STATE | {"deployments": [RECORD] * 20_000})
    put = asyncio.create_task(asyncio.to_thread(tell, double, "PUT", "/state", body))
    longest = 0.0
    while not put.done():
        started = time.monotonic()
        assert (await asyncio.to_thread(ask, "requests", f"{double.url}/health/live")).status == 200
        longest = max(longest, time.monotonic() - started)
    assert (await put).status == 200
    assert longest < 10


def test_a_document_may_be_larger_than_a_deployment(double: DeployServer) -> None:
    large = RECORD | {"Description": "x" * 16_000}
    assert tell(double, "POST", "/state", {"deployments": [large] * 100}).status == 200
    assert len(double.deployments) == 100
    assert record("requests", double.url, Description="x" * 2_000_000).status == 413
