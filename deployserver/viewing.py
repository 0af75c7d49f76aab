"""What a caller may view: the records of the feeds in which they have Feeds_ViewFeed, and nothing of the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from deployserver.clock import Clock
from deployserver.errors import NotPermitted
from deployserver.filters import RecordFilter, Word, read_pattern
from deployserver.live_access import LiveAccess
from deployserver.models import ANONYMOUS, VIEW_FEED, Caller, Deployment, Feed
from deployserver.privileges import unusable_because
from deployserver.storage import Database
from deployserver.storage.history import StoredDeployment


@dataclass(frozen=True, slots=True)
class Asked:
    """Which records somebody asks for, in their own words; see ``RecordFilter``."""

    feeds: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    applications: tuple[str, ...] = ()
    users: tuple[str, ...] = ()
    since: int | None = None
    until: int | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class View:
    """The feeds that a caller may view, by id; ``everything`` tells whether they are all there are."""

    feeds: dict[int, Feed]
    everything: bool
    database: Database = field(repr=False)

    def filter(self, asked: Asked) -> RecordFilter:
        """Return what is asked for, within these feeds."""
        feed_ids = None if self.everything else frozenset(self.feeds)
        if asked.feeds:
            feed_ids = frozenset(feed.id for feed in self.feeds.values() if _is_one_of(feed, asked.feeds))
        return RecordFilter(
            feed_ids,
            asked.groups,
            asked.packages,
            asked.targets,
            asked.versions,
            asked.applications,
            asked.users,
            asked.since,
            asked.until,
            tuple(Word(word, self._feeds_with(word)) for word in asked.words),
        )

    def deployments(self, stored: Iterable[StoredDeployment]) -> list[Deployment]:
        """Return records with the names of their feeds; those of a feed that has just been removed are left out."""
        return [Deployment(id_, self.feeds[row.feed_id].name, row) for id_, row in stored if row.feed_id in self.feeds]

    def _feeds_with(self, word: str) -> frozenset[int]:
        return frozenset(feed.id for feed in self.feeds.values() if word.casefold() in feed.name.casefold())


class Viewing:
    """Tells who may view what, by the access of the moment."""

    def __init__(self, access: LiveAccess, database: Database, clock: Clock) -> None:
        self._access = access
        self._database = database
        self._clock = clock

    def view(self, caller: Caller) -> View:
        """Return what a caller may view now.

        Raises NotPermitted if that is nothing, in no feed, or if what a long request began with is no longer accepted.
        """
        access = self._access.current
        if not self.may_go_on(caller):
            raise NotPermitted("The API key or user is no longer accepted.", actor=caller.recorded_by)
        visible = {feed.id: feed for feed in access.feeds.values() if access.decide(caller, VIEW_FEED, feed).granted}
        if not visible and not access.let_in_somewhere(caller, VIEW_FEED):
            raise NotPermitted(
                _not_permitted(caller), actor=caller.recorded_by, reason=f"{VIEW_FEED} is granted nowhere"
            )
        return View(visible, len(visible) == len(access.feeds), self._database)

    def may_go_on(self, caller: Caller) -> bool:
        """Tell whether the key or user that a long request began with is still accepted."""
        access = self._access.current
        if caller.key is not None:
            key = access.keys.get(caller.key.id)
            if key is None or unusable_because(key, self._clock()):
                return False
        return caller.user is None or caller.user.id in access.users


def _is_one_of(feed: Feed, patterns: Sequence[str]) -> bool:
    names = (feed.name, *feed.alternate_names)
    return any(read_pattern(pattern).matches(name) for pattern in patterns for name in names)


def _not_permitted(caller: Caller) -> str:
    if caller.name == ANONYMOUS and caller.key is None and caller.user is None:
        return "An API key is needed to view deployments; send it in the X-ApiKey header."
    if caller.user is not None:
        return f"The user {caller.user.name} lacks the privilege {VIEW_FEED}."
    return "The API key may not view deployments."
