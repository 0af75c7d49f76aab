"""How far something has come: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import io

import pytest

from deployserver.cli import progress
from deployserver.cli.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_on_a_terminal_there_is_a_bar_that_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what is done, how fast, and how long the rest takes; a sentence is written above it."""
    monkeypatch.setenv("COLUMNS", "100")
    clock = iter([0.0, 1.0, 2.0, 2.01])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    terminal = Terminal()
    shown = Progress("records", terminal)
    for done in (0, 25, 50, 51):
        shown.show("loading", done, 100, done * 1000)
    assert terminal.getvalue().split("\r")[1:] == [
        "loading  [####............]   25%  25,000 records, 25,000 a second  0:03 left",
        "loading  [########........]   50%  50,000 records, 25,000 a second  0:02 left",
    ]
    shown.tell("line 7: wrong")
    assert terminal.getvalue().endswith("\rline 7: wrong\n")


def test_elsewhere_there_is_a_line_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where nobody knows how much there is, as of a pipe."""
    clock = iter([0.0, 5.0, 11.0, 12.0, 3700.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    stream = io.StringIO()
    shown = Progress("records", stream)
    for done in (0, 5, 11, 12):
        shown.show("loading", done, None, done)
    shown.show("loading", 13, 26, 13)
    assert stream.getvalue() == (
        "loading  11 records, 1 a second\nloading   50%  13 records, 0 a second  1:01:40 left\n"
    )
