"""Dates in every form that clients write, and the one form we answer with."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from conftest import RECORD, Service
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bodies import FORM, JSON, MULTIPART, TEXT, assert_refused, multipart, post_as, recorded

from deployserver.dates import format_date, parse_date

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TEN = "2021-04-13T10:00:00Z"

ACCEPTED = [
    ("2021-04-13T10:00:00Z", TEN),
    ("2021-04-13t10:00:00z", TEN),
    ("2021-04-13 10:00:00Z", TEN),
    ("2021-04-13T10:00:00 Z", TEN),
    ("2021-04-13T10:00:00", TEN),
    ("2021-04-13 10:00:00", TEN),
    ("2021-04-13T10:00", TEN),
    ("2021-04-13 10:00", TEN),
    ("2021-04-13T10:00Z", TEN),
    ("2021-04-13", "2021-04-13T00:00:00Z"),
    # Offsets
    ("2021-04-13T12:00:00+02:00", TEN),
    ("2021-04-13T12:00:00+0200", TEN),
    ("2021-04-13T12:00:00+02", TEN),
    ("2021-04-13T12:00:00 +02:00", TEN),
    ("2021-04-13 12:00:00 +0200", TEN),
    ("2021-04-13T05:00:00-05:00", TEN),
    ("2021-04-13T05:00:00 -05:00", TEN),
    ("2021-04-13T15:30:00+05:30", TEN),
    ("2021-04-13T00:30:00-0930", TEN),
    ("2021-04-14T00:00:00+14:00", TEN),
    ("2021-04-13T10:00:00+00:00", TEN),
    ("2021-04-13T10:00:00-00:00", TEN),
    ("2021-04-13T12:00+02:00", TEN),
    ("2021-01-01T01:00:00+02:00", "2020-12-31T23:00:00Z"),
    # A plus that was sent unescaped in a form
    ("2021-04-13T12:00:00 02:00", TEN),
    ("2021-04-13T12:00:00 0200", TEN),
    ("2021-04-13T12:00:00 02", TEN),
    ("2021-04-13T12:00 02:00", TEN),
    ("2021-04-13 12:00:00 02:00", TEN),
    ("2021-04-13 12:00:00  02:00", TEN),
    ("2021-04-13T12:00:00.5 02:00", "2021-04-13T10:00:00.500000Z"),
    # Fractions
    ("2021-04-13T10:00:00.1Z", "2021-04-13T10:00:00.100000Z"),
    ("2021-04-13T10:00:00.12", "2021-04-13T10:00:00.120000Z"),
    ("2021-04-13T10:00:00.123Z", "2021-04-13T10:00:00.123000Z"),
    ("2021-04-13T10:00:00,123Z", "2021-04-13T10:00:00.123000Z"),
    ("2021-04-13T10:00:00.1234Z", "2021-04-13T10:00:00.123400Z"),
    ("2021-04-13T10:00:00.12345Z", "2021-04-13T10:00:00.123450Z"),
    ("2021-04-13T10:00:00.123456Z", "2021-04-13T10:00:00.123456Z"),
    ("2021-04-13T10:00:00.1234567Z", "2021-04-13T10:00:00.123456Z"),
    ("2021-04-13T12:00:00.1234567+02:00", "2021-04-13T10:00:00.123456Z"),
    ("2021-04-13T10:00:00.12345678", "2021-04-13T10:00:00.123456Z"),
    ("2021-04-13T10:00:00.123456789Z", "2021-04-13T10:00:00.123456Z"),
    ("2021-04-13T10:00:00.000000999Z", TEN),
    ("2021-04-13T10:00:00.0Z", TEN),
    # .NET
    ("/Date(1618308000000)/", TEN),
    ("/Date(1618308000000+0200)/", TEN),
    ("/Date(1618308000000-0500)/", TEN),
    ("/Date(1618308000000 0200)/", TEN),
    ("/Date(1618308000123)/", "2021-04-13T10:00:00.123000Z"),
    ("/Date(0)/", "1970-01-01T00:00:00Z"),
    ("/Date(-1)/", "1969-12-31T23:59:59.999000Z"),
    # RFC 1123
    ("Tue, 13 Apr 2021 10:00:00 GMT", TEN),
    ("tue, 13 apr 2021 10:00:00 gmt", TEN),
    ("Tue, 13 Apr 2021 10:00:00 UTC", TEN),
    ("Tue, 13 Apr 2021 12:00:00 +0200", TEN),
    ("Tue, 13 Apr 2021 10:00:00 -0000", TEN),
    ("Tue, 6 Apr 2021 10:00:00 GMT", "2021-04-06T10:00:00Z"),
    # The edges
    ("0001-01-01", "0001-01-01T00:00:00Z"),
    ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999Z"),
    ("2020-02-29", "2020-02-29T00:00:00Z"),
    ("1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z"),
    (" 2021-04-13T10:00:00Z\r\n", TEN),
]

REFUSED = [
    # Of a locale: two different days
    "13.04.2021",
    "04/13/2021",
    "04/05/2021",
    "4/13/2021 10:00:00 AM",
    "13.04.2021 10:00:00",
    "13-04-2021",
    "2021/04/13",
    "2021.04.13",
    "13 Apr 2021",
    "April 13, 2021",
    "Dienstag, 13. April 2021 10:00:00",
    "Tuesday, April 13, 2021 10:00:00 AM",
    "Tue Apr 13 10:00:00 2021",
    "Tuesday, 13-Apr-21 10:00:00 GMT",
    # Not quite ISO 8601
    "2021-4-13",
    "21-04-13",
    "20210413",
    "20210413T100000Z",
    "2021-04",
    "2021",
    "2021-W15-2",
    "2021-103",
    "2021-04-13T",
    "2021-04-13T10",
    "2021-04-13T10Z",
    "2021-04-13Z",
    "2021-04-13+02:00",
    "2021-04-13T10:0:0Z",
    "2021-04-13T10:00:00.Z",
    "2021-04-13T10:00:00.1234567890Z",
    "2021-04-13T10:00.5Z",
    "2021-04-13T10:00:00ZZ",
    "2021-04-13T10:00:00 GMT",
    "2021-04-13T10:00:00 CEST",
    "2021-04-13T10:00:00+2",
    "2021-04-13T10:00:00+02:0",
    "2021-04-13T10:00:00+02:00:00",
    "2021-04-13T10:00:00+02:00[Europe/Berlin]",
    "2021-04-13 10:00:00 AM",
    "2021-04-13  10:00:00",
    "2021-04-13T10:00:00Z and more",
    "٢٠٢١-٠٤-١٣",
    "+2021-04-13",
    "-2021-04-13",
    "12021-04-13",
    # Numbers and words
    "1618308000",
    "1618308000000",
    "now",
    "today",
    "null",
    "P1D",
    "Date(1618308000000)",
    "/Date(x)/",
    "/Date()/",
    "/Date(1618308000000+2)/",
    "/Date(1618308000.5)/",
    "\\/Date(1618308000000)\\/",
    # No such day, hour or offset
    "2021-02-29",
    "2021-13-01",
    "2021-00-10",
    "2021-04-31",
    "2021-04-00",
    "0000-01-01",
    "2021-04-13T24:00:00Z",
    "2021-04-13T25:00:00Z",
    "2021-04-13T10:60:00Z",
    "2021-04-13T10:00:60Z",
    "2021-04-13T10:00:00+24:00",
    "2021-04-13T10:00:00+02:60",
    "Tue, 31 Apr 2021 10:00:00 GMT",
    "Tue, 13 Apr 2021 25:00:00 GMT",
    "Tue, 13 Apr 2021 10:00:00 +9999",
    # Outside the years 1 to 9999, once in UTC
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:00-00:01",
    "Fri, 31 Dec 9999 23:59:59 -0100",
    "/Date(253402300800000)/",
    "/Date(-62135596800001)/",
    "/Date(999999999999999999)/",
    "/Date(-999999999999999999)/",
]


@pytest.mark.parametrize(("written", "meant"), ACCEPTED)
def test_an_accepted_form_is_the_moment_it_names(written: str, meant: str) -> None:
    assert format_date(parse_date(written)) == meant


@pytest.mark.parametrize("written", REFUSED)
def test_any_other_form_is_refused_and_told_an_accepted_one(written: str) -> None:
    with pytest.raises(ValueError, match=re.escape("send an ISO 8601 date such as 2021-04-13T10:00:00Z")):
        parse_date(written)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_618_308_000_120_000, "2021-04-13T10:00:00.120000Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_a_date_is_written_in_utc_with_six_digits_or_none(micros: int, text: str) -> None:
    assert format_date(micros) == text


# Over the wire


@pytest.mark.parametrize(
    "written",
    [
        TEN,
        "2021-04-13T12:00:00+02:00",
        "2021-04-13T12:00:00%2B02:00",
        "2021-04-13T12:00:00%2b0200",
        "2021-04-13+12:00:00+02:00",
        "2021-04-13 12:00:00 +02:00",
        "2021-04-13T05:00:00-05:00",
        "2021-04-13T12:00:00.0000000+02:00",
        "/Date(1618308000000)/",
        "/Date(1618308000000+0200)/",
        "%2FDate(1618308000000%2B0200)%2F",
        "Tue,+13+Apr+2021+10:00:00+GMT",
        "Tue, 13 Apr 2021 10:00:00 GMT",
    ],
)
async def test_a_date_in_a_form_may_be_escaped_or_not(service: Service, written: str) -> None:
    """PowerShell's string bodies are sent as they are, and an unescaped plus arrives as a blank."""
    answer = await post_as(service, FORM, TEXT + b"&Date=" + written.encode())
    assert (await recorded(service, answer))["Date"] == TEN


