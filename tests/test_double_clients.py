"""What real clients feel of every fault, what is stored all the same, and what the faults have counted."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from conftest import FEED, KEY, PATH, RECORD, Service
from doubles import CLIENTS, ask, curl, needs_curl, needs_node, node, record

from deployserver.testing import DeployServer

STAGES = ("unread", "read", "stored")

# What each client calls it: exceptions of Python, exit codes of curl, codes of Node's errors.
CLOSED = {
    "requests": ("ConnectionError",),
    "httpx": ("RemoteProtocolError",),
    "curl": ("52",),
    "fetch": ("UND_ERR_SOCKET",),
    "node:http": ("ECONNRESET",),
}
RESET = CLOSED | {"httpx": ("ReadError",), "curl": ("56",), "fetch": ("ECONNRESET",)}
# While the body is still on its way, it may be sending it that fails.
RESET_EARLY = {
    "requests": ("ConnectionError",),
    "httpx": ("ReadError", "WriteError", "RemoteProtocolError"),
    "curl": ("55", "56"),
    "fetch": ("ECONNRESET", "EPIPE", "UND_ERR_SOCKET"),
    "node:http": ("ECONNRESET", "EPIPE"),
}
TIMED_OUT = {
    "requests": ("ReadTimeout",),
    "httpx": ("ReadTimeout",),
    "curl": ("28",),
    "fetch": ("TimeoutError",),
    "node:http": ("timeout",),
}
CUT = CLOSED | {"requests": ("ChunkedEncodingError",), "curl": ("18",)}
GARBAGE = CLOSED | {"curl": ("1",), "fetch": ("HPE_INVALID_",), "node:http": ("HPE_INVALID_",)}

FAILURES = [
    ("reset", "unread", RESET_EARLY),
    *(("reset", when, RESET) for when in ("read", "stored")),
    *(("close", when, CLOSED) for when in STAGES),
    *(("hang", when, TIMED_OUT) for when in STAGES),
    *(("garbage", when, GARBAGE) for when in STAGES),
    ("cut", "stored", CUT),
]


@pytest.fixture(scope="module")
def server() -> Iterator[DeployServer]:
    with DeployServer(state={"feeds": [FEED], "keys": [KEY]}) as server:
        yield server


@pytest.fixture
def double(server: DeployServer) -> DeployServer:
    """A server that nobody has used."""
    server.reset()
    return server


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("do", "when", "names"), FAILURES, ids=[f"{do}-{when}" for do, when, _ in FAILURES])
def test_a_client_fails_and_the_deployment_is_there_only_if_it_was_stored_before(
    double: DeployServer, client: str, do: str, when: str, names: dict[str, tuple[str, ...]]
) -> None:
    fault = double.add_fault(do, when=when)
    heard = record(client, double.url, seconds=0.4 if do == "hang" else 30)
    assert heard.failure.startswith(names[client])
    assert not heard.status
    assert len(double.deployments) == (1 if when == "stored" else 0)
    assert (fault.matched, fault.hits) == (1, 1)
    (received,) = double.requests
    assert received.fault == str(fault)
    assert (received.answer is not None) == (when == "stored")


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("do", ["reset", "close", "garbage", "cut", "answer"])
def test_a_client_that_tries_again_after_its_answer_was_lost_records_twice(
    double: DeployServer, client: str, do: str
) -> None:
    double.add_fault(do, when="stored", first=1, **({"status": 503} if do == "answer" else {}))
    first, second = record(client, double.url), record(client, double.url)
    assert first.failure or first.status == 503
    assert second.status == 200
    assert [deployment.id for deployment in double.deployments] == [1, 2]
    double.assert_deployed(package="Newtonsoft.Json", times=2)
    with pytest.raises(AssertionError) as caught:
        double.assert_deployed(package="Newtonsoft.Json", times=1)
    message = str(caught.value)
    assert double.requests[0].fault is not None
    assert double.requests[0].fault in message, message


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("when", STAGES)
def test_a_delay_is_felt_and_changes_nothing(double: DeployServer, client: str, when: str) -> None:
    fault = double.add_fault("delay", delay=0.2, when=when)
    started = time.monotonic()
    assert record(client, double.url).status == 200
    assert time.monotonic() - started > 0.19
    assert (fault.hits, len(double.deployments)) == (1, 1)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_that_is_too_impatient_for_a_delay_gives_up_and_may_have_recorded(
    double: DeployServer, client: str
) -> None:
    double.add_fault("delay", delay=0.8, when="stored", first=1)
    assert record(client, double.url, seconds=0.3).failure.startswith(TIMED_OUT[client])
    double.assert_deployed(times=1, within=5)


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_in_small_parts_arrives_whole(double: DeployServer, client: str) -> None:
    double.add_fault("dribble", bytes=7, seconds=0.001)
    heard = record(client, double.url)
    assert (heard.status, heard.json["Id"]) == (200, 1)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_does_not_wait_for_an_answer_that_comes_too_slowly(double: DeployServer, client: str) -> None:
    double.add_fault("dribble", bytes=1, seconds=0.2)
    limit = 0.4
    if client in ("requests", "httpx", "node:http"):  # they count from the last byte, and never give up
        double.clear_faults()
        double.add_fault("dribble", bytes=1, seconds=5)
    assert record(client, double.url, seconds=limit).failure.startswith(TIMED_OUT[client])
    assert len(double.deployments) == 1


# Answers of the service's own

BODIES = {
    400: "Version is required.",
    403: "The API key may not record deployments here.",
    404: f"There is no feed named '{FEED}'.",
    429: "Too many wrong credentials came from this address.",
    500: "Something unexpected went wrong. The server's log has more under ",
    503: "The deployment could not be stored: the database is unavailable.",
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", BODIES)
def test_an_error_is_said_in_the_services_own_words(double: DeployServer, client: str, status: int) -> None:
    fault = double.add_fault("answer", status=status)
    heard = record(client, double.url)
    assert heard.status == status
    assert heard.headers["content-type"] == "text/plain; charset=utf-8"
    assert heard.headers["server"] == "deployserver"
    assert heard.headers["x-request-id"]
    assert heard.headers.get("retry-after") == {429: "300", 503: "5"}.get(status)
    assert heard.text.startswith(BODIES[status])
    assert "<" not in heard.text

    body, headers = json.dumps(RECORD), {"X-ApiKey": KEY, "Accept": "application/json"}
    asked = ask(client, double.url + PATH, method="POST", body=body, headers=headers)
    assert asked.status == status
    assert asked.headers["content-type"] == "application/problem+json; charset=utf-8"
    problem = asked.json
    assert (problem["type"], problem["status"]) == ("about:blank", status)
    assert problem["title"]
    assert problem["detail"].split()[:4] == heard.text.split()[:4]
    assert ("errors" in problem) == (status == 400)
    assert (fault.matched, fault.hits, double.deployments) == (2, 2, [])


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_an_error_of_a_fault_is_what_the_service_says_of_the_real_thing(
    service: Service, double: DeployServer, status: int
) -> None:
    wrong: dict[int, dict[str, Any]] = {
        400: {"json": {name: value for name, value in RECORD.items() if name != "Version"}},
        403: {"json": RECORD, "key": None},
        404: {"json": RECORD | {"FeedName": "other"}},
    }
    real = await service.post(**wrong[status])
    assert real.status == status
    double.add_fault("answer", status=status)
    feed = {"FeedName": "other"} if status == 404 else {}
    heard = record("requests", double.url, **feed)
    names = {"content-type", "server", "x-request-id", "content-length", "date"}
    assert {name.lower() for name in real.headers} == set(heard.headers) == names
    if status != 403:  # of which there are several
        assert heard.text == real.text


@pytest.mark.parametrize("client", CLIENTS)
def test_text_and_waiting_time_of_an_answer_can_be_chosen(double: DeployServer, client: str) -> None:
    double.add_fault("answer", status=503, retry_after=7, text="Zürich is down for maintenance.")
    heard = record(client, double.url)
    assert (heard.status, heard.text) == (503, "Zürich is down for maintenance.\n")
    assert heard.headers["retry-after"] == "7"


@pytest.mark.parametrize("status", [402, 408, 418, 451, 502, 504, 507, 599])
def test_any_status_of_an_error_can_be_answered(double: DeployServer, status: int) -> None:
    double.add_fault("answer", status=status)
    assert record("requests", double.url).status == status


# How often


def statuses(url: str, count: int) -> list[int]:
    with requests.Session() as session:
        return [
            session.post(url + PATH, json=RECORD, headers={"X-ApiKey": KEY}, timeout=30).status_code
            for _ in range(count)
        ]


@pytest.mark.parametrize(
    ("often", "expected"),
    [
        ({}, "xxxxxx"),
        ({"first": 2}, "xx...."),
        ({"every": 3}, "..x..x"),
        ({"skip": 2}, "..xxxx"),
        ({"skip": 1, "first": 2}, ".xx..."),
        ({"skip": 1, "every": 2}, "..x.x."),
        ({"probability": 0}, "......"),
        ({"probability": 1}, "xxxxxx"),
        ({"probability": 1, "skip": 4}, "....xx"),
    ],
)
def test_a_fault_comes_as_often_as_it_is_meant_to(double: DeployServer, often: dict[str, Any], expected: str) -> None:
    fault = double.add_fault("answer", status=503, **often)
    assert "".join("x" if status == 503 else "." for status in statuses(double.url, 6)) == expected
    assert (fault.matched, fault.hits) == (6, expected.count("x"))
    assert len(double.deployments) == expected.count(".")


def test_chance_that_begins_with_the_same_seed_is_the_same(double: DeployServer) -> None:
    runs = []
    for seed in (1, 1, 2):
        double.reset()
        fault = double.add_fault("answer", status=500, probability=0.5, seed=seed)
        runs.append(statuses(double.url, 40))
        assert fault.hits == runs[-1].count(500)
    assert runs[0] == runs[1] != runs[2]
    assert set(runs[0]) == {200, 500}


def test_a_seed_that_was_drawn_can_be_used_again(double: DeployServer) -> None:
    drawn = double.add_fault("answer", status=500, probability=0.5)
    first = statuses(double.url, 40)
    double.clear_faults()
    double.add_fault("answer", status=500, probability=0.5, seed=drawn.seed)
    assert statuses(double.url, 40) == first


def test_faults_in_a_row_are_a_script(double: DeployServer) -> None:
    double.add_fault("reset", first=1)
    double.add_fault("answer", status=503, retry_after=0, first=1)
    double.add_fault("answer", status=429, first=1)
    heard = [record("requests", double.url) for _ in range(4)]
    assert [one.failure or one.status for one in heard] == ["ConnectionError", 503, 429, 200]


@pytest.mark.parametrize(
    ("which", "hit"),
    [
        ({"target": "web-*"}, [True, False]),
        ({"target": "WEB-1"}, [True, False]),
        ({"package": "Newtonsoft.Json"}, [True, True]),
        ({"feed": "other"}, [False, False]),
        ({"key": "1"}, [True, True]),
        ({"key": "Anonymous"}, [False, False]),
        ({"method": "GET"}, [False, False]),
        ({"path": "/api/package-deployment"}, [True, True]),
        ({"path": "/api/*", "target": "db*"}, [False, True]),
    ],
)
def test_a_fault_is_for_the_requests_it_names(double: DeployServer, which: dict[str, str], hit: list[bool]) -> None:
    fault = double.add_fault("answer", status=500, **which)
    got = [record("requests", double.url, Target=target).status == 500 for target in ("web-1", "db-1")]
    assert got == hit
    assert fault.matched == sum(hit)


# Clients with something to them


def test_the_retries_of_requests_get_through(double: DeployServer) -> None:
    double.add_fault("answer", status=503, retry_after=0, first=2)
    retries = requests.adapters.Retry(total=5, status_forcelist=[503], allowed_methods=None)
    with requests.Session() as session:
        session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retries))
        answer = session.post(double.url + PATH, json=RECORD, headers={"X-ApiKey": KEY}, timeout=30)
    assert answer.status_code == 200
    assert [one.answer.status for one in double.requests if one.answer] == [503, 503, 200]
    double.assert_deployed(times=1)


@needs_curl
def test_the_retries_of_curl_get_through(double: DeployServer) -> None:
    double.add_fault("answer", status=503, retry_after=0, first=1)
    form = "&".join(f"{name}={value}" for name, value in RECORD.items())
    done = curl("--retry", "3", "--fail", "-d", form, "-H", f"X-ApiKey: {KEY}", double.url + PATH)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["Id"] == 1
    assert len(double.requests) == 2


@needs_node
def test_a_client_that_keeps_its_connections_goes_on_after_each_kind_of_fault(double: DeployServer) -> None:
    for do in ("reset", "close", "cut", "garbage"):
        double.add_fault(do, when="stored", first=1)
    double.add_fault("answer", status=500, first=1)
    double.add_fault("answer", status=500, when="unread", first=1)
    module = """
    const [url, key, body] = process.argv.slice(1);
    const headers = {"X-ApiKey": key, "Content-Type": "application/json"};
    const seen = [];
    for (let i = 0; i < 8; i++) {
      try { const answer = await fetch(url, {method: "POST", headers, body}); await answer.text();
            seen.push(answer.status); }
      catch { seen.push(0); }
    }
    console.log(JSON.stringify(seen));
    process.exit(0);
    """
    seen = node(module, double.url + PATH, KEY, json.dumps(RECORD))
    assert sorted(seen) == [0, 0, 0, 0, 200, 200, 500, 500]
    assert seen[-2:] == [200, 200]
    assert len(double.deployments) == 6


def test_readers_feel_faults_too(double: DeployServer) -> None:
    record("requests", double.url)
    double.add_fault("cut", path="/api/deployments*", bytes=5)
    headers = {"X-ApiKey": KEY}
    assert ask("requests", f"{double.url}/api/deployments", headers=headers).failure == "ChunkedEncodingError"
    assert ask("requests", f"{double.url}/health").status == 200


def test_a_hundred_clients_share_a_fault_that_hits_ten(double: DeployServer) -> None:
    fault = double.add_fault("reset", first=10)
    with ThreadPoolExecutor(20) as pool:
        heard = list(pool.map(lambda number: record("requests", double.url, Target=f"t{number}"), range(100)))
    assert sum(bool(one.failure) for one in heard) == fault.hits == 10
    assert fault.matched == 100
    assert len(double.deployments) == 90
