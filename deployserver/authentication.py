"""From a credential to a caller: API keys, personal keys, and a user's own name and password."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from deployserver.clock import Clock
from deployserver.errors import InvalidCredential
from deployserver.key_usage import KeyUsage
from deployserver.live_access import LiveAccess
from deployserver.models import ApiKey, Caller
from deployserver.passwords import Passwords
from deployserver.shared_lockout import SharedLockout

_UNKNOWN_KEY = "The API key is not valid: it is unknown or has been revoked."

KEY_USER = "api"
"""The user name with which Basic authentication carries an API key as its password."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a client sent to say who it is: an API key or pseudo-key (``user:password``), or a name and password."""

    secret: str = field(repr=False)
    user: str | None = None

    @classmethod
    def from_basic(cls, user: str, password: str) -> Credential:
        """Return the credential of Basic authentication."""
        return cls(password) if user.casefold() == KEY_USER else cls(password, user)


class Authenticator:
    """Decides who is calling; refuses wrong credentials, and addresses that send too many of them."""

    def __init__(
        self,
        access: LiveAccess,
        passwords: Passwords,
        usage: KeyUsage,
        lockout: SharedLockout,
        clock: Clock,
        *,
        pseudo_keys: bool,
    ) -> None:
        self._access = access
        self._passwords = passwords
        self._usage = usage
        self._clock = clock
        self._lockout = lockout
        self._pseudo_keys = pseudo_keys
        self._checking = asyncio.Lock()

    async def identify(self, credential: Credential | None, address: str, *, signing_in: bool = False) -> Caller:
        """Return who calls from ``address``; without a credential, Anonymous.

        Somebody ``signing_in`` to the web pages may use their password whatever ``[security] pseudo_keys`` says.
        Raises InvalidCredential if the credential is wrong, expired or revoked, and TooManyFailures.
        """
        access = self._access.current
        if credential is None:
            return access.anonymous
        if credential.user is None:
            key = access.key(credential.secret)
            user, colon, password = credential.secret.partition(":")
            if key is None and colon and user.casefold() == KEY_USER:  # as Basic authentication carries a key
                key = access.key(password)
                user, colon, password = password.partition(":")
            if key is not None:
                return await self._with_key(key, address)
            if not colon:
                return await self._refuse(address, _UNKNOWN_KEY)
            credential = Credential(password, user)
        if not (self._pseudo_keys or signing_in):
            return await self._refuse(address, "User names and passwords are not accepted here; send an API key.")
        return await self._with_password(credential.user or "", credential.secret, address)

    async def _with_key(self, key: ApiKey, address: str) -> Caller:
        if not key.hint:
            await self._lockout.settled(address)
            key = self._access.current.keys.get(key.id, key)  # it may have been revoked meanwhile
        now = self._clock()
        actor = f"API key {key.id}"
        if not key.works_at(now):
            self._lockout.require_open(address, None)
            raise InvalidCredential("The API key has expired." if key.revoked_at is None else _UNKNOWN_KEY, actor=actor)
        if not key.hint:  # only a key given by hand can be guessed
            self._lockout.require_open(address, actor)
            self._lockout.succeeded(address, actor)
        self._usage.used(key.id, now)
        return self._access.current.key_caller(key)

    async def _with_password(self, name: str, password: str, address: str) -> Caller:
        user = self._access.current.user(name)
        if user is None or not self._passwords.remembers(user, password):
            async with self._checking:  # one at a time, so that each counts before the next is looked at
                self._lockout.require_open(address, None)
                right = await self._passwords.check(user, password)
                outcome = None if right else self._lockout.failed(address)
            if outcome is not None:
                await asyncio.sleep(await outcome)
            if not right or user is None:
                actor = f"user {user.name}" if user else "unknown"
                raise InvalidCredential("The user name or the password is wrong.", actor=actor)
        self._lockout.require_open(address, f"user {user.id}")
        self._lockout.succeeded(address, f"user {user.id}")
        return self._access.current.user_caller(user)

    async def _refuse(self, address: str, message: str) -> Caller:
        await self._lockout.settled(address)
        self._lockout.require_open(address, None)
        await asyncio.sleep(await self._lockout.failed(address))
        raise InvalidCredential(message, actor="unknown")
