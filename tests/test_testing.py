"""A server for tests, in the same process, with no pytest about it."""

from __future__ import annotations

import _thread
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from conftest import FEED, KEY, PATH, RECORD
from ports import free_port

import deployserver
from deployserver.double.faults.options import FaultOptions
from deployserver.double.faults.schema import FAULT_FIELDS
from deployserver.double.recordings.recording import load_recording
from deployserver.errors import ConfigurationError, Conflict, InvalidRequest, InvalidValue, NotFound
from deployserver.testing import DeployServer, WorldHandle

STATE = {"feeds": [FEED], "keys": [{"key": KEY, "feeds": [FEED], "name": "ci"}]}
ROOT = Path(deployserver.__file__).parents[1]


def post(url: str, key: str | None = KEY, **changes: str) -> int:
    """Record a deployment and return its id. Raises HTTPError."""
    body = urllib.parse.urlencode(RECORD | changes).encode()
    request = urllib.request.Request(url + PATH, body, {"X-ApiKey": key} if key else {})
    with urllib.request.urlopen(request, timeout=30) as answer:
        id_: int = json.load(answer)["Id"]
        return id_


def refused(url: str, key: str | None = KEY, **changes: str) -> int:
    """Return the status with which a deployment is refused."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        post(url, key, **changes)
    with caught.value:
        return caught.value.code


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "deployserver double"]


def assert_quiet(tmp_path: Path, script: str, *options: str) -> None:
    """Run a script in a process of its own, where warnings are errors, and find that it has said nothing."""
    run = subprocess.run(
        [sys.executable, *options, "-W", "error", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


@pytest.fixture
def server() -> Iterator[DeployServer]:
    with DeployServer(state=STATE) as server:
        yield server
    assert threads() == []


# Running


def test_it_runs_in_a_with_block() -> None:
    with DeployServer() as server:
        server.add_feed(FEED)
        key = server.add_key(feed=FEED)
        assert post(server.url, key) == 1
        server.assert_deployed(package="Newtonsoft.Json", version="12.0.3", target="localhost")
        url = server.url
        assert repr(server) == f"<DeployServer {url}>"
    with pytest.raises(urllib.error.URLError):
        post(url)
    assert repr(server) == "<DeployServer that is not running>"
    assert threads() == []


async def test_it_runs_in_an_async_with_block_beside_a_client_on_the_same_loop() -> None:
    longest = last = 0.0

    async def watch() -> None:
        nonlocal longest, last
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()

    watching = asyncio.create_task(watch())
    async with DeployServer(state=STATE) as server, aiohttp.ClientSession() as session:
        for _ in range(5):
            async with session.post(server.url + PATH, data=RECORD, headers={"X-ApiKey": KEY}) as answer:
                assert answer.status == 200
        server.assert_deployed(times=5)
    watching.cancel()
    assert longest < 1


async def test_what_a_test_waits_for_may_come_from_its_own_event_loop(server: DeployServer) -> None:
    async def report() -> None:
        await asyncio.sleep(0.1)
        async with aiohttp.ClientSession() as session:
            await session.post(server.url + PATH, data=RECORD, headers={"X-ApiKey": KEY})

    with pytest.raises(
        RuntimeError, match=r"await asyncio\.to_thread\(proget\.assert_deployed, \.\.\., within=\.\.\.\)"
    ):
        server.assert_deployed(within=5)
    async with asyncio.TaskGroup() as group:
        group.create_task(report())
        await asyncio.to_thread(server.assert_deployed, package="Newtonsoft.Json", within=10)


@pytest.mark.parametrize(
    "use",
    [
        lambda server: server.url,
        lambda server: server.state,
        lambda server: server.deployments,
        lambda server: server.requests,
        lambda server: server.faults,
        lambda server: server.clock,
        lambda server: server.reset(),
        lambda server: server.add_feed("x"),
        lambda server: server.add_key(),
        lambda server: server.revoke_key("x"),
        lambda server: server.load({}),
        lambda server: server.add_fault("reset"),
        lambda server: server.clear_faults(),
        lambda server: server.clear_requests(),
        lambda server: server.namespace("x"),
        lambda server: server.assert_deployed(),
        lambda server: server.assert_not_deployed(),
        lambda server: server.assert_requested(),
    ],
)
def test_one_that_does_not_run_says_so(use: Any) -> None:
    server = DeployServer()
    message = r"the server is not running: use it in a with block, or call start\(\)"
    with pytest.raises(RuntimeError, match=message):
        use(server)
    with server:
        pass
    with pytest.raises(RuntimeError, match=message):
        use(server)


def test_stopped_and_started_again_it_is_at_the_same_address_and_at_its_beginning() -> None:
    server = DeployServer(state=STATE, faults=[{"do": "reset", "path": "/nothing"}]).start()
    try:
        url, other = server.url, server.namespace("other")
        post(url)
        server.clear_faults()
        server.stop()
        server.stop()
        with pytest.raises(urllib.error.URLError):
            post(url)
        server.start()
        assert server.url == url
        assert (server.deployments, server.requests, len(server.faults)) == ([], [], 1)
        assert post(url) == 1
        with pytest.raises(RuntimeError, match="has ended"):
            _ = other.requests
        with pytest.raises(RuntimeError, match="running already"):
            server.start()
    finally:
        server.stop()
    assert threads() == []


def test_an_address_that_is_taken_is_an_error_and_can_be_tried_again() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        server = DeployServer(port=port)
        with pytest.raises(ConfigurationError, match=f"Cannot listen on 127.0.0.1 port {port}"):
            server.start()
        assert threads() == []
    with server:
        assert server.url == f"http://127.0.0.1:{port}"
    with pytest.raises(ConfigurationError, match="70000"):
        DeployServer(port=70000)


def test_a_beginning_that_is_wrong_is_an_error() -> None:
    with pytest.raises(InvalidRequest, match=r"keys\[0\]"):
        DeployServer(state={"keys": [{"feeds": ["nowhere"]}]}).start()
    with pytest.raises(InvalidRequest, match="do: must be one of"):
        DeployServer(faults=[{"do": "explode"}])
    assert threads() == []


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Ctrl-C counts, also where whoever runs the tests, such as a shell in the background, has switched it off."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_interrupted_while_it_starts_it_leaves_nothing_behind() -> None:
    deployment = dict.fromkeys(RECORD, "x") | {"FeedName": FEED}
    server = DeployServer(state={"feeds": [FEED], "deployments": [deployment] * 30_000})
    timer = threading.Timer(0.05, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        server.start()
    timer.join()
    assert threads() == []
    with pytest.raises(RuntimeError, match="not running"):
        _ = server.url


def test_two_at_once_know_nothing_of_each_other(server: DeployServer) -> None:
    with DeployServer(state=STATE) as other:
        assert other.url != server.url
        post(other.url)
        other.clock.freeze("2021-04-13")
        assert len(other.requests) == 1
        assert server.requests == server.deployments == []
        assert not server.clock.frozen


def test_many_threads_may_use_it_at_once(server: DeployServer) -> None:
    def work(number: int) -> None:
        server.add_feed(f"feed{number}")
        key = server.add_key(feed=f"feed{number}")
        post(server.url, key, FeedName=f"feed{number}", Target=f"web{number}")
        server.assert_deployed(feed=f"feed{number}", target=f"web{number}", times=1)
        post(server.namespace(f"n{number % 4}").url)
        server.revoke_key(key)
        assert refused(server.url, key, FeedName=f"feed{number}") == 403
        assert server.state["feeds"]

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(36)))
    assert len(server.deployments) == 36
    assert len(server.requests) == 72
    assert sum(len(server.namespace(f"n{number}").deployments) for number in range(4)) == 36


def test_threads_may_stop_it_while_others_use_it() -> None:
    server = DeployServer(state=STATE).start()
    ended = []

    def use() -> None:
        try:
            while True:
                server.assert_not_deployed()
        except RuntimeError as error:
            ended.append(str(error))

    users = [threading.Thread(target=use) for _ in range(6)]
    for user in users:
        user.start()
    time.sleep(0.05)
    with ThreadPoolExecutor(3) as pool:
        for stopping in [pool.submit(server.stop) for _ in range(3)]:
            stopping.result()
    for user in users:
        user.join(30)
    assert len(ended) == 6
    assert all(re.search(r"is not running|was stopped meanwhile|has ended", message) for message in ended)


def test_without_pytest_and_with_all_warnings_it_says_nothing(tmp_path: Path) -> None:
    script = f"""
