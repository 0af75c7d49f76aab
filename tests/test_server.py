"""Sockets, TLS, the base path, and how a server starts and stops."""

from __future__ import annotations

import asyncio
import shutil
import socket
import ssl
import subprocess
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import KEY, PATH, RECORD, Service, StartService, running, settings_of
from ports import free_port
from reading import rows

from deployserver.app import create_app
from deployserver.errors import ConfigurationError, DatabaseError
from deployserver.server import listening, tls_context
from deployserver.storage import migrate


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is needed to make a certificate")
    directory = tmp_path_factory.mktemp("tls")
    made = (directory / "certificate.pem", directory / "key.pem")
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(made[1]))
    name = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    openssl("req", "-x509", "-days", "1", *new_key, *name, "-out", str(made[0]))
    return made


async def start_listening(directory: Path, **options: Any) -> str:
    """Start a server and stop it again; return its URL."""
    settings = settings_of(directory, **options)
    migrate(settings)
    async with listening(create_app(settings), settings) as url:
        return url


# Ports and addresses


async def test_port_0_takes_a_free_port_and_says_which(tmp_path: Path) -> None:
    url = await start_listening(tmp_path)
    assert url.startswith("http://127.0.0.1:")
    assert int(url.rpartition(":")[2]) > 0


async def test_the_url_is_one_that_a_browser_on_this_machine_can_open(tmp_path: Path) -> None:
    assert (await start_listening(tmp_path, server_host="0.0.0.0")).startswith("http://127.0.0.1:")
    assert (await start_listening(tmp_path, server_host="localhost")).startswith("http://localhost:")
    assert (await start_listening(tmp_path, server_base_path="/proget/")).endswith("/proget")


async def test_a_server_can_listen_on_ipv6(tmp_path: Path) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    assert (await start_listening(tmp_path, server_host="::1")).startswith("http://[::1]:")
    assert (await start_listening(tmp_path, server_host="::")).startswith("http://[::1]:")


async def test_a_port_in_use_is_a_configuration_error_that_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=rf"Cannot listen on 127\.0\.0\.1 port {port}: .*--port"):
            await start_listening(tmp_path, server_port=port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "a" * 100])
async def test_an_address_that_is_not_this_machines_is_a_configuration_error(tmp_path: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"Cannot listen on {host} port 0"):
        await start_listening(tmp_path, server_host=host)


async def test_a_server_that_could_not_listen_leaves_nothing_behind(tmp_path: Path) -> None:
    """The same database serves right after; an unclosed connection would fail this test with a warning."""
    with pytest.raises(ConfigurationError):
        await start_listening(tmp_path, server_host="192.0.2.1")
    assert await start_listening(tmp_path)


