"""Which values a deployment may have, and how it is written out."""

from __future__ import annotations

import json
import string
from typing import Any, cast

import pytest
from conftest import RECORD, Service
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import ValidationError
from test_bodies import FORM, JSON, JSON_TEXT, TEXT, assert_refused, post_as, recorded

from deployserver.dates import format_date
from deployserver.errors import InvalidRequest
from deployserver.models import Deployment, DeploymentRow, Submission
from deployserver.schemas import PROPERTIES, SubmissionSchema, deployment_json, load_submission

NAMES = ("Application", "Target", "FeedName", "PackageName", "Version", "GroupName", "UserName")
OPTIONAL = ("GroupName", "UserName", "Url", "Date")
LONGEST = dict.fromkeys(NAMES, 1024) | {"Description": 16_384, "Url": 2083}
ATTRIBUTES = dict(zip(PROPERTIES, Submission._fields, strict=True))


def loaded(name: str, value: Any) -> Any:
    """Return what becomes of one property, all else being right."""
    return getattr(load_submission(RECORD | {name: value}), ATTRIBUTES[name])


def refusal(name: str, value: Any) -> str:
    """Return why a value of one property is refused."""
    with pytest.raises(InvalidRequest) as caught:
        load_submission(RECORD | {name: value})
    assert list(caught.value.errors) == [name]
    (message,) = caught.value.errors[name]
    return message


def long_enough(name: str, length: int) -> str:
    start = "http://host/" if name == "Url" else ""
    return start + "x" * (length - len(start))


def test_the_properties_are_those_of_the_api() -> None:
    assert set(PROPERTIES) == {*RECORD, *OPTIONAL}


# White space, absence


@pytest.mark.parametrize("name", [*NAMES, "Description"])
@pytest.mark.parametrize("value", [" x", "x ", "\tx\r\n", "\n\n x \v\f", "\u00a0x\u2003\u3000"])
def test_surrounding_white_space_is_stripped(name: str, value: str) -> None:
    assert loaded(name, value) == "x"


def test_white_space_within_stays() -> None:
    assert loaded("Description", " a  b\tc\r\nd ") == "a  b\tc\r\nd"


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("value", [None, "", " ", "\r\n\t", "\u00a0"])
def test_an_optional_property_that_is_null_or_blank_counts_as_absent(name: str, value: str | None) -> None:
    assert loaded(name, value) is None


@pytest.mark.parametrize("name", RECORD)
def test_a_required_property_that_is_missing_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        load_submission({other: value for other, value in RECORD.items() if other != name})
    assert caught.value.errors == {name: ["is required."]}


@pytest.mark.parametrize("name", RECORD)
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "is required."),
        ("", "must not be blank."),
        (" \t\n", "must not be blank."),
        ("\u00a0", "must not be blank."),
    ],
)
def test_a_required_property_that_is_null_or_blank_is_refused(name: str, value: str | None, message: str) -> None:
    assert refusal(name, value) == message


@pytest.mark.parametrize("kind", ["form", "json"])
async def test_blank_optional_properties_are_stored_as_their_defaults(service: Service, kind: str) -> None:
    """Scripts send every variable they have, set or not."""
    fields: dict[str, Any] = RECORD | dict.fromkeys(OPTIONAL, " " if kind == "form" else None)
    record = await recorded(service, await (service.post(fields) if kind == "form" else service.post(json=fields)))
    assert (record["GroupName"], record["UserName"], record["Url"]) == (None, "ci", None)
    assert record["Date"] == record["RecordedAt"]


async def test_every_optional_property_is_stored_as_sent(service: Service) -> None:
    optional = {"GroupName": "@acme/tools", "UserName": "Jörg", "Url": "http://buildserver:8622/x"}
    record = await recorded(service, await service.post(RECORD | optional))
    assert {name: record[name] for name in optional} == optional


# What JSON can hold besides text


@pytest.mark.parametrize(
    "number",
    [
        "12.0",
        "1.10",
        "1e5",
        "1E+5",
        "12",
        "0",
        "-0",
        "-1.50",
        "0.1000",
        "1.0e-10",
        "123456789012345678901234567890",
        "1e999",
    ],
)
async def test_a_json_number_is_the_text_it_was_written_as(service: Service, number: str) -> None:
    """The version 1.10 is not the version 1.1, and 12.0 is not 12."""
    body = JSON_TEXT.replace(b'"12.0.3"', number.encode())
    assert (await recorded(service, await post_as(service, JSON, body)))["Version"] == number


