"""The clock of the double, as it is read while somebody sets it."""

from __future__ import annotations

import pytest

from deployserver.clock import now
from deployserver.double.clock import MovableClock
from deployserver.errors import InvalidValue

_DAY = 86_400_000_000


def test_it_goes_on_from_where_it_stood_and_shows_no_other_time_between() -> None:
    seen: list[int] = []

    def real() -> int:
        if clock.frozen:
            seen.append(clock())
        return now()

    clock = MovableClock(real)
    clock.freeze(_DAY)
    clock.unfreeze()
    assert seen == [_DAY]
    assert _DAY <= clock() < 2 * _DAY


def test_it_is_not_set_to_a_time_before_1970_and_stays_where_it_was() -> None:
    clock = MovableClock()
    clock.freeze(_DAY)
    with pytest.raises(InvalidValue, match="1970"):
        clock.advance(-2 * _DAY)
    assert clock() == _DAY
