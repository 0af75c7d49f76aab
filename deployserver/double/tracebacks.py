"""Errors of a test, shown where the test made them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from deployserver.errors import DeployServerError

__tracebackhide__ = True  # pytest's word for a module that is left out of what it shows

T = TypeVar("T")


def plainly(work: Callable[[], T]) -> T:
    """Return what comes of ``work``; an error that explains itself is raised without where it was found."""
    try:
        return work()
    except DeployServerError as error:
        raise error.with_traceback(None) from None
