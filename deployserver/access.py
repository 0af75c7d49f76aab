"""Who may do what in which feed: ProGet's keys and privileges, decided in memory.

``Access`` is what the database holds about feeds, keys, users and privileges, at one moment and indexed for the
questions every request asks. It never changes; a change makes a new one.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from deployserver.errors import NotFound
from deployserver.models import (
    ANONYMOUS,
    AUTHENTICATED,
    EVERYONE,
    FULL_CONTROL,
    ApiKey,
    Caller,
    Feed,
    PrivilegeEntry,
    User,
)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a caller has a privilege, the reason in words, and the entry that decided, if one did."""

    granted: bool
    reason: str
    entry: PrivilegeEntry | None = None


def key_digest(secret: str) -> bytes:
    """Return what is stored of a key and what it is found by: its SHA-256."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


class Access:
    """Feeds, keys, users and privileges at one moment; ``revision`` tells two moments apart."""

    def __init__(
        self,
        revision: int,
        feeds: Iterable[Feed],
        users: Iterable[User],
        keys: Iterable[ApiKey],
        privileges: Iterable[PrivilegeEntry],
    ) -> None:
        self.revision = revision
        self.feeds = {feed.id: feed for feed in feeds}
        self.users = {user.id: user for user in users}
        self.keys = {key.id: key for key in keys}
        self.privileges = tuple(privileges)
        self.anonymous = Caller(ANONYMOUS, ANONYMOUS)
        self._feeds_by_name = {
            name.casefold(): feed for feed in self.feeds.values() for name in (feed.name, *feed.alternate_names)
        }
        self._users_by_name = {user.name.casefold(): user for user in self.users.values()}
        self._keys_by_digest = {key.digest: key for key in self.keys.values()}
        self._callers = {key.id: self._caller_of(key) for key in self.keys.values()}
        self._decisions: dict[tuple[int | None, int | None, str, int | None], Decision] = {}

    def feed(self, name: str) -> Feed | None:
        """Return the feed that a name or alternate name finds, in any letter case."""
        return self._feeds_by_name.get(name.casefold())

    def user(self, name: str) -> User | None:
        """Return the user of a name, in any letter case."""
        return self._users_by_name.get(name.casefold())

    def require_feed(self, name: str) -> Feed:
        """Return the feed of a name. Raises NotFound, naming those there are."""
        feed = self.feed(name)
        if feed is None:
            known = ", ".join(sorted(feed.name for feed in self.feeds.values())) or "none yet"
            raise NotFound(f"There is no feed named {name}. Feeds: {known}.")
        return feed

    def require_user(self, name: str) -> User:
        """Return the user of a name. Raises NotFound."""
        user = self.user(name)
        if user is None:
            raise NotFound(f"There is no user named {name}.")
        return user

    def key(self, secret: str) -> ApiKey | None:
        """Return the key whose text is ``secret``, be it expired or revoked.

        What is looked up and compared is a hash, so that the time it takes says nothing about the keys there are.
        """
        digest = key_digest(secret)
        key = self._keys_by_digest.get(digest)
        return key if key is not None and hmac.compare_digest(key.digest, digest) else None

    def key_caller(self, key: ApiKey) -> Caller:
        """Return who calls with this key."""
        return self._callers[key.id]

    @staticmethod
    def user_caller(user: User) -> Caller:
        """Return who calls with this user's own password."""
        return Caller(user.name, f"user {user.name}", user=user)

    def _caller_of(self, key: ApiKey) -> Caller:
        named = f"API key {key.id} ({key.name})" if key.name else f"API key {key.id}"
        if key.user_id is None:
            return Caller(key.name or "API", named, key=key)
        user = self.users[key.user_id]
        return Caller(user.name, f"user {user.name}, {named}", key=key, user=user)

    def decide(self, caller: Caller, privilege: str, feed: Feed | None) -> Decision:
        """Decide whether ``caller`` has ``privilege`` in ``feed``; with None, in a feed that no entry names."""
        asked = (
            caller.key.id if caller.key else None,
            caller.user.id if caller.user else None,
            privilege,
            feed.id if feed else None,
        )
        decision = self._decisions.get(asked)
        if decision is None:
            decision = self._decisions[asked] = self._decide(caller, privilege, feed)
        return decision

    def let_in_somewhere(self, caller: Caller, privilege: str) -> bool:
        """Tell whether ``caller`` has ``privilege`` in some feed; where there is none, whether in one to come."""
        return any(self.decide(caller, privilege, feed).granted for feed in self.feeds.values() or (None,))

    def _decide(self, caller: Caller, privilege: str, feed: Feed | None) -> Decision:
        key = caller.key
        if key is not None and key.kind == "system":
            return _decide_system_key(key)
        if key is not None and key.kind == "feed":
            return _decide_feed_key(key, feed)
        return self._decide_principal(caller.user, privilege, feed)

    def _decide_principal(self, user: User | None, privilege: str, feed: Feed | None) -> Decision:
        """Apply ProGet's rule: the user before built-in principals, this feed before all feeds, denial before grant."""
        built_in = (AUTHENTICATED, EVERYONE) if user else (ANONYMOUS, EVERYONE)
        feed_id = feed.id if feed else None
        applying = [
            entry
            for entry in self.privileges
            if entry.privilege == privilege
            and (entry.feed_id is None or entry.feed_id == feed_id)
            and (entry.principal in built_in if entry.user_id is None else user and entry.user_id == user.id)
        ]
        if not applying:
            who = f"user {user.name}, " if user else ""
            return Decision(False, f"no entry grants {privilege} to {who}{' or '.join(built_in)}")
        first = min(
            applying,
            key=lambda entry: (entry.user_id is None, entry.feed_id is None, entry.granted, entry.id),
        )
        verb = "grants" if first.granted else "denies"
        where = f"feed {feed.name}" if feed and first.feed_id else "all feeds"
        return Decision(first.granted, f"entry {first.id} {verb} {privilege} to {first.principal} for {where}", first)


def _decide_system_key(key: ApiKey) -> Decision:
    """A system key with full control or the API "feeds" may do everything in every feed."""
    if key.scopes & {FULL_CONTROL, "feeds"}:
        return Decision(True, f"a system key with {_listed(key.scopes)} may use every feed")
    return Decision(False, f"a system key with only {_listed(key.scopes)} may use no feed; it needs feeds")


def _decide_feed_key(key: ApiKey, feed: Feed | None) -> Decision:
    """A feed key may view, download and record where it is bound, if it has the permission "view"."""
    if "view" not in key.scopes:
        return Decision(False, f"a feed key with only {_listed(key.scopes)} may not view or record; it needs view")
    if feed is None or feed.id not in key.feed_ids:
        return Decision(False, f"the feed key is not bound to {'feed ' + feed.name if feed else 'such a feed'}")
    return Decision(True, f"the feed key is bound to feed {feed.name}, with {_listed(key.scopes)}")


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words))
