"""The feeds that a load may record in, by the names that its lines give."""

from __future__ import annotations

from deployserver.access import Access
from deployserver.deployments import unavailable_because
from deployserver.errors import FeedNotFound, InvalidValue
from deployserver.feeds import check_name

_MOST_REMEMBERED = 10_000


class Feeds:
    """What becomes of a feed's name: its number, or why nothing can be recorded there.

    The reasons are the API's own. With ``create``, feeds that are missing are to be made.
    """

    def __init__(self, access: Access, *, create: bool) -> None:
        self.access = access
        self._create = create
        self._found: dict[str, int | str | None] = {}

    def find(self, name: str) -> int | str | None:
        """Return a feed's number, or the reason why it takes no records; None if it is to be made first."""
        try:
            return self._found[name]
        except KeyError:
            if len(self._found) >= _MOST_REMEMBERED:
                self._found.clear()
            found = self._found[name] = self._look_up(name)
            return found

    def _look_up(self, name: str) -> int | str | None:
        feed = self.access.feed(name)
        if feed is not None:
            return unavailable_because(feed) or feed.id
        if not self._create:
            return str(FeedNotFound(name))
        try:
            check_name(name)
        except InvalidValue as error:
            return str(error)
        return None
