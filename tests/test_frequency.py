"""``GET /api/deployments/frequency``: how often is deployed, by day, week or month."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
from conftest import Service, StartService
from hypothesis import given
from hypothesis import strategies as st
from reading import DAY, START, error, found, iso, read, record, row

from deployserver.dates import parse_date
from deployserver.frequency import MOST_PERIODS, PERIODS, _label, _periods, _start

pytestmark = pytest.mark.every_engine

ZERO = "T00:00:00Z"


async def counts(service: Service, **query: Any) -> dict[str, int]:
    """Return the counts by period; periods are in order and there once."""
    items = await found(service, "/frequency", **query)
    froms = [item["From"] for item in items]
    assert froms == sorted(set(froms))
    return {item["Period"]: item["Count"] for item in items}


async def recorded(service: Service, *dates: str) -> None:
    await service.store.add_deployments([row(date=parse_date(one)) for one in dates])


# Periods


@pytest.mark.parametrize(
    ("per", "expected"),
    [
        (
            "day",
            [("2021-04-11", "2021-04-11", 1), ("2021-04-12", "2021-04-12", 0), ("2021-04-13", "2021-04-13", 2)],
        ),
        ("week", [("2021-W14", "2021-04-05", 1), ("2021-W15", "2021-04-12", 2)]),
        ("month", [("2021-04", "2021-04-01", 3)]),
    ],
)
async def test_periods_have_their_iso_name_and_their_first_moment(
    service: Service, per: str, expected: list[tuple[str, str, int]]
) -> None:
    """Days and weeks are UTC; a week begins on Monday."""
    await recorded(service, "2021-04-11T23:59:59.999999Z", "2021-04-13", "2021-04-14T01:59:59+02:00")
    for spelling in (per, per.upper(), f" {per} "):
        assert await found(service, "/frequency", per=spelling) == [
            {"Period": period, "From": first + ZERO, "Count": count} for period, first, count in expected
        ]


async def test_a_day_is_the_period_unless_it_is_told_otherwise(service: Service) -> None:
    await recorded(service, "2021-04-13")
    assert await counts(service) == await counts(service, per="") == {"2021-04-13": 1}


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (["2020-12-31", "2021-01-03"], ["2020-W53"]),  # a year that has 53 weeks, and ends in the next
        (["2018-12-31"], ["2019-W01"]),
        (["2021-01-04", "2021-01-11"], ["2021-W01", "2021-W02"]),
    ],
)
async def test_weeks_are_those_of_iso_8601(service: Service, dates: list[str], expected: list[str]) -> None:
    await recorded(service, *dates)
    assert list(await counts(service, per="week")) == expected


async def test_months_are_as_long_as_they_are(service: Service) -> None:
    await recorded(service, "2019-12-31T23:59:59Z", "2020-02-29", "2020-03-01")
    assert await counts(service, per="month") == {"2019-12": 1, "2020-01": 0, "2020-02": 1, "2020-03": 1}


async def test_periods_without_deployments_are_there_within_what_is_asked_for(service: Service) -> None:
    """A chart has no gaps, and shows that nothing was deployed."""
    await recorded(service, "2021-04-13")
    assert await counts(service, since="2021-04-12", until="2021-04-14T12:00:00Z") == {
        "2021-04-12": 0,
        "2021-04-13": 1,
        "2021-04-14": 0,
    }
    assert await counts(service, since="2021-04-20", until="2021-04-21") == {"2021-04-20": 0, "2021-04-21": 0}
    assert await counts(service, package="unknown", since="2021-04-30", until="2021-05-01", per="month") == {
        "2021-04": 0,
        "2021-05": 0,
    }
    assert await counts(service, package="unknown") == {}


async def test_nothing_recorded_is_no_periods(service: Service) -> None:
    assert await counts(service) == {}


async def test_a_span_of_too_many_periods_has_only_those_with_deployments(service: Service) -> None:
    """One mistyped year must not make an answer of millions."""
    await recorded(service, "0001-01-01", "2021-04-13", "9999-12-31T23:59:59.999999Z")
    for per in PERIODS:
        assert list((await counts(service, per=per)).values()) == [1, 1, 1]
    await recorded(service, "2022-04-13")
    within = await counts(service, since="2021-01-01", until="2022-12-31")
    assert (len(within), sum(within.values())) == (730, 2)


@pytest.mark.parametrize(
    ("per", "first"),
    [("day", "9999-12-20"), ("day", "9999-12-31"), ("week", "9999-11-15"), ("month", "9999-02-01")],
)
async def test_the_calendar_is_good_to_its_end(service: Service, per: str, first: str) -> None:
    """9999-12-31 is what people write who mean for ever."""
    await recorded(service, first, "9999-12-31", "9999-12-31T23:59:59.999999Z")
    items = await counts(service, per=per, since=first)
    assert sum(items.values()) == 3
    assert list(items) == [
        _label(start, per)
        for start in sorted(
            {_start(date.fromisoformat(first) + timedelta(days), per) for days in _days_until_end(first)}
        )
    ]


def _days_until_end(first: str) -> range:
    return range((date.max - date.fromisoformat(first)).days + 1)


@given(
    first=st.dates(),
    last=st.dates(),
    per=st.sampled_from(PERIODS),
)
def test_periods_are_the_days_taken_together(first: date, last: date, per: Any) -> None:
    """Each day of a span is in one period, and no period is without a day of it."""
    first, last = sorted((first, last))
    last = min(last, first + timedelta(days=min(400, (date.max - first).days)))
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    expected = sorted({_start(day, per) for day in days})
    assert list(_periods(_start(first, per), _start(last, per), per)) == expected
    assert len({_label(start, per) for start in expected}) == len(expected)


# What is counted


async def test_counts_are_of_what_meets_the_question(service: Service) -> None:
    """Whether it is looked up or looked at."""
    texts = {"Application": "Octopus", "UserName": "Bob", "Version": "2.0", "Target": "db", "GroupName": "@acme"}
    for day, properties in ((13, {}), (14, texts), (14, {}), (15, texts | {"PackageName": "left-pad"})):
        await record(service, Date=f"2021-04-{day}T12:00:00Z", **properties)
    some = {"2021-04-14": 1, "2021-04-15": 1}
    for query in (
        {"application": "octopus"},
        {"user": "bob"},
        {"version": "2*"},
        {"target": "DB"},
        {"group": "@a*"},
        {"q": "octo"},
        {"application": "octopus", "user": "b*"},
    ):
        assert await counts(service, **query) == some, query
        assert await counts(service, **query, package="left-pad") == {"2021-04-15": 1}
        assert await counts(service, **query, until="2021-04-14T12:00:00Z") == {"2021-04-14": 1}
    assert await counts(service, feed="other") == {}
    assert await counts(service, feed="default*", application="octopus") == some


async def test_bounds_are_moments_and_both_are_included(service: Service) -> None:
    """Days of which a part is asked for are counted in that part."""
    hours = [0, 6, 12, 18, 24, 30, 36, 42, 48, 54, 60, 66]
    await service.store.add_deployments([row(date=START + hour * DAY // 24) for hour in hours])
    for since in (0, 3, 6, 24, 30, 48):
        for until in (0, 6, 24, 29, 30, 47, 48, 66, 72):
            if since > until:
                continue
            expected = Counter(f"2021-04-{13 + hour // 24}" for hour in hours if since <= hour <= until)
            given_ = {"since": iso(START + since * DAY // 24), "until": iso(START + until * DAY // 24)}
            for query in ({}, {"application": "ProfitCalc"}, {"target": "web*"}):
                answered = await counts(service, **given_, **query)
                assert {day: count for day, count in answered.items() if count} == dict(expected), given_
                assert len(answered) == until // 24 - since // 24 + 1


async def test_a_time_ago_begins_a_period(start: StartService) -> None:
    service = await start(clock=lambda: START + 10 * DAY + DAY // 2)
    await recorded(service, "2021-04-13")
    assert list(await counts(service, since="2d", until="24h")) == ["2021-04-21", "2021-04-22"]


async def test_negative_dates_are_counted_in_their_day(service: Service) -> None:
    """Rounding goes down, before 1970 too."""
    await recorded(service, "1969-12-31T23:59:59.999999Z", "1969-12-31", "1970-01-01", "1969-12-30T23:59:59.999999Z")
    assert await counts(service) == {"1969-12-30": 1, "1969-12-31": 2, "1970-01-01": 1}
    assert await counts(service, since="1969-12-31", until="1969-12-31T23:59:59.999999Z") == {"1969-12-31": 2}
    assert await counts(service, per="week") == {"1970-W01": 4}


async def test_late_records_are_counted_where_they_belong(service: Service) -> None:
    await recorded(service, "2021-04-13", "2021-04-14")
    await recorded(service, "2021-04-13")
    assert await counts(service) == {"2021-04-13": 2, "2021-04-14": 1}


# How it is written


async def test_a_table_has_a_line_for_each_period(service: Service) -> None:
    await recorded(service, "2021-04-13", "2021-04-15")
    assert (await read(service, "/frequency", format="csv")).text == (
        "Period,From,Count\r\n"
        "2021-04-13,2021-04-13T00:00:00Z,1\r\n"
        "2021-04-14,2021-04-14T00:00:00Z,0\r\n"
        "2021-04-15,2021-04-15T00:00:00Z,1\r\n"
    )
    assert (await read(service, "/frequency", headers={"Accept": "application/x-ndjson"}, per="month")).text == (
        '{"Period":"2021-04","From":"2021-04-01T00:00:00Z","Count":2}\n'
    )


async def test_a_frequency_is_one_answer_and_has_no_pages(service: Service) -> None:
    await recorded(service, "2000-01-01", "2021-04-13")
    assert len(await counts(service)) == 7774 < MOST_PERIODS
    for name in ("limit", "cursor", "count", "as_of"):
        assert (await error(service, "/frequency", **{name: "1"})).startswith(
            f"{name} is no parameter here. Known are "
        )
    assert await error(service, "/frequency", per="year") == "per must be one of day, week, month."
