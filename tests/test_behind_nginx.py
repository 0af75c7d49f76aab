"""Several servers behind nginx, with the configuration that is in deploy/: clients see one service."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from conftest import KEY, PATH, RECORD
from ports import free_port
from processes import Installation, Load, Server, check, closing, until
from reading import API

pytestmark = [
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed (Debian: nginx-light)"),
    pytest.mark.skipif(sys.platform == "win32", reason="nginx for Windows is another thing"),
]

CONFIGURATION = Path(__file__).parents[1] / "deploy" / "nginx.conf"
_AROUND = """
daemon off;
worker_processes 1;
pid {directory}/pid;
error_log {directory}/error.log;
{user}
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    {configuration}
}}
"""


@dataclass
class Site:
    """nginx at ``url``, and the servers behind it."""

    url: str
    installation: Installation
    servers: list[Server]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    installation = Installation(tmp_path, database={"busy_timeout": 30}, server={"trusted_proxies": "127.0.0.1"})
    installation.prepare()
    async with closing([installation]):
        servers = [await installation.serve(), await installation.serve()]
        directory = tmp_path / "nginx"
        directory.mkdir()
        port = free_port()
        configuration = CONFIGURATION.read_text("utf-8").replace("listen 80;", f"listen 127.0.0.1:{port};")
        for number, server in enumerate(servers, 1):
            configuration = configuration.replace(f"10.0.0.1{number}:8624", f"127.0.0.1:{server.port}")
        assert not re.search(r"10\.0\.0\.", configuration)
        user = "user root;" if os.geteuid() == 0 else ""
        file = directory / "nginx.conf"
        file.write_text(_AROUND.format(directory=directory, user=user, configuration=configuration), "utf-8")
        process = await asyncio.create_subprocess_exec(
            "nginx", "-c", str(file), "-p", str(directory), stderr=asyncio.subprocess.DEVNULL
        )
        try:
            await until(lambda: _answers(port))
            yield Site(f"http://127.0.0.1:{port}", installation, servers)
        finally:
            process.terminate()
            await process.wait()


async def test_all_servers_work_for_whoever_posts(site: Site) -> None:
    """What is acknowledged is stored once, and each server has had a part in it."""
    async with Load(site.url, "load") as load:
        await load.reached(200)
    assert load.statuses == set()
    check(site.installation.database, load)
    for server in site.servers:
        assert f'"path":"{PATH}"' in server.text


async def test_a_server_that_is_killed_costs_nothing_that_was_acknowledged(site: Site) -> None:
    """The other goes on; a post that the dead one may have had is not sent again by the proxy."""
    async with Load(site.url, "load") as load:
        await load.reached(50)
        await site.servers[0].kill()
        await load.reached(50)
    assert load.statuses <= {502}
    lost = [posted for posted, status in load.refused if status == 502]
    load.refused.clear()  # the proxy cannot know whether these were recorded: as with a broken connection
    load.unanswered += lost
    check(site.installation.database, load)


async def test_the_client_is_who_the_proxy_says(site: Site) -> None:
    """Links lead through the proxy, and refusals are noted for the client's address."""
    async with aiohttp.ClientSession() as session:
        for _ in range(2):
            async with session.post(site.url + PATH, data=RECORD, headers={"X-ApiKey": KEY}) as answer:
                assert answer.status == 200
        async with session.get(f"{site.url}{API}?limit=1", headers={"X-ApiKey": KEY}) as answer:
            assert answer.status == 200
            assert answer.headers["Link"].startswith(f"<{site.url}/")


async def test_events_come_through_at_once(site: Site) -> None:
    """What the other server records, too; the proxy must not keep it until there is more."""
    headers = {"X-ApiKey": KEY, "Accept": "text/event-stream"}
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as session,
        session.get(f"{site.url}{API}/events", headers=headers) as events,
    ):
        assert events.status == 200
        for server in site.servers:
            async with session.post(server.url + PATH, data=RECORD, headers={"X-ApiKey": KEY}) as answer:
                recorded = await answer.json()
            found = f'"Id":{recorded["Id"]},'
            async with asyncio.timeout(10):
                while found not in (await events.content.readline()).decode():
                    pass


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
