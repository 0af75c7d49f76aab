"""Tests without a fixture: what pytest itself takes for each."""


def test_nothing(number: int) -> None:
    assert number >= 0
