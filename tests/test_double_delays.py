"""How long a fault waits."""

from __future__ import annotations

import random
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployserver.double.faults.delays import LONGEST_SECONDS, Delay

SECONDS = st.floats(0.001, LONGEST_SECONDS)
DELAYS = st.one_of(
    st.builds(lambda number: Delay("fixed", (number,)), SECONDS),
    st.builds(lambda low, more: Delay("uniform", (low, low + more)), SECONDS, SECONDS),
    st.builds(lambda mean, deviation: Delay("normal", (mean, deviation)), SECONDS, SECONDS),
    st.builds(lambda median, sigma: Delay("lognormal", (median, sigma)), SECONDS, SECONDS),
    st.builds(lambda mean: Delay("exponential", (mean,)), SECONDS),
)


@given(DELAYS, st.integers(0))
def test_no_delay_is_negative_or_longer_than_an_hour(delay: Delay, seed: int) -> None:
    generator = random.Random(seed)
    assert all(0 <= delay.draw(generator) <= LONGEST_SECONDS for _ in range(20))


@given(DELAYS, st.integers(0))
def test_the_same_seed_draws_the_same_delays(delay: Delay, seed: int) -> None:
    one, other = random.Random(seed), random.Random(seed)
    assert [delay.draw(one) for _ in range(10)] == [delay.draw(other) for _ in range(10)]


@pytest.mark.parametrize(
    ("delay", "median"),
    [
        (Delay("fixed", (2,)), 2),
        (Delay("uniform", (1, 3)), 2),
        (Delay("normal", (2, 0.5)), 2),
        (Delay("lognormal", (2, 0.5)), 2),
        (Delay("exponential", (2,)), 1.386),
    ],
)
def test_the_numbers_mean_what_they_say(delay: Delay, median: float) -> None:
    generator = random.Random(1)
    assert statistics.median(delay.draw(generator) for _ in range(4000)) == pytest.approx(median, rel=0.1)


def test_a_delay_without_measure_is_an_hour() -> None:
    generator = random.Random(1)
    assert LONGEST_SECONDS in {Delay("lognormal", (1, LONGEST_SECONDS)).draw(generator) for _ in range(10)}