async def test_a_server_does_not_start_on_a_database_that_is_not_there(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    with pytest.raises(DatabaseError, match="cannot be opened"):
        async with listening(create_app(settings), settings):
            pass
    assert not (tmp_path / "test.db").exists()


async def test_a_stopped_server_takes_no_connections_and_a_new_one_goes_on(tmp_path: Path) -> None:
    port = free_port()
    async with running(settings_of(tmp_path, server_port=port)) as service:
        assert (await service.post(RECORD)).json["Id"] == 1
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
        pass
    async with running(settings_of(tmp_path, server_port=port)) as service:
        assert service.port == port
        assert (await service.post(RECORD)).json["Id"] == 2


# The base path


@pytest.mark.parametrize("prefix", ["", "/proget", "/ProGet"])
@pytest.mark.parametrize("path", [PATH, PATH.rstrip("/"), PATH.upper()])
async def test_records_are_taken_with_and_without_the_base_path(start: StartService, prefix: str, path: str) -> None:
    """A proxy may strip it or not; neither is a redirect."""
    service = await start(server_base_path="/proget")
    answer = await service.post(RECORD, path=prefix + path)
    assert answer.status == 200, answer.text


@pytest.mark.parametrize("path", [f"/other{PATH}", f"/proget/proget{PATH}", "/progetx/health", f"/{PATH}"])
async def test_other_paths_are_not_found(start: StartService, path: str) -> None:
    service = await start(server_base_path="/proget")
    answer = await service.post(RECORD, path=path)
    assert answer.status == 404
    assert f"POST {service.url}/proget{PATH}" in answer.text


async def test_the_base_path_may_be_nested(start: StartService) -> None:
    service = await start(server_base_path="/tools/pro.get-1/")
    assert (await service.post(RECORD, path=f"/tools/pro.get-1{PATH}")).status == 200
    assert (await service.post(RECORD, path=f"/tools/proxget-1{PATH}")).status == 404


# TLS


async def test_a_server_with_a_certificate_speaks_https(start: StartService, certificate: tuple[Path, Path]) -> None:
    service = await start(server_tls_certificate=certificate[0], server_tls_key=certificate[1])
    assert service.url.startswith("https://127.0.0.1:")
    trusting = ssl.create_default_context(cafile=certificate[0])
    answer = await service.post(RECORD, ssl=trusting)
    assert (answer.status, answer.json["Id"]) == (200, 1)
    answer = await service.request("GET", PATH, ssl=trusting)
    assert f"POST {service.url}{PATH}" in answer.text


async def test_a_key_never_travels_in_the_clear_where_tls_is_configured(
    start: StartService, certificate: tuple[Path, Path]
) -> None:
    service = await start(server_tls_certificate=certificate[0], server_tls_key=certificate[1])
    with socket.create_connection(("127.0.0.1", service.port), 5) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-ApiKey: {KEY}\r\n\r\n".encode())
        connection.setblocking(False)
        assert (await service.request("GET", "/health", ssl=False)).status == 200
    assert await service.rows() == []


async def test_tls_is_at_least_1_2(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    context = tls_context(settings_of(tmp_path, server_tls_certificate=certificate[0], server_tls_key=certificate[1]))
    assert context is not None
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


def test_without_a_certificate_there_is_no_tls(tmp_path: Path) -> None:
    assert tls_context(settings_of(tmp_path)) is None


@pytest.mark.parametrize("problem", ["missing", "swapped", "other key", "no PEM"])
def test_a_certificate_that_cannot_be_used_is_a_configuration_error(
    tmp_path: Path, certificate: tuple[Path, Path], problem: str
) -> None:
    used = {
        "missing": (tmp_path / "nothing.pem", certificate[1]),
        "swapped": certificate[::-1],
        "other key": (certificate[0], tmp_path / "other.pem"),
        "no PEM": (tmp_path / "text.pem", certificate[1]),
    }[problem]
    (tmp_path / "text.pem").write_text("no certificate")
    curve = ("-pkeyopt", "ec_paramgen_curve:prime256v1")
    openssl("genpkey", "-algorithm", "EC", *curve, "-out", str(tmp_path / "other.pem"))
    settings = settings_of(tmp_path, server_tls_certificate=used[0], server_tls_key=used[1])
    with pytest.raises(ConfigurationError, match=r"\[server\] tls_certificate and tls_key .* cannot be used"):
        tls_context(settings)


def test_a_certificate_is_found_relative_to_the_configuration(
    tmp_path: Path, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service manager starts the server in another directory."""
    shutil.copy(certificate[0], tmp_path / "c.pem")
    shutil.copy(certificate[1], tmp_path / "k.pem")
    monkeypatch.chdir("/")
    assert tls_context(settings_of(tmp_path, server_tls_certificate="c.pem", server_tls_key="k.pem")) is not None


# The lockout, as a client sees it


async def test_a_guesser_is_told_when_to_come_back_and_a_proven_key_on_the_same_address_goes_on(
    start: StartService,
) -> None:
    """Agents share addresses; one with a stale key must not stop the deployments of the others."""
    service = await start(security_lockout_failures=2, security_lockout_seconds=60)
    assert (await service.post(RECORD)).status == 200
    statuses = [(await service.post(RECORD, key="stale")).status for _ in range(4)]
    assert statuses == [403, 403, 429, 429]
    answer = await service.post(RECORD, key="stale")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert [(await service.post(RECORD)).status for _ in range(3)] == [200, 200, 200]
    assert len(await service.rows()) == 4


async def test_a_client_that_does_not_read_holds_up_the_stop_no_longer_than_others(service: Service) -> None:
    """Its answer is broken off when the time is up; it sees that it has not got all."""
    await service.store.add_deployments(rows(3000, description="x" * 16_000))
    settings = replace(service.settings, server=replace(service.settings.server, shutdown_timeout=2.0))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(listening(create_app(settings), settings))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /api/deployments?format=csv HTTP/1.0\r\nX-ApiKey: abc12345\r\n\r\n")
        assert await reader.readline() == b"HTTP/1.0 200 OK\r\n"
        async with asyncio.timeout(30):  # the other server may be indexing all that text, and hold up our last write
            await stack.aclose()
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
