"""Making, changing and removing users."""

from __future__ import annotations

import asyncio

from deployserver.administration import Administration
from deployserver.authentication import KEY_USER
from deployserver.errors import Conflict, InvalidValue
from deployserver.models import BUILT_IN_PRINCIPALS, User
from deployserver.passwords import check_hash, hash_password

_RESERVED = {KEY_USER, *(principal.casefold() for principal in BUILT_IN_PRINCIPALS)}
_LONGEST_NAME = 200


async def add_user(admin: Administration, name: str, password: str | None, *, password_hash: str | None = None) -> User:
    """Make a user; without a password they can be impersonated by personal keys, and not sign in.

    ``password_hash`` is what is stored of a password, where that is all that is known of it.
    Raises InvalidValue for a bad name or password, Conflict if there is a user of this name already.
    """
    check_name(name)
    if password_hash is not None:
        check_hash(password_hash)
    hashed = password_hash if password is None else await _hashed(password)
    async with admin.change("user.add", name) as change:
        if (existing := change.access.user(name)) is not None:
            raise Conflict(f"There is a user named {existing.name} already.")
        id_ = await change.repository.add_user(name, hashed, change.at)
        change.detail["password"] = hashed is not None
        return User(id_, name, hashed, change.at)


async def set_password(admin: Administration, name: str, password: str) -> User:
    """Give a user a new password; the old one stops working within a second. Raises NotFound, InvalidValue."""
    hashed = await _hashed(password)
    async with admin.change("user.password") as change:
        user = change.access.require_user(name)
        change.subject = user.name
        await change.repository.set_password(user.id, hashed)
    return user


async def remove_user(admin: Administration, name: str) -> User:
    """Remove a user with their personal keys and privileges; what they recorded stays. Raises NotFound."""
    async with admin.change("user.remove") as change:
        user = change.access.require_user(name)
        change.subject = user.name
        await change.repository.remove_user(user.id)
    return user


def check_name(name: str) -> None:
    """Raise InvalidValue for what cannot be a user's name."""
    if not name or name != name.strip() or not name.isprintable() or ":" in name or len(name) > _LONGEST_NAME:
        raise InvalidValue(
            f"{name!r} cannot be a user's name: up to {_LONGEST_NAME} printable characters without a colon are "
            "allowed, and no blanks around them."
        )
    if name.casefold() in _RESERVED:
        raise InvalidValue(f"{name!r} is reserved and cannot be a user's name.")


def check_password(password: str) -> None:
    """Raise InvalidValue for what cannot be a password."""
    if not password:
        raise InvalidValue("The password must not be empty.")


async def _hashed(password: str) -> str:
    check_password(password)
    return await asyncio.to_thread(hash_password, password)