@pytest.mark.parametrize(
    "written",
    [
        '"2021-04-13T10:00:00Z"',
        '"2021-04-13T12:00:00.0000000+02:00"',
        '"2021-04-13T12:00:00 02:00"',
        r'"\/Date(1618308000000)\/"',
        r'"\/Date(1618308000000+0200)\/"',
        '"Tue, 13 Apr 2021 10:00:00 GMT"',
        r'{"value": "\/Date(1618308000000)\/", "DisplayHint": 2, "DateTime": "Tuesday, April 13, 2021 12:00:00 PM"}',
        r'{"DateTime": "Dienstag, 13. April 2021 12:00:00", "DisplayHint": 2, "value": "\/Date(1618308000000)\/"}',
        r'{"value": "2021-04-13T10:00:00Z"}',
        r'{"Value": "\/Date(1618308000000)\/"}',
    ],
)
async def test_a_date_in_json_may_be_wrapped_as_windows_powershell_does(service: Service, written: str) -> None:
    """PowerShell 5.1 makes an object of ``Get-Date``, with the date in ``value``."""
    body = json.dumps(RECORD)[:-1] + f', "Date": {written}}}'
    assert (await recorded(service, await post_as(service, JSON, body.encode())))["Date"] == TEN


@pytest.mark.parametrize(
    "written",
    [
        "{}",
        '{"value": null}',
        '{"value": 1618308000000}',
        '{"value": {}}',
        '{"value": ["2021-04-13"]}',
        '{"value": {"value": "2021-04-13"}}',
        '{"DateTime": "2021-04-13"}',
        '["2021-04-13"]',
        "true",
        "1618308000",
        "2021",
        '"13.04.2021"',
        '"04/13/2021"',
        '"2021-02-30"',
        '"Fri, 31 Dec 9999 23:59:59 -0100"',
    ],
)
async def test_a_date_that_cannot_be_understood_is_told_an_accepted_form(service: Service, written: str) -> None:
    body = json.dumps(RECORD)[:-1] + f', "Date": {written}}}'
    answer = await post_as(service, JSON, body.encode())
    expected = "a text or a number" if written.startswith("[") or written == "true" else "2021-04-13T10:00:00Z"
    await assert_refused(service, answer, 400, "Date ", expected)


