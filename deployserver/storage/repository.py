"""Feeds, keys, users, privileges, sessions and the audit: rows in, models out; the SQL is in ``queries/*.sql``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from importlib import resources
from typing import Any, cast

import aiosql

from deployserver.models import ApiKey, AuditEntry, Feed, KeyKind, PrivilegeEntry, SessionRow, User
from deployserver.storage.connection import Connection


class Repository:
    """What can be asked of and changed in a database, within the transaction it was made for."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._driver = connection.driver
        self._sql = connection.queries

    async def _all(self, query: str, **parameters: object) -> list[tuple[Any, ...]]:
        return [row async for row in getattr(self._sql, query)(self._driver, **parameters)]

    # Feeds

    async def feeds(self) -> list[Feed]:
        """Return all feeds in the order they were made."""
        alternates: dict[int, list[str]] = defaultdict(list)
        for feed_id, name in await self._all("alternate_names"):
            alternates[feed_id].append(name)
        return [
            Feed(id_, name, type_, bool(active), bool(enabled), tuple(alternates[id_]))
            for id_, name, type_, active, enabled in await self._all("feeds")
        ]

    async def add_feed(self, name: str, type_: str, at: int) -> int:
        """Add an active feed and return its id; its names are added by ``set_feed_names``."""
        return cast(int, await self._sql.add_feed(self._driver, name=name, type=type_, created_at=at))

    async def update_feed(self, feed: Feed) -> None:
        """Store all that ``feed`` says but its alternate names."""
        await self._sql.update_feed(
            self._driver,
            id=feed.id,
            name=feed.name,
            type=feed.type,
            active=feed.active,
            deployment_records_enabled=feed.deployment_records_enabled,
        )

    async def set_feed_names(self, feed: Feed) -> None:
        """Let the feed be found by its name and alternate names, and by no others."""
        await self._sql.remove_feed_names(self._driver, feed_id=feed.id)
        for name, is_alternate in [(feed.name, False), *((name, True) for name in feed.alternate_names)]:
            await self._sql.add_feed_name(
                self._driver,
                name_key=name.casefold(),
                name=name,
                feed_id=feed.id,
                is_alternate=is_alternate,
            )

    async def count_deployments(self, feed_id: int) -> int:
        """Return how many deployments a feed has."""
        return cast(int, await self._sql.count_deployments(self._driver, feed_id=feed_id))

    async def remove_feed(self, feed_id: int) -> None:
        """Remove a feed with its deployments and with what was bound to it."""
        await self._sql.remove_feed(self._driver, id=feed_id)

    async def last_deployment_id(self) -> int:
        """Return the greatest id that a deployment has had, 0 if there has been none."""
        return int(await self._sql.last_deployment_id(self._driver) or 0)

    async def skip_deployment_ids(self, last: int) -> None:
        """Let the next deployment have the id after ``last``, which must not be less than that of any there is."""
        await self._sql.forget_last_deployment_id(self._driver)
        await self._sql.set_last_deployment_id(self._driver, last=last)

    # Users

    async def users(self) -> list[User]:
        """Return all users in the order they were made."""
        return [User(*row) for row in await self._all("users")]

    async def add_user(self, name: str, password_hash: str | None, at: int) -> int:
        """Add a user and return their id."""
        return cast(
            int,
            await self._sql.add_user(
                self._driver,
                name=name,
                name_key=name.casefold(),
                password_hash=password_hash,
                created_at=at,
            ),
        )

    async def set_password(self, user_id: int, password_hash: str) -> None:
        """Replace a user's password."""
        await self._sql.set_password(self._driver, id=user_id, password_hash=password_hash)

    async def remove_user(self, user_id: int) -> None:
        """Remove a user with their personal keys and privileges."""
        await self._sql.remove_user(self._driver, id=user_id)

    # API keys

    async def api_keys(self) -> list[ApiKey]:
        """Return all keys, revoked ones too, in the order they were made."""
        bound: dict[int, set[int]] = defaultdict(set)
        for key_id, feed_id in await self._all("api_key_feeds"):
            bound[key_id].add(feed_id)
        return [
            ApiKey(id_, kind, name, hint, digest, frozenset(scopes.split()), frozenset(bound[id_]), *rest)
            for id_, kind, name, hint, digest, scopes, *rest in await self._all("api_keys")
        ]

    async def add_api_key(
        self,
        kind: KeyKind,
        name: str,
        hint: str,
        digest: bytes,
        scopes: Iterable[str],
        feed_ids: Iterable[int],
        user_id: int | None,
        at: int,
        expires_at: int | None,
        id_: int | None = None,
    ) -> int:
        """Add a key and return its id, a new one unless ``id_`` is given.

        One with the digest or id of another makes the transaction end with RowRejected.
        """
        new_id = await self._sql.add_api_key(
            self._driver,
            id=id_,
            kind=kind,
            name=name,
            hint=hint,
            digest=digest,
            scopes=" ".join(sorted(scopes)),
            user_id=user_id,
            created_at=at,
            expires_at=expires_at,
        )
        for feed_id in feed_ids:
            await self._sql.add_api_key_feed(self._driver, api_key_id=new_id, feed_id=feed_id)
        return cast(int, new_id)

    async def revoke_api_key(self, key_id: int, at: int) -> None:
        """Revoke a key for good."""
        await self._sql.revoke_api_key(self._driver, id=key_id, revoked_at=at)

    async def api_key_used(self, key_id: int, at: int) -> None:
        """Note when a key was last used."""
        await self._sql.api_key_used(self._driver, id=key_id, at=at)

    # Privileges

    async def privileges(self) -> list[PrivilegeEntry]:
        """Return all grants and denials in the order they were made."""
        return [
            PrivilegeEntry(id_, principal, user_id, privilege, feed_id, bool(granted))
            for id_, principal, user_id, privilege, feed_id, granted in await self._all("privileges")
        ]

    async def add_privilege(
        self,
        principal: str | None,
        user_id: int | None,
        privilege: str,
        feed_id: int | None,
        granted: bool,
        at: int,
    ) -> int:
        """Add a grant or denial and return its id. One there is already makes the transaction end with RowRejected."""
        return cast(
            int,
            await self._sql.add_privilege(
                self._driver,
                principal=principal,
                user_id=user_id,
                privilege=privilege,
                feed_id=feed_id,
                granted=granted,
                created_at=at,
            ),
        )

    async def remove_privilege(self, privilege_id: int) -> None:
        """Remove a grant or denial."""
        await self._sql.remove_privilege(self._driver, id=privilege_id)

    # Sessions

    async def session(self, digest: bytes) -> SessionRow | None:
        """Return the session whose token has this digest."""
        rows = await self._all("session", digest=digest)
        return SessionRow(*rows[0]) if rows else None

    async def add_session(self, row: SessionRow) -> None:
        """Add a session. One of a user or key that is gone makes the transaction end with RowRejected."""
        await self._sql.add_session(self._driver, **row._asdict())

    async def session_seen(self, digest: bytes, at: int) -> None:
        """Note when a session was last used."""
        await self._sql.session_seen(self._driver, digest=digest, at=at)

    async def end_session(self, digest: bytes) -> None:
        """Remove a session."""
        await self._sql.end_session(self._driver, digest=digest)

    async def sweep_sessions(self, now: int, unused_since: int) -> None:
        """Remove the sessions that have expired or were not used after ``unused_since``."""
        await self._sql.sweep_sessions(self._driver, now=now, unused_since=unused_since)

    # What servers watch, and what is kept about changes

    async def revision(self) -> int:
        """Return a number that rises with every change of feeds, keys, users or privileges."""
        return cast(int, await self._sql.revision(self._driver))

    async def raise_revision(self) -> None:
        """Let servers know that feeds, keys, users or privileges have changed."""
        await self._sql.raise_revision(self._driver)

    async def newest_name(self) -> int:
        """Return the greatest number of a name; 0 if there is none."""
        return cast(int, await self._sql.newest_name(self._driver))

    async def unindexed(self) -> int:
        """Return how many deployments, at most, the indexer has not come to."""
        return max(0, cast(int, await self._sql.unindexed(self._driver)))

    async def add_audit_entry(
        self,
        *,
        at: int,
        last_at: int,
        count: int,
        actor: str,
        address: str,
        action: str,
        subject: str,
        detail: str,
        tally_key: str | None = None,
    ) -> None:
        """Add an entry; one with the ``tally_key`` of an earlier one adds its count to that."""
        await self._sql.add_audit_entry(
            self._driver,
            at=at,
            last_at=last_at,
            count=count,
            actor=actor,
            address=address,
            action=action,
            subject=subject,
            detail=detail,
            tally_key=tally_key,
        )

    async def audit_entries(self, limit: int) -> list[AuditEntry]:
        """Return the newest entries, newest first."""
        return [AuditEntry(*row) for row in await self._all("audit_entries", limit=limit)]


@cache
def load_queries(kind: str, driver: str) -> Any:
    """Return the queries for a kind of database: those that all share, and those of its own folder."""
    folder = resources.files(__package__) / "queries"
    files = [file for place in (folder, folder / kind) for file in place.iterdir() if file.name.endswith(".sql")]
    return aiosql.from_str("\n".join(file.read_text("utf-8") for file in files), driver, mandatory_parameters=False)
