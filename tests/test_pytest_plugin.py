"""The fixture ``proget`` in test suites of others: each is run by a pytest of its own."""

from __future__ import annotations

import configparser
import re
import runpy
import socket
import sys
import time
from pathlib import Path

import pytest
from ports import free_port

import deployserver
from deployserver import pytest_plugin

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
PLUGIN = ("-p", "deployserver.pytest_plugin")

RELEASE = """
import json, threading, time, urllib.error, urllib.parse, urllib.request
import pytest

def run_release_script(url, api_key=None, target="web01", package="Newtonsoft.Json", feed="DefaultNuGet"):
    body = urllib.parse.urlencode({
        "FeedName": feed, "Application": "ProfitCalc", "Description": "Deployed by Custom Release Server",
        "Target": target, "PackageName": package, "Version": "12.0.3",
    })
    headers = {"X-ApiKey": api_key} if api_key else {}
    request = urllib.request.Request(url + "/api/package-deployment/", body.encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A test suite, with the plugins that a test names and no others."""
    for name in ("PYTEST_PROGET_HOST", "PYTEST_PROGET_PORT", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(deployserver.__file__).parents[1]))
    return Suite(pytester)


class Suite:
    """Files of tests, and a way to run them."""

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester

    def write(self, **files: str) -> Suite:
        self.pytester.makepyfile(**{name: RELEASE + text for name, text in files.items()})
        return self

    def run(self, *arguments: str, plugin: bool = True) -> pytest.RunResult:
        given = (*(PLUGIN if plugin else ()), "-p", "no:cacheprovider", "-W", "error", *arguments)
        return self.pytester.runpytest_subprocess(*given, timeout=120)


def text(result: pytest.RunResult) -> str:
    return "\n".join(result.outlines)


def test_it_needs_nothing_but_the_name_of_the_fixture(suite: Suite) -> None:
    suite.write(
        test_release="""
def test_the_release_script_reports_what_it_deployed(proget):
    proget.add_feed("DefaultNuGet")
    key = proget.add_key(feed="DefaultNuGet")
    run_release_script(url=proget.url, api_key=key)
    proget.assert_deployed(package="Newtonsoft.Json", version="12.0.3", target="web01")
"""
    )
    suite.run().assert_outcomes(passed=1)


# Failures


def test_a_failed_assertion_is_shown_where_the_test_made_it_with_what_came_nearest(suite: Suite) -> None:
    suite.write(
        test_it="""
@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_it(proget):
    run_release_script(proget.url)
    proget.assert_deployed(package="Newtonsoft.Json", version="12.0.4")

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_other(proget):
    run_release_script(proget.url)
    proget.assert_not_deployed(target="web01")

def test_request(proget):
    proget.assert_requested(method="GET", within=0.05)
"""
    )
    result = suite.run()
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(
        [
            ">       proget.assert_deployed(package=*",
            "E       AssertionError: No deployment was recorded with package Newtonsoft.Json, version 12.0.4.",
            "E       Nearest:",
            "E         request 1 was recorded as deployment 1:",
            "E           version: expected 12.0.4, got 12.0.3",
            "test_it.py:*: AssertionError",
            "*- Received by proget -*",
            "1. POST /api/package-deployment/: 200, deployment 1",
        ],
        consecutive=False,
    )
    result.stdout.fnmatch_lines(["E       AssertionError: No deployment was expected with target web01, but 1 was *"])
    result.stdout.fnmatch_lines(["E       AssertionError: No request was received with method GET.*"])
    assert "deployserver/" not in text(result).replace("deployserver\\", "deployserver/")
    assert text(result).count("AssertionError") == 2 * 3 + 3  # the message, its place, and the summary


