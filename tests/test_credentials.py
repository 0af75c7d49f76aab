"""Every way to say who is calling, over HTTP, and what comes of it."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import PATH, RECORD, Answer, Service, StartService, administered, settings_of
from waiting import until

from deployserver.administration import Administration
from deployserver.api_keys import create_key, revoke_key
from deployserver.clock import now
from deployserver.errors import Conflict, InvalidValue, NotFound
from deployserver.feeds import add_feed, remove_feed, update_feed
from deployserver.models import DOWNLOAD_PACKAGE, KeyKind
from deployserver.privileges import add_privilege, revoke_privilege
from deployserver.users import add_user, remove_user, set_password

DAY = 24 * 60 * 60 * 1_000_000
CLOSED, OPEN, OTHER, INACTIVE, UNRECORDED = "Closed", "Open", "Other", "Inactive", "Unrecorded"
FEED_KEY, SYSTEM_KEY, PERSONAL_KEY = (
    "feed-key-0123456789abcdef",
    "system-key-0123456789abcdef",
    "annas-key-0123456789abcdef",
)
COLON_KEY = "anna:looks:like-a-pseudo-key"
PASSWORD = "päss:word & more"
RECORD_IN_CLOSED = RECORD | {"FeedName": CLOSED}


@asynccontextmanager
async def administration(
    directory: Path, clock: Callable[[], int] = now, **options: Any
) -> AsyncIterator[Administration]:
    async with administered(settings_of(directory, **options), clock) as admin:
        yield admin


async def prepare(directory: Path, **options: Any) -> None:
    """Make a feed of each kind, a key of each kind, and users: Anna may record in Closed, Bert nowhere."""
    async with administration(directory, **options) as admin:
        for name in (CLOSED, OTHER, INACTIVE, UNRECORDED):
            await add_feed(admin, name)
        await add_feed(admin, OPEN, anonymous=True)
        await update_feed(admin, INACTIVE, active=False)
        await update_feed(admin, UNRECORDED, deployment_records=False)
        await add_user(admin, "Anna", PASSWORD)
        await add_user(admin, "Bert", PASSWORD)
        await add_user(admin, "NoPassword", None)
        await add_privilege(admin, "Anna", DOWNLOAD_PACKAGE, CLOSED, granted=True)
        await create_key(admin, "feed", feeds=[CLOSED], name="agent", value=FEED_KEY)
        await create_key(admin, "system", value=SYSTEM_KEY)
        await create_key(admin, "personal", user="anna", name="laptop", value=PERSONAL_KEY)
        await create_key(admin, "feed", feeds=[CLOSED], name="colon", value=COLON_KEY)


@pytest.fixture(scope="module")
def prepared_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("prepared")
    with asyncio.Runner() as runner:
        runner.run(prepare(directory))
    return directory / "test.db"


@pytest.fixture
async def start_prepared(
    start: StartService, engine: str, database_url: str, prepared_database: Path, tmp_path: Path
) -> StartService:
    """Start servers with what ``prepare`` makes."""
    if engine == "sqlite":
        shutil.copy(prepared_database, tmp_path)
    else:
        await prepare(tmp_path, database_url=database_url)

    async def start_service(**options: Any) -> Service:
        return await start(**{"security_lockout_failures": 0} | options)

    return start_service


@pytest.fixture
async def prepared(start_prepared: StartService) -> Service:
    return await start_prepared()


def basic(user: str, password: str, encoding: str = "utf-8") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode(encoding)).decode()}


def parts(**fields: str) -> bytes:
    """Return a multipart body with the boundary b."""
    return (
        b"".join(
            f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        )
        + b"--b--\r\n"
    )


MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}

# Where a credential can be, each with a body of every kind it goes with.
WAYS: dict[str, Callable[[str], dict[str, Any]]] = {
    "header, form body": lambda key: {"data": RECORD_IN_CLOSED, "headers": {"X-ApiKey": key}},
    "header, JSON body": lambda key: {"json": RECORD_IN_CLOSED, "headers": {"X-ApiKey": key}},
    "header, multipart body": lambda key: {"data": parts(**RECORD_IN_CLOSED), "headers": {"X-ApiKey": key} | MULTIPART},
    "header in another letter case": lambda key: {"data": RECORD_IN_CLOSED, "headers": {"x-apikey": key}},
    "header with blanks around": lambda key: {"data": RECORD_IN_CLOSED, "headers": {"X-ApiKey": f"  {key}\t"}},
    "query, form body": lambda key: {"data": RECORD_IN_CLOSED, "params": {"key": key}},
    "query, JSON body": lambda key: {"json": RECORD_IN_CLOSED, "params": {"key": key}},
    "query, multipart body": lambda key: {
        "data": parts(**RECORD_IN_CLOSED),
        "headers": MULTIPART,
        "params": {"key": key},
    },
    "query in another letter case": lambda key: {"data": RECORD_IN_CLOSED, "params": {"a": "b", "KEY": key}},
    "form body": lambda key: {"data": RECORD_IN_CLOSED | {"key": key}},
    "form body in another letter case": lambda key: {"data": RECORD_IN_CLOSED | {"Key": key}},
    "multipart body": lambda key: {"data": parts(**RECORD_IN_CLOSED, key=key), "headers": MULTIPART},
    "JSON body": lambda key: {"json": RECORD_IN_CLOSED | {"API_Key": key}},
    "JSON body in another letter case": lambda key: {"json": RECORD_IN_CLOSED | {"api_key": key}},
    "JSON labelled as a form": lambda key: {
        "data": json.dumps(RECORD_IN_CLOSED | {"API_Key": key}).encode(),
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    },
    "Basic, form body": lambda key: {"data": RECORD_IN_CLOSED, "headers": basic("api", key)},
    "Basic, JSON body": lambda key: {"json": RECORD_IN_CLOSED, "headers": basic("api", key)},
    "Basic with API in capitals": lambda key: {"data": RECORD_IN_CLOSED, "headers": basic("API", key)},
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_key_is_found_wherever_proget_takes_one(prepared: Service, way: str) -> None:
    """``UserName`` is the user of a personal key, else the key's name, else API; ``RecordedBy`` names the key too."""
    for key, name, recorded_by in (
        (FEED_KEY, "agent", "API key 1 (agent)"),
        (SYSTEM_KEY, "API", "API key 2"),
        (PERSONAL_KEY, "Anna", "user Anna, API key 3 (laptop)"),
        (COLON_KEY, "colon", "API key 4 (colon)"),
    ):
        answer = await prepared.request("POST", PATH, **WAYS[way](key))
        assert answer.status == 200, answer.text
        assert (answer.json["UserName"], answer.json["RecordedBy"]) == (name, recorded_by)
    rows = await prepared.rows()
    assert [row["user_name"] for row in rows] == ["agent", "API", "Anna", "colon"]
    assert [row["recorded_key_id"] for row in rows] == [1, 2, 3, 4]


