"""Who changed what, and who was refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from conftest import FEED, KEY, RECORD, Service, StartService
from waiting import until

from deployserver.administration import Administration
from deployserver.api_keys import create_key, revoke_key
from deployserver.audit import RefusalAudit
from deployserver.errors import Conflict, InvalidCredential
from deployserver.feeds import add_feed, remove_feed, update_feed
from deployserver.models import DOWNLOAD_PACKAGE, VIEW_FEED, AuditEntry
from deployserver.privileges import add_privilege, revoke_privilege
from deployserver.users import add_user, remove_user, set_password

MINUTE = 60_000_000
START = 1_700_000_040_000_000  # a whole minute
SECRET = "a-secret-that-no-audit-holds"


async def add_anna(admin: Administration) -> None:
    await add_user(admin, "Anna", None)
    await add_privilege(admin, "Anna", VIEW_FEED, None, granted=True)


CHANGES: list[tuple[Callable[[Administration], Awaitable[Any]], str, str, dict[str, Any] | None]] = [
    (lambda admin: add_feed(admin, "New", "npm"), "feed.add", "New", {"type": "npm", "anonymous": False}),
    (
        lambda admin: add_feed(admin, "New", anonymous=True),
        "feed.add",
        "New",
        {"type": "nuget", "anonymous": True},
    ),
    (
        lambda admin: update_feed(admin, FEED.upper(), rename="Other", active=False, add_names=["x"]),
        "feed.update",
        FEED,
        {
            "renamed to": "Other",
            "active": False,
            "deployment records": True,
            "alternate names": [FEED, "x"],
        },
    ),
    (lambda admin: remove_feed(admin, FEED.lower()), "feed.remove", FEED, {"deployments removed": 0}),
    (
        lambda admin: create_key(admin, "feed", feeds=[FEED], name="agent", value=SECRET),
        "key.create",
        "agent",
        {"id": 2, "kind": "feed", "scopes": ["view"], "feeds": [FEED], "user": None},
    ),
    (
        lambda admin: create_key(admin, "personal", user="Anna"),
        "key.create",
        "",
        {"id": 2, "kind": "personal", "scopes": [], "feeds": [], "user": "Anna"},
    ),
    (lambda admin: revoke_key(admin, 1), "key.revoke", "ci", {"id": 1}),
    (lambda admin: add_user(admin, "Bert", SECRET), "user.add", "Bert", {"password": True}),
    (lambda admin: add_user(admin, "Bert", None), "user.add", "Bert", {"password": False}),
    (lambda admin: set_password(admin, "anna", SECRET), "user.password", "Anna", None),
    (lambda admin: remove_user(admin, "ANNA"), "user.remove", "Anna", None),
    (
        lambda admin: add_privilege(admin, "everyone", DOWNLOAD_PACKAGE, FEED, granted=True),
        "privilege.grant",
        "Everyone",
        {"privilege": DOWNLOAD_PACKAGE, "feed": FEED},
    ),
    (
        lambda admin: add_privilege(admin, "anna", VIEW_FEED, None, granted=False),
        "privilege.deny",
        "Anna",
        {"privilege": VIEW_FEED, "feed": "all feeds"},
    ),
    (lambda admin: revoke_privilege(admin, 1), "privilege.revoke", "Anna", {"entry": 1, "privilege": VIEW_FEED}),
]


@pytest.mark.every_engine
@pytest.mark.parametrize(("change", "action", "subject", "detail"), CHANGES)
async def test_every_change_is_in_the_audit(
    service: Service,
    change: Callable[[Administration], Awaitable[Any]],
    action: str,
    subject: str,
    detail: dict[str, Any] | None,
) -> None:
    await add_anna(service.admin)
    admin = Administration(service.store, "the administrator", lambda: START)
    await change(admin)
    (entry,) = await admin.audit(1)
    assert (entry.actor, entry.address, entry.count) == ("the administrator", "", 1)
    assert (entry.at, entry.last_at) == (START, START)
    assert (entry.action, entry.subject) == (action, subject)
    assert (json.loads(entry.detail) if entry.detail else None) == detail
    assert SECRET not in str(await service.rows("SELECT * FROM audit"))


@pytest.mark.every_engine
def test_every_action_is_covered_here() -> None:
    """A new kind of change needs a row in the table above."""
    assert {action for _, action, _, _ in CHANGES} == {
        *("feed.add", "feed.update", "feed.remove", "key.create", "key.revoke"),
        *("user.add", "user.password", "user.remove", "privilege.grant", "privilege.deny", "privilege.revoke"),
    }


@pytest.mark.every_engine
async def test_what_was_not_changed_is_not_in_the_audit(service: Service) -> None:
    before = (await service.admin.audit(1000), (await service.admin.access()).revision)
    with pytest.raises(Conflict):
        await add_feed(service.admin, FEED)
    with pytest.raises(Conflict):
        await create_key(service.admin, "system", value=KEY)
    assert (await service.admin.audit(1000), (await service.admin.access()).revision) == before


@pytest.mark.every_engine
async def test_the_newest_entries_come_first_and_so_many_as_asked_for(service: Service) -> None:
    for name in ("a", "b", "c"):
        await add_feed(service.admin, name)
    assert [entry.subject for entry in await service.admin.audit(2)] == ["c", "b"]
    assert [entry.subject for entry in await service.admin.audit(100)] == ["c", "b", "a", "ci", FEED]


# Refused calls


async def refusals(service: Service, calls: int) -> list[AuditEntry]:
    """Return the audit's entries of refused calls, oldest first, once they are ``calls`` calls."""
    entries: list[AuditEntry] = []

    async def are_written() -> bool:
        entries[:] = [entry for entry in await service.admin.audit(1000) if entry.action == "refused"]
        return sum(entry.count for entry in entries) >= calls

    await until(are_written)
    assert sum(entry.count for entry in entries) == calls
    return entries[::-1]


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.every_engine
@pytest.mark.parametrize(
    ("headers", "feed", "actor", "subject", "reason"),
    [
        ({}, FEED, "Anonymous", FEED, "403 no entry grants Feeds_DownloadPackage to Anonymous or Everyone"),
        ({"X-ApiKey": SECRET}, FEED, "unknown", "", "403 The API key is not valid: it is unknown or has been revoked."),
        ({"X-ApiKey": f"who:{SECRET}"}, FEED, "unknown", "", "403 The user name or the password is wrong."),
        (basic(SECRET, "x"), FEED, "unknown", "", "403 The user name or the password is wrong."),
        ({"Authorization": f"Bearer {SECRET}"}, FEED, "unknown", "", "403 The Authorization header must be Basic"),
        ({"X-ApiKey": KEY}, "closed", "API key 1 (ci)", "Closed", "403 the feed key is not bound to feed Closed"),
        ({}, SECRET, "Anonymous", "", "403 Feeds_DownloadPackage is granted nowhere"),
    ],
)
async def test_a_refused_call_is_in_the_audit_with_its_reason(
    service: Service, headers: dict[str, str], feed: str, actor: str, subject: str, reason: str
) -> None:
    """What a client sent in vain is not repeated: it may be a key with a letter missing."""
    if feed == "closed":
        await add_feed(service.admin, "Closed")

        async def is_seen() -> bool:
            return (await service.post(RECORD | {"FeedName": feed})).status == 403

        await until(is_seen)
    else:
        data = RECORD | {"FeedName": feed}
        assert (await service.post(data, key=None, headers=headers)).status == 403
    (entry,) = await refusals(service, 1)
    assert (entry.actor, entry.address, entry.subject) == (actor, "127.0.0.1", subject)
    assert entry.detail.startswith(reason)
    assert SECRET not in str(await service.rows("SELECT * FROM audit"))