@pytest.mark.parametrize("name", [*RECORD, *OPTIONAL])
@pytest.mark.parametrize("value", [True, False, [], ["x"], [1], {}, {"a": "b"}])
async def test_a_boolean_an_array_or_an_object_is_refused(name: str, value: Any) -> None:
    assert refusal(name, value)


@pytest.mark.parametrize("value", ["true", "[]", "{}", '["x"]', '{"value": "x"}'])
@pytest.mark.parametrize("name", ["Version", "UserName", "Url"])
async def test_what_is_no_text_in_json_is_told_what_it_must_be(service: Service, name: str, value: str) -> None:
    fields = {other: text for other, text in RECORD.items() if other != name}
    body = json.dumps(fields)[:-1] + f', "{name}": {value}}}'
    answer = await post_as(service, JSON, body.encode())
    await assert_refused(service, answer, 400, f"{name} must be a text or a number.")


# Characters


CONTROLS = [chr(code) for code in (*range(32), *range(127, 160))]


@pytest.mark.parametrize("name", NAMES)
def test_control_characters_are_refused_in_names(name: str) -> None:
    for control in CONTROLS:
        assert refusal(name, f"a{control}b") == f"has the control character U+{ord(control):04X}, which is not allowed."


def test_line_breaks_and_tabs_are_allowed_in_the_description() -> None:
    assert loaded("Description", "a\r\nb\nc\td") == "a\r\nb\nc\td"


def test_other_control_characters_are_refused_in_the_description() -> None:
    for control in CONTROLS:
        if control not in "\r\n\t":
            assert f"U+{ord(control):04X}" in refusal("Description", f"a{control}b")


def test_control_characters_are_refused_in_a_url_and_a_date() -> None:
    for control in CONTROLS:
        assert refusal("Url", f"http://host/a{control}b")
        assert refusal("Date", f"2021-04-13{control}10:00:00")


@pytest.mark.parametrize("control", ["\x1c", "\x1f", "\x85", "\x00"])
def test_a_control_character_at_the_edge_is_no_white_space(control: str) -> None:
    assert "control character" in refusal("Version", f"1{control}")


@pytest.mark.parametrize("value", ["\ud800", "a\udc00b", "\udfff\ud800"])
@pytest.mark.parametrize("name", [*NAMES, "Description"])
def test_half_a_surrogate_pair_is_refused(name: str, value: str) -> None:
    assert "surrogate" in refusal(name, value)


@pytest.mark.parametrize("name", ["Url", "Date"])
def test_half_a_surrogate_pair_is_refused_in_a_url_and_a_date(name: str) -> None:
    assert refusal(name, "http://host/\ud800")


@pytest.mark.parametrize("escaped", [rb"\ud800", rb"\udc00\ud800", rb"\u0000", rb"\u001b[31m", rb"\u009f"])
async def test_an_escape_that_is_no_character_is_refused(service: Service, escaped: bytes) -> None:
    answer = await post_as(service, JSON, JSON_TEXT.replace(b"12.0.3", escaped))
    await assert_refused(service, answer, 400, "Version has ")


@pytest.mark.parametrize(
    "text", ["Zürich", "東京 😀", "שלום", "a\u00a0b", "a\u200bb", "á e\u0301", "<b>&'\"\\", "%s %(x)s {0}"]
)
@pytest.mark.parametrize("kind", ["form", "json"])
async def test_every_other_character_is_stored_as_it_is(service: Service, kind: str, text: str) -> None:
    fields = RECORD | dict.fromkeys(
        ("Application", "Description", "Target", "PackageName", "Version", "GroupName"), text
    )
    record = await recorded(service, await (service.post(fields) if kind == "form" else service.post(json=fields)))
    assert {name: record[name] for name in fields} == fields


@pytest.mark.parametrize("control", ["%00", "%1B", "%7F", "%C2%85", "%0A"])
async def test_a_control_character_in_a_form_is_named(service: Service, control: str) -> None:
    answer = await post_as(service, FORM, TEXT.replace(b"localhost", b"local" + control.encode() + b"host"))
    await assert_refused(service, answer, 400, f"Target has the control character U+00{control[-2:]}")