def test_a_mistake_in_a_test_is_shown_where_it_was_made(suite: Suite) -> None:
    mistakes = {
        'add_key(feed="Nowhere")': "NotFound: There is no feed named Nowhere. Feeds: none yet.",
        'add_fault("answer")': "InvalidRequest: status: is required with do: answer; such as 500, 503 or 429.",
        'assert_deployed(packet="x")': "InvalidValue: packet is not known; use feed, group, package, version, *",
        'load({"feeds": [{}]})': "InvalidRequest: feeds[[]0].name: *",
        'clock.set("tomorrow")': "InvalidValue: 'tomorrow' is not in an accepted form; send an ISO 8601 date*",
        'revoke_key("x")': "NotFound: There is no such API key*",
        'namespace("a/b")': "InvalidValue: A namespace is named with*",
        "start()": "RuntimeError: the server is running already",
    }
    suite.write(
        test_it="".join(f"\ndef test_{number}(proget):\n    proget.{call}\n" for number, call in enumerate(mistakes))
    )
    result = suite.run()
    result.assert_outcomes(failed=len(mistakes))
    for call, message in mistakes.items():
        shown = call.replace("[", "[[]")
        result.stdout.fnmatch_lines([f">       proget.{shown}", f"E       *{message}"])
    places = [line for line in result.outlines if re.match(r"\S+\.py:\d+: ", line)]
    assert [place for place in places if not place.startswith("test_it.py:")] == []


def test_what_was_received_is_shown_beside_whatever_failed_and_beside_nothing_else(suite: Suite) -> None:
    suite.write(
        test_it="""
@pytest.fixture
def client(proget):
    yield proget
    raise ValueError("the client does not close")

@pytest.fixture
def broken(proget):
    urllib.request.urlopen(proget.url + "/health/live").close()
    raise ValueError("no such thing")

@pytest.mark.proget(feeds=["DefaultNuGet"])
def test_call(proget):
    run_release_script(proget.url, "wrong-key")

def test_setup(broken): pass

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_teardown(client):
    for number in range(12):
        run_release_script(client.url, target=f"web{number}")

def test_nothing(proget):
    assert proget.requests

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_passes(proget):
    run_release_script(proget.url)

def test_without():
    assert 0
"""
    )
    result = suite.run("-rA")
    result.assert_outcomes(passed=2, failed=3, errors=2)
    assert text(result).count("- Received by proget -") == 4
    result.stdout.fnmatch_lines(
        [
            "*ERROR at setup of test_setup*",
            "*- Received by proget -*",
            "1. GET /health/live: 200",
            "*ERROR at teardown of test_teardown*",
            "*- Received by proget -*",
            "... and 2 before",
            "3. POST /api/package-deployment/: 200, deployment 3",
            "12. POST /api/package-deployment/: 200, deployment 12",
            "*_ test_call _*",
            "1. POST /api/package-deployment/: 403 - The API key is not valid*",
            "*_ test_nothing _*",
            "*- Received by proget -*",
            "nothing",
            "*_ test_without _*",
        ]
    )


# A clean world for each test, at the same address


def test_each_test_has_a_clean_world_at_the_same_address_whatever_the_one_before_has_left(suite: Suite) -> None:
    suite.write(
        test_it="""
URLS = set()

@pytest.fixture(autouse=True)
def clean(proget):
    assert proget.state == {"feeds": [], "users": [], "keys": [], "privileges": [], "deployments": []}
    assert (proget.deployments, proget.requests, proget.faults) == ([], [], [])
    assert not proget.clock.frozen and abs(proget.clock.now.timestamp() - time.time()) < 60
    assert proget.namespace("other").state["feeds"] == []
    URLS.add(proget.url)

def litter(proget):
    proget.add_feed("DefaultNuGet", anonymous=True)
    proget.add_user("alice", "secret")
    proget.grant("Feeds_ViewFeed", to="alice")
    proget.add_key(value="abc12345")
    run_release_script(proget.url)
    proget.namespace("other").load(proget.state)
    proget.clock.freeze("2021-04-13")
    proget.add_fault("hang")

def test_passes(proget): litter(proget)

def test_fails(proget):
    litter(proget)
    assert 0

def test_resets(proget):
    litter(proget)
    proget.reset()
    assert proget.state["feeds"] == proget.faults == proget.requests == []

def test_stops_it(proget):
    litter(proget)
    proget.stop()
    with pytest.raises(urllib.error.URLError, match="refused|10061"):
        urllib.request.urlopen(next(iter(URLS)))

def test_stops_it_and_starts_it_again(proget):
    litter(proget)
    proget.stop()
    assert repr(proget) == "<DeployServer that is not running>"
    proget.start()
    assert proget.url in URLS and proget.requests == []

def test_last(proget):
    assert URLS == {proget.url}
"""
    )
    suite.run().assert_outcomes(passed=5, failed=1)


