"""Whether the parts of a state fit together: names that are used are there, and what must differ does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, cast

from deployserver.access import Access
from deployserver.api_keys import checked_scopes
from deployserver.errors import InvalidValue, NotFound
from deployserver.models import ANONYMOUS, PRIVILEGES, Feed, KeyKind, User
from deployserver.privileges import find_principal, known_privilege

Entry = dict[str, Any]
"""An entry of the document as its schema has loaded it; what was wrong is missing."""


@dataclass(frozen=True, slots=True)
class Present:
    """What there is already, as entries of the document, and the number of the last deployment that there has been."""

    feeds: tuple[Entry, ...] = ()
    users: tuple[Entry, ...] = ()
    keys: tuple[Entry, ...] = ()
    privileges: tuple[Entry, ...] = ()
    last_id: int = 0


class Agreement:
    """Whether the parts of a state fit together, and to what is ``present``.

    What is wrong by itself is noted already, and not looked at.
    """

    def __init__(
        self,
        errors: dict[str, list[str]],
        present: Present,
        feeds: tuple[Entry, ...],
        users: tuple[Entry, ...],
        keys: tuple[Entry, ...],
        privileges: tuple[Entry, ...],
        deployments: tuple[Entry, ...],
    ) -> None:
        self._errors = errors
        self._present = present
        feeds, users = (*present.feeds, *feeds), (*present.users, *users)
        self._feeds, self._users, self._keys = feeds, users, (*present.keys, *keys)
        self._privileges, self._deployments = (*present.privileges, *privileges), deployments
        self._access = Access(
            0,
            (
                Feed(number, feed["name"], "", True, True, tuple(feed.get("alternate_names", ())))
                for number, feed in enumerate(feeds)
                if "name" in feed
            ),
            (User(number, user["name"], None, 0) for number, user in enumerate(users) if "name" in user),
            (),
            (),
        )

    def check(self) -> None:
        """Add what is wrong to the errors that were given."""
        self._check_names()
        self._check_keys()
        self._check_privileges()
        self._check_deployments()

    def _check_names(self) -> None:
        owners: dict[str, int] = {}
        for number, feed in enumerate(self._feeds):
            own = [(feed["name"], "name")] if "name" in feed else []
            others = enumerate(feed.get("alternate_names", ()))
            for name, place in [*own, *((name, f"alternateNames[{index}]") for index, name in others)]:
                if (owner := owners.setdefault(name.casefold(), number)) != number:
                    message = f"{name} is a name of {self._entry('feeds', owner)} already."
                    self._note(f"{self._entry('feeds', number)}.{place}", message)
        self._check_once("users", "name", self._users, str.casefold)
        for number, user in self._new("users", self._users):
            if "password" in user and "password_hash" in user:
                place = f"{self._entry('users', number)}.password"
                self._note(place, "is given together with passwordHash; one of them is enough.")

    def _check_keys(self) -> None:
        self._check_once("keys", "id", self._keys)
        self._check_once("keys", "key", self._keys)
        for number, key in self._new("keys", self._keys):
            place = self._entry("keys", number)
            for index, feed in enumerate(key.get("feeds", ())):
                self._attempt(f"{place}.feeds[{index}]", self._access.require_feed, feed)
            if "user" in key:
                self._attempt(f"{place}.user", self._access.require_user, key["user"])
            kind = key_kind(key)
            self._attempt(f"{place}.scopes", checked_scopes, kind, key.get("scopes", ()))
            if kind == "feed" and "feeds" not in key:
                self._note(f"{place}.feeds", "is required of a feed key.")
            if kind != "feed" and key.get("feeds"):
                self._note(f"{place}.feeds", f"is for feed keys; this is a {kind} key.")
            if kind == "personal" and "user" not in key:
                self._note(f"{place}.user", "is required of a personal key.")
            if kind != "personal" and "user" in key:
                self._note(f"{place}.user", f"is for personal keys; this is a {kind} key.")

    def _check_privileges(self) -> None:
        seen: dict[tuple[str, str, int | None, bool], str] = {
            (ANONYMOUS, privilege, number, True): f"{self._entry('feeds', number)}.anonymous"
            for number, opened in enumerate(self._feeds)
            if opened.get("anonymous")
            for privilege in PRIVILEGES
        }
        for number, entry in enumerate(self._privileges):
            place = self._entry("privileges", number)
            feed: Feed | None = None
            who: tuple[str, int | None] | None = None
            if "feed" in entry:
                feed = self._attempt(f"{place}.feed", self._access.require_feed, entry["feed"])
            if "principal" in entry:
                who = self._attempt(f"{place}.principal", find_principal, self._access, entry["principal"])
            if who and (feed or "feed" not in entry) and "privilege" in entry and "grant" in entry:
                said = (who[0], known_privilege(entry["privilege"]), feed.id if feed else None, entry["grant"])
                if (first := seen.setdefault(said, place)) != place:
                    self._note(place, f"says the same as {first}.")

    def _check_deployments(self) -> None:
        last = self._present.last_id
        for number, deployment in enumerate(self._deployments):
            place = f"deployments[{number}]"
            if deployment.get("feed_name"):
                self._attempt(f"{place}.FeedName", self._access.require_feed, deployment["feed_name"])
            id_ = deployment.get("id", last + 1)
            if id_ <= last:
                self._note(f"{place}.Id", f"must be greater than {last}: they stand in the order of their arrival.")
            last = max(last, id_)

    def _check_once(self, part: str, name: str, entries: tuple[Entry, ...], same: Any = lambda value: value) -> None:
        first: dict[Any, int] = {}
        for number, entry in enumerate(entries):
            if name in entry and (other := first.setdefault(same(entry[name]), number)) != number:
                self._note(f"{self._entry(part, number)}.{name}", f"is that of {self._entry(part, other)} already.")

    def _new(self, part: str, entries: tuple[Entry, ...]) -> Iterator[tuple[int, Entry]]:
        """Return the entries that were not there before, with their numbers among all."""
        return islice(enumerate(entries), len(getattr(self._present, part)), None)

    def _entry(self, part: str, number: int) -> str:
        """Return what to call an entry: by its place in the document, if it has one."""
        number -= len(getattr(self._present, part))
        return f"{part}[{number}]" if number >= 0 else f"one of the {part} there are"

    def _attempt(self, place: str, rule: Any, *values: Any) -> Any:
        try:
            return rule(*values)
        except (InvalidValue, NotFound) as error:
            self._note(place, str(error))
            return None

    def _note(self, place: str, message: str) -> None:
        self._errors.setdefault(place, []).append(message)


def key_kind(key: Entry) -> KeyKind:
    """Return the kind of a key, where it is not given by what the key is for."""
    default = "feed" if key.get("feeds") else "personal" if "user" in key else "system"
    return cast(KeyKind, key.get("kind", default))