# Lengths


@pytest.mark.parametrize("name", LONGEST)
def test_the_longest_allowed_value_is_taken_whole(name: str) -> None:
    value = long_enough(name, LONGEST[name])
    assert loaded(name, f" {value} ") == value


@pytest.mark.parametrize("name", LONGEST)
def test_a_longer_value_is_refused_and_never_cut(name: str) -> None:
    limit = LONGEST[name]
    assert (
        refusal(name, long_enough(name, limit + 1)) == f"is {limit + 1} characters long; at most {limit} are allowed."
    )


@pytest.mark.parametrize("name", [*NAMES, "Description"])
def test_characters_are_counted_and_not_bytes(name: str) -> None:
    assert loaded(name, "😀" * LONGEST[name]) == "😀" * LONGEST[name]


async def test_the_longest_values_are_stored_whole(service: Service) -> None:
    longest = {name: "ü" * limit for name, limit in LONGEST.items() if name not in ("FeedName", "Url")}
    fields = RECORD | longest | {"Url": long_enough("Url", 2083)}
    record = await recorded(service, await service.post(fields))
    assert {name: record[name] for name in fields} == fields


@pytest.mark.parametrize("name", LONGEST)
async def test_one_character_too_many_is_refused(service: Service, name: str) -> None:
    answer = await service.post(RECORD | {name: long_enough(name, LONGEST[name] + 1)})
    await assert_refused(service, answer, 400, f"{name} is {LONGEST[name] + 1} characters long")


# Url


@pytest.mark.parametrize(
    "url",
    [
        "http://buildserver:8622/x",
        "http://buildserver",
        "https://buildserver/",
        "HTTPS://Example.COM/Path",
        "http://localhost:65535",
        "http://host:1/",
        "http://192.0.2.1/x",
        "http://[::1]/",
        "http://[2001:db8::1]:8080/x?y#z",
        "http://[::ffff:192.0.2.1]/",
        "http://user@host/",
        "http://user:pass@host:80/x",
        "http://build_server/x",
        "http://host.example./",
        "http://bücher.example/übersicht",
        "http://例え.jp/",
        "http://host?x=1",
        "http://host#fragment",
        "http://host/a;b,c(d)'e'!*~$&=+@:/[x]{y}|^`%20",
        "http://host/%ff%zz",
        "http://host//double//slash",
        "http://host/x?redirect=javascript:alert(1)",
        "http://host/#/build/4711",
    ],
)
def test_an_absolute_http_url_is_taken_as_it_is(url: str) -> None:
    assert loaded("Url", f" {url}\n") == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        "javascript://http://host/%0aalert(1)",
        "java\tscript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,x",
        "vbscript:x",
        "ftp://host/x",
        "file:///etc/passwd",
        "mailto:a@b",
        "ws://host/",
        "httpx://host/",
        "xhttp://host/",
        "view-source:http://host/",
        "//host/x",
        "/x",
        "x",
        "buildserver:8622/x",
        "www.example.com",
        "http:",
        "http:/",
        "http://",
        "http:///x",
        "http:/host/x",
        "http:host",
        "http//host",
        "http ://host/",
        "http://host:65536/",
        "http://host:99999999999/",
        "http://host:port/",
        "http://host:-1/",
        "http://host:٨٠/",
        "http://:80/",
        "http://@/",
        "http://user@/x",
        "http://?x",
        "http://#x",
        "http://./",
        "http://[/",
        "http://[]/",
        "http://[1]/",
        "http://[::1/",
        "http://[::zz]/",
        "http://[::1]x/",
        "http://[192.0.2.1]/",
        "http://a b/",
        "http://host/a b",
        "http://host/a\tb",
        "http://host/a\nb",
        "http://host/\u2028x",
        "http://host\\@evil/",
        "http://host/\\",
        'http://host/"onclick="x',
        "http://host/<script>",
        "http://ho<st/",
        "http://a@b@c/",
        "<http://host/>",
        "http://host/x\nhttp://host/y",
        "null",
        "12",
    ],
)
def test_anything_else_is_no_url(url: str) -> None:
    assert refusal("Url", url)


