"""One test that notes how long a fixture takes that nobody has asked for before."""

from __future__ import annotations

import os
import time

import pytest
from noting import NOTES


def test_first(request: pytest.FixtureRequest) -> None:
    fixture = os.environ.get("FIXTURE")
    asked = time.perf_counter()
    if fixture:
        request.getfixturevalue(fixture)
    NOTES.first = time.perf_counter() - asked