@pytest.mark.every_engine
async def test_a_revoked_key_is_named_by_its_number(service: Service) -> None:
    """Somebody still uses it: the administrator wants to know which."""
    await revoke_key(service.admin, 1)

    async def is_seen() -> bool:
        return (await service.post(RECORD)).status == 403

    await until(is_seen)
    (entry,) = await refusals(service, 1)
    assert entry.actor == "API key 1"


@pytest.mark.every_engine
async def test_refused_calls_that_are_alike_share_a_row_a_minute(start: StartService) -> None:
    """Somebody who hammers the server cannot fill its disk."""
    times = [START]
    service = await start(clock=lambda: times[-1], security_lockout_failures=0)
    calls = [(0, "wrong"), (1, "wrong"), (MINUTE - 1, "wrong"), (MINUTE - 1, None), (MINUTE, "wrong")]
    for number, (offset, key) in enumerate(calls, 1):
        times.append(START + offset)
        await service.post(RECORD, key=key)
        entries = await refusals(service, number)
    assert [(entry.actor, entry.at, entry.last_at, entry.count) for entry in entries] == [
        ("unknown", START, START + MINUTE - 1, 3),
        ("Anonymous", START + MINUTE - 1, START + MINUTE - 1, 1),
        ("unknown", START + MINUTE, START + MINUTE, 1),
    ]


@pytest.mark.every_engine
async def test_calls_refused_by_the_lockout_are_counted_apart(start: StartService) -> None:
    service = await start(clock=lambda: START, security_lockout_failures=1)
    statuses = [(await service.post(RECORD, key="wrong")).status for _ in range(4)]
    assert statuses == [403, 429, 429, 429]
    assert [(entry.detail[:4], entry.count) for entry in await refusals(service, 4)] == [("403 ", 1), ("429 ", 3)]


@pytest.mark.every_engine
async def test_accepted_and_merely_invalid_calls_are_not_in_the_audit(service: Service) -> None:
    assert (await service.post(RECORD)).status == 200
    assert (await service.post(RECORD | {"Version": ""})).status == 400
    assert (await service.request("GET", "/nothing")).status == 404
    await service.post(RECORD, key=None)
    await refusals(service, 1)


@pytest.mark.every_engine
async def test_what_waits_is_written_when_the_server_stops(service: Service) -> None:
    async with RefusalAudit(service.store, lambda: START) as audit:
        for number in range(100):
            audit.add(InvalidCredential("wrong", actor="unknown"), f"192.0.2.{number % 10}")
    entries = await refusals(service, 100)
    assert {(entry.address, entry.count) for entry in entries} == {(f"192.0.2.{number}", 10) for number in range(10)}


@pytest.mark.every_engine
async def test_servers_on_one_database_count_together(service: Service) -> None:
    for _ in range(2):
        async with RefusalAudit(service.store, lambda: START) as audit:
            audit.add(InvalidCredential("wrong", actor="unknown"), "192.0.2.1")
    assert [entry.count for entry in await refusals(service, 2)] == [2]


async def test_what_cannot_be_written_at_the_end_is_logged(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    path = service.store.path
    away = path.with_suffix(".away")
    path.rename(away)
    async with RefusalAudit(service.store, lambda: START) as audit:
        audit.add(InvalidCredential("wrong", actor="unknown"), "192.0.2.1")
    away.rename(path)
    assert "1 kinds of refused calls are missing in the audit" in caplog.text