def test_what_one_test_has_under_way_ends_with_it_and_never_reaches_the_next(suite: Suite) -> None:
    suite.write(
        test_it="""
import socket

ENDED = []

def post(url):
    try:
        run_release_script(url)
    except OSError:
        pass
    ENDED.append(url)

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True, faults={"do": "hang"})
def test_leaves_a_request_that_hangs(proget):
    threading.Thread(target=post, args=(proget.url,)).start()
    proget.assert_requested(method="POST", within=10)

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True, faults={"do": "delay", "delay": 30, "when": "stored"})
def test_leaves_a_request_that_is_stored_and_not_answered(proget):
    threading.Thread(target=post, args=(proget.url,)).start()
    proget.assert_deployed(within=10)

HALF = []

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_leaves_half_a_request(proget):
    connection = socket.create_connection(("127.0.0.1", int(proget.url.rpartition(":")[2])), 10)
    connection.sendall(
        b"POST /api/package-deployment/ HTTP/1.1\\r\\nHost: x\\r\\n"
        b"Content-Length: 97\\r\\n\\r\\nFeedName=DefaultNuGet&Application=a&Description=d&Target=t&"
    )
    HALF.append(connection)
    proget.assert_requested(method="POST", within=10)

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_sees_nothing_of_them(proget):
    with HALF[0] as connection:
        try:
            connection.sendall(b"PackageName=Newtonsoft.Json&Version=12")
            answer = connection.recv(1000)
        except ConnectionError:
            answer = b""
    assert answer == b""
    deadline = time.monotonic() + 10
    while len(ENDED) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(ENDED) == 2
    assert (proget.requests, proget.deployments) == ([], [])
"""
    )
    result = suite.run("--durations=0", "-vv")
    result.assert_outcomes(passed=4)
    assert result.duration < 20


def test_a_thread_that_goes_on_posting_finds_nobody_between_tests_and_can_be_kept_apart(suite: Suite) -> None:
    suite.write(
        test_it="""
STOP, ERRORS, THREADS = threading.Event(), [], []

def keep_posting(url):
    while not STOP.is_set():
        try:
            run_release_script(url)
        except urllib.error.HTTPError as error:
            with error:
                ERRORS.append(error.read())

@pytest.fixture(autouse=True)
def outer():
    yield
    if THREADS:  # the fixture proget has ended
        count = len(ERRORS)
        deadline = time.monotonic() + 10
        while len(ERRORS) < count + 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert any(text.startswith(b"This world has ended") for text in ERRORS)

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_leaves_it_running(proget):
    THREADS.append(threading.Thread(target=keep_posting, args=(proget.namespace("apart").url,)))
    THREADS[0].start()
    proget.namespace("apart").assert_deployed(within=10)
    assert proget.requests == []

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
def test_is_left_alone(proget):
    deadline, seen = time.monotonic() + 0.3, []
    while time.monotonic() < deadline:
        seen += proget.requests
    assert seen == proget.deployments == []

def test_ends():
    STOP.set()
    THREADS[0].join()
    THREADS.clear()
"""
    )
    suite.run().assert_outcomes(passed=3)


def test_a_connection_that_is_kept_serves_one_test_after_the_other(suite: Suite) -> None:
    suite.write(
        test_it="""
import http.client

@pytest.fixture(scope="module")
def connections():
    made = []
    yield made
    for one in made: one.close()

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
@pytest.mark.parametrize("number", range(5))
def test_it(proget, connections, number):
    if not connections:
        connections.append(http.client.HTTPConnection("127.0.0.1", int(proget.url.rpartition(":")[2]), timeout=10))
        connections[0].connect()
    was = connections[0].sock
    connections[0].request("POST", "/api/package-deployment", json.dumps({
        "FeedName": "DefaultNuGet", "Application": "a", "Description": "d", "Target": "t", "PackageName": "p",
        "Version": str(number)}), {"Content-Type": "application/json"})
    assert connections[0].getresponse().read()
    assert connections[0].sock is was
    assert [one.version for one in proget.deployments] == [str(number)]
"""
    )
    suite.run().assert_outcomes(passed=5)


# What it begins with


