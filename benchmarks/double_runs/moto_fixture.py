"""The fixture that moto's documentation has its users write for its server mode, with a reset for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from posting import send


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """Give the address of a server that runs until the end."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def moto(moto_server: str) -> str:
    """Give the address of a server that holds nothing."""
    send("POST", f"{moto_server}/moto-api/reset")
    return moto_server