@pytest.mark.parametrize("way", WAYS)
async def test_a_wrong_key_is_refused_in_every_way(prepared: Service, way: str) -> None:
    answer = await prepared.request("POST", PATH, **WAYS[way]("wrong"))
    assert (answer.status, answer.text) == (403, "The API key is not valid: it is unknown or has been revoked.\n")
    assert await prepared.rows() == []


@pytest.mark.parametrize("way", [way for way in WAYS if not way.startswith("Basic")])
async def test_a_pseudo_key_acts_as_its_user(prepared: Service, way: str) -> None:
    """``user:password`` is taken wherever a key is; the password may hold colons."""
    answer = await prepared.request("POST", PATH, **WAYS[way](f"anna:{PASSWORD}"))
    assert answer.status == 200, answer.text
    assert (answer.json["UserName"], answer.json["RecordedBy"]) == ("Anna", "user Anna")
    assert [row["recorded_key_id"] for row in await prepared.rows()] == [None]


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
async def test_a_user_signs_in_with_basic_authentication(prepared: Service, encoding: str) -> None:
    """The bytes are UTF-8, or Latin-1 as older clients send."""
    answer = await prepared.post(RECORD_IN_CLOSED, key=None, headers=basic("ANNA", PASSWORD, encoding))
    assert answer.status == 200, answer.text
    assert (answer.json["UserName"], answer.json["RecordedBy"]) == ("Anna", "user Anna")


