"""The whole state of a world as one document: what people write, what reading gives, and that both are the same."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from conftest import KEY, RECORD, running, settings_of
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from waiting import until

from deployserver.access import Access
from deployserver.administration import Administration
from deployserver.api_keys import create_key
from deployserver.dates import format_date, parse_date
from deployserver.double.state.document import check_state, parse_state
from deployserver.double.state.loading import ACTOR, load_state, read_state
from deployserver.double.state.schemas import WorldStateSchema
from deployserver.errors import InvalidRequest
from deployserver.feeds import add_feed, remove_feed
from deployserver.models import BUILT_IN_PRINCIPALS, FEED_PERMISSIONS, FEED_TYPES, PRIVILEGES, SYSTEM_APIS
from deployserver.passwords import hash_password
from deployserver.privileges import add_privilege
from deployserver.storage import SQLiteDatabase
from deployserver.storage.sqlite.migrator import migrate

NOW = 1_780_000_000_000_000
PLACES = dict[str, list[str]]

NPM = {
    "name": "npm-internal",
    "type": "npm",
    "anonymous": False,
    "active": True,
    "deploymentRecords": True,
    "alternateNames": [],
}
SYSTEM_KEY = {
    "id": 1,
    "key": KEY,
    "kind": "system",
    "name": "",
    "feeds": [],
    "scopes": ["full-control"],
    "user": None,
    "expires": None,
    "revoked": False,
}


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[SQLiteDatabase]:
    """Give a store that is open, migrated and, where there is no file yet, empty."""
    migrate(path, 5)
    store = SQLiteDatabase(path, 5)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def loaded(document: object) -> AsyncIterator[tuple[SQLiteDatabase, dict[int, str]]]:
    """Give a store that holds what a document says, and the texts of its keys."""
    with tempfile.TemporaryDirectory() as directory:
        async with opened(Path(directory) / "world.db") as store:
            yield store, await load_state(document, store, lambda: NOW)


async def read(document: object) -> dict[str, Any]:
    """Load a document and read it back."""
    async with loaded(document) as (store, secrets):
        return await read_state(store, secrets)


async def access_of(store: SQLiteDatabase) -> Access:
    return await Administration(store, "test", lambda: NOW).access()


def wrong(document: object) -> PLACES:
    """Return what is wrong with a document, by its place."""
    with pytest.raises(InvalidRequest) as caught:
        check_state(document)
    return caught.value.errors


# What people write


async def test_an_empty_document_is_an_empty_world() -> None:
    assert await read({}) == {"feeds": [], "users": [], "keys": [], "privileges": [], "deployments": []}


async def test_texts_alone_are_a_feed_a_user_and_a_system_key_with_full_control() -> None:
    state = await read({"feeds": ["DefaultNuGet"], "users": ["anna"], "keys": [KEY]})
    assert state["feeds"] == [NPM | {"name": "DefaultNuGet", "type": "nuget"}]
    assert state["users"] == [{"name": "anna", "passwordHash": None}]
    assert state["keys"] == [SYSTEM_KEY]


async def test_a_number_is_as_good_as_a_text() -> None:
    state = await read({"feeds": [2021], "keys": [12345]})
    assert (state["feeds"][0]["name"], state["keys"][0]["key"]) == ("2021", "12345")


async def test_one_alone_needs_no_list() -> None:
    one = {"feeds": "f", "keys": {"key": KEY, "feeds": "f", "scopes": "view"}}
    assert await read(one) == await read({"feeds": ["f"], "keys": [{"key": KEY, "feeds": ["f"], "scopes": ["view"]}]})


@pytest.mark.parametrize(
    "entry",
    [
        {"name": "f", "deployment_records": False, "alternate_names": ["g"]},
        {"Name": "f", "DEPLOYMENTRECORDS": False, "alternatenames": ["g"], "type": None},
    ],
)
async def test_names_match_in_any_letter_case_and_with_underscores(entry: object) -> None:
    (feed,) = (await read({"feeds": [entry]}))["feeds"]
    assert (feed["deploymentRecords"], feed["alternateNames"], feed["type"]) == (False, ["g"], "nuget")


async def test_the_kind_of_a_key_follows_from_what_it_is_for() -> None:
    keys = [{"feeds": ["f"]}, {"user": "anna"}, {}, {"kind": "system", "scopes": ["sca", "feeds"]}, {"feeds": []}]
    read_keys = (await read({"feeds": ["f"], "users": ["anna"], "keys": keys}))["keys"]
    assert [(key["kind"], key["scopes"]) for key in read_keys] == [
        ("feed", ["view"]),
        ("personal", []),
        ("system", ["full-control"]),
        ("system", ["feeds", "sca"]),
        ("system", ["full-control"]),
    ]


async def test_a_key_without_a_text_gets_one_which_is_returned() -> None:
    async with loaded({"keys": [{"name": "made up"}]}) as (store, secrets):
        key = (await access_of(store)).key(secrets[1])
        assert key is not None and key.name == "made up"
        assert (await read_state(store, secrets))["keys"][0]["key"] == secrets[1]


async def test_keys_keep_their_numbers_and_others_get_those_that_are_free() -> None:
    keys = ["first", {"id": 2, "key": "second"}, {"id": 1, "key": "third"}, "fourth", {"id": 9, "key": "fifth"}]
    async with loaded({"keys": keys}) as (store, secrets):
        assert secrets == {3: "first", 2: "second", 1: "third", 4: "fourth", 9: "fifth"}
        made = await create_key(Administration(store, "test", lambda: NOW), "system")
        assert made.key.id == 10


async def test_expired_and_revoked_keys_can_be_loaded() -> None:
    keys = [{"key": "old", "expires": "2020-01-01"}, {"key": "gone", "revoked": True, "expires": datetime(2020, 1, 1)}]  # noqa: DTZ001
    async with loaded({"keys": keys}) as (store, secrets):
        access = await access_of(store)
        assert not any(access.keys[id_].works_at(NOW) for id_ in secrets)
        read_keys = (await read_state(store, secrets))["keys"]
        assert [(key["expires"], key["revoked"]) for key in read_keys] == [
            ("2020-01-01T00:00:00Z", False),
            ("2020-01-01T00:00:00Z", True),
        ]


async def test_anonymous_is_short_for_both_privileges() -> None:
    long = [{"principal": "anonymous", "privilege": name.lower(), "feed": "F"} for name in PRIVILEGES]
    short = await read({"feeds": [{"name": "f", "anonymous": True}]})
    assert short == await read({"feeds": ["f"], "privileges": long})
    assert short["feeds"][0]["anonymous"] is True and short["privileges"] == []


async def test_what_else_is_granted_or_denied_is_listed() -> None:
    entries = [
        {"principal": "Anonymous", "privilege": "Feeds_ViewFeed", "feed": "f", "grant": True},
        {"principal": "anna", "privilege": "Feeds_DownloadPackage", "feed": None, "grant": True},
        {"principal": "Anonymous", "privilege": "Feeds_DownloadPackage", "feed": "g", "grant": False},
    ]
    state = await read({"feeds": ["f", {"name": "g", "anonymous": True}], "users": ["anna"], "privileges": entries})
    assert [feed["anonymous"] for feed in state["feeds"]] == [False, True]
    assert state["privileges"] == entries


async def test_a_deployment_needs_no_more_than_a_post() -> None:
    deployment = RECORD | {"Version": 12, "FeedName": "defaultnuget"}
    (found,) = (await read({"feeds": ["DefaultNuGet"], "deployments": [deployment]}))["deployments"]
    now = format_date(NOW)
    anonymous = {"UserName": "Anonymous", "RecordedBy": "Anonymous", "Date": now, "RecordedAt": now}
    assert found == RECORD | anonymous | {"Id": 1, "Version": "12", "GroupName": None, "Url": None}


async def test_a_deployment_without_a_date_is_of_when_it_was_recorded() -> None:
    deployment = RECORD | {"recorded_at": "2021-04-13T12:00:00+02:00", "recordedBy": "API key 7 (gone)"}
    (found,) = (await read({"feeds": ["DefaultNuGet"], "deployments": [deployment]}))["deployments"]
    assert found["Date"] == found["RecordedAt"] == "2021-04-13T10:00:00Z"
    assert found["RecordedBy"] == "API key 7 (gone)"


async def test_deployments_keep_their_numbers_and_others_follow() -> None:
    deployments = [RECORD, RECORD | {"Id": 5}, RECORD, RECORD | {"id": "1000000"}, RECORD]
    found = (await read({"feeds": ["DefaultNuGet"], "deployments": deployments}))["deployments"]
    assert [deployment["Id"] for deployment in found] == [1, 5, 6, 1_000_000, 1_000_001]


async def test_deployments_of_an_inactive_feed_are_loaded() -> None:
    feed = {"name": "DefaultNuGet", "active": False, "deploymentRecords": False}
    assert len((await read({"feeds": [feed], "deployments": [RECORD]}))["deployments"]) == 1


async def test_many_deployments_come_back_in_the_order_of_their_arrival() -> None:
    dates = [format_date(NOW - (number * 7919) % 2500 * 1_000_000) for number in range(2500)]
    deployments = [RECORD | {"Version": f"1.0.{number}", "Date": date} for number, date in enumerate(dates)]
    found = (await read({"feeds": ["DefaultNuGet"], "deployments": deployments}))["deployments"]
    assert [deployment["Date"] for deployment in found] == dates


# What reading gives


async def test_the_text_of_a_key_that_is_not_known_is_null_and_another_is_made_up() -> None:
    async with loaded({"keys": [KEY]}) as (store, _):
        state = await read_state(store, {})
    assert state["keys"] == [SYSTEM_KEY | {"key": None}]
    (key,) = (await read(state))["keys"]
    assert len(key["key"]) == 40


async def test_passwords_come_back_as_hashes_and_go_on_working(tmp_path: Path) -> None:
    state = await read({"users": [{"name": "anna", "password": "secret"}]})
    assert "secret" not in json.dumps(state)
    state |= {"feeds": [{"name": "DefaultNuGet"}], "privileges": [{"principal": "anna", "privilege": PRIVILEGES[1]}]}
    options = settings_of(tmp_path)
    async with opened(tmp_path / "test.db") as store:
        await load_state(state, store, lambda: NOW)
    async with running(options) as service:
        assert (await service.post(RECORD, key="anna:secret")).status == 200
        assert (await service.post(RECORD, key="anna:wrong")).status == 403


async def test_what_a_feed_that_was_removed_leaves_can_be_loaded(tmp_path: Path) -> None:
    document = {
        "feeds": ["a", "b"],
        "keys": [{"key": KEY, "feeds": ["a"]}, "other"],
        "deployments": [RECORD | {"FeedName": feed} for feed in "aabab"],
    }
    async with loaded(document) as (store, secrets):
        await remove_feed(Administration(store, "test", lambda: NOW), "a", force=True)
        state = await read_state(store, secrets)
    assert [deployment["Id"] for deployment in state["deployments"]] == [3, 5]
    assert (state["keys"][0]["kind"], state["keys"][0]["feeds"]) == ("feed", [])
    assert await read(state) == state


async def test_the_state_of_a_server_that_was_used_can_be_loaded(tmp_path: Path) -> None:
    options = settings_of(tmp_path)
    async with running(options) as service:
        await add_feed(service.admin, "open", anonymous=True)
        await add_privilege(service.admin, "Everyone", PRIVILEGES[0], None, granted=False)

        async def is_taken_from_anybody() -> bool:
            return (await service.post(RECORD | {"FeedName": "open"}, key=None)).status == 200

        assert (await service.post(RECORD | {"Url": "http://b/1"})).status == 200
        await until(is_taken_from_anybody)
        state = await read_state(service.store, {1: KEY})
    assert state["deployments"][0]["RecordedBy"] == "API key 1 (ci)"
    assert await read(state) == state


async def test_a_server_goes_on_from_what_was_loaded(tmp_path: Path) -> None:
    options = settings_of(tmp_path)
    document = {
        "feeds": [
            "DefaultNuGet",
            {"name": "open", "anonymous": True, "alternateNames": ["offen"]},
            {"name": "closed", "active": False},
        ],
        "users": ["anna"],
        "keys": [
            {"key": KEY, "feeds": ["DefaultNuGet"], "name": "ci"},
            {"key": "root"},
            {"key": "annas", "user": "anna"},
            {"key": "revoked", "revoked": True},
            {"key": "expired", "expires": "2020-01-01"},
        ],
        "privileges": [{"principal": "anna", "privilege": "Feeds_DownloadPackage", "feed": "open"}],
        "deployments": [RECORD | {"Id": 41, "RecordedAt": "2021-04-13", "Target": "loaded"}],
    }
    async with opened(tmp_path / "test.db") as store:
        await load_state(document, store, lambda: NOW)
    async with running(options) as service:

        async def status(key: str | None, feed: str) -> int:
            return (await service.post(RECORD | {"FeedName": feed}, key=key)).status

        assert (await service.post(RECORD)).json["Id"] == 42
        assert [await status(KEY, feed) for feed in ("DefaultNuGet", "open")] == [200, 403]
        assert [await status("root", feed) for feed in ("OFFEN", "closed", "none")] == [200, 400, 404]
        assert [await status("annas", feed) for feed in ("open", "DefaultNuGet")] == [200, 403]
        assert [await status(None, feed) for feed in ("open", "DefaultNuGet")] == [200, 403]
        assert [await status(key, "DefaultNuGet") for key in ("revoked", "expired")] == [403, 403]
        answer = await service.request("GET", "/api/deployments?target=loaded", headers={"X-ApiKey": "root"})
        assert [deployment["Id"] for deployment in answer.json] == [41]
        assert {entry.actor for entry in await service.admin.audit(100)} >= {ACTOR}


def read_now(document: object) -> dict[str, Any]:
    return asyncio.run(read(document))


NAMES = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._~-]{0,6}[A-Za-z0-9_~-])?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8).filter(str.strip)
DATES = st.integers(parse_date("0001-01-01"), parse_date("9999-12-31")).map(format_date)
HASH = hash_password("secret")


def several(values: st.SearchStrategy[Any], **options: Any) -> st.SearchStrategy[list[Any]]:
    return st.lists(values, max_size=4, **options)


@st.composite
def documents(draw: Callable[..., Any]) -> dict[str, Any]:
    """Documents as people may write them, which are right."""
    names = draw(several(NAMES, unique_by=str.casefold))
    alternates = [name for name in draw(several(NAMES, unique_by=str.casefold)) if name.casefold() not in _keys(names)]
    feeds = [
        {
            "name": name,
            "type": draw(st.sampled_from(FEED_TYPES)),
            "anonymous": draw(st.booleans()),
            "active": draw(st.booleans()),
            "deploymentRecords": draw(st.booleans()),
            "alternateNames": alternates[number :: len(names)],
        }
        for number, name in enumerate(names)
    ]
    users = draw(several(st.from_regex(r"u[a-z ]{0,3}[a-zäß]", fullmatch=True), unique_by=str.casefold))
    some_feeds = several(st.sampled_from(names), unique=True) if names else st.just([])
    kinds = ["system", "feed", *(["personal"] if users else [])]
    keys = []
    for number, kind in enumerate(draw(several(st.sampled_from(kinds)))):
        scopes = {"system": SYSTEM_APIS, "feed": FEED_PERMISSIONS, "personal": ()}[kind]
        keys.append(
            {
                "id": draw(st.sampled_from((None, 100 - number))),
                "key": draw(st.sampled_from((None, f"key {number}"))),
                "kind": kind,
                "name": draw(st.sampled_from(("", "ci", "größer"))),
                "feeds": draw(some_feeds) if kind == "feed" else None if kind == "system" else [],
                "scopes": draw(several(st.sampled_from(scopes))) if scopes else [],
                "user": draw(st.sampled_from(users)) if kind == "personal" else None,
                "expires": draw(st.none() | DATES),
                "revoked": draw(st.booleans()),
            }
        )
    privileges = [
        {"principal": principal, "privilege": privilege, "feed": feed, "grant": grant}
        for principal, privilege, feed, grant in draw(
            several(
                st.tuples(
                    st.sampled_from((*BUILT_IN_PRINCIPALS, *users)),
                    st.sampled_from(PRIVILEGES),
                    st.sampled_from((None, *names)),
                    st.booleans(),
                ),
                unique=True,
            )
        )
        if not (grant and principal == "Anonymous" and any(f["name"] == feed and f["anonymous"] for f in feeds))
    ]
    id_ = 0
    deployments = []
    for gap in draw(several(st.sampled_from((0, 1, 1000)))) if names else []:
        id_ += 1 + gap
        required = ("Application", "Description", "Target", "PackageName", "Version")
        deployments.append(
            {"Id": draw(st.sampled_from((None, id_))), "FeedName": draw(st.sampled_from([*names, *alternates]))}
            | {name: draw(TEXTS) for name in required}
            | {name: draw(st.none() | TEXTS) for name in ("GroupName", "UserName", "RecordedBy")}
            | {name: draw(st.none() | DATES) for name in ("Date", "RecordedAt")}
        )
    hashed = [{"name": user, "passwordHash": draw(st.sampled_from((None, HASH)))} for user in users]
    return {"feeds": feeds, "users": hashed, "keys": keys, "privileges": privileges, "deployments": deployments}


def _keys(names: list[str]) -> set[str]:
    return {name.casefold() for name in names}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(documents())
def test_loading_what_was_read_gives_the_same_state(document: dict[str, Any]) -> None:
    state = read_now(document)
    assert read_now(json.loads(json.dumps(state))) == state
    assert check_state(parse_state(json.dumps(state))) == check_state(state)
    for part, written in document.items():
        assert len(state[part]) + (2 * _anonymous(state) if part == "privileges" else 0) == len(written) + (
            2 * _anonymous(document) if part == "privileges" else 0
        )


def _anonymous(state: Mapping[str, Any]) -> int:
    return sum(feed["anonymous"] for feed in state["feeds"])


# What is wrong


def test_everything_that_is_wrong_is_said_at_its_place() -> None:
    errors = wrong(
        {
            "feeds": [{"name": "a b"}, {"type": "nougat"}, True, {"name": "f", "typ": "npm"}],
            "users": [{"name": "api"}, {"name": "u", "password": ""}],
            "keys": [{"feeds": ["g"]}, {"kind": "root"}, {"expires": "13.04.2021"}],
            "privileges": [{"principal": "nobody", "privilege": "Feeds_All"}],
            "deployments": [RECORD | {"Url": "javascript:x"}, {"FeedName": "f"}],
        }
    )
    assert list(errors) == [
        "feeds[0].name",
        "feeds[1].name",
        "feeds[1].type",
        "feeds[2]",
        "feeds[3].typ",
        "users[0].name",
        "users[1].password",
        "keys[0].feeds[0]",
        "keys[1].kind",
        "keys[2].expires",
        "privileges[0].privilege",
        "privileges[0].principal",
        "deployments[0].Url",
        "deployments[0].FeedName",
        *(f"deployments[1].{name}" for name in ("Application", "Description", "Target", "PackageName", "Version")),
    ]


@pytest.mark.parametrize(
    ("document", "place", "message"),
    [
        ([], "body", "must be an object with feeds, users, keys, privileges, deployments."),
        (None, "body", "must be an object with"),
        ({"feed": []}, "feed", "is not known here. Known are feeds, users, keys, privileges, deployments."),
        ({"feeds": True}, "feeds", "must be a list."),
        ({"feeds": [1.5]}, "feeds[0]", "must be a text, its name, or an object with name, type,"),
        ({"privileges": ["x"]}, "privileges[0]", "must be an object with principal, privilege, feed, grant."),
        ({"feeds": ["f", {"name": "g", "type": "nougat"}]}, "feeds[1].type", "'nougat' is no feed type. Known are"),
        ({"feeds": ["f", "F"]}, "feeds[1].name", "F is a name of feeds[0] already."),
        (
            {"feeds": ["f", {"name": "g", "alternateNames": ["h", "F"]}]},
            "feeds[1].alternateNames[1]",
            "F is a name of feeds[0] already.",
        ),
        ({"feeds": [{"name": "g", "alternateNames": ["h"]}, "H"]}, "feeds[1].name", "H is a name of feeds[0] already."),
        ({"feeds": [{"name": "f", "Name": "f"}]}, "feeds[0].Name", "is given twice: it is the same as name."),
        ({"feeds": [{"name": "f", "active": "perhaps"}]}, "feeds[0].active", "must be true or false."),
        ({"feeds": [{"name": ["f"]}]}, "feeds[0].name", "must be a text."),
        ({"users": ["anna", "Anna"]}, "users[1].name", "is that of users[0] already."),
        ({"users": [{"name": "u", "passwordHash": "secret"}]}, "users[0].passwordHash", "begin with $argon2id$"),
        (
            {"users": [{"name": "u", "password": "x", "passwordHash": HASH}]},
            "users[0].password",
            "is given together with passwordHash",
        ),
        ({"keys": ["k", "k"]}, "keys[1].key", "is that of keys[0] already."),
        ({"keys": [{"id": 1}, {"id": 1}]}, "keys[1].id", "is that of keys[0] already."),
        ({"keys": [{"id": 0}]}, "keys[0].id", "must be a number from 1 to"),
        ({"keys": [{"id": "x"}]}, "keys[0].id", "must be a whole number."),
        ({"keys": [" k"]}, "keys[0].key", "An API key must be printable ASCII"),
        ({"keys": [{"kind": "root"}]}, "keys[0].kind", "must be system, feed or personal."),
        ({"keys": [{"feeds": ["g"]}], "feeds": ["f"]}, "keys[0].feeds[0]", "There is no feed named g. Feeds: f."),
        ({"keys": [{"kind": "feed"}]}, "keys[0].feeds", "is required of a feed key."),
        ({"keys": [{"kind": "personal"}]}, "keys[0].user", "is required of a personal key."),
        ({"keys": [{"user": "anna"}]}, "keys[0].user", "There is no user named anna."),
        (
            {"feeds": ["f"], "keys": [{"kind": "system", "feeds": ["f"]}]},
            "keys[0].feeds",
            "is for feed keys; this is a system key.",
        ),
        (
            {"feeds": ["f"], "users": ["u"], "keys": [{"feeds": ["f"], "user": "u"}]},
            "keys[0].user",
            "is for personal keys; this is a feed key.",
        ),
        ({"keys": [{"scopes": ["view"]}]}, "keys[0].scopes", "'view' is not for a system key. Known are full-control"),
        ({"keys": [{"name": "a\nb"}]}, "keys[0].name", "A key's name must be up to 200 printable characters."),
        ({"keys": [{"expires": "04/05/2021"}]}, "keys[0].expires", "send an ISO 8601 date such as"),
        ({"privileges": [{}]}, "privileges[0].principal", "is required."),
        (
            {"privileges": [{"principal": "Everyone", "privilege": "Feeds_All"}]},
            "privileges[0].privilege",
            "Known are Feeds_ViewFeed, Feeds_DownloadPackage.",
        ),
        (
            {"privileges": [{"principal": "anna", "privilege": PRIVILEGES[0]}]},
            "privileges[0].principal",
            "There is no user named anna; built-in principals are Everyone, Authenticated, Anonymous.",
        ),
        (
            {"privileges": [{"principal": "Everyone", "privilege": PRIVILEGES[0], "feed": "f"}]},
            "privileges[0].feed",
            "There is no feed named f. Feeds: none yet.",
        ),
        (
            {"privileges": [{"principal": name, "privilege": PRIVILEGES[0]} for name in ("Everyone", "everyone")]},
            "privileges[1]",
            "says the same as privileges[0].",
        ),
        (
            {
                "feeds": [{"name": "f", "anonymous": True}],
                "privileges": [{"principal": "Anonymous", "privilege": PRIVILEGES[0], "feed": "F"}],
            },
            "privileges[0]",
            "says the same as feeds[0].anonymous.",
        ),
        ({"deployments": [RECORD]}, "deployments[0].FeedName", "There is no feed named DefaultNuGet."),
        (
            {"feeds": ["DefaultNuGet"], "deployments": [RECORD | {"Version": 1.10}]},
            "deployments[0].Version",
            "is the number 1.1; write it as a text",
        ),
        (
            {"feeds": ["DefaultNuGet"], "deployments": [RECORD | {"Id": 2}, RECORD | {"Id": 2}]},
            "deployments[1].Id",
            "must be greater than 2",
        ),
        (
            {"feeds": ["DefaultNuGet"], "deployments": [RECORD | {"PackageId": "x"}]},
            "deployments[0].PackageId",
            "is not known here. Known are Application, Description, Target, FeedName, PackageName,",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_would_be_right(document: object, place: str, message: str) -> None:
    errors = wrong(document)
    assert message in " ".join(errors.get(place, [])), errors


async def test_nothing_is_made_of_a_document_that_is_wrong(tmp_path: Path) -> None:
    async with opened(tmp_path / "world.db") as store:
        with pytest.raises(InvalidRequest):
            await load_state({"feeds": ["f"], "keys": [{"feeds": ["g"]}]}, store, lambda: NOW)
        assert not (await access_of(store)).feeds


async def test_what_is_added_may_name_what_is_there_and_is_numbered_after_it(tmp_path: Path) -> None:
    record = RECORD | {"FeedName": "f"}
    begun = {"feeds": ["f"], "users": ["anna"], "keys": ["first"], "deployments": [record, record]}
    added = {
        "feeds": [{"name": "g", "anonymous": True}],
        "keys": [{"key": "second", "feeds": ["F", "g"]}, {"key": "third", "user": "Anna"}],
        "privileges": [{"principal": "anna", "privilege": "Feeds_ViewFeed", "feed": "f"}],
        "deployments": [record, record | {"FeedName": "g", "Id": 9}],
    }
    async with opened(tmp_path / "world.db") as store:
        secrets = await load_state(begun, store, lambda: NOW)
        secrets |= await load_state(added, store, lambda: NOW)
        assert secrets == {1: "first", 2: "second", 3: "third"}
        state = await read_state(store, secrets)
        assert [key["feeds"] for key in state["keys"]] == [[], ["f", "g"], []]
        assert state["keys"][2]["user"] == "anna"
        assert [deployment["Id"] for deployment in state["deployments"]] == [1, 2, 3, 9]
        with pytest.raises(InvalidRequest, match="must be greater than 9"):
            await load_state({"deployments": [record | {"Id": 9}]}, store, lambda: NOW)


async def test_what_a_store_that_is_not_empty_refuses_is_said_at_its_place(tmp_path: Path) -> None:
    async with opened(tmp_path / "world.db") as store:
        await load_state({"feeds": ["f"], "keys": ["k"]}, store, lambda: NOW)
        for document, place in (({"feeds": ["F"]}, "feeds[0].name"), ({"keys": ["k"]}, "keys[0]")):
            with pytest.raises(InvalidRequest) as caught:
                await load_state(document, store, lambda: NOW)
            assert list(caught.value.errors) == [place]


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(("f", "feed", "1")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)
NAMES_OF_ENTRIES = sorted(
    {name for part in WorldStateSchema().fields.values() for name in part.inner.schema._names.values()}  # type: ignore[attr-defined]
)


@settings(max_examples=300, deadline=None)
@given(
    ANYTHING
    | st.dictionaries(
        st.sampled_from(sorted(WorldStateSchema().fields)),
        ANYTHING | several(ANYTHING | st.dictionaries(st.sampled_from(NAMES_OF_ENTRIES), ANYTHING, max_size=6)),
    )
)
@example({"feeds": [{"name": "f", "alternateNames": {"x": 1}}], "keys": [{"scopes": [[]]}]})
@example({"feeds": [{1: 2, None: 3}]})
def test_every_document_is_either_right_or_refused_with_reasons(document: object) -> None:
    errors: PLACES = {}
    try:
        check_state(document)
    except InvalidRequest as error:
        errors = error.errors
    assert all(messages and all(messages) for messages in errors.values())


# Files


@pytest.mark.parametrize("encode", [str, str.encode, lambda text: text.encode("utf-8-sig")])
def test_a_file_is_read_with_numbers_as_they_are_written(encode: Callable[[str], str | bytes]) -> None:
    document = {"feeds": ["DefaultNuGet"], "keys": [{"id": 2}], "deployments": [RECORD | {"Version": "VERSION"}]}
    text = json.dumps(document).replace('"VERSION"', "1.10")
    state = check_state(parse_state(encode(text)))
    assert (state.keys[0].id, state.deployments[0].submission.version) == (2, "1.10")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1 column 1"),
        ('{"feeds": [}', "line 1 column 12"),
        ("[NaN]", "NaN is no JSON number"),
        (b"\xff{}", "not valid JSON in UTF-8"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_state(text)
    assert message in caught.value.errors["body"][0]


# The description


def test_the_schemas_can_be_described() -> None:
    plugin = MarshmallowPlugin()
    spec = APISpec("x", "1", "3.1.0", [plugin])
    spec.components.schema("State", schema=WorldStateSchema)
    schemas = spec.to_dict()["components"]["schemas"]
    assert set(schemas["State"]["properties"]) == {"feeds", "users", "keys", "privileges", "deployments"}
    for schema in schemas.values():
        assert schema["additionalProperties"] is False
        assert all("description" in property_ for property_ in schema["properties"].values())
    names = {name for schema in schemas.values() for name in schema["properties"]}
    assert names >= {"deploymentRecords", "passwordHash", "RecordedBy", "Id", "expires"}
