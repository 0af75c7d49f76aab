"""The whole state of a world as one document: loaded into a store, and read from it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from types import MappingProxyType
from typing import Any

from deployserver.access import Access
from deployserver.administration import Administration
from deployserver.api_keys import create_key, revoke_key
from deployserver.clock import Clock
from deployserver.dates import format_date
from deployserver.double.state.agreement import Present
from deployserver.double.state.document import DeploymentState, FeedState, KeyState, State, check_state
from deployserver.errors import Conflict, InvalidRequest, InvalidValue, NotFound
from deployserver.feeds import add_feed, update_feed
from deployserver.filters import RecordFilter
from deployserver.history import AT_ONCE
from deployserver.live_access import read_access
from deployserver.models import ANONYMOUS, PRIVILEGES, Deployment, DeploymentRow, PrivilegeEntry
from deployserver.privileges import add_privilege
from deployserver.schemas import DEPLOYMENT_COLUMNS, deployment_cells
from deployserver.storage import Database, RowRejected
from deployserver.storage.history import StoredDeployment
from deployserver.users import add_user

_Said = tuple[str, int | None, str, int | None, bool]  # what an entry says, whatever its number

NO_SECRETS: Mapping[int, str] = MappingProxyType({})

_MANY = 1000
"""Entries that are checked on a thread, so that others are answered meanwhile: it takes a second for 20,000."""

ACTOR = "state document"
"""How the audit names who made what a document says."""


async def load_state(
    document: object, store: Database, clock: Clock, secrets: Mapping[int, str] = NO_SECRETS
) -> dict[int, str]:
    """Add all that a document says to a store that is open and migrated; return the new keys' texts by their ids.

    ``secrets`` has the texts of the keys there are. The document is checked before anything is made: raises
    InvalidRequest with everything that is wrong, by its place. Should something fail after that (StoreUnavailable), a
    part has been made: it takes a transaction around it to undo that, and to let nobody else write meanwhile.
    """
    async with store.snapshot() as repository:
        access, last_id = await read_access(repository), await repository.last_deployment_id()
    present = _present(access, last_id, secrets)
    if isinstance(document, Mapping) and any(
        isinstance(part, list) and len(part) > _MANY for part in document.values()
    ):
        state = await asyncio.to_thread(check_state, document, present)
    else:
        state = check_state(document, present)
    return await _make_state(state, store, clock, last_id)


async def _make_state(state: State, store: Database, clock: Clock, last_id: int) -> dict[int, str]:
    admin = Administration(store, ACTOR, clock)
    for number, feed in enumerate(state.feeds):
        with _placed(f"feeds[{number}]"):
            await _make_feed(admin, feed)
    for number, user in enumerate(state.users):
        with _placed(f"users[{number}]"):
            await add_user(admin, user.name, user.password, password_hash=user.password_hash)
    secrets = {}
    for number, key in enumerate(state.keys):
        with _placed(f"keys[{number}]"):
            secrets[key.id] = await _make_key(admin, key)
    for number, entry in enumerate(state.privileges):
        with _placed(f"privileges[{number}]"):
            await add_privilege(admin, entry.principal, entry.privilege, entry.feed, granted=entry.grant)
    with _placed("deployments"):
        await _record(state.deployments, store, await admin.access(), clock(), last_id)
    return secrets


async def read_state(store: Database, secrets: Mapping[int, str]) -> dict[str, Any]:
    """Return the document of what is in a store, in full: loading it makes the same again.

    ``secrets`` has the texts of keys by their ids, of which a store has only hashes. The ``key`` of one that is not
    there is null, and loading makes up another. Deployments come in the order of their arrival.
    """
    deployments = await _all_deployments(store)
    async with store.snapshot() as repository:
        access = await read_access(repository)
    anonymous = _anonymous_feeds(access)
    return {
        "feeds": [
            {
                "name": feed.name,
                "type": feed.type,
                "anonymous": feed.id in anonymous,
                "active": feed.active,
                "deploymentRecords": feed.deployment_records_enabled,
                "alternateNames": list(feed.alternate_names),
            }
            for feed in access.feeds.values()
        ],
        "users": [{"name": user.name, "passwordHash": user.password_hash} for user in access.users.values()],
        "keys": [
            {
                "id": key.id,
                "key": secrets.get(key.id),
                "kind": key.kind,
                "name": key.name,
                "feeds": [access.feeds[id_].name for id_ in sorted(key.feed_ids)],
                "scopes": sorted(key.scopes),
                "user": None if key.user_id is None else access.users[key.user_id].name,
                "expires": None if key.expires_at is None else format_date(key.expires_at),
                "revoked": key.revoked_at is not None,
            }
            for key in access.keys.values()
        ],
        "privileges": [
            {
                "principal": entry.principal,
                "privilege": entry.privilege,
                "feed": None if entry.feed_id is None else access.feeds[entry.feed_id].name,
                "grant": entry.granted,
            }
            for entry in access.privileges
            if entry.feed_id not in anonymous or _said(entry) not in _opening(entry.feed_id)
        ],
        "deployments": [
            dict(zip(DEPLOYMENT_COLUMNS, deployment_cells(deployment), strict=True))
            for deployment in (
                Deployment(id_, access.feeds[row.feed_id].name, row)
                for id_, row in deployments
                if row.feed_id in access.feeds  # not removed since
            )
        ],
    }


def _present(access: Access, last_id: int, secrets: Mapping[int, str]) -> Present:
    """Return what there is as far as what is added must fit to it."""
    anonymous = _anonymous_feeds(access)
    return Present(
        tuple(
            {"name": feed.name, "alternate_names": feed.alternate_names, "anonymous": feed.id in anonymous}
            for feed in access.feeds.values()
        ),
        tuple({"name": user.name} for user in access.users.values()),
        tuple({"id": id_} | ({"key": secrets[id_]} if id_ in secrets else {}) for id_ in access.keys),
        tuple(
            {"principal": entry.principal, "privilege": entry.privilege, "grant": entry.granted}
            | ({} if entry.feed_id is None else {"feed": access.feeds[entry.feed_id].name})
            for entry in access.privileges
            if entry.feed_id not in anonymous or _said(entry) not in _opening(entry.feed_id)
        ),
        last_id,
    )


def _anonymous_feeds(access: Access) -> set[int]:
    """Return the feeds that nobody needs a key for."""
    entries = {_said(entry) for entry in access.privileges}
    return {id_ for id_ in access.feeds if entries.issuperset(_opening(id_))}


async def _make_feed(admin: Administration, feed: FeedState) -> None:
    await add_feed(admin, feed.name, feed.type, anonymous=feed.anonymous)
    if feed.alternate_names or not (feed.active and feed.deployment_records):
        await update_feed(
            admin,
            feed.name,
            active=feed.active,
            deployment_records=feed.deployment_records,
            add_names=feed.alternate_names,
        )


async def _make_key(admin: Administration, key: KeyState) -> str:
    made = await create_key(
        admin,
        key.kind,
        scopes=key.scopes,
        feeds=key.feeds,
        user=key.user,
        name=key.name,
        expires_at=key.expires_at,
        value=key.key,
        id_=key.id,
        allow_expired=True,
    )
    if key.revoked:
        await revoke_key(admin, key.id)
    return made.secret


async def _record(deployments: Sequence[DeploymentState], store: Database, access: Access, now: int, last: int) -> None:
    """Store deployments with their ids, after ``last``; those of removed feeds have left gaps."""
    for _, following in groupby(enumerate(deployments), lambda numbered: numbered[1].id - numbered[0]):
        run = [deployment for _, deployment in following]
        if run[0].id != last + 1:
            async with store.transaction() as repository:
                await repository.skip_deployment_ids(run[0].id - 1)
        await store.add_deployments([_row(deployment, access, now) for deployment in run])
        last = run[-1].id


def _row(deployment: DeploymentState, access: Access, now: int) -> DeploymentRow:
    submission = deployment.submission
    recorded_at = now if deployment.recorded_at is None else deployment.recorded_at
    return DeploymentRow(
        access.require_feed(submission.feed_name).id,
        submission.application,
        submission.description,
        submission.target,
        submission.package_name,
        submission.version,
        submission.group_name,
        submission.user_name or access.anonymous.name,
        submission.url,
        recorded_at if submission.date is None else submission.date,
        recorded_at,
        deployment.recorded_by or access.anonymous.recorded_by,
        None,
    )


async def _all_deployments(store: Database) -> list[StoredDeployment]:
    """Return all there are, in the order of their arrival."""
    found: list[StoredDeployment] = []
    async with store.records() as records:
        while page := await records.after(RecordFilter(), found[-1].id if found else 0, AT_ONCE):
            found += page
    return found


def _opening(feed_id: int | None) -> set[_Said]:
    """Return the entries that let everybody view a feed and record in it."""
    return {(ANONYMOUS, None, privilege, feed_id, True) for privilege in PRIVILEGES}


def _said(entry: PrivilegeEntry) -> _Said:
    return entry.principal, entry.user_id, entry.privilege, entry.feed_id, entry.granted


@contextmanager
def _placed(place: str) -> Iterator[None]:
    """Say where in the document something is that a use case or the database refuses after all."""
    try:
        yield
    except (InvalidValue, NotFound, Conflict, RowRejected) as error:
        raise InvalidRequest({place: [str(error)]}) from error
