"""What a page shows where there is no record yet."""

from __future__ import annotations

from deployserver.viewing import View


def example_feed(view: View) -> str | None:
    """Return a feed for the calls that record a deployment, or None where no feed takes any."""
    feeds = [feed.name for feed in view.feeds.values() if feed.active and feed.deployment_records_enabled]
    return min(feeds, key=str.casefold, default=None)
