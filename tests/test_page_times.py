"""Times, numbers and names as pages show them."""

from __future__ import annotations

import pytest

from deployserver.dates import from_micros, to_micros
from deployserver.pages.scales import TimeScale, count_ticks
from deployserver.pages.texts import compact, middle_ellipsis, percent, plural, thousands
from deployserver.pages.times import DAY, ago, day, iso, utc

SECOND = 1_000_000
AT = 1_795_543_711 * SECOND + 250_000  # 2026-11-24T18:08:31.25Z


def test_a_time_is_shown_in_utc_to_the_minute() -> None:
    assert utc(AT) == "2026-11-24 18:08 UTC"
    assert day(AT) == "2026-11-24"


def test_a_time_for_machines_keeps_every_microsecond() -> None:
    assert iso(AT) == "2026-11-24T18:08:31.250000Z"
    assert iso(AT - 250_000) == "2026-11-24T18:08:31Z"
    assert to_micros(from_micros(253_402_300_799_999_999)) == 253_402_300_799_999_999


def test_the_first_and_the_last_year_are_written_with_four_digits() -> None:
    assert utc(-62_135_596_800 * SECOND) == "0001-01-01 00:00 UTC"
    assert utc(253_402_300_799 * SECOND) == "9999-12-31 23:59 UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3_599, "59 minutes ago"),
        (3 * 3_600 + 59, "3 hours ago"),
        (86_400, "1 day ago"),
        (30 * 86_400, "30 days ago"),
        (31 * 86_400, "1 month ago"),
        (365 * 86_400, "11 months ago"),
        (366 * 86_400, "1 year ago"),
        (-59, "just now"),
        (-2 * 86_400, "in 2 days"),
    ],
)
def test_how_long_ago_is_the_largest_whole_unit(seconds: int, text: str) -> None:
    assert ago(AT - seconds * SECOND, AT) == text


def test_numbers_are_easy_to_read() -> None:
    assert thousands(1_234_567) == "1,234,567"
    assert plural(1, "target") == "1 target"
    assert plural(1_200, "target") == "1,200 targets"
    assert plural(0, "entry", "entries") == "0 entries"
    assert [compact(number) for number in (0, 950, 1_000, 1_250, 34_999, 1_500_000, 2 * 10**9, 10**15)] == [
        "0", "950", "1k", "1.2k", "34k", "1.5M", "2G", "1000T",
    ]  # fmt: skip


def test_a_share_never_claims_nothing_or_all_where_it_is_not() -> None:
    assert [percent(part, 1_000) for part in (0, 1, 500, 999, 1_000)] == ["0%", "<1%", "50%", ">99%", "100%"]
    assert percent(0, 0) == "0%"


def test_a_long_name_keeps_both_its_ends() -> None:
    assert middle_ellipsis("web-01") == "web-01"
    assert middle_ellipsis("build-agent-windows-2022-eu-west-1", 15) == "build-a…-west-1"
    assert middle_ellipsis("abcdef", 2) == "a…"
    assert len(middle_ellipsis("x" * 1_024, 32)) == 32


@pytest.mark.parametrize(
    ("highest", "ticks"),
    [
        (0, [0, 1]),
        (1, [0, 1]),
        (4, [0, 1, 2, 3, 4]),
        (5, [0, 2, 4, 6]),
        (83, [0, 50, 100]),
        (1_203_441, [0, 500_000, 1_000_000, 1_500_000]),
    ],
)
def test_counts_have_round_lines(highest: int, ticks: list[int]) -> None:
    assert count_ticks(highest) == ticks


@pytest.mark.parametrize(
    ("days", "labels"),
    [
        (0.25, ["19:00", "20:00", "21:00", "22:00", "23:00", "25 Nov"]),
        (5, ["25 Nov", "26 Nov", "27 Nov", "28 Nov", "29 Nov"]),
        (40, ["30 Nov", "7 Dec", "14 Dec", "21 Dec", "28 Dec"]),
        (170, ["Dec 2026", "Jan 2027", "Feb 2027", "Mar 2027", "Apr 2027", "May 2027"]),
        (3 * 365, ["Jan 2027", "Jul 2027", "Jan 2028", "Jul 2028", "Jan 2029", "Jul 2029"]),
        (12 * 365, ["2028", "2030", "2032", "2034", "2036", "2038"]),
    ],
)
def test_times_have_lines_at_round_times(days: float, labels: list[str]) -> None:
    assert [tick.label for tick in TimeScale(AT, AT + int(days * DAY)).ticks()] == labels


def test_all_of_time_and_none_of_it_have_lines() -> None:
    first, last = -62_135_596_800 * SECOND, 253_402_300_799 * SECOND
    assert [tick.label for tick in TimeScale(first, last).ticks()] == ["2000", "4000", "6000", "8000"]
    assert all(0 <= tick.share <= 1 for tick in TimeScale(AT, AT).ticks())
    assert TimeScale(AT, AT).share(AT) == 0
