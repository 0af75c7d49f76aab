"""Granting and denying privileges, and explaining what follows from them."""

from __future__ import annotations

from deployserver.access import Access, Decision
from deployserver.administration import Administration, Change
from deployserver.errors import Conflict, InvalidValue, NotFound
from deployserver.models import (
    BUILT_IN_PRINCIPALS,
    DOWNLOAD_PACKAGE,
    PRIVILEGES,
    ApiKey,
    Caller,
    Feed,
    PrivilegeEntry,
)


async def add_privilege(
    admin: Administration, principal: str, privilege: str, feed_name: str | None, *, granted: bool
) -> PrivilegeEntry:
    """Grant or deny a privilege to a user or built-in principal, for one feed or, without a name, for all.

    Raises NotFound for an unknown principal or feed, InvalidValue for an unknown privilege, Conflict if it is there.
    """
    privilege = known_privilege(privilege)
    async with admin.change("privilege.grant" if granted else "privilege.deny") as change:
        name, user_id = find_principal(change.access, principal)
        feed = change.access.require_feed(feed_name) if feed_name is not None else None
        change.subject = name
        change.detail |= {"privilege": privilege, "feed": feed.name if feed else "all feeds"}
        return await add_entry(change, name, user_id, privilege, feed.id if feed else None, granted=granted)


async def add_entry(
    change: Change, principal: str, user_id: int | None, privilege: str, feed_id: int | None, *, granted: bool
) -> PrivilegeEntry:
    """Add an entry as part of a change. Raises Conflict if there is the same already."""
    wanted = (principal, user_id, privilege, feed_id, granted)
    for entry in change.access.privileges:
        if (entry.principal, entry.user_id, entry.privilege, entry.feed_id, entry.granted) == wanted:
            raise Conflict(f"There is the same entry already: entry {entry.id}.")
    id_ = await change.repository.add_privilege(
        principal if user_id is None else None, user_id, privilege, feed_id, granted, change.at
    )
    return PrivilegeEntry(id_, principal, user_id, privilege, feed_id, granted)


async def revoke_privilege(admin: Administration, privilege_id: int) -> PrivilegeEntry:
    """Remove a grant or denial and return it. Raises NotFound."""
    async with admin.change("privilege.revoke") as change:
        entry = next((entry for entry in change.access.privileges if entry.id == privilege_id), None)
        if entry is None:
            raise NotFound(f"There is no privilege entry {privilege_id}.")
        change.subject = entry.principal
        change.detail |= {"entry": entry.id, "privilege": entry.privilege}
        await change.repository.remove_privilege(privilege_id)
    return entry


def explain(access: Access, caller: Caller, feed: Feed, privilege: str, now: int) -> Decision:
    """Say whether ``caller`` may do in ``feed`` what ``privilege`` allows, now, and what decides it."""
    if caller.key is not None and (unusable := unusable_because(caller.key, now)):
        return Decision(False, unusable)
    decision = access.decide(caller, privilege, feed)
    if decision.granted and privilege == DOWNLOAD_PACKAGE and not feed.active:
        return Decision(False, f"{decision.reason}, but the feed is inactive", decision.entry)
    if decision.granted and privilege == DOWNLOAD_PACKAGE and not feed.deployment_records_enabled:
        return Decision(False, f"{decision.reason}, but its deployment records are switched off", decision.entry)
    return decision


def unusable_because(key: ApiKey, now: int) -> str | None:
    """Return why a key is refused whatever its scopes are, or None."""
    if key.revoked_at is not None:
        return "the key has been revoked"
    if key.expires_at is not None and key.expires_at <= now:
        return "the key has expired"
    return None


def known_privilege(name: str) -> str:
    """Return a privilege's name as ProGet writes it. Raises InvalidValue, naming those that mean something here."""
    for privilege in PRIVILEGES:
        if privilege.casefold() == name.casefold():
            return privilege
    raise InvalidValue(f"{name!r} is no privilege. Known are {', '.join(PRIVILEGES)}.")


def find_principal(access: Access, name: str) -> tuple[str, int | None]:
    """Return a principal's name as it is written, and the id of a user. Raises NotFound for an unknown one."""
    for built_in in BUILT_IN_PRINCIPALS:
        if built_in.casefold() == name.casefold():
            return built_in, None
    user = access.user(name)
    if user is None:
        raise NotFound(f"There is no user named {name}; built-in principals are {', '.join(BUILT_IN_PRINCIPALS)}.")
    return user.name, user.id