async def test_a_url_that_would_run_in_a_browser_is_refused(service: Service) -> None:
    answer = await service.post(RECORD | {"Url": "javascript:alert(document.cookie)"})
    await assert_refused(service, answer, 400, "Url must be an absolute http or https URL")


# The fast way and marshmallow's own


def text_near_the_rules() -> st.SearchStrategy[Any]:
    """Return texts that the rules are about: blanks, controls, surrogates, lengths, URLs and dates."""
    blanks_and_worse = [
        "",
        " ",
        "\t",
        "\r\n",
        "\x00",
        "\x1c",
        "\x85",
        "\u00a0",
        "\ud800",
        "😀",
        "x",
        "x" * 1020,
        "x" * 16_380,
    ]
    of_urls = ["http://", "https://host", ":80", "/x", "javascript:", "[::1]", "@", "<"]
    of_dates = ["2021-04-13", "T10:00", "Z", "+02:00", "/Date(", "1618308000000", ")/", "9999-12-31T23:59:59-01:00"]
    pieces = st.sampled_from([*blanks_and_worse, *of_urls, *of_dates, "Tue, 13 Apr 2021 10:00:00 GMT"])
    return st.one_of(st.lists(pieces, max_size=5).map("".join), st.text(max_size=20))


def values() -> st.SearchStrategy[Any]:
    text = text_near_the_rules()
    other = st.sampled_from([None, True, False, [], ["x"], {}, {"value": "/Date(0)/"}, {"Value": None}, {"VALUE": {}}])
    return st.one_of(
        text, text, text, other, st.dictionaries(st.sampled_from(["value", "Value", "x"]), text, max_size=2)
    )


@st.composite
def submissions(draw: st.DrawFn) -> dict[str, Any]:
    """Return what a client may send: a good record, spoilt in a few places."""
    submission: dict[str, Any] = dict(RECORD)
    submission |= draw(st.dictionaries(st.sampled_from([*PROPERTIES, "Unknown"]), values(), max_size=4))
    for name in draw(st.sets(st.sampled_from(PROPERTIES), max_size=2)):
        submission.pop(name, None)
    return submission


_SCHEMA = SubmissionSchema()


@given(submissions())
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_loading_is_what_the_schema_says(submission: dict[str, Any]) -> None:
    """The schema is the documentation of the fields; the fast way around it must not differ."""
    expected: Submission | dict[str, Any]
    try:
        expected = Submission(**_SCHEMA.load(submission))
    except ValidationError as error:
        expected = cast("dict[str, Any]", error.messages)
    try:
        got: Submission | dict[str, list[str]] = load_submission(submission)
    except InvalidRequest as error:
        got = error.errors
    assert got == expected


# Writing out


MICROS = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
CHARACTERS = st.text(st.characters(codec="utf-8"))


@given(
    st.builds(
        Deployment,
        st.integers(1),
        CHARACTERS,
        st.builds(
            DeploymentRow,
            st.integers(1),
            *[CHARACTERS] * 5,
            st.none() | CHARACTERS,
            CHARACTERS,
            st.none() | CHARACTERS,
            MICROS,
            MICROS,
            CHARACTERS,
            st.none() | st.integers(1),
        ),
    )
)
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_a_deployment_is_written_as_json_with_exactly_its_values(deployment: Deployment) -> None:
    row = deployment.row
    text = deployment_json(deployment)
    assert list(json.loads(text, object_pairs_hook=list)) == [
        ("Id", deployment.id),
        ("FeedName", deployment.feed_name),
        ("GroupName", row.group_name),
        ("PackageName", row.package_name),
        ("Version", row.version),
        ("Target", row.target),
        ("Application", row.application),
        ("Description", row.description),
        ("UserName", row.user_name),
        ("Url", row.url),
        ("Date", format_date(row.date)),
        ("RecordedAt", format_date(row.recorded_at)),
        ("RecordedBy", row.recorded_by),
    ]
    assert json.loads(text.encode()) == json.loads(text)


def test_json_is_on_one_line_whatever_the_values_hold() -> None:
    row = DeploymentRow(1, *[string.printable] * 5, None, "u", None, 0, 0, "k", None)
    assert not set(deployment_json(Deployment(1, "f", row))) & set("\r\n\t\v\f")
