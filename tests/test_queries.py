"""What may be asked: every parameter of every question, and what is said of a wrong one."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from conftest import FEED, Service, StartService
from hypothesis import given
from hypothesis import strategies as st
from reading import DAY, START, error, found, ids, iso, read, record, row

from deployserver import queries
from deployserver.dates import ACCEPTED
from deployserver.errors import InvalidRequest
from deployserver.queries import Ago, Query, load_query

SCHEMAS = [cls for _, cls in inspect.getmembers(queries, inspect.isclass) if issubclass(cls, Query)]
PATHS = {
    "": queries.HistoryQuery,
    "/current": queries.CurrentQuery,
    "/compare": queries.CompareQuery,
    "/frequency": queries.FrequencyQuery,
    "/events": queries.EventsQuery,
    "/1": queries.Query,
}
NAMES = {
    "feed": ("FeedName", "Zürich-Feed"),
    "group": ("GroupName", "@Acme/Tools"),
    "package": ("PackageName", "Straße.Json"),
    "version": ("Version", "12.0.3-RC1"),
    "target": ("Target", "Web 01 (ÄÖÜ)"),
    "application": ("Application", "ProfitCalc"),
    "user": ("UserName", "Jürgen"),
}
RECORD_NAMES = {name: value for name, value in NAMES.items() if name != "feed"}
MOMENT = f"{ACCEPTED}, or how long ago it is, such as 7d or 24h"


def loaded(cls: type[Query], **given_: Any) -> dict[str, Any]:
    return load_query(cls, {name: value if isinstance(value, list) else [value] for name, value in given_.items()})


def refused(cls: type[Query], **given_: Any) -> dict[str, list[str]]:
    with pytest.raises(InvalidRequest) as caught:
        loaded(cls, **given_)
    return caught.value.errors


# Names


@pytest.mark.parametrize("name", RECORD_NAMES)
async def test_a_name_matches_in_any_letter_case(service: Service, name: str) -> None:
    property_, value = NAMES[name]
    await record(service, **{property_: "other"})
    wanted = (await record(service, **{property_: value}))["Id"]
    for spelling in (value, value.lower(), value.upper(), value.casefold(), f"  {value} ", value.swapcase()):
        for path in ("", "/current"):
            assert await ids(service, path, **{name: spelling}) == [wanted], spelling
        assert sum(item["Count"] for item in await found(service, "/frequency", **{name: spelling})) == 1


@pytest.mark.parametrize("name", RECORD_NAMES)
async def test_an_asterisk_at_the_end_stands_for_anything(service: Service, name: str) -> None:
    property_, value = NAMES[name]
    wanted = (await record(service, **{property_: value}))["Id"]
    await record(service, **{property_: "other"})
    for pattern in (f"{value}*", f"{value[:4].upper()}*", f"{value[0]}*"):
        assert await ids(service, **{name: pattern}) == [wanted], pattern
    assert len(await ids(service, **{name: "*"})) == 2
    for pattern in (f"*{value[1:]}", f"{value[:2]}*{value[3:]}", f"{value}?", f"{value}x*", f"{value[:3]}%", "**"):
        assert await ids(service, **{name: pattern}) == [], pattern


@pytest.mark.parametrize("name", RECORD_NAMES)
async def test_an_asterisk_elsewhere_is_one(service: Service, name: str) -> None:
    property_, _ = NAMES[name]
    stars = {value: (await record(service, **{property_: value}))["Id"] for value in ("*a", "a*b", "a*", "a_b%c")}
    assert await ids(service, **{name: "*a"}) == [stars["*a"]]
    assert await ids(service, **{name: "A*B"}) == [stars["a*b"]]
    assert await ids(service, **{name: "a**"}) == [stars["a*"]]  # the one way to ask for a name that ends with one
    assert await ids(service, **{name: "a*"}) == [stars["a_b%c"], stars["a*"], stars["a*b"]]
    assert await ids(service, **{name: "A_B%C"}) == [stars["a_b%c"]]
    assert await ids(service, **{name: "a_b*"}) == [stars["a_b%c"]]


@pytest.mark.parametrize("name", NAMES)
async def test_a_name_that_is_repeated_means_any_of_them(service: Service, name: str) -> None:
    property_, _ = NAMES[name]
    if name == "feed":
        await record(service)
        assert len(await ids(service, feed=["unknown", FEED, FEED])) == 1
        assert await ids(service, feed=["unknown", "another"]) == []
        return
    made = [(await record(service, **{property_: value}))["Id"] for value in ("one", "two", "three", "four")]
    assert await ids(service, **{name: ["ONE", "three", "nothing", "three", ""]}) == [made[2], made[0]]
    assert await ids(service, **{name: ["t*", "two", "TH*"]}) == [made[2], made[1]]
    assert len(await ids(service, **{name: ["one", "*"]})) == 4
    assert await ids(service, **{name: "one", name.upper(): "two", name.title(): "three"}) == made[2::-1]


async def test_packages_without_a_group_can_be_asked_for(service: Service) -> None:
    """An empty name is none at all, so that there is a parameter of its own for it."""
    none, acme, other = [(await record(service, GroupName=group))["Id"] for group in ("", "@acme", "other")]
    assert await ids(service, ungrouped="true") == [none]
    assert await ids(service, ungrouped="YES", group="@acme") == [acme, none]
    assert await ids(service, ungrouped="false") == await ids(service, group="") == [other, acme, none]
    assert await ids(service, "/current", ungrouped="1") == [none]
    assert await error(service, ungrouped="2") == "ungrouped must be true or false."


async def test_filters_together_mean_all_of_them(service: Service) -> None:
    properties = dict(RECORD_NAMES.values())
    wanted = (await record(service, **properties, Date="2021-04-13", Description="by hand"))["Id"]
    for property_ in properties:
        await record(service, **{**properties, property_: "other"}, Date="2021-04-13", Description="by hand")
    await record(service, **properties, Date="2021-04-15", Description="by hand")
    await record(service, **properties, Date="2021-04-11", Description="by hand")
    await record(service, **properties, Date="2021-04-13", Description="by itself")
    query = {name: value for name, (_, value) in RECORD_NAMES.items()}
    rest = {"feed": FEED, "q": "hand", "since": "2021-04-12", "until": "2021-04-14"}
    assert await ids(service, **query, **rest) == [wanted]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_has_the_length_it_may_have(name: str) -> None:
    assert loaded(queries.HistoryQuery, **{name: "x" * 1024})[name] == ("x" * 1024,)
    message = "is 1025 characters long; at most 1024 are allowed."
    assert refused(queries.HistoryQuery, **{name: ["ok", "x" * 1025]}) == {name: [message]}


@pytest.mark.parametrize("name", NAMES)
def test_a_name_may_be_given_a_hundred_times(name: str) -> None:
    many = [str(number) for number in range(101)]
    assert loaded(queries.HistoryQuery, **{name: many[:100]})[name] == tuple(many[:100])
    for too_many in (many, ["x"] * 101, [""] * 101):
        assert refused(queries.HistoryQuery, **{name: too_many}) == {name: ["is given more than 100 times."]}


@pytest.mark.parametrize("name", [*NAMES, "q"])
@pytest.mark.parametrize("character", ["\x00", "\x1b", "\x7f", "\x85"])
async def test_a_control_character_is_refused(service: Service, name: str, character: str) -> None:
    message = f"has the control character U+{ord(character):04X}, which is not allowed."
    assert await error(service, **{name: f"a{character}b"}) == f"{name} {message}"


# Words


async def test_a_word_is_looked_for_in_every_field(service: Service) -> None:
    """In any letter case, and anywhere within it."""
    values = {"Description": "described", "Url": "http://linked/", "FeedName": FEED}
    for property_ in ("GroupName", "PackageName", "Version", "Target", "Application", "UserName", *values):
        if property_ == "FeedName":
            continue
        word = f"x{property_.lower()}y"
        text = f"http://host/{word}z" if property_ == "Url" else f"A{word}Z"
        id_ = (await record(service, **{property_: text}))["Id"]
        for spelling in (word, word.upper(), word[1:-1].title() if property_ != "Url" else word):
            assert id_ in await ids(service, q=spelling), spelling
        assert await ids(service, q=word) == [id_]
        assert await ids(service, "/current", q=word) == [id_]
    assert len(await ids(service, q="defaultn")) == len(await ids(service))


async def test_all_words_must_be_there_each_in_any_field(service: Service) -> None:
    wanted = await record(service, Description="by hand", Target="web01", UserName="alice")
    await record(service, Description="by hand", Target="web02", UserName="alice")
    await record(service, Description="by itself", Target="web01", UserName="alice")
    for q in ("hand web01 ali", " ALI\thand\nWEB01  ", "web01 hand hand hand"):
        assert await ids(service, q=q) == [wanted["Id"]], q
    assert await ids(service, q="hand web01 bob") == []


@pytest.mark.parametrize(
    "q", ["100%", "a_b", "back\\slash", "it's", '"quoted"', "AND", "NOT", "x*", "*", "(", "NEAR(", "🚀"]
)
async def test_a_word_is_no_pattern(service: Service, q: str) -> None:
    """Whatever it means to the search inside."""
    wanted = await record(service, Description=f"before {q} after", Application="1", UserName="1")
    await record(service, Description="100 aXb backslash its quoted", Application="1", UserName="1")
    assert await ids(service, q=q) == await ids(service, q=q.lower()) == [wanted["Id"]]


@pytest.mark.parametrize("q", ["zürich", "ZÜRICH", "Zürich", "ürich", "ü"])
async def test_words_of_other_alphabets_are_found_in_the_usual_spellings(service: Service, q: str) -> None:
    in_name = await record(service, Target="zÜrIcH")
    in_text = [await record(service, Description=f"nach {text}") for text in ("Zürich", "ZÜRICH", "zürich")]
    await record(service, Description="nach Zurich")
    assert set(await ids(service, q=q)) >= {in_name["Id"], in_text[1]["Id"] if q.isupper() else in_text[2]["Id"]}
    assert len(await ids(service, q="zurich")) == 1


def test_words_are_ten_at_most() -> None:
    ten = [f"w{number}" for number in range(10)]
    assert loaded(queries.HistoryQuery, q=" ".join(ten))["q"] == tuple(ten)
    assert refused(queries.HistoryQuery, q=" ".join([*ten, "more"])) == {"q": ["has more than ten words."]}
    assert refused(queries.HistoryQuery, q="x" * 1025) == {"q": ["is 1025 characters long; at most 1024 are allowed."]}


# Dates


@pytest.mark.parametrize(
    "text",
    [
        "2021-04-13T10:00:00Z",
        "2021-04-13T10:00:00",
        "2021-04-13t10:00z",
        "2021-04-13 10:00",
        "2021-04-13T12:00:00+02:00",
        "2021-04-13T12:00:00+0200",
        "2021-04-13T12:00+02",
        "2021-04-13T05:30:00-04:30",
        "2021-04-13T10:00:00.000000000Z",
        "2021-04-13T10:00:00,0Z",
        "/Date(1618308000000)/",
        "/Date(1618308000000+0200)/",
        "Tue, 13 Apr 2021 10:00:00 GMT",
        "Tue, 13 Apr 2021 12:00:00 +0200",
    ],
)
async def test_a_date_has_every_form_that_a_deployment_takes(service: Service, text: str) -> None:
    """And both bounds are included."""
    moment = 1_618_308_000_000_000
    await service.store.add_deployments([row(date=moment - 1), row(date=moment), row(date=moment + 1)])
    assert await ids(service, since=text) == [3, 2]
    assert await ids(service, until=text) == [2, 1]
    assert await ids(service, since=text, until=text) == [2]
    assert await ids(service, "/current", as_of=text) == [2]


async def test_a_plus_that_was_not_escaped_is_still_read_as_one(service: Service) -> None:
    """curl and people write it into URLs as it is, and it arrives as a blank."""
    moment = 1_618_308_000_000_000
    await service.store.add_deployments([row(date=moment - 1), row(date=moment), row(date=moment + 1)])
    for raw in ("2021-04-13T12:00:00+02:00", "/Date(1618308000000+0200)/", "Tue,+13+Apr+2021+12:00:00++0200"):
        answer = await service.raw(
            f"GET /api/deployments?since={raw}&until={raw} HTTP/1.1\r\nHost: x\r\nX-ApiKey: abc12345\r\n\r\n".encode()
        )
        assert answer.count(b'"Id":2,') == answer.count(b'"Id":') == 1, answer


async def test_a_date_alone_is_its_midnight(service: Service) -> None:
    await service.store.add_deployments([row(date=START - 1), row(date=START), row(date=START + 1)])
    assert await ids(service, since="2021-04-13") == [3, 2]
    assert await ids(service, until="2021-04-13") == [2, 1]


@pytest.mark.parametrize(
    ("ago", "micros"),
    [
        ("0s", 0),
        ("90s", 90),
        ("5m", 300),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2W", 1_209_600),
        ("036500d", 3_153_600_000),
    ],
)
async def test_a_date_may_be_some_time_ago(start: StartService, ago: str, micros: int) -> None:
    """Counted back from the question; a date, not an age: it is included."""
    now = START + 40_000 * DAY
    service = await start(clock=lambda: now)
    moment = now - micros * 1_000_000
    await service.store.add_deployments([row(date=moment - 1), row(date=moment), row(date=moment + 1)])
    for spelling in (ago, ago.upper(), f" {ago} "):
        assert await ids(service, since=spelling) == [3, 2]
        assert await ids(service, until=spelling) == [2, 1]
        assert await ids(service, since=spelling, until=iso(moment)) == [2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("yesterday", f"is not in an accepted form; send {MOMENT}."),
        ("13.04.2021", f"is not in an accepted form; send {MOMENT}."),
        ("04/13/2021", f"is not in an accepted form; send {MOMENT}."),
        ("1618308000", f"is not in an accepted form; send {MOMENT}."),
        ("7", f"is not in an accepted form; send {MOMENT}."),
        ("7y", f"is not in an accepted form; send {MOMENT}."),
        ("-7d", f"is not in an accepted form; send {MOMENT}."),
        ("7 d", f"is not in an accepted form; send {MOMENT}."),
        ("7.5d", f"is not in an accepted form; send {MOMENT}."),
        ("٧d", f"is not in an accepted form; send {MOMENT}."),
        ("2021-02-30", f"is not a date that exists (day is out of range for month); send {MOMENT}."),
        ("/Date(999999999999999999)/", f"is a date outside the years 1 to 9999; send {MOMENT}."),
        ("36601d", "is more than a hundred years ago."),
        ("999999999w", "is more than a hundred years ago."),
        ("9999999999s", f"is not in an accepted form; send {MOMENT}."),
    ],
)
async def test_a_date_that_is_none_says_what_one_is(service: Service, text: str, message: str) -> None:
    for name, path in (("since", ""), ("until", "/frequency"), ("as_of", "/current"), ("as_of", "/compare")):
        query = {"target": "a"} if path == "/compare" else {}
        assert await error(service, path, **{name: text}, **query) == f"{name} {message}"


async def test_a_time_that_ends_before_it_begins_is_refused(service: Service) -> None:
    for path in ("", "/current", "/frequency"):
        for since, until in (("2021-04-13", "2021-04-12"), ("1d", "2d"), ("0s", "2021-04-13")):
            assert await error(service, path, since=since, until=until) == "since is later than until."
        assert (await read(service, path, since="2021-04-13", until="2021-04-13")).status == 200


# Everything else


@pytest.mark.parametrize(
    "value", ["0", "1001", "-1", "+5x", "ten", "1.0", "1e2", "٥", "0x10", "9" * 20, "1,000", "1 0"]
)
async def test_a_limit_is_a_whole_number_in_its_bounds(service: Service, value: str) -> None:
    for path in ("", "/current"):
        assert await error(service, path, limit=value) == "limit must be a whole number from 1 to 1000."


async def test_a_limit_may_have_blanks_and_zeros_before_it(service: Service) -> None:
    await service.store.add_deployments([row(number) for number in range(12)])
    for value in (" 10 ", "0010", "+10"):
        answer = await service.request("GET", f"/api/deployments?limit={value}", headers={"X-ApiKey": "abc12345"})
        assert len(answer.json) == 10, value


@pytest.mark.parametrize(
    ("name", "good", "bad", "message"),
    [
        ("format", ["JSON", "csv", " NdJson "], ["xml", "application/json", "json,csv"], "json, ndjson, csv"),
        ("count", ["true", "YES", "1", "false", "no", "0"], ["2", "maybe", "on", "truetrue"], None),
    ],
)
async def test_a_choice_is_one_of_what_there_is(
    service: Service, name: str, good: list[str], bad: list[str], message: str | None
) -> None:
    for value in good:
        assert (await read(service, **{name: value})).status == 200
    expected = f"must be one of {message}." if message else "must be true or false."
    for value in bad:
        assert await error(service, **{name: value}) == f"{name} {expected}"


@pytest.mark.parametrize("path", PATHS)
async def test_a_parameter_that_is_not_known_is_refused_and_the_known_ones_are_named(
    service: Service, path: str
) -> None:
    """A misspelt filter must not return everything."""
    known = list(PATHS[path]().fields)
    await record(service)
    for name in ("pakage", "X", "feed[]", "", "FeedName", "page"):
        message = await error(service, path, **{name: "x"})
        assert message == f"{name} is no parameter here. Known are {', '.join(known) or 'none'}."


async def test_everything_that_is_wrong_is_said_at_once(service: Service) -> None:
    message = await error(service, limit="0", since="soon", pakage="x", format="xml", count="2", cursor="x")
    assert [line.partition(" ")[0] for line in message.splitlines()] == ["pakage", "format", "limit", "count", "since"]


@pytest.mark.parametrize("path", ["", "/current", "/frequency", "/events", "/1", "/compare"])
async def test_the_credential_is_no_parameter_of_the_question(service: Service, path: str) -> None:
    await record(service)
    targets = "&target=a&target=b" if path == "/compare" else ""
    for name in ("key", "KEY", "kEy"):
        answer = await service.request("HEAD", f"/api/deployments{path}?{name}=abc12345{targets}")
        assert answer.status == 200


@pytest.mark.parametrize("path", ["", "/current", "/frequency"])
async def test_an_empty_parameter_is_none(service: Service, path: str) -> None:
    """As forms send what was not filled in."""
    await record(service)
    plain = await read(service, path)
    for value in ("", " ", "\t"):
        query = dict.fromkeys(PATHS[path]().fields, value)
        assert (await read(service, path, **query)).body == plain.body


@pytest.mark.parametrize("name", ["limit", "cursor", "count", "since", "until", "format", "q"])
def test_what_has_one_value_may_be_repeated_with_that_value_only(name: str) -> None:
    value, other = {"limit": ("5", "6"), "format": ("csv", "json"), "count": ("true", "false")}.get(name, ("1d", "2d"))
    assert loaded(queries.HistoryQuery, **{name: [value, f" {value} "], name.upper(): value})[name]
    message = ["is given more than once, with different values."]
    assert refused(queries.HistoryQuery, **{name: [value, other]}) == {name: message}
    assert refused(queries.HistoryQuery, **{name: value, name.upper(): other}) == {name.upper(): message}


def test_parameters_match_in_any_letter_case() -> None:
    assert loaded(queries.CurrentQuery, As_Of="1d", FEED="x", Count="TRUE") == {
        **loaded(queries.CurrentQuery),
        "as_of": Ago(DAY),
        "feed": ("x",),
        "count": True,
    }


@pytest.mark.parametrize("cls", SCHEMAS)
def test_nothing_given_is_everything_that_there_is(cls: type[Query]) -> None:
    values = loaded(cls)
    assert {value for value in values.values() if value not in (None, (), False)} <= {"day"}
    assert load_query(cls, {name: ["", " "] for name in cls().fields}) == values


@pytest.mark.parametrize("cls", SCHEMAS)
def test_every_parameter_says_what_it_is(cls: type[Query]) -> None:
    """For the API's description."""
    for name, field in cls().fields.items():
        assert field.metadata.get("description"), name


@given(
    st.sampled_from(SCHEMAS),
    st.dictionaries(
        st.sampled_from([*queries.AffectedQuery().fields, *queries.CurrentQuery().fields, "per", "last_event_id", "x"])
        | st.text(max_size=4),
        st.lists(
            st.text(max_size=12) | st.sampled_from(["7d", "true", "5", "csv", "2021-04-13"]), min_size=1, max_size=3
        ),
        max_size=5,
    ),
)
def test_whatever_is_given_is_taken_or_refused_with_a_reason(cls: type[Query], given_: dict[str, list[str]]) -> None:
    errors: dict[str, list[str]] = {}
    try:
        values = load_query(cls, given_)
    except InvalidRequest as error:
        errors = error.errors
        values = None
    if values is None:
        assert errors.keys() <= given_.keys() | {name.lower() for name in given_}
        assert all(messages and all(message.endswith(".") for message in messages) for messages in errors.values())
    else:
        assert values.keys() == cls().fields.keys()
