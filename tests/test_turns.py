"""Turns at writing to one SQLite file: one at a time, nobody for ever, and no harm where there are none."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import environment
from waiting import until

from deployserver.storage import SQLiteDatabase
from deployserver.storage.sqlite import turns as module
from deployserver.storage.sqlite.migrator import migrate
from deployserver.storage.sqlite.turns import Turns

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock, and no workers")

_HOLD = """
import pathlib, sys
from deployserver.storage.sqlite.turns import Turns
turns = Turns(pathlib.Path(sys.argv[1]))
turns.open()
turns.take()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def two(path: Path) -> Iterator[tuple[Turns, Turns]]:
    """What two servers on one file have."""
    made = (Turns(path), Turns(path))
    for turns in made:
        turns.open()
    yield made
    for turns in made:
        turns.close()


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process, whose turn it is until it is killed."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_one_at_a_time(two: tuple[Turns, Turns], monkeypatch: pytest.MonkeyPatch) -> None:
    """A counter that is read, and written a moment later, is right at the end."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 60)
    count = 0

    def add() -> None:
        nonlocal count
        read = count
        threading.Event().wait(0.0005)
        count = read + 1

    def work(turns: Turns) -> None:
        for _ in range(100):
            turns.during(add)

    threads = [threading.Thread(target=work, args=(turns,)) for turns in two]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 200


def test_the_turn_of_a_process_that_is_killed_ends(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 60)
    turns = Turns(path)
    turns.open()
    threading.Timer(0.05, holder.kill).start()
    turns.take()
    holder.wait()
    turns.close()


async def test_whoever_holds_it_too_long_stops_nobody(
    two: tuple[Turns, Turns], monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's own lock is enough; and when it is free again, turns are taken as before."""
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    one, other = two
    one.take()
    assert [other.during(lambda: "done") for _ in range(3)] == ["done"] * 3
    one.give()

    async def takes_turns_again() -> bool:
        other.take()
        one.take()
        kept_out = one._held is None
        other.give()
        one.give()
        return kept_out

    await until(takes_turns_again)


async def test_a_database_is_written_where_another_program_holds_its_directory(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    assert holder.poll() is None
    migrate(path)
    store = SQLiteDatabase(path, 5)
    await store.open()
    before = threading.active_count()
    await store.probe()
    await store.probe()
    assert threading.active_count() <= before + 1
    await store.close()


def test_where_there_are_no_locks_nobody_waits(tmp_path: Path) -> None:
    turns = Turns(tmp_path / "nowhere" / "records.db")
    turns.open()
    assert turns.during(str, 5) == "5"
    turns.close()


def test_who_cannot_wait_writes_all_the_same(
    path: Path, holder: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that may open no more files, while another has its turn, has lost nothing but time."""
    turns = Turns(path)
    turns.open()
    assert holder.poll() is None

    def no_more(_: Path) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(module, "_opened", no_more)
        assert turns.during(str, 5) == "5"
    turns.close()