async def test_curls_u_option_works_in_lower_case_and_with_blanks(prepared: Service) -> None:
    value = "basic   " + base64.b64encode(f"api:{FEED_KEY}".encode()).decode() + " "
    assert (await prepared.post(RECORD_IN_CLOSED, key=None, headers={"Authorization": value})).status == 200


async def test_a_user_of_progets_web_pages_may_lack_the_privilege(prepared: Service) -> None:
    answer = await prepared.post(RECORD_IN_CLOSED, key=f"bert:{PASSWORD}")
    assert (answer.status, answer.text) == (403, "The user Bert lacks the privilege Feeds_DownloadPackage here.\n")


@pytest.mark.parametrize(
    "credential",
    [
        {"X-ApiKey": "Anna:wrong"},
        {"X-ApiKey": "nobody:wrong"},
        {"X-ApiKey": "NoPassword:"},
        {"X-ApiKey": "NoPassword:x"},
        {"X-ApiKey": ":"},
        {"X-ApiKey": f":{PASSWORD}"},
        {"X-ApiKey": "Anna:"},
        basic("Anna", "wrong"),
        basic("Anna", ""),
        basic("nobody", PASSWORD),
        basic("", PASSWORD),
        basic("NoPassword", ""),
        basic("", ""),
    ],
    ids=str,
)
async def test_a_wrong_name_and_a_wrong_password_are_not_told_apart(
    prepared: Service, credential: dict[str, str]
) -> None:
    answer = await prepared.post(RECORD | {"FeedName": OPEN}, key=None, headers=credential)
    assert (answer.status, answer.text) == (403, "The user name or the password is wrong.\n")


async def test_pseudo_keys_can_be_switched_off(start_prepared: StartService) -> None:
    """Keys go on working, also those that look like a pseudo-key, and those sent by Basic authentication."""
    service = await start_prepared(security_pseudo_keys=False)
    for headers in ({"X-ApiKey": f"Anna:{PASSWORD}"}, basic("Anna", PASSWORD), basic("Anna", "wrong")):
        answer = await service.post(RECORD_IN_CLOSED, key=None, headers=headers)
        assert (answer.status, answer.text) == (
            403,
            "User names and passwords are not accepted here; send an API key.\n",
        )
    for headers in ({"X-ApiKey": COLON_KEY}, basic("api", COLON_KEY), {"X-ApiKey": PERSONAL_KEY}):
        assert (await service.post(RECORD_IN_CLOSED, key=None, headers=headers)).status == 200


# Which of several counts


@pytest.mark.parametrize(
    ("request_options", "who"),
    [
        ({"headers": {"X-ApiKey": FEED_KEY}, "params": {"key": SYSTEM_KEY}}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": FEED_KEY}, "params": {"key": "wrong"}}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": FEED_KEY} | basic("api", SYSTEM_KEY)}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": FEED_KEY, "Authorization": "Bearer proxy-token"}}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": FEED_KEY}, "extra": {"key": SYSTEM_KEY}}, "API key 1 (agent)"),
        ({"params": {"key": FEED_KEY}, "extra": {"key": SYSTEM_KEY}}, "API key 1 (agent)"),
        ({"params": {"key": FEED_KEY}, "headers": basic("api", SYSTEM_KEY)}, "API key 1 (agent)"),
        ({"extra": {"key": FEED_KEY}, "headers": basic("api", SYSTEM_KEY)}, "API key 1 (agent)"),
        ({"extra": {"key": FEED_KEY}, "headers": {"Authorization": "Negotiate abc"}}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": " "}, "params": {"key": FEED_KEY}}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": ""}, "params": {"key": ""}, "extra": {"key": FEED_KEY}}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": ""} | basic("api", FEED_KEY), "extra": {"key": " "}}, "API key 1 (agent)"),
        ({"headers": {"X-ApiKey": "wrong"}, "params": {"key": FEED_KEY}}, None),
        ({"params": {"key": "wrong"}, "extra": {"key": FEED_KEY}}, None),
        ({"extra": {"key": "wrong"}, "headers": basic("api", FEED_KEY)}, None),
    ],
)
async def test_the_header_goes_before_the_query_the_body_and_basic(
    prepared: Service, request_options: dict[str, Any], who: str | None
) -> None:
    data = RECORD_IN_CLOSED | request_options.pop("extra", {})
    answer = await prepared.request("POST", PATH, data=data, **request_options)
    assert answer.status == (200 if who else 403)
    if who:
        assert answer.json["RecordedBy"] == who


