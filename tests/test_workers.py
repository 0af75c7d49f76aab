"""Several processes on one port: none is missed, none is left over, and what one answers holds for all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from conftest import KEY, PATH, RECORD
from ports import free_port
from processes import Finished, Installation, Load, Server, check, closing, environment, is_running, post, until
from reading import API, Events

from deployserver.addresses import require_sharing
from deployserver.errors import ConfigurationError
from deployserver.settings import ServerSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes as Linux shows them")

Install = Callable[..., Installation]


@pytest.fixture
async def install(tmp_path: Path, database_url: str) -> AsyncIterator[Install]:
    """Make the installation, with two workers unless the test says otherwise; its servers are ended after the test."""
    made: list[Installation] = []

    def make(**sections: dict[str, object]) -> Installation:
        sections["server"] = {"workers": 2} | sections.get("server", {})
        if database_url.startswith("postgresql:"):
            sections["database"] = {"url": database_url}
        made.append(Installation(tmp_path / "server", **sections))
        return made[-1]

    async with closing(made):
        yield make


@pytest.fixture
def installation(install: Install) -> Installation:
    """An installation with a feed and a key."""
    made = install()
    made.prepare()
    return made


def lines(server: Server, message: str) -> list[str]:
    return [line for line in server.log if message in line]


def who_answered(server: Server) -> set[int]:
    """Return the numbers of the workers that have answered a request."""
    return {entry["worker"] for entry in map(json.loads, server.log) if entry["logger"] == "deployserver.requests"}


async def answered_by_all(server: Server, target: str = "web") -> set[int]:
    """Post over new connections until every worker has answered, and return the statuses."""
    statuses = set()
    before = len(server.log)

    async def answered() -> bool:
        statuses.add((await post(server, target)).status)
        recent = [json.loads(line) for line in server.log[before:]]
        return {entry.get("worker") for entry in recent if "status" in entry} == set(server.workers)

    await until(answered)
    return statuses


async def nobody_is_left(pids: list[int]) -> None:
    await until(lambda: not any(map(is_running, pids)))


# While they run


@pytest.mark.every_engine
async def test_all_workers_answer_on_one_port_and_the_database_is_migrated_once(install: Install) -> None:
    """Whoever waits for the one line that it listens finds every worker there."""
    installation = install(server={"workers": 3})
    server = await installation.serve()
    assert len(server.workers) == len(set(server.workers.values())) == 3
    for number in range(30):
        answer = await post(server, f"web{number}")
        assert answer.status == 403, answer.text  # there is no feed yet
    await answered_by_all(server)
    assert who_answered(server) == {1, 2, 3}
    assert len(lines(server, "listening on")) == 1
    assert len(lines(server, '"logger":"deployserver.cli.serve","message":"database')) <= 1  # PostgreSQL's is a copy
    pids = list(server.workers.values())
    await server.stop()
    assert not any(map(is_running, pids))
    assert server.unexpected() == []
    assert "stopped" in server.log[-1]


async def test_a_worker_killed_under_load_is_replaced_and_nothing_is_lost(installation: Installation) -> None:
    """Its neighbour goes on meanwhile, and what it had acknowledged is there."""
    server = await installation.serve()
    before = server.workers
    async with Load(server.url, "load", clients=24) as load:
        await load.reached(200)
        os.kill(before[1], signal.SIGKILL)
        await load.reached(100)
        await until(lambda: server.workers[1] != before[1])
        await load.reached(100)
    await server.logged(f"worker 1 (process {before[1]}) was ended by SIGKILL; another is started at once")
    assert await answered_by_all(server) == {200}
    assert server.workers[2] == before[2]
    await server.stop()
    assert load.refused == []
    assert server.unexpected() == []
    check(installation.database, load)


async def test_a_worker_told_to_end_loses_nothing_and_is_replaced(installation: Installation) -> None:
    """An administrator may take them down one after the other. Ctrl-C is for the supervisor alone."""
    server = await installation.serve()
    before = server.workers
    async with Load(server.url, "load", clients=24) as load:
        await load.reached(100)
        for pid in before.values():
            os.kill(pid, signal.SIGINT)
        await load.reached(100)
        assert server.workers == before
        os.kill(before[2], signal.SIGTERM)
        await until(lambda: server.workers[2] != before[2])
        await load.reached(50)
    assert load.refused == []
    await server.stop()
    check(installation.database, load)


async def test_a_worker_that_cannot_start_again_is_tried_again_later(installation: Installation) -> None:
    """What keeps it from starting is logged, and does not stop the others."""
    server = await installation.serve()
    away = installation.database.with_suffix(".away")
    installation.database.rename(away)
    os.kill(server.workers[1], signal.SIGKILL)
    await server.logged("cannot be opened")
    await server.logged("another is started in 0.5 s")
    away.rename(installation.database)
    assert await answered_by_all(server) <= {200, 503}
    await server.stop()


@pytest.mark.every_engine
async def test_a_key_revoked_stops_on_all_workers(installation: Installation) -> None:
    server = await installation.serve()
    assert await answered_by_all(server) == {200}
    assert (await installation.run("key", "revoke", "1")).code == 0

    async def refused() -> bool:
        return await answered_by_all(server) == {403}

    await until(refused)
    await server.stop()


@pytest.mark.every_engine
async def test_what_one_worker_records_is_in_every_event_stream(installation: Installation) -> None:
    """Streams and posts come over connections of their own each, so that all workers have some of both."""
    server = await installation.serve()
    headers = {"X-ApiKey": KEY}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(force_close=True)) as session:

        async def follow() -> list[int]:
            async with session.get(f"{server.url}{API}/events", headers={"Last-Event-ID": "0"}) as response:
                events = Events(response)
                seen: list[int] = []
                while len(seen) < 12:
                    event = await events.next()
                    seen += [int(event.id)] if event and event.id else []
                return seen

        following = [asyncio.create_task(follow()) for _ in range(8)]
        made = []
        for number in range(12):
            async with session.post(server.url + PATH, data=RECORD | {"Target": f"web{number}"}) as response:
                made.append((await response.json())["Id"])
        assert await asyncio.gather(*following) == [made] * 8
    await server.stop()


# The end


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_all_workers_told_to_stop_finish_what_they_have_begun(installation: Installation, name: str) -> None:
    """What is acknowledged is stored, and the other way round."""
    server = await installation.serve()
    async with Load(server.url, "load", clients=32) as load:
        await load.reached(300)
        server.signal(signal.Signals[name])
        assert await server.ended() == 0, server.text
    assert load.refused == []
    assert server.unexpected() == []
    assert "stopped" in server.log[-1]
    assert not any(map(is_running, server.workers.values()))
    check(installation.database, load)
    assert not Path(f"{installation.database}-wal").exists()  # closed, not just left


async def test_workers_whose_supervisor_is_killed_finish_and_end(installation: Installation) -> None:
    """Nobody would look after them, and the next start would find its port taken."""
    server = await installation.serve()
    async with Load(server.url, "load") as load:
        await load.reached(100)
        server.signal(signal.SIGKILL)
        await nobody_is_left(list(server.workers.values()))
    await server.kill()
    assert load.refused == []
    check(installation.database, load)


async def test_a_second_signal_ends_all_workers_at_once(installation: Installation) -> None:
    """Whoever does not want to wait for clients need not look for processes."""
    server = await installation.serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey: {KEY}\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    assert b"100" in await reader.readuntil(b"\r\n\r\n")  # so that one of them has begun something
    server.signal(signal.SIGTERM)
    await server.logged("stopping: ")
    server.signal(signal.SIGTERM)
    assert await server.ended() == 128 + signal.SIGTERM
    await nobody_is_left(list(server.workers.values()))
    writer.close()


# The start


async def refused_start(installation: Installation, *arguments: str) -> Finished:
    done = await installation.run("serve", *arguments)
    assert "Traceback" not in done.err
    assert "listening on" not in done.err
    return done


async def test_workers_that_cannot_start_are_an_error_as_of_one_process(install: Install) -> None:
    installation = install(server={"tls_certificate": "none.pem", "tls_key": "none.pem"})
    several = await refused_start(installation)
    one = await refused_start(installation, "--workers", "1")
    assert (several.code, one.code) == (2, 2)
    assert several.err.splitlines()[-1] == one.err.splitlines()[-1]
    assert "tls_certificate" in one.err


async def test_a_port_that_another_server_has_is_taken(installation: Installation) -> None:
    """Also where that one would share it: a second start must not serve half of the requests."""
    server = await installation.serve()
    for number in ("1", "2"):
        done = await refused_start(installation, "--workers", number, "--port", str(server.port))
        assert done.code == 2
        assert f"Cannot listen on 127.0.0.1 port {server.port}: " in done.err
        assert "Is another server running there?" in done.err
    assert await answered_by_all(server) == {200}
    await server.stop()
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = await refused_start(installation, "--port", str(other.getsockname()[1]))
        assert done.code == 2
        assert "Is another server running there?" in done.err


async def test_a_port_is_free_again_at_once(installation: Installation) -> None:
    """Connections that have just been closed keep it in use for a while, which is no reason not to start."""
    port = str(free_port())
    server = await installation.serve("--port", port)
    for number in ("1", "2", "2", "1"):
        assert (await post(server, "web")).status == 200
        await server.stop()
        server = await installation.serve("--workers", number, "--port", port)
        assert server.port == int(port)
    await server.stop()


def test_where_a_port_cannot_be_shared_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "SO_REUSEPORT")
    with pytest.raises(ConfigurationError, match=r"workers is 2, .* Set workers = 1, or run several servers"):
        require_sharing(settings(2))
    require_sharing(settings(1))


def settings(workers: int) -> ServerSettings:
    return ServerSettings("127.0.0.1", 0, "", (), None, None, workers, 30)


def test_the_supervisor_loads_no_web_framework() -> None:
    """It is there as long as the workers are, and does nothing but wait."""
    program = "import sys, deployserver.cli, deployserver.supervisor; sys.exit('aiohttp' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, env=environment())
