"""The time, as records keep it."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Gives the time now, in microseconds since 1970-01-01T00:00:00Z."""


def now() -> int:
    """Return the time in microseconds since 1970-01-01T00:00:00Z."""
    return time.time_ns() // 1000