@pytest.mark.parametrize(
    "request_options",
    [
        {},
        {"headers": {"X-ApiKey": ""}},
        {"headers": {"X-ApiKey": "  "}},
        {"params": {"key": ""}},
        {"params": {"key": " "}},
        {"params": {"other": FEED_KEY}},
        {"extra": {"key": " "}},
        {"extra": {"API_Key": FEED_KEY}},
        {"headers": {"Authorization": ""}},
    ],
    ids=str,
)
async def test_no_credential_or_a_blank_one_is_anonymous(prepared: Service, request_options: dict[str, Any]) -> None:
    """A build server whose secret is not set sends blanks."""
    extra = request_options.pop("extra", {})
    answer = await prepared.request("POST", PATH, data=RECORD | {"FeedName": OPEN} | extra, **request_options)
    assert answer.status == 200, answer.text
    assert (answer.json["UserName"], answer.json["RecordedBy"]) == ("Anonymous", "Anonymous")
    answer = await prepared.request("POST", PATH, data=RECORD_IN_CLOSED | extra, **request_options)
    assert (answer.status, answer.text) == (403, "An API key is needed; send it in the X-ApiKey header.\n")


async def test_the_property_key_of_a_json_body_is_no_credential(prepared: Service) -> None:
    answer = await prepared.post(key=None, json=RECORD | {"FeedName": OPEN, "key": "wrong", "nested": {"API_Key": "x"}})
    assert (answer.status, answer.json["RecordedBy"]) == (200, "Anonymous")


# Refusals


async def unusable_key(directory: Path, how: str) -> str:
    if how == "wrong":
        return "wrong"
    if how == "expired":
        async with administration(directory, lambda: now() - 2 * DAY) as admin:
            return (await create_key(admin, "system", expires_at=now() - DAY)).secret
    async with administration(directory) as admin:
        secret, key = await create_key(admin, "system")
        await revoke_key(admin, key.id)
        return secret


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("wrong", "The API key is not valid: it is unknown or has been revoked.\n"),
        ("revoked", "The API key is not valid: it is unknown or has been revoked.\n"),
        ("expired", "The API key has expired.\n"),
    ],
)
async def test_an_unusable_key_is_refused_even_where_anonymous_callers_may(
    start_prepared: StartService, tmp_path: Path, how: str, message: str
) -> None:
    """Else a deployment would be recorded under nobody's name, and nobody would notice that the key is dead."""
    key = await unusable_key(tmp_path, how)
    service = await start_prepared()
    answer = await service.post(RECORD | {"FeedName": OPEN}, key=key)
    assert (answer.status, answer.text) == (403, message)
    assert await service.rows() == []
    assert (await service.post(RECORD | {"FeedName": OPEN}, key=None)).status == 200