import asyncio, logging, sys, urllib.request
from deployserver.testing import DeployServer

logging.getLogger("asyncio").setLevel(logging.ERROR)  # that a step took long says something of the machine

with DeployServer(state={STATE!r}) as server:
    urllib.request.urlopen(server.url + "/health/live").close()
    server.namespace("other").add_feed("x")
    server.reset()

async def main():
    async with DeployServer() as server:
        server.add_fault("hang")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(b"GET / HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
        await asyncio.to_thread(server.assert_requested, within=10)
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()

asyncio.run(main())
DeployServer().start()  # and never stopped
assert "pytest" not in sys.modules
"""
    assert_quiet(tmp_path, script, "-X", "dev")


def test_a_client_that_never_reads_leaves_nothing_behind(tmp_path: Path) -> None:
    script = f"""
import gc, socket
from urllib.parse import urlsplit
from deployserver.testing import DeployServer

record = {RECORD | {"Description": "x" * 1000}!r}
feeds = [{{"name": {FEED!r}, "anonymous": True}}]
with DeployServer(state={{"feeds": feeds, "deployments": [record] * 1000}}) as server:
    address = urlsplit(server.url)
    client = socket.create_connection((address.hostname, address.port))
    for _ in range(20):  # more than the buffers of the system hold
        client.sendall(b"GET /api/deployments?limit=1000 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    server.assert_requested(path="/api/deployments", status=200, within=10)
client.close()
gc.collect()
"""
    assert_quiet(tmp_path, script)


# Namespaces


def test_a_namespace_is_a_world_of_its_own_with_the_same_beginning(server: DeployServer) -> None:
    server.add_feed("More")
    other = server.namespace("other")
    assert isinstance(other, WorldHandle) and not hasattr(other, "stop")
    assert other.url == f"{server.url}/ns/other"
    assert repr(other) == f"<WorldHandle {other.url}>"
    assert [feed["name"] for feed in other.state["feeds"]] == [FEED]
    post(other.url)
    other.assert_deployed(times=1)
    server.assert_not_deployed()
    other.add_fault("answer", status=503)
    post(server.url)
    assert refused(server.namespace("other").url) == 503
    server.reset()
    assert len(other.deployments) == 1


@pytest.mark.parametrize("name", ["", "a/b", "a b", "ä", "x" * 101])
def test_a_namespace_that_no_url_could_name_is_an_error(server: DeployServer, name: str) -> None:
    with pytest.raises(InvalidValue, match="A namespace is named with up to 100 letters"):
        server.namespace(name)


# Seeding


def test_the_state_is_a_document_that_can_be_loaded(server: DeployServer, tmp_path: Path) -> None:
    server.add_user("alice", "secret")
    server.add_key(user="alice", value="personal1")
    server.grant("Feeds_DownloadPackage", to="alice", feed=FEED)
    post(server.url, "personal1", Version="1.10")
    document = server.state
    file = tmp_path / "state.json"
    file.write_text(json.dumps(document), "utf-8")
    for given in (document, file, str(file)):
        with DeployServer(state=given) as other:
            assert other.state == document
            assert post(other.url, "personal1") == 2
            other.assert_deployed(user="alice", version="1.10", times=1)
            other.reset()
            assert other.state == document
        with DeployServer() as other:
            other.load(given)
            assert other.state == document
            other.reset()
            assert other.state["feeds"] == []


def test_a_document_adds_to_what_there_is(server: DeployServer) -> None:
    key = server.add_key(feed=FEED)
    post(server.url, key)
    server.load({"feeds": ["npm"], "keys": [{"key": "another1", "feeds": [FEED, "npm"]}], "deployments": [RECORD]})
    post(server.url, key)
    post(server.url, "another1", FeedName="npm")
    server.revoke_key("another1")
    assert refused(server.url, "another1") == 403
    assert [(one.id, one.feed) for one in server.deployments] == [(1, FEED), (2, FEED), (3, FEED), (4, "npm")]


def test_numbers_in_a_file_are_the_texts_that_they_are_written_as(tmp_path: Path) -> None:
    record = json.dumps(RECORD | {"Version": "VERSION"}).replace('"VERSION"', "1.10")
    (tmp_path / "state.json").write_text(f'{{"feeds": ["{FEED}"], "deployments": [{record}]}}')
    with DeployServer(state=tmp_path / "state.json") as server:
        server.assert_deployed(version="1.10")


def test_a_file_may_be_in_utf_16_as_windows_powershell_writes_it(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text('{"feeds": ["a"]}', "utf-16")
    with DeployServer(state=tmp_path / "state.json") as server:
        assert [feed["name"] for feed in server.state["feeds"]] == ["a"]


def test_a_document_that_is_wrong_changes_nothing(server: DeployServer, tmp_path: Path) -> None:
    before = server.state
    with pytest.raises(InvalidRequest, match=r"keys\[0\]"):
        server.load({"feeds": ["New"], "keys": [{"feeds": ["Nowhere"]}]})
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(InvalidRequest, match="not valid JSON"):
        server.load(tmp_path / "state.json")
    with pytest.raises(FileNotFoundError):
        server.load(tmp_path / "nowhere.json")
    assert server.state == before
    post(server.url)


def test_kinds_of_keys(server: DeployServer) -> None:
    server.add_feed("npm")
    server.add_user("alice")
    system, both = server.add_key(name="everything"), server.add_key(feed=[FEED, "npm"])
    personal, api = server.add_key(user="alice"), server.add_key(kind="system", scopes=["sca"])
    assert re.fullmatch("[0-9a-f]{40}", system)
    post(server.url, system, FeedName="npm")
    server.assert_deployed(feed="npm", user="everything")
    post(server.url, both, FeedName="npm")
    assert refused(server.url, KEY, FeedName="npm") == 403
    assert refused(server.url, api) == 403
    assert refused(server.url, personal) == 403
    server.grant("Feeds_DownloadPackage", to="alice")
    post(server.url, personal)
    server.assert_deployed(user="alice", recorded_by=re.compile("alice"), times=1)
    server.deny("Feeds_DownloadPackage", to="alice", feed=FEED)
    assert refused(server.url, personal) == 403
    post(server.url, personal, FeedName="npm")
    server.revoke_key(both)
    assert refused(server.url, both) == 403
    with pytest.raises(Conflict):
        server.revoke_key(both)
    with pytest.raises(NotFound, match="no such API key"):
        server.revoke_key("nothing")
    with pytest.raises(Conflict):
        server.add_key(value=KEY)
    with pytest.raises(Conflict):
        server.add_feed(FEED)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda server: server.add_feed(None), "name must be a text, not None"),
        (lambda server: server.add_key(feed=5), "feed must be a text, or a list of texts, not 5"),
        (lambda server: server.add_key(feed=FEED, scopes="fly"), "'fly' is not for a feed key. Known are view"),
        (lambda server: server.add_key(kind="root"), "'root' is no kind of an API key. Known are system, feed"),
        (lambda server: server.add_key(value=5), "value must be a text, not 5"),
        (lambda server: server.add_key(expires=timedelta(1)), "is no time; give a datetime"),
        (lambda server: server.add_user("anna", password=5), "password must be a text, not 5"),
        (lambda server: server.grant("Feeds_ViewFeed", to=None), "to must be a text, not None"),
        (lambda server: server.remove_fault(1), "as add_fault has returned it, not 1"),
        (lambda server: server.namespace(None), "A namespace is named with .*, and not None"),
        (lambda server: server.clock.set(5), "5 is no time; give a datetime"),
        (lambda server: server.clock.advance("1h"), "0 or more, not '1h'"),
        (lambda server: server.clock.advance(-1), "0 or more, not -1; set moves it back"),
        (lambda server: server.clock.advance(float("inf")), "0 or more, not inf"),
    ],
)
def test_an_argument_that_is_wrong_is_named_with_what_would_be_right(
    server: DeployServer, use: Any, message: str
) -> None:
    with pytest.raises(InvalidValue, match=message):
        use(server)


def test_a_day_is_the_time_at_which_it_begins(server: DeployServer) -> None:
    server.clock.freeze(date(2031, 1, 1))
    assert server.clock.now == datetime(2031, 1, 1, tzinfo=UTC)
    key = server.add_key(feed=FEED, scopes="view", expires=date(2031, 1, 2))
    assert post(server.url, key) == 1
    server.clock.advance(86400)
    assert refused(server.url, key) == 403


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ({"port": "x"}, "port is 'x'; it must be a whole number"),
        ({"port": 65536}, "port is 65536; it must be a whole number"),
        ({"host": None}, "host must be the text of an address, such as 127.0.0.1, not None"),
        ({"host": ""}, "host must not be empty"),
    ],
)
def test_what_is_no_address_is_named_as_it_was_given(address: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{message}"):
        DeployServer(**address)


def test_an_address_of_another_machine_is_not_said_to_be_taken() -> None:
    with pytest.raises(ConfigurationError, match="Choose another: the host") as caught:
        DeployServer(host="192.0.2.1").start()
    assert "another server" not in str(caught.value) and "[server]" not in str(caught.value)


def test_a_feed_may_be_open_and_a_user_may_use_a_password(server: DeployServer) -> None:
    server.add_feed("open", anonymous=True)
    post(server.url, None, FeedName="open")
    assert refused(server.url, None) == 403
    server.add_user("alice", "secret")
    server.grant("Feeds_DownloadPackage")
    post(server.url, "alice:secret")
    server.assert_deployed(user="alice")


# Asking


def test_deployments_are_what_is_stored(server: DeployServer) -> None:
    server.clock.freeze("2021-04-13T10:00:00Z")
    post(server.url, GroupName="group", Url="https://ci/1", Date="2020-01-01")
    post(server.url, UserName="me")
    first, second = server.deployments
    assert (first.id, first.feed, first.group, first.package, first.version) == (1, FEED, "group", *_package())
    assert (first.target, first.application, first.user, first.url) == ("localhost", "ProfitCalc", "ci", "https://ci/1")
    assert first.date == datetime(2020, 1, 1, tzinfo=UTC)
    assert first.recorded_at == second.date == datetime(2021, 4, 13, 10, tzinfo=UTC)
    assert (second.user, second.group, second.url) == ("me", None, None)
    assert "ci" in second.recorded_by


def _package() -> tuple[str, str]:
    return RECORD["PackageName"], RECORD["Version"]


def test_requests_are_what_was_sent_byte_for_byte(server: DeployServer) -> None:
    head = f"POST /api/package-deployment/?x=1 HTTP/1.1\r\nhost: There\r\nX-apikey: {KEY}\r\nContent-Length: %d\r\n\r\n"
    body = urllib.parse.urlencode(RECORD | {"Description": "Zürich"}, encoding="latin-1").encode()
    sent = (head % len(body)).encode() + body
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), 30) as connection:
        connection.sendall(sent)
        assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
    (request,) = server.requests
    assert (request.raw, request.body) == (sent, body)
    assert request.fields["Description"] == "Zürich"
    assert request.header("x-ApiKey") == KEY
    assert (request.answer and request.answer.status, request.deployment_id) == (200, 1)
    server.clear_requests()
    assert server.requests == []
    assert len(server.deployments) == 1


def test_a_request_that_was_refused_says_why(server: DeployServer) -> None:
    refused(server.url, "wrong")
    server.assert_requested(method="post", path=PATH, status=403, header={"X-ApiKey": "wrong", "X-Other": None})
    server.assert_requested(method="GET", times=0)
    with pytest.raises(AssertionError, match="No request was received with status 200"):
        server.assert_requested(status=200)
    with pytest.raises(AssertionError, match="refused with 403"):
        server.assert_deployed()


def test_criteria_are_texts_patterns_and_functions_of_the_test(server: DeployServer) -> None:
    post(server.url)
    me = threading.current_thread()
    server.assert_deployed(
        version=re.compile(r"^12\."),
        # It may ask the server itself, as it is called where the test runs.
        target=lambda target: threading.current_thread() is me and server.deployments[0].target == target,
        date=lambda date: datetime.now(UTC) - date < timedelta(minutes=1),
        times=1,
    )
    with pytest.raises(ZeroDivisionError):
        server.assert_deployed(version=lambda version: 1 / 0)
    with pytest.raises(InvalidValue, match="pakage is not known"):
        server.assert_deployed(pakage="x")  # type: ignore[call-arg]


def test_a_deployment_may_arrive_late(server: DeployServer) -> None:
    late = threading.Timer(0.3, post, (server.url,))
    late.start()
    with pytest.raises(AssertionError, match="No request has arrived"):
        server.assert_deployed(within=0.01)
    started = time.monotonic()
    server.assert_deployed(within=30)
    server.assert_requested(method="POST", within=30)
    assert time.monotonic() - started < 10
    late.join()
    started = time.monotonic()
    with pytest.raises(AssertionError, match="Expected 2 deployments"):
        server.assert_deployed(times=2, within=0.2)
    assert 0.2 <= time.monotonic() - started < 5


def test_nothing_may_have_been_deployed(server: DeployServer) -> None:
    server.assert_not_deployed()
    server.assert_deployed(times=0)
    post(server.url)
    server.assert_not_deployed(target="web02")
    with pytest.raises(AssertionError, match="No deployment was expected with target localhost, but 1 was recorded"):
        server.assert_not_deployed(target="localhost")


# Breaking


def test_faults_come_count_and_go(server: DeployServer) -> None:
    unavailable = server.add_fault("answer", status=503, first=2, name="restarting")
    lost = server.add_fault("reset", target="web*", when="stored")
    assert server.faults == [unavailable, lost]
    assert [refused(server.url), refused(server.url)] == [503, 503]
    assert (unavailable.hits, unavailable.matched) == (2, 2)
    with pytest.raises((ConnectionError, urllib.error.URLError)):
        post(server.url, Target="web01")
    server.assert_deployed(target="web01")
    server.assert_requested(status=503, times=2)
    assert lost.hits == 1
    server.remove_fault(lost)
    with pytest.raises(NotFound):
        server.remove_fault(lost)
    assert post(server.url, Target="web02") == 2
    server.add_fault("answer", status=500, text="out of order")
    server.clear_faults()
    assert server.faults == []
    post(server.url)
    with pytest.raises(InvalidRequest, match="status: is required with do: answer"):
        server.add_fault("answer")


def test_the_options_of_faults_are_those_of_the_document() -> None:
    assert {"do", *FaultOptions.__annotations__} == set(FAULT_FIELDS)


def test_the_clock_is_what_dates_default_to_and_keys_expire_by(server: DeployServer) -> None:
    clock = server.clock
    clock.freeze(datetime(2021, 4, 13, 10))  # noqa: DTZ001 - without a zone, UTC
    assert clock.frozen and clock.now == datetime(2021, 4, 13, 10, tzinfo=UTC)
    key = server.add_key(feed=FEED, expires="2021-04-13T11:00:00Z")
    post(server.url, key)
    clock.advance(timedelta(minutes=59))
    post(server.url, key)
    clock.advance(60)
    assert refused(server.url, key) == 403
    assert [one.date.isoformat() for one in server.deployments] == [
        "2021-04-13T10:00:00+00:00",
        "2021-04-13T10:59:00+00:00",
    ]
    assert server.deployments[1].recorded_at == server.deployments[1].date
    assert server.requests[2].received_at == clock.now.timestamp() * 1_000_000
    clock.set("2030-01-01T02:00:00+02:00")
    clock.unfreeze()
    assert timedelta() <= clock.now - datetime(2030, 1, 1, tzinfo=UTC) < timedelta(minutes=1)
    assert "2030-01-01T00:0" in repr(clock)
    with pytest.raises(InvalidValue, match="The expiry date has passed"):
        server.add_key(feed=FEED, expires=datetime(2029, 1, 1, tzinfo=UTC))
    with pytest.raises(InvalidValue, match="'soon' is not in an accepted form"):
        server.add_key(feed=FEED, expires="soon")
    clock.reset()
    assert abs(clock.now - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_reset_is_a_way_back_to_the_beginning() -> None:
    with DeployServer(state=STATE, faults=[{"do": "answer", "status": 503, "first": 1}]) as server:
        for _ in range(2):
            assert refused(server.url) == 503
            post(server.url)
            server.add_key(value="another1")
            server.clock.freeze("2021-04-13")
            server.clear_faults()
            server.reset()
            assert (server.deployments, server.requests, server.clock.frozen) == ([], [], False)
            assert [key["key"] for key in server.state["keys"]] == [KEY]


# Types


def test_what_users_write_passes_strict_type_checks_and_what_is_wrong_does_not(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text(
        """
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from deployserver.testing import ActiveFault, DeployServer, ReceivedRequest, RecordedDeployment, WorldHandle


@pytest.fixture(scope="module")
def server() -> Iterator[DeployServer]:
    with DeployServer(port=0, state={"feeds": ["x"]}, faults=[{"do": "reset"}]) as server:
        yield server


def test_it(proget: DeployServer) -> None:
    key: str = proget.add_key(feed=["x"], expires=datetime.now(UTC) + timedelta(days=1))
    fault: ActiveFault = proget.add_fault("answer", status=503, first=2, delay={"uniform": [0, 1]})
    proget.remove_fault(fault)
    proget.assert_deployed(package="x", version=re.compile("1"), target=lambda target: target == key, within=1.5)
    proget.assert_deployed(group=None, date=lambda date: date.year == 2021, times=2)
    proget.assert_requested(path="/x", status=lambda status: status >= 400, header={"X-ApiKey": None})
    requests: list[ReceivedRequest] = proget.requests
    deployments: list[RecordedDeployment] = proget.deployments
    other: WorldHandle = proget.namespace("x")
    proget.clock.advance(timedelta(hours=1))
    assert requests[0].raw and deployments[0].date.year and other.url


async def test_async() -> None:
    async with DeployServer() as server:
        server.reset()
"""
    )
    (tmp_path / "bad.py").write_text(
        """
from deployserver.testing import DeployServer


def test_it(proget: DeployServer) -> None:
    proget.assert_deployed(pakage="x")
    proget.add_fault("explode")
    proget.add_fault("answer", code=503)
    proget.add_key(feeds="x")
"""
    )
    # Where it is installed, mypy finds it by itself, and takes no other word for it.
    found = {} if ROOT.name == "site-packages" else {"MYPYPATH": str(ROOT)}
    mypy = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    checked = subprocess.run(
        [*mypy, "--follow-imports=silent", "good.py", "bad.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | found,
        check=False,
    )
    errors = [line for line in checked.stdout.splitlines() if ": error:" in line]
    assert [line.partition(":")[0] for line in errors] == ["bad.py"] * 4, checked.stdout + checked.stderr


def test_what_was_received_is_saved_to_be_replayed(tmp_path: Path) -> None:
    with DeployServer(state=STATE) as server:
        post(server.url)
        server.save_recording(tmp_path / "recording.json")
    text = (tmp_path / "recording.json").read_text("utf-8")
    assert KEY not in text
    (request,) = load_recording(text).requests
    assert request.answer is not None
    assert request.answer.status == 200