def test_the_nearest_marker_wins_argument_by_argument(suite: Suite) -> None:
    suite.write(
        test_it="""
pytestmark = pytest.mark.proget(feeds=["Module"], keys=["modulekey"], users=["alice"])

def feeds(proget):
    return [feed["name"] for feed in proget.state["feeds"]]

def keys(proget):
    return [key["key"] for key in proget.state["keys"]]

def test_module(proget):
    assert (feeds(proget), keys(proget)) == (["Module"], ["modulekey"])

@pytest.mark.proget(feeds=["Class"], privileges=[])
class TestClass:
    def test_class(self, proget):
        assert (feeds(proget), keys(proget)) == (["Class"], ["modulekey"])

    @pytest.mark.proget(feeds={"name": "Function", "type": "npm"}, keys=[], faults=[{"do": "reset"}], anonymous=True)
    def test_function(self, proget):
        assert (feeds(proget), keys(proget)) == (["Function"], [])
        assert proget.state["feeds"][0]["type"] == "npm"
        assert proget.state["feeds"][0]["anonymous"]
        assert [user["name"] for user in proget.state["users"]] == ["alice"]
        assert [fault.fault.do for fault in proget.faults] == ["reset"]
        proget.clear_faults()
        proget.add_feed("More")
        proget.reset()
        assert feeds(proget) == ["Function"] and len(proget.faults) == 1
        assert proget.namespace("other").state == proget.state
"""
    )
    suite.run("--strict-markers").assert_outcomes(passed=3)


@pytest.mark.parametrize(
    ("marker", "message"),
    [
        ('"DefaultNuGet"', "@pytest.mark.proget does not take 'DefaultNuGet'. It is proget(feeds=(), *"),
        ("feed='x', key='y'", "@pytest.mark.proget does not take feed, key. It is proget(feeds=(), *"),
        ("keys=[{'feeds': 'x'}]", "What the fixture proget is to begin with is not valid. keys?0?.feeds?0?: There is*"),
        ("faults=[{'do': 'x'}]", "What the fixture proget is to begin with is not valid. do: must be one of answer*"),
    ],
)
def test_a_marker_that_makes_no_sense_is_explained(suite: Suite, marker: str, message: str) -> None:
    suite.write(test_it=f"\n@pytest.mark.proget({marker})\ndef test_it(proget): pass\ndef test_other(proget): pass\n")
    result = suite.run()
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines([message])
    assert "Traceback" not in text(result) and "During handling" not in text(result)


def test_the_ini_file_says_where_it_listens_and_which_feeds_there_are(suite: Suite) -> None:
    port = free_port()
    suite.pytester.makeini(f"[pytest]\nproget_host = localhost\nproget_port = {port}\nproget_feeds = DefaultNuGet npm")
    suite.write(
        test_it=f"""
def test_it(proget):
    assert proget.url == "http://localhost:{port}"
    assert [feed["name"] for feed in proget.state["feeds"]] == ["DefaultNuGet", "npm"]

@pytest.mark.proget(feeds=["More", {{"name": "NPM", "type": "npm"}}], anonymous=True)
def test_marker(proget):
    assert [(feed["name"], feed["type"], feed["anonymous"]) for feed in proget.state["feeds"]] == [
        ("DefaultNuGet", "nuget", True), ("NPM", "npm", True), ("More", "nuget", True)]
"""
    )
    suite.run().assert_outcomes(passed=2)


def test_the_environment_goes_before_the_ini_file(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("PYTEST_PROGET_PORT", str(port))
    monkeypatch.setenv("PYTEST_PROGET_HOST", "127.0.0.1")
    suite.pytester.makeini("[pytest]\nproget_host = nowhere.invalid\nproget_port = 1")
    suite.write(test_it=f'\ndef test_it(proget):\n    assert proget.url == "http://127.0.0.1:{port}"\n')
    suite.run().assert_outcomes(passed=1)


def test_address_and_state_may_be_overridden(suite: Suite) -> None:
    port = free_port()
    suite.pytester.makefile(".json", state='{"feeds": ["FromFile"], "keys": ["abc12345"]}')
    suite.write(
        conftest=f"""
@pytest.fixture(scope="session")
def proget_listen_address():
    return "127.0.0.1", {port}
""",
        test_document="""
@pytest.fixture
def proget_state(proget_state):
    return {**proget_state, "feeds": ["Mine", *proget_state["feeds"]]}

@pytest.mark.proget(feeds=["Marked"])
def test_it(proget):
    assert [feed["name"] for feed in proget.state["feeds"]] == ["Mine", "Marked"]
""",
        test_file=f"""
from pathlib import Path

@pytest.fixture(params=[str, Path])
def proget_state(request):
    return request.param("state.json")

def test_it(proget):
    assert proget.url.endswith(":{port}")
    assert [feed["name"] for feed in proget.state["feeds"]] == ["FromFile"]
""",
    )
    suite.run().assert_outcomes(passed=3)


def test_a_marker_and_an_override_add_up_or_are_an_error(suite: Suite) -> None:
    suite.write(
        test_replaced="""
@pytest.fixture
def proget_state():
    return {"feeds": ["a"]}

@pytest.mark.proget(feeds=["b"], anonymous=True)
def test_is_told(proget): pass

@pytest.mark.proget(faults=[{"do": "answer", "status": 500}])
def test_faults_are_no_state(proget):
    assert len(proget.faults) == 1
""",
        test_added="""
@pytest.fixture
def proget_state(proget_state):
    return {**proget_state, "keys": ["abc12345"]}

@pytest.mark.proget(feeds=["DefaultNuGet"])
def test_has_both(proget):
    run_release_script(proget.url, "abc12345")
""",
    )
    result = suite.run()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["@pytest.mark.proget says feeds, anonymous, but proget_state is overridden and *"])