async def test_a_key_works_until_it_expires(start: StartService, tmp_path: Path) -> None:
    times = [now()]
    async with administration(tmp_path) as admin:
        await add_feed(admin, CLOSED)
        await create_key(admin, "system", value=SYSTEM_KEY, expires_at=times[0] + DAY)
    service = await start(clock=lambda: times[-1])
    assert (await service.post(RECORD_IN_CLOSED, key=SYSTEM_KEY)).status == 200
    times.append(times[0] + DAY - 1)
    assert (await service.post(RECORD_IN_CLOSED, key=SYSTEM_KEY)).status == 200
    times.append(times[0] + DAY)
    assert (await service.post(RECORD_IN_CLOSED, key=SYSTEM_KEY)).text == "The API key has expired.\n"


@pytest.mark.parametrize(
    "authorization",
    ["Bearer abc", "bearer abc", "Negotiate abc", "ApiKey abc", "Basic !!!", "Basic abcde", "Basic äöü", FEED_KEY],
)
async def test_other_authorization_is_refused_and_says_what_is_taken(prepared: Service, authorization: str) -> None:
    """Taking the caller for Anonymous would hide from them that their credential is never looked at."""
    answer = await prepared.post(RECORD | {"FeedName": OPEN}, key=None, headers={"Authorization": authorization})
    assert answer.status == 403
    assert answer.text.startswith("The Authorization header")
    assert authorization not in answer.text


def refused_calls() -> dict[str, dict[str, Any]]:
    return {
        "nobody": {"data": RECORD_IN_CLOSED},
        "wrong key": {"data": RECORD_IN_CLOSED, "headers": {"X-ApiKey": "wrong"}},
        "wrong password": {"data": RECORD_IN_CLOSED, "headers": basic("Anna", "wrong")},
        "Bearer": {"data": RECORD_IN_CLOSED, "headers": {"Authorization": "Bearer x"}},
        "broken Basic": {"data": RECORD_IN_CLOSED, "headers": {"Authorization": "Basic !"}},
        "key of another feed": {"data": RECORD | {"FeedName": OTHER}, "headers": {"X-ApiKey": FEED_KEY}},
        "user without the privilege": {"data": RECORD | {"FeedName": OTHER}, "headers": {"X-ApiKey": PERSONAL_KEY}},
    }


@pytest.mark.parametrize("accept", ["*/*", "application/json"])
@pytest.mark.parametrize("call", refused_calls())
async def test_a_refusal_is_a_403_that_asks_for_no_password(prepared: Service, call: str, accept: str) -> None:
    """A 401 with WWW-Authenticate makes browsers and .NET ask for a password that does not help."""
    options = refused_calls()[call]
    answer = await prepared.request(
        "POST", PATH, **options | {"headers": options.get("headers", {}) | {"Accept": accept}}
    )
    assert answer.status == 403
    assert "WWW-Authenticate" not in answer.headers
    if accept == "application/json":
        assert answer.headers["Content-Type"].startswith("application/problem+json")
        assert (answer.json["status"], answer.json["title"]) == (403, "Forbidden")
    for secret in (FEED_KEY, SYSTEM_KEY, PERSONAL_KEY, PASSWORD):
        assert secret not in answer.text


@pytest.mark.parametrize("depth", [1, 2, 400, 1500])
async def test_a_key_behind_many_api_prefixes_is_simply_wrong(prepared: Service, depth: int) -> None:
    """Nobody's request may cost the server its stack."""
    answer = await prepared.post(RECORD_IN_CLOSED, key="api:" * depth + "wrong")
    assert answer.status == 403


async def test_a_key_may_be_written_as_basic_authentication_would(prepared: Service) -> None:
    answer = await prepared.post(RECORD_IN_CLOSED, key=f"api:{FEED_KEY}")
    assert (answer.status, answer.json["RecordedBy"]) == (200, "API key 1 (agent)")