async def test_a_date_in_a_multipart_body_needs_no_escaping(service: Service) -> None:
    body = multipart(**RECORD, Date="2021-04-13T12:00:00+02:00")
    assert (await recorded(service, await post_as(service, MULTIPART, body)))["Date"] == TEN


@pytest.mark.parametrize("written", ["0001-01-01", "1969-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"])
async def test_the_moment_is_stored_to_the_microsecond(service: Service, written: str) -> None:
    record = await recorded(service, await service.post(RECORD | {"Date": written}))
    (row,) = await service.rows()
    assert record["Date"] == format_date(row["date"]) == format_date(parse_date(written))


async def test_without_a_date_it_is_now(service: Service) -> None:
    before = datetime.now(UTC)
    record = await recorded(service, await service.post(RECORD))
    assert before <= datetime.fromisoformat(record["Date"]) <= datetime.now(UTC)
    assert record["Date"] == record["RecordedAt"]


async def test_a_date_of_ones_own_does_not_change_when_it_was_recorded(service: Service) -> None:
    record = await recorded(service, await service.post(RECORD | {"Date": "2021-04-13"}))
    assert datetime.fromisoformat(record["RecordedAt"]) > datetime(2024, 1, 1, tzinfo=UTC)


# Any moment, in any spelling


@st.composite
def spellings(draw: st.DrawFn) -> tuple[str, datetime]:
    """Return a moment and one of the ways in which it may be written."""
    moment = draw(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
    minutes = draw(st.integers(-23 * 60 - 59, 23 * 60 + 59))
    local = (moment + timedelta(minutes=minutes)).replace(tzinfo=None)
    sign, (hours, rest) = "-" if minutes < 0 else "+", divmod(abs(minutes), 60)
    zones = [f"{sign}{hours:02}:{rest:02}", f"{sign}{hours:02}{rest:02}", f" {sign}{hours:02}:{rest:02}"]
    if minutes >= 0:
        zones += [f" {hours:02}:{rest:02}", f" {hours:02}{rest:02}"]
    if rest == 0:
        zones += [f"{sign}{hours:02}"]
    if minutes == 0:
        zones += ["", "Z", "z", " Z"]
    digits = draw(st.integers(6, 9))
    fraction = f"{local.microsecond:06}" + draw(st.text("0123456789", min_size=digits - 6, max_size=digits - 6))
    fraction = draw(st.sampled_from(".,")) + fraction
    if local.microsecond == 0:
        fraction = draw(st.sampled_from(["", fraction]))
    time = f"{local:%H:%M:%S}"
    if fraction == "" and local.second == 0:
        time = draw(st.sampled_from([time, time[:5]]))
    day = f"{local.year:04}-{local:%m-%d}"
    return f"{day}{draw(st.sampled_from('Tt '))}{time}{fraction}{draw(st.sampled_from(zones))}", moment


def micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(spellings())
@settings(max_examples=400, deadline=None, derandomize=True, database=None)
def test_every_spelling_of_iso_8601_is_the_same_moment(spelling: tuple[str, datetime]) -> None:
    written, moment = spelling
    assert parse_date(written) == micros(moment)


@given(st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_what_is_answered_can_be_sent_again(moment: int) -> None:
    assert parse_date(format_date(moment)) == moment


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999), st.sampled_from(["", "+0200", "-0500"]))
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_dotnet_milliseconds_are_utc_whatever_offset_is_beside_them(milliseconds: int, offset: str) -> None:
    assert parse_date(f"/Date({milliseconds}{offset})/") == milliseconds * 1000


@given(st.datetimes(datetime(1900, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
@settings(max_examples=200, deadline=None, derandomize=True, database=None)
def test_rfc_1123_is_the_moment_to_the_second(moment: datetime) -> None:
    assert parse_date(format_datetime(moment, usegmt=True)) == micros(moment.replace(microsecond=0))


@given(st.text(st.sampled_from("0123456789-:.,+/TZ ()Dategmt"), max_size=40))
@settings(max_examples=500, deadline=None, derandomize=True, database=None)
def test_any_text_is_a_date_that_can_be_written_or_refused(text: str) -> None:
    try:
        moment = parse_date(text)
    except ValueError:
        return
    assert parse_date(format_date(moment)) == moment
