"""Patterns of names and paths."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployserver.double.faults.patterns import fits_pattern


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        (None, "anything", True),
        ("*", "", True),
        ("", "", True),
        ("", "x", False),
        ("web-*", "WEB-01", True),
        ("web-*", "web", False),
        ("*-01", "web-01", True),
        ("a*a", "a", False),
        ("a*b*c", "a.c.b.c", True),
        ("a*b*c", "a.c.b", False),
        ("STRASSE", "straße", True),
        ("we?", "web", False),
        ("[w]eb", "web", False),
        ("a.b", "axb", False),
    ],
)
def test_only_a_star_is_special_and_letter_case_does_not_count(pattern: str | None, text: str, fits: bool) -> None:
    assert fits_pattern(pattern, text) is fits


@given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
def test_a_star_is_any_text(pattern: str, text: str) -> None:
    expected = re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text)
    assert fits_pattern(pattern, text) is (expected is not None)


def test_many_stars_take_no_time() -> None:
    started = time.perf_counter()
    assert not fits_pattern("*a" * 500 + "b", "a" * 20_000)
    assert time.perf_counter() - started < 1
