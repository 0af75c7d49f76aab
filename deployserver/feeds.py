"""Making, changing and removing feeds."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Sequence

from deployserver.access import Access
from deployserver.administration import Administration
from deployserver.errors import Conflict, InvalidValue, NotFound
from deployserver.models import ANONYMOUS, FEED_TYPES, PRIVILEGES, Feed
from deployserver.privileges import add_entry

# ProGet: a feed's name becomes part of URLs and "must not contain characters that require URL escaping".
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._~-]{0,98}[A-Za-z0-9_~-])?")


async def add_feed(admin: Administration, name: str, type_: str = "nuget", *, anonymous: bool = False) -> Feed:
    """Make an active feed; ``anonymous`` lets everybody without a key view it and record in it.

    Raises InvalidValue for a bad name or type, Conflict if a feed has the name already.
    """
    check_name(name)
    check_type(type_)
    async with admin.change("feed.add", name) as change:
        _require_free(change.access, name, None)
        feed = Feed(await change.repository.add_feed(name, type_, change.at), name, type_, True, True)
        await change.repository.set_feed_names(feed)
        if anonymous:
            for privilege in PRIVILEGES:
                await add_entry(change, ANONYMOUS, None, privilege, feed.id, granted=True)
        change.detail |= {"type": type_, "anonymous": anonymous}
    return feed


async def update_feed(
    admin: Administration,
    name: str,
    *,
    rename: str | None = None,
    active: bool | None = None,
    deployment_records: bool | None = None,
    add_names: Sequence[str] = (),
    remove_names: Sequence[str] = (),
) -> Feed:
    """Change what is given of a feed, and leave the rest; a feed that is renamed goes on being found by its old name.

    Raises NotFound, InvalidValue for a bad name, Conflict if another feed has it.
    """
    async with admin.change("feed.update") as change:
        feed = change.access.require_feed(name)
        change.subject = feed.name
        alternates = {alternate.casefold(): alternate for alternate in feed.alternate_names}
        if rename is not None and rename != feed.name:
            check_name(rename)
            _require_free(change.access, rename, feed)
            alternates.pop(rename.casefold(), None)
            if rename.casefold() != feed.name.casefold():
                alternates[feed.name.casefold()] = feed.name
            change.detail["renamed to"] = rename
        for added in add_names:
            check_name(added)
            _require_free(change.access, added, feed)
            alternates[added.casefold()] = added
        for removed in remove_names:
            if alternates.pop(removed.casefold(), None) is None:
                raise NotFound(f"The feed {feed.name} has no alternate name {removed}.")
        new_name = rename or feed.name
        alternates.pop(new_name.casefold(), None)
        updated = dataclasses.replace(
            feed,
            name=new_name,
            active=feed.active if active is None else active,
            deployment_records_enabled=(
                feed.deployment_records_enabled if deployment_records is None else deployment_records
            ),
            alternate_names=tuple(alternates.values()),
        )
        await change.repository.update_feed(updated)
        await change.repository.set_feed_names(updated)
        change.detail |= {
            "active": updated.active,
            "deployment records": updated.deployment_records_enabled,
            "alternate names": list(updated.alternate_names),
        }
    return updated


async def remove_feed(admin: Administration, name: str, *, force: bool = False) -> tuple[Feed, int]:
    """Remove a feed, its deployments, and the privileges for it; return it and how many deployments it had.

    Raises NotFound, and Conflict if it has deployments and ``force`` is not given.
    """
    async with admin.change("feed.remove") as change:
        feed = change.access.require_feed(name)
        change.subject = feed.name
        count = await change.repository.count_deployments(feed.id)
        if count and not force:
            records = "1 deployment record" if count == 1 else f"{count} deployment records"
            raise Conflict(f"The feed {feed.name} has {records}. To remove it with them, add --force.")
        await change.repository.remove_feed(feed.id)
        change.detail["deployments removed"] = count
    return feed, count


def check_name(name: str) -> None:
    """Raise InvalidValue for what cannot be a feed's name."""
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"{name!r} cannot be a feed's name: up to 100 letters, digits and . _ ~ - are allowed, as in a URL, "
            "beginning with a letter or digit."
        )


def check_type(type_: str) -> None:
    """Raise InvalidValue, naming those that there are, for what is no feed type."""
    if type_ not in FEED_TYPES:
        raise InvalidValue(f"{type_!r} is no feed type. Known are {', '.join(FEED_TYPES)}.")


def _require_free(access: Access, name: str, feed: Feed | None) -> None:
    owner = access.feed(name)
    if owner is not None and (feed is None or owner.id != feed.id):
        how = "name" if owner.name.casefold() == name.casefold() else "alternate name"
        raise Conflict(f"{name} is the {how} of the feed {owner.name} already.")
