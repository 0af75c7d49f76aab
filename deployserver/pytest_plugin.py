"""The pytest plugin: ``proget``, a ProGet of one's own for each test.

pytest reads this module in every run wherever deployserver is installed, so nothing is imported here that takes time.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pluggy import Result

    from deployserver.double.journal import ReceivedRequest
    from deployserver.double.thread import ServerThread
    from deployserver.testing import DeployServer

HOST_VARIABLE = "PYTEST_PROGET_HOST"
PORT_VARIABLE = "PYTEST_PROGET_PORT"

_MARKER = (
    "proget(feeds=(), keys=(), users=(), privileges=(), deployments=(), anonymous=False, faults=()): what the server "
    "of the fixture proget begins with in this test; anonymous=True lets everybody record in these feeds."
)
_STATE = ("feeds", "users", "keys", "privileges", "deployments")
_SHOWN = 10

_server: pytest.StashKey[DeployServer] = pytest.StashKey()
_heeded: pytest.StashKey[bool] = pytest.StashKey()
"""Whether the state to begin with is made of the marker: an override of ``proget_state`` need not ask for it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the ini options."""
    parser.addini("proget_host", f"address that the server of the fixture proget listens on ({HOST_VARIABLE})")
    parser.addini(
        "proget_port",
        f"port that it listens on; 0 takes a free one ({PORT_VARIABLE}). With pytest-xdist each worker takes the next.",
    )
    parser.addini("proget_feeds", "feeds that it begins with in each test", "args")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.fixture(scope="session")
def proget_listen_address(pytestconfig: pytest.Config) -> tuple[str, int]:
    """Address and port that the server of the fixture ``proget`` listens on: a free port on the loopback interface.

    The ini options ``proget_host`` and ``proget_port`` and the environment variables ``PYTEST_PROGET_HOST`` and
    ``PYTEST_PROGET_PORT`` choose others; or override this fixture. With pytest-xdist and a port, each worker takes the
    port as many further as its number says.
    """
    host = os.environ.get(HOST_VARIABLE) or pytestconfig.getini("proget_host") or "127.0.0.1"
    port = os.environ.get(PORT_VARIABLE) or pytestconfig.getini("proget_port") or "0"
    if not port.isdecimal():
        pytest.fail(f"proget_port or {PORT_VARIABLE} must be the number of a port, not {port!r}.", pytrace=False)
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    return host, int(port) + (int(worker) if int(port) and worker.isdecimal() else 0)


@pytest.fixture
def proget_state(request: pytest.FixtureRequest) -> Mapping[str, Any] | Path | str:
    """What the server of the fixture ``proget`` begins with: a state document, or the path of a file that has one.

    It is made of the ini option ``proget_feeds`` and the marker ``@pytest.mark.proget(feeds=[...], keys=[...],
    anonymous=True)``. Override it for a state of your own; an override that takes ``proget_state`` as an argument can
    add to what these say.
    """
    request.node.stash[_heeded] = True
    given = _marked(request.node)
    state = {name: _listed(given[name]) for name in _STATE if name in given}
    feeds = {_name(feed): feed for feed in (*request.config.getini("proget_feeds"), *state.get("feeds", ()))}
    if given.get("anonymous"):
        feeds = {name: {**_as_mapping(feed), "anonymous": True} for name, feed in feeds.items()}
    return {**state, "feeds": list(feeds.values())}


@pytest.fixture(scope="session")
def _proget_thread(proget_listen_address: tuple[str, int]) -> Iterator[ServerThread]:
    """The server behind ``proget``, started when the first test asks for it."""
    from deployserver.double.settings import double_settings
    from deployserver.double.thread import ServerThread
    from deployserver.double.world import Beginning
    from deployserver.errors import ConfigurationError

    if not isinstance(proget_listen_address, tuple) or len(proget_listen_address) != 2:
        pytest.fail(
            f'proget_listen_address must return address and port, such as ("127.0.0.1", 0), not '
            f"{proget_listen_address!r}.",
            pytrace=False,
        )
    host, port = proget_listen_address
    reason: BaseException | None = None
    try:
        thread = ServerThread(double_settings(host, port), Beginning())
        thread.start()
    except ConfigurationError as error:
        reason = error.__cause__ or error
    if reason is not None:
        pytest.fail(
            f"The server of the fixture proget cannot listen on {host} port {port}: "
            f"{getattr(reason, 'strerror', None) or reason}. Choose another address with the ini options proget_host "
            f"and proget_port, or with {HOST_VARIABLE} and {PORT_VARIABLE}; port 0 takes a free one.",
            pytrace=False,
        )
    yield thread
    thread.stop()


@pytest.fixture
def proget(
    request: pytest.FixtureRequest, _proget_thread: ServerThread, proget_state: Mapping[str, Any] | Path | str
) -> Iterator[DeployServer]:
    """A ProGet of this test's own: a server that records package deployments, clean for each test.

    ``proget.url`` is its address, the same in all tests of a run. Seed it with ``add_feed``, ``add_key``, ``load`` or
    the marker ``@pytest.mark.proget(feeds=[...])``; break it with ``add_fault``; move its time with ``clock``; then
    ``assert_deployed(package=..., version=..., target=...)``, or look at ``deployments`` and ``requests``. See
    ``deployserver.testing.DeployServer``. It works for synchronous and asynchronous tests alike.

    With the test, all of it ends, and the requests that are under way are broken off. What goes on in the background
    and sends more sends it to the next test: stop it, or give it ``proget.namespace(...).url``, of each test another.
    """
    from deployserver.errors import DeployServerError
    from deployserver.testing import DeployServer

    if not _proget_thread.is_running:  # a test has stopped it
        _proget_thread.start()
    given = _marked(request.node)
    unheeded = [name for name in (*_STATE, "anonymous") if name in given]
    if unheeded and _heeded not in request.node.stash:
        pytest.fail(
            f"@pytest.mark.proget says {', '.join(unheeded)}, but proget_state is overridden and does not look at it. "
            "Let the override take proget_state as an argument and add to that, or leave these out.",
            pytrace=False,
        )
    faults = _listed(given.get("faults", ()))
    wrong = ""
    try:
        server = DeployServer._renewed(_proget_thread, proget_state, faults)
    except DeployServerError as error:
        wrong = str(error)
    if wrong:
        pytest.fail(f"What the fixture proget is to begin with is not valid. {wrong}", pytrace=False)
    request.node.stash[_server] = server
    yield server
    if _proget_thread.is_running:
        _proget_thread.end()


@pytest.hookimpl(hookwrapper=True)  # not wrapper=True: an older pytest, whose tests need none of this, would not start
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Result[pytest.TestReport], None]:
    """Show beside a failure what the server received in that test."""
    report = (yield).get_result()
    server = item.stash.get(_server, None)
    if server is not None and report.failed:
        received = server._received()
        lines = [_line(request) for request in received[-_SHOWN:]] or ["nothing"]
        if len(received) > _SHOWN:
            lines.insert(0, f"... and {len(received) - _SHOWN} before")
        report.sections.append(("Received by proget", "\n".join(lines)))
    if server is not None and report.when == "teardown":
        del item.stash[_server]  # pytest keeps all tests until it ends; their servers need not stay with them


def _line(request: ReceivedRequest) -> str:
    """Return what a request was and what became of it, with the reason that it was refused for."""
    reason = request.refusal
    if reason is None and request.answer is not None and request.answer.status >= 400:
        reason = next((line for line in request.answer.text.splitlines() if line.strip()), None)
    return f"{request}{f' - {reason}' if reason else ''}"


def _marked(node: Any) -> dict[str, Any]:
    """Return what the markers of a test say; one that is nearer to the test goes before one of its class or module."""
    given: dict[str, Any] = {}
    for marker in reversed(list(node.iter_markers("proget"))):
        unknown = set(marker.kwargs).difference(_STATE, ("anonymous", "faults"))
        if marker.args or unknown:
            wrong = ", ".join([*map(repr, marker.args), *sorted(unknown)])
            pytest.fail(f"@pytest.mark.proget does not take {wrong}. It is {_MARKER}", pytrace=False)
        given |= marker.kwargs
    return given


def _listed(given: Any) -> list[Any]:
    """Return a list of what was given: several, or one by itself."""
    return [given] if isinstance(given, (str, Mapping)) else list(given)


def _as_mapping(feed: Any) -> Mapping[str, Any]:
    return feed if isinstance(feed, Mapping) else {"name": feed}


def _name(feed: Any) -> str:
    return str(_as_mapping(feed).get("name")).strip().casefold()
