"""Making and revoking API keys."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import NamedTuple

from deployserver.access import key_digest
from deployserver.administration import Administration
from deployserver.errors import Conflict, InvalidValue, NotFound
from deployserver.models import FEED_PERMISSIONS, FULL_CONTROL, SYSTEM_APIS, ApiKey, KeyKind

SHORT_KEY = 20
"""A key given by hand that has fewer characters than this can be guessed, and is warned of."""

_HINT = 4
_LONGEST = 200


class NewKey(NamedTuple):
    """A key just made; ``secret`` is its text, which is nowhere stored."""

    secret: str
    key: ApiKey


async def create_key(
    admin: Administration,
    kind: KeyKind,
    *,
    scopes: Sequence[str] = (),
    feeds: Sequence[str] = (),
    user: str | None = None,
    name: str = "",
    expires_at: int | None = None,
    value: str | None = None,
    id_: int | None = None,
    allow_expired: bool = False,
) -> NewKey:
    """Make a key; without ``value`` it is 40 random hex digits, as ProGet's are.

    ``scopes`` are the APIs of a system key (default: full control) or the permissions of a feed key (default: view).
    A key that is made again as it was keeps its ``id_``, which must be free, and may have expired.
    Raises InvalidValue, NotFound for an unknown feed or user, Conflict if there is a key of this value already.
    """
    secret = secrets.token_hex(20) if value is None else checked_value(value)
    check_name(name)
    if expires_at is not None and not allow_expired and expires_at <= admin.clock():
        raise InvalidValue("The expiry date has passed already.")
    chosen = checked_scopes(kind, scopes)
    async with admin.change("key.create", name) as change:
        feed_ids = frozenset(change.access.require_feed(feed).id for feed in feeds)
        user_id = change.access.require_user(user).id if user is not None else None
        if change.access.key(secret) is not None:
            raise Conflict("There is an API key of this value already, perhaps a revoked one.")
        hint = secret[:_HINT] if value is None else ""
        digest = key_digest(secret)
        new_id = await change.repository.add_api_key(
            kind, name, hint, digest, chosen, feed_ids, user_id, change.at, expires_at, id_
        )
        key = ApiKey(new_id, kind, name, hint, digest, chosen, feed_ids, user_id, change.at, expires_at, None, None)
        change.detail |= {
            "id": new_id,
            "kind": kind,
            "scopes": sorted(chosen),
            "feeds": list(feeds),
            "user": user,
        }
    return NewKey(secret, key)


async def revoke_key(admin: Administration, key_id: int) -> ApiKey:
    """Revoke a key for good and return it as it was. Raises NotFound, and Conflict if it is revoked already."""
    async with admin.change("key.revoke") as change:
        key = change.access.keys.get(key_id)
        if key is None:
            raise NotFound(f"There is no API key {key_id}.")
        if key.revoked_at is not None:
            raise Conflict(f"The API key {key_id} has been revoked already.")
        change.subject = key.name
        change.detail["id"] = key_id
        await change.repository.revoke_api_key(key_id, change.at)
    return key


def check_name(name: str) -> None:
    """Raise InvalidValue for what cannot be a key's name."""
    if not name.isprintable() or len(name) > _LONGEST:
        raise InvalidValue(f"A key's name must be up to {_LONGEST} printable characters.")


def checked_value(value: str) -> str:
    """Return the text of a key. Raises InvalidValue for what cannot be one."""
    if not value or value != value.strip() or not value.isascii() or not value.isprintable():
        raise InvalidValue("An API key must be printable ASCII, without blanks around it, to fit in a header.")
    if len(value) > _LONGEST:
        raise InvalidValue(f"An API key may have at most {_LONGEST} characters.")
    return value


def checked_scopes(kind: KeyKind, scopes: Sequence[str]) -> frozenset[str]:
    """Return the scopes of a key, its kind's default if none are given. Raises InvalidValue, naming the known ones."""
    known = {"system": SYSTEM_APIS, "feed": FEED_PERMISSIONS, "personal": ()}[kind]
    default = {"system": (FULL_CONTROL,), "feed": ("view",), "personal": ()}[kind]
    chosen = frozenset(scope.strip().lower() for given in scopes for scope in given.split(",") if scope.strip())
    if unknown := sorted(chosen.difference(known)):
        raise InvalidValue(f"{unknown[0]!r} is not for a {kind} key. Known are {', '.join(known) or 'none'}.")
    return chosen or frozenset(default)