async def test_a_credential_that_is_no_text_is_simply_wrong(prepared: Service) -> None:
    """JSON can hold half a surrogate pair, and a header bytes in no known encoding."""
    for secret in ("\ud800", "Anna:\ud800", "\ud800:x", "nobody:\ud800"):
        answer = await prepared.post(key=None, json=RECORD_IN_CLOSED | {"API_Key": secret})
        assert answer.status == 403
    body = b"FeedName=Closed"
    for secret in (b"\xff\xfe", b"Anna:\xff"):
        head = b"POST %s HTTP/1.1\r\nHost: x\r\nX-ApiKey: %s\r\nContent-Length: 15\r\n\r\n" % (PATH.encode(), secret)
        assert (await prepared.raw(head + body)).startswith(b"HTTP/1.1 403 ")


# What a caller may not choose, and what is said of feeds


@pytest.mark.parametrize("way", [{"headers": {"X-ApiKey": FEED_KEY}}, {"headers": basic("Anna", PASSWORD)}, {}])
async def test_who_recorded_it_is_not_for_the_client_to_choose(prepared: Service, way: dict[str, Any]) -> None:
    given = RECORD | {"FeedName": CLOSED if way else OPEN, "UserName": "somebody", "RecordedBy": "the boss", "Id": "7"}
    answer = await prepared.request("POST", PATH, data=given, **way)
    assert answer.status == 200, answer.text
    assert (answer.json["UserName"], answer.json["Id"]) == ("somebody", 1)
    assert answer.json["RecordedBy"] in ("API key 1 (agent)", "user Anna", "Anonymous")


async def test_a_blank_user_name_counts_as_none(prepared: Service) -> None:
    answer = await prepared.post(RECORD_IN_CLOSED | {"UserName": "  "}, key=PERSONAL_KEY)
    assert answer.json["UserName"] == "Anna"


@pytest.mark.parametrize(
    ("feed", "message"),
    [
        (INACTIVE, "is inactive"),
        (UNRECORDED, "deployment records are switched off"),
    ],
)
async def test_a_feed_that_takes_no_records_is_a_400_to_those_who_might(
    prepared: Service, feed: str, message: str
) -> None:
    answer = await prepared.post(RECORD | {"FeedName": feed}, key=SYSTEM_KEY)
    assert (answer.status, answer.text.startswith("FeedName "), feed in answer.text) == (400, True, True)
    assert message in answer.text
    answer = await prepared.post(RECORD | {"FeedName": feed}, key=SYSTEM_KEY, headers={"Accept": "application/json"})
    assert list(answer.json["errors"]) == ["FeedName"]
    assert (await prepared.post(RECORD | {"FeedName": feed}, key=FEED_KEY)).status == 403
    assert await prepared.rows() == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"X-ApiKey": SYSTEM_KEY}, 404),
        ({"X-ApiKey": FEED_KEY}, 404),
        ({"X-ApiKey": PERSONAL_KEY}, 404),
        ({}, 404),  # Anonymous may record in Open
        (basic("Bert", PASSWORD), 403),  # Bert may record nowhere
    ],
)
async def test_only_who_is_let_in_somewhere_learns_that_a_feed_does_not_exist(
    prepared: Service, headers: dict[str, str], status: int
) -> None:
    answer = await prepared.request("POST", PATH, data=RECORD | {"FeedName": "Nowhere"}, headers=headers)
    assert answer.status == status
    if status == 404:
        assert answer.text == "There is no feed named 'Nowhere'.\n"
    else:
        existing = await prepared.request("POST", PATH, data=RECORD | {"FeedName": OTHER}, headers=headers)
        assert (existing.status, existing.text) == (403, answer.text)


@pytest.mark.parametrize(
    ("data", "key", "status"),
    [
        (b"{broken", "wrong", 400),  # the body before the credential
        (b"FeedName=x", "wrong", 403),  # the credential before the fields
        (b"FeedName=Nowhere", FEED_KEY, 400),  # the fields before the feed
    ],
)
async def test_what_is_wrong_is_looked_for_in_this_order(prepared: Service, data: bytes, key: str, status: int) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await prepared.post(data, key=key, headers=headers)).status == status


# Changes reach a running server


async def change_and_wait(
    service: Service, post: Callable[[], Awaitable[Answer]], change: Awaitable[object], status: int
) -> Answer:
    await change

    async def is_seen() -> bool:
        return (await post()).status == status

    await until(is_seen)
    return await post()