@pytest.mark.parametrize("port", ["http", "-1", "70000"])
def test_a_port_that_is_none_is_explained(suite: Suite, monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("PYTEST_PROGET_PORT", port)
    suite.write(test_it="\ndef test_it(proget): pass\n")
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{port}*"])
    assert "PYTEST_PROGET_PORT" in text(result) and "Traceback" not in text(result)


def test_an_override_that_returns_no_address_is_explained(suite: Suite) -> None:
    suite.write(
        test_it="""
@pytest.fixture(scope="session")
def proget_listen_address():
    return "127.0.0.1"

def test_it(proget): pass
"""
    )
    result = suite.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["proget_listen_address must return address and port, *, not '127.0.0.1'."])
    assert "Traceback" not in text(result)


def test_a_port_that_is_taken_is_explained(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PYTEST_PROGET_PORT", str(port))
        suite.write(test_it="\ndef test_it(proget): pass\ndef test_other(proget): pass\ndef test_without(): pass\n")
        result = suite.run()
    result.assert_outcomes(errors=2, passed=1)
    result.stdout.fnmatch_lines(
        [
            f"The server of the fixture proget cannot listen on 127.0.0.1 port {port}: *. Choose another address with "
            "the ini options proget_host and proget_port, or with PYTEST_PROGET_HOST and PYTEST_PROGET_PORT; "
            "port 0 takes a free one."
        ]
    )
    assert "Traceback" not in text(result) and "During handling" not in text(result)


def test_pytest_lists_fixtures_and_marker_with_what_they_are_for(suite: Suite) -> None:
    suite.write(test_it="")
    fixtures = suite.run("--fixtures")
    fixtures.stdout.fnmatch_lines(
        [
            "proget -- *",
            "    A ProGet of this test's own: *",
            "proget_listen_address ?session scope? -- *",
            "    Address and port that the server of the fixture ``proget`` listens on*",
            "proget_state -- *",
            "    What the server of the fixture ``proget`` begins with*",
        ]
    )
    assert "_proget_thread" not in text(fixtures)
    suite.run("--markers").stdout.fnmatch_lines(["@pytest.mark.proget(feeds=(), *anonymous=False, faults=()): what*"])
    suite.run("--help").stdout.fnmatch_lines(
        ["  proget_host (string):*", "  proget_port (*", "  proget_feeds (args):*"]
    )


# Asynchronous tests

ASYNC = """
import asyncio

RECORD = {
    "FeedName": "DefaultNuGet", "Application": "a", "Description": "d", "Target": "web01", "PackageName": "p",
    "Version": "1",
}
pytestmark = pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True)
"""

AIOHTTP_TEST = """
    import aiohttp
    async with aiohttp.ClientSession() as session:
        async with session.post(proget.url + "/api/package-deployment", data=RECORD) as answer:
            assert answer.status == 200
    proget.assert_deployed(package="p", times=1)
"""


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_pytest_asyncio(suite: Suite, mode: str) -> None:
    pytest.importorskip("httpx")
    mark = "@pytest.mark.asyncio" if mode == "strict" else ""
    suite.write(
        test_it=f"""{ASYNC}
{mark}
async def test_aiohttp(proget): {AIOHTTP_TEST}
{mark}
async def test_httpx(proget):
    import httpx
    async with httpx.AsyncClient(base_url=proget.url) as client:
        answers = await asyncio.gather(*(client.post("/api/package-deployment", json=RECORD) for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    proget.assert_deployed(package="p", times=20)

{mark}
async def test_late(proget):
    import httpx
    async def report():
        await asyncio.sleep(0.2)
        async with httpx.AsyncClient(base_url=proget.url) as client:
            await client.post("/api/package-deployment", json=RECORD)
    with pytest.raises(RuntimeError, match="await asyncio.to_thread"):
        proget.assert_deployed(within=1)
    async with asyncio.TaskGroup() as group:
        group.create_task(report())
        await asyncio.to_thread(proget.assert_deployed, package="p", within=10)

def test_sync(proget):
    import httpx
    httpx.post(proget.url + "/api/package-deployment", json=RECORD).raise_for_status()
    proget.assert_deployed(package="p", within=1)
"""
    )
    arguments = ("-o", f"asyncio_mode={mode}", "-o", "asyncio_default_fixture_loop_scope=function")
    suite.run("-p", "asyncio", *arguments).assert_outcomes(passed=4)


def test_pytest_aiohttp(suite: Suite) -> None:
    suite.write(
        test_it=f"""{ASYNC}
from aiohttp import ClientSession, web

async def release(request):
    async with ClientSession() as session:
        async with session.post(request.app["proget"] + "/api/package-deployment", data=RECORD) as answer:
            return web.json_response({{"status": answer.status}})

@pytest.fixture
async def client(aiohttp_client, proget):
    app = web.Application()
    with pytest.warns(web.NotAppKeyWarning):
        app["proget"] = proget.url
    app.router.add_post("/release", release)
    return await aiohttp_client(app)

async def test_an_application_that_reports(client, proget):
    answer = await client.post("/release")
    assert await answer.json() == {{"status": 200}}
    proget.assert_deployed(package="p")

async def test_aiohttp(proget): {AIOHTTP_TEST}
"""
    )
    arguments = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    suite.run("-p", "asyncio", "-p", "aiohttp", *arguments).assert_outcomes(passed=2)


def test_anyio(suite: Suite) -> None:
    pytest.importorskip("httpx")
    suite.write(
        test_it=f"""{ASYNC}
import anyio.to_thread, functools, httpx

@pytest.fixture
def anyio_backend():
    return "asyncio"

@pytest.mark.anyio
async def test_it(proget):
    async with httpx.AsyncClient(base_url=proget.url) as client:
        assert (await client.post("/api/package-deployment", json=RECORD)).status_code == 200
    await anyio.to_thread.run_sync(functools.partial(proget.assert_deployed, package="p", within=5))
"""
    )
    suite.run("-p", "anyio").assert_outcomes(passed=1)


# Many at once, and none


@pytest.mark.parametrize(("workers", "fixed"), [(2, False), (4, True)], ids=["free ports", "a fixed port"])
def test_workers_of_xdist_have_servers_of_their_own(suite: Suite, workers: int, fixed: bool) -> None:
    pytest.importorskip("xdist")
    suite.write(
        test_it="""
import os, pathlib

@pytest.mark.parametrize("number", range(40))
@pytest.mark.proget(feeds=["DefaultNuGet"], keys=["abc12345"])
def test_it(proget, number):
    for target in ("web01", "web02"):
        run_release_script(proget.url, "abc12345", target=target, package=f"package{number}")
        time.sleep(0.01)
    assert [one.package for one in proget.deployments] == [f"package{number}"] * 2
    assert len(proget.requests) == 2
    pathlib.Path("addresses").mkdir(exist_ok=True)
    pathlib.Path("addresses", os.environ["PYTEST_XDIST_WORKER"] + " " + proget.url.rpartition(":")[2]).touch()
"""
    )
    port = free_port(workers) if fixed else 0
    result = suite.run("-p", "xdist", "-n", str(workers), "-o", f"proget_port={port}")
    result.assert_outcomes(passed=40)
    addresses = dict(path.name.split() for path in (suite.pytester.path / "addresses").iterdir())
    assert len(set(addresses.values())) == len(addresses) == workers
    if fixed:
        assert addresses == {f"gw{number}": str(port + number) for number in range(workers)}


def test_who_never_asks_for_it_pays_nothing(suite: Suite) -> None:
    suite.write(
        conftest="""
import sys

def pytest_unconfigure():
    heavy = {"aiohttp", "aiosqlite", "sqlite3", "marshmallow", "jinja2", "argon2", "asyncio", "deployserver.testing"}
    if "coverage" in sys.modules:
        heavy.remove("sqlite3")  # it needs that itself
    loaded = sorted(name for name in sys.modules if name in heavy or name.startswith("deployserver"))
    print("LOADED", *loaded)
""",
        test_it="""
def test_without(): pass
def test_fails(): assert 0
@pytest.mark.proget(feeds=["unused"])
def test_marked(): pass
def test_with(proget): pass
""",
    )
    for arguments in (("--collect-only",), ("-k", "not test_with or test_without"), ("--fixtures",), ("--markers",)):
        result = suite.run(*arguments)
        assert "LOADED deployserver deployserver.pytest_plugin" in result.outlines, arguments
    assert "LOADED deployserver deployserver.pytest_plugin" not in suite.run("-k", "test_with").outlines


def test_the_plugin_imports_nothing_that_pytest_has_not(suite: Suite) -> None:
    script = (
        "import sys, pytest\n"
        "before = set(sys.modules)\n"
        "import deployserver.pytest_plugin\n"
        "print(*sorted(set(sys.modules) - before))\n"
    )
    assert suite.pytester.run(sys.executable, "-c", script).outlines[-1] == "deployserver deployserver.pytest_plugin"


# The end


@pytest.mark.parametrize("how", ["raise KeyboardInterrupt", "_thread.interrupt_main()", "assert 0"])
def test_a_run_that_is_broken_off_ends_at_once(suite: Suite, how: str) -> None:
    suite.write(
        test_it=f"""
import _thread, signal

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has switched it off

@pytest.mark.proget(feeds=["DefaultNuGet"], anonymous=True, faults=[{{"do": "hang"}}])
def test_it(proget):
    hanging = threading.Thread(target=lambda: pytest.raises(OSError, run_release_script, proget.url))
    hanging.start()
    proget.assert_requested(method="POST", within=10)
    {how}
    run_release_script(proget.url)

def test_never(proget): pass
"""
    )
    started = time.monotonic()
    result = suite.run("-x")
    assert time.monotonic() - started < 15
    if how == "assert 0":
        assert result.ret == pytest.ExitCode.TESTS_FAILED
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines(["*- Received by proget -*", "1. POST /api/package-deployment/: never answered*"])
    else:
        assert result.ret == pytest.ExitCode.INTERRUPTED
        result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    assert "passed" not in text(result)


def test_a_suite_may_use_a_server_of_its_own_for_a_module(suite: Suite) -> None:
    suite.write(
        test_it="""
from deployserver.testing import DeployServer

@pytest.fixture(scope="module")
def server():
    with DeployServer(state={"feeds": [{"name": "DefaultNuGet", "anonymous": True}]}) as server:
        yield server

@pytest.mark.parametrize("number", range(3))
def test_it(server, proget, number):
    run_release_script(server.url)
    assert len(server.deployments) == number + 1
    assert proget.deployments == []
"""
    )
    suite.run().assert_outcomes(passed=3)


# How it comes into a run


def test_it_comes_by_its_entry_point_and_may_be_asked_for_by_name_as_well(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", "utf-8")
    installed = suite.pytester.mkdir("installed")
    metadata = installed / "someproject-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: someproject\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[pytest11]{setup['options.entry_points']['pytest11']}\n")
    monkeypatch.delenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD")
    monkeypatch.syspath_prepend(installed)
    suite.write(test_it="\ndef test_it(proget): proget.assert_not_deployed()\n")
    others = ("-p", "no:asyncio", "-p", "no:aiohttp", "-p", "no:schemathesis", "-p", "no:hypothesispytest")
    suite.run(*others, plugin=False).assert_outcomes(passed=1)
    suite.run(*others, *PLUGIN).assert_outcomes(passed=1)
    suite.pytester.makeconftest("pytest_plugins = ['deployserver.pytest_plugin']")
    suite.run(*others).assert_outcomes(passed=1)


def test_a_pytest_of_long_ago_can_read_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read wherever deployserver is installed, also by a pytest whose tests have no use for it."""

    def hookimpl(*, hookwrapper: bool, tryfirst: bool = False, trylast: bool = False) -> object:
        return lambda function: function

    monkeypatch.setattr(pytest, "hookimpl", hookimpl)
    assert "proget" in runpy.run_path(pytest_plugin.__file__)
