"""Being signed in to the web pages: kept in the database, so that it holds on every server and ends on every server.

A session is never more than what was signed in with: each use looks at the user or key as they are now.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from deployserver.authentication import Authenticator, Credential
from deployserver.clock import Clock
from deployserver.errors import StoreUnavailable
from deployserver.key_usage import KeyUsage
from deployserver.live_access import LiveAccess
from deployserver.lockout import address_group
from deployserver.models import Caller, Session, SessionRow, User
from deployserver.storage import Database, RowRejected
from deployserver.storage.repository import Repository

_log = logging.getLogger(__name__)

BEGUN, ENDED = "session.begin", "session.end"

_TOKEN_BYTES = 32
_TOKEN_LENGTH = len(secrets.token_urlsafe(_TOKEN_BYTES))
_MINUTE = 60_000_000
_HOUR = 60 * _MINUTE


class NewSession(NamedTuple):
    """A session just begun; ``token`` is what finds it again, and is nowhere stored."""

    token: str
    session: Session


class Sessions:
    """Begins, finds and ends sessions; each ends ``hours`` after its beginning, or after a quarter of that unused."""

    def __init__(
        self,
        database: Database,
        access: LiveAccess,
        authenticator: Authenticator,
        usage: KeyUsage,
        hours: int,
        clock: Clock,
    ) -> None:
        self._database = database
        self._access = access
        self._authenticator = authenticator
        self._usage = usage
        self._clock = clock
        self._longest = hours * _HOUR
        self._longest_unused = self._longest // 4
        self._note_every = self._longest_unused // 12  # so that not every page that is looked at costs a sync
        self._noting: dict[bytes, asyncio.Task[None]] = {}

    async def __aenter__(self) -> Sessions:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Wait until the last uses have been written."""
        await asyncio.gather(*self._noting.values())

    async def begin(self, credential: Credential, address: str, replaced: str | None = None) -> NewSession:
        """Sign in with a user's password or any API key, and end the session of the token ``replaced``.

        Raises InvalidCredential, TooManyFailures, StoreUnavailable.
        """
        caller = await self._authenticator.identify(credential, address, signing_in=True)
        user = caller.user if caller.key is None else None  # a personal key has a user too, but ends by itself
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        now = self._clock()
        row = SessionRow(
            digest=_digest(token),
            user_id=user.id if user is not None else None,
            api_key_id=caller.key.id if caller.key is not None else None,
            password_fingerprint=_fingerprint(user) if user is not None else None,
            created_at=now,
            expires_at=now + self._longest,
            last_seen_at=now,
        )
        try:
            with _explained("Nobody can sign in now: the database is unavailable."):
                async with self._database.transaction() as repository:
                    await repository.sweep_sessions(now, now - self._longest_unused)
                    if replaced is not None:
                        await repository.end_session(_digest(replaced))
                    await repository.add_session(row)
                    await self._add_audit_entry(repository, BEGUN, caller, address, now)
        except RowRejected:
            await self._access.refresh()
            await self._authenticator.identify(credential, address, signing_in=True)  # the user has just been removed
            raise
        return NewSession(token, Session(caller, row.expires_at))

    async def find(self, token: str) -> Session | None:
        """Return the session of a token, or None if it has ended or never was. Raises StoreUnavailable."""
        found = await self._find(token)
        if found is None:
            return None
        row, caller = found
        now = self._clock()
        if caller.key is not None:
            self._usage.used(caller.key.id, now)
        if now - row.last_seen_at >= self._note_every and row.digest not in self._noting:
            noting = asyncio.create_task(self._note(row.digest, now), name="session use")
            self._noting[row.digest] = noting
            noting.add_done_callback(lambda _: self._noting.pop(row.digest))
        return Session(caller, row.expires_at)

    async def end(self, token: str, address: str) -> None:
        """Sign out: from now on the token finds nothing, on no server. Raises StoreUnavailable."""
        found = await self._find(token)
        if found is None:
            return
        row, caller = found
        with _explained("You are still signed in: the database is unavailable."):
            async with self._database.transaction() as repository:
                await repository.end_session(row.digest)
                await self._add_audit_entry(repository, ENDED, caller, address, self._clock())

    async def _find(self, token: str) -> tuple[SessionRow, Caller] | None:
        if len(token) != _TOKEN_LENGTH:
            return None
        with _explained("Who is signed in cannot be looked up: the database is unavailable."):
            async with self._database.snapshot() as repository:
                row = await repository.session(_digest(token))
            if row is None or not self._is_in_time(row):
                return None
            caller = self._caller(row)
            if caller is None:  # or another server knew of a new user, key or password before this one
                await self._access.refresh()
                caller = self._caller(row)
        return None if caller is None else (row, caller)

    def _is_in_time(self, row: SessionRow) -> bool:
        now = self._clock()
        return now < row.expires_at and now - row.last_seen_at < self._longest_unused

    def _caller(self, row: SessionRow) -> Caller | None:
        """Return who is calling, if what they signed in with still works."""
        access = self._access.current
        if row.api_key_id is not None:
            key = access.keys.get(row.api_key_id)
            return access.key_caller(key) if key is not None and key.works_at(self._clock()) else None
        user = access.users.get(row.user_id or 0)
        if user is None or not hmac.compare_digest(_fingerprint(user), row.password_fingerprint or b""):
            return None
        return access.user_caller(user)

    async def _note(self, digest: bytes, at: int) -> None:
        """Write when a session was last used; the page does not wait for it, and does not fail with it."""
        try:
            async with self._database.transaction() as repository:
                await repository.session_seen(digest, at)
        except StoreUnavailable as error:
            _log.warning("when a session was last used could not be written: %s", error.__cause__)

    @staticmethod
    async def _add_audit_entry(repository: Repository, action: str, caller: Caller, address: str, now: int) -> None:
        """Note a sign-in or sign-out; those alike in one minute share a row, for scripts may do it all the time."""
        actor, address = caller.recorded_by, address_group(address)
        await repository.add_audit_entry(
            at=now,
            last_at=now,
            count=1,
            actor=actor,
            address=address,
            action=action,
            subject="",
            detail="",
            tally_key="\n".join((action, str(now // _MINUTE), actor, address)),
        )


def _digest(token: str) -> bytes:
    """Return what is stored of a token. 256 random bits need no salt, and no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _fingerprint(user: User) -> bytes:
    """Return what changes with a user's password, even to the same one: the stored hash is salted."""
    return hashlib.sha256((user.password_hash or "").encode()).digest()


@contextmanager
def _explained(message: str) -> Iterator[None]:
    """Let a database that is unavailable be told in words that fit what was asked for."""
    try:
        yield
    except StoreUnavailable as error:
        raise StoreUnavailable(message) from error.__cause__