@pytest.mark.every_engine
async def test_a_revoked_key_stops_working_without_a_restart(prepared: Service) -> None:
    """A key that has leaked must be dead as soon as the administrator says so."""

    async def post() -> Answer:
        return await prepared.post(RECORD_IN_CLOSED, key=FEED_KEY)

    assert (await post()).status == 200
    answer = await change_and_wait(prepared, post, revoke_key(prepared.admin, 1), 403)
    assert answer.text == "The API key is not valid: it is unknown or has been revoked.\n"
    assert (await prepared.post(RECORD_IN_CLOSED, key=SYSTEM_KEY)).status == 200


@pytest.mark.every_engine
async def test_a_changed_password_and_a_removed_user_stop_working_without_a_restart(prepared: Service) -> None:
    async def with_password() -> Answer:
        return await prepared.post(RECORD_IN_CLOSED, key=None, headers=basic("anna", PASSWORD))

    async def with_new_password() -> Answer:
        return await prepared.post(RECORD_IN_CLOSED, key=None, headers=basic("anna", "new"))

    async def with_personal_key() -> Answer:
        return await prepared.post(RECORD_IN_CLOSED, key=PERSONAL_KEY)

    assert (await with_password()).status == 200
    assert (await with_password()).status == 200  # remembered
    assert (await with_new_password()).status == 403
    await change_and_wait(prepared, with_password, set_password(prepared.admin, "ANNA", "new"), 403)
    assert (await with_new_password()).status == 200
    assert (await with_personal_key()).status == 200
    await change_and_wait(prepared, with_personal_key, remove_user(prepared.admin, "anna"), 403)
    assert (await with_new_password()).status == 403
    assert {row["recorded_by"] for row in await prepared.rows()} == {"user Anna", "user Anna, API key 3 (laptop)"}


@pytest.mark.every_engine
async def test_new_feeds_keys_and_privileges_work_without_a_restart(prepared: Service) -> None:
    admin = prepared.admin
    secret = (await create_key(admin, "feed", feeds=[OTHER])).secret
    entry = await add_privilege(admin, "bert", DOWNLOAD_PACKAGE, OTHER, granted=True)
    in_other = RECORD | {"FeedName": OTHER}

    async def with_key() -> Answer:
        return await prepared.post(in_other, key=secret)

    async def with_privilege() -> Answer:
        return await prepared.post(in_other, key=f"Bert:{PASSWORD}")

    async def in_new_feed() -> Answer:
        return await prepared.post(RECORD | {"FeedName": "Brand.New"}, key=SYSTEM_KEY)

    await change_and_wait(prepared, with_key, add_feed(admin, "brand.new"), 200)
    assert (await with_privilege()).status == 200
    assert (await in_new_feed()).json["FeedName"] == "brand.new"
    await change_and_wait(prepared, with_privilege, revoke_privilege(admin, entry.id), 403)
    await change_and_wait(prepared, in_new_feed, remove_feed(admin, "Brand.New", force=True), 404)
    await change_and_wait(prepared, with_key, update_feed(admin, OTHER, active=False), 400)


@pytest.mark.every_engine
async def test_a_key_bound_to_a_removed_feed_may_nothing(prepared: Service) -> None:
    async def post() -> Answer:
        return await prepared.post(RECORD_IN_CLOSED, key=FEED_KEY)

    answer = await change_and_wait(prepared, post, remove_feed(prepared.admin, CLOSED), 403)
    assert answer.text == "The API key may not record deployments here.\n"


# Making keys


