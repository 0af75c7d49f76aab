"""A run of a thousand tests needs no more memory than one of ten: nothing of a world is kept when it has ended."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import weakref
from pathlib import Path

from deployserver.double.settings import double_settings
from deployserver.double.thread import ServerThread
from deployserver.double.world import Beginning
from deployserver.testing import DeployServer

TESTS = """
import gc
import urllib.request

import pytest
from deployserver.double.world import World

@pytest.mark.parametrize("number", range(5))
def test_something(proget, number):
    urllib.request.urlopen(f"{proget.url}/health").read()

def test_that_all_others_are_gone(proget):
    gc.collect()
    assert sum(isinstance(kept, World) for kept in gc.get_objects()) == 1
"""


def test_a_world_that_has_been_replaced_is_gone() -> None:
    thread = ServerThread(double_settings("127.0.0.1", 0), Beginning())
    thread.start()
    try:
        old = weakref.ref(thread.worlds.root)
        thread.renew()
        gc.collect()
        assert old() is None
    finally:
        thread.stop()


def test_what_a_reset_has_replaced_is_gone() -> None:
    with DeployServer(state={"feeds": ["F"]}) as server:
        old = weakref.ref(server._world._server.app)
        server.reset()
        gc.collect()
        assert old() is None


def test_a_namespace_needs_no_thread() -> None:
    with DeployServer() as server:
        before = threading.active_count()
        for number in range(5):
            server.namespace(f"n{number}")
        assert threading.active_count() == before


def test_pytest_keeps_no_world_of_a_test_that_has_ended(tmp_path: Path) -> None:
    (tmp_path / "test_worlds.py").write_text(TESTS)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "deployserver.pytest_plugin", "test_worlds.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
    )
    assert "6 passed" in done.stdout, done.stdout + done.stderr