@pytest.mark.parametrize(
    ("kind", "options", "scopes"),
    [
        ("system", {}, {"full-control"}),
        ("system", {"scopes": ["Feeds", " sca,sbom-upload "]}, {"feeds", "sca", "sbom-upload"}),
        ("feed", {"feeds": [OPEN]}, {"view"}),
        ("feed", {"feeds": [OPEN, CLOSED], "scopes": ["view", "add"]}, {"view", "add"}),
        ("personal", {"user": "anna"}, set()),
    ],
)
async def test_a_new_key_is_random_and_only_its_hash_is_stored(
    prepared: Service, kind: KeyKind, options: dict[str, Any], scopes: set[str]
) -> None:
    made = await create_key(prepared.admin, kind, **options)
    assert len(made.secret) == 40
    assert int(made.secret, 16)
    assert made.secret != (await create_key(prepared.admin, kind, **options)).secret
    stored = (await prepared.admin.access()).keys[made.key.id]
    assert stored == made.key
    assert stored.scopes == scopes
    (row,) = await prepared.rows("SELECT * FROM api_keys WHERE id = ?", made.key.id)
    assert row["hint"] == made.secret[:4]
    assert made.secret not in repr(row)
    for file in prepared.store.path.parent.glob("test.db*"):
        assert made.secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("value", ["", " a", "a ", "ä", "a\tb", "a\x7f", "a" * 201])
async def test_a_key_given_by_hand_must_fit_in_a_header(prepared: Service, value: str) -> None:
    with pytest.raises(InvalidValue, match="An API key m"):
        await create_key(prepared.admin, "system", value=value)


@pytest.mark.every_engine
async def test_a_key_given_by_hand_exists_once_and_leaves_no_hint(prepared: Service) -> None:
    """A key that was revoked because it leaked must not come back by accident either."""
    await revoke_key(prepared.admin, 1)
    for value in (FEED_KEY, SYSTEM_KEY):
        with pytest.raises(Conflict, match="There is an API key of this value already"):
            await create_key(prepared.admin, "system", value=value)
    assert {key.hint for key in (await prepared.admin.access()).keys.values()} == {""}


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("system", {"scopes": ["view"]}, "'view' is not for a system key. Known are full-control, feeds, sca"),
        ("feed", {"feeds": [OPEN], "scopes": ["feeds"]}, "'feeds' is not for a feed key. Known are view, add"),
        ("personal", {"user": "Anna", "scopes": ["view"]}, "'view' is not for a personal key. Known are none"),
        ("feed", {"feeds": [OPEN, "Nowhere"]}, "There is no feed named Nowhere. Feeds: Closed, Inactive, Open"),
        ("personal", {"user": "nobody"}, "There is no user named nobody"),
        ("system", {"expires_at": 1}, "The expiry date has passed already"),
    ],
)
async def test_a_key_that_makes_no_sense_is_not_made(
    prepared: Service, kind: KeyKind, options: dict[str, Any], error: str
) -> None:
    before = await prepared.admin.access()
    with pytest.raises((InvalidValue, NotFound), match=error):
        await create_key(prepared.admin, kind, **options)
    assert (await prepared.admin.access()).keys == before.keys


async def test_a_key_is_revoked_once_and_for_good(prepared: Service) -> None:
    assert (await revoke_key(prepared.admin, 1)).name == "agent"
    with pytest.raises(Conflict, match="The API key 1 has been revoked already"):
        await revoke_key(prepared.admin, 1)
    with pytest.raises(NotFound, match="There is no API key 99"):
        await revoke_key(prepared.admin, 99)


async def test_basic_authentication_without_the_key_is_not_anonymous(prepared: Service) -> None:
    """``curl -u api:$KEY`` with an unset variable; the caller meant to say who they are."""
    answer = await prepared.post(RECORD | {"FeedName": OPEN}, key=None, headers=basic("api", ""))
    assert (answer.status, "The API key is not valid" in answer.text) == (403, True)


@pytest.mark.parametrize("key", [True, {}, ["abc12345"]], ids=str)
async def test_a_json_key_that_is_no_text_is_not_anonymous(prepared: Service, key: object) -> None:
    answer = await prepared.post(json=RECORD | {"FeedName": OPEN, "API_Key": key}, key=None)
    assert (answer.status, answer.text) == (400, "API_Key must be a text.\n")
