"""Recording a deployment: the product's main job."""

from __future__ import annotations

from deployserver.clock import Clock
from deployserver.errors import FeedNotFound, FeedUnavailable, NotPermitted
from deployserver.live_access import LiveAccess
from deployserver.models import (
    ANONYMOUS,
    DOWNLOAD_PACKAGE,
    Caller,
    Deployment,
    DeploymentRow,
    Feed,
    Submission,
)
from deployserver.storage import DeploymentWriter, RowRejected


class Deployments:
    """Records deployments in the feeds of ``access``, through ``writer``."""

    def __init__(self, access: LiveAccess, writer: DeploymentWriter, clock: Clock) -> None:
        self._access = access
        self._writer = writer
        self._clock = clock

    async def record(self, caller: Caller, submission: Submission) -> Deployment:
        """Store a deployment durably and return it as stored.

        Raises FeedNotFound, NotPermitted, FeedUnavailable, StoreUnavailable; then nothing is stored.
        """
        feed = self._feed_for(caller, submission.feed_name)
        now = self._clock()
        row = DeploymentRow(
            feed.id,
            submission.application,
            submission.description,
            submission.target,
            submission.package_name,
            submission.version,
            submission.group_name,
            submission.user_name or caller.name,
            submission.url,
            now if submission.date is None else submission.date,
            now,
            caller.recorded_by,
            caller.key.id if caller.key else None,
        )
        try:
            id_ = await self._writer.write(row)
        except RowRejected as error:
            await self._access.refresh()
            if feed.id in self._access.current.feeds:
                raise
            raise FeedNotFound(submission.feed_name) from error  # removed since access was read
        return Deployment(id_, feed.name, row)

    def _feed_for(self, caller: Caller, name: str) -> Feed:
        """Return the feed to record in, if the caller may record there and it takes records."""
        access = self._access.current
        feed = access.feed(name)
        if feed is None:
            if access.let_in_somewhere(caller, DOWNLOAD_PACKAGE):
                raise FeedNotFound(name)
            raise _not_permitted(caller, "", f"{DOWNLOAD_PACKAGE} is granted nowhere")
        decision = access.decide(caller, DOWNLOAD_PACKAGE, feed)
        if not decision.granted:
            raise _not_permitted(caller, feed.name, decision.reason)
        if reason := unavailable_because(feed):
            raise FeedUnavailable({"FeedName": [reason]})
        return feed


def unavailable_because(feed: Feed) -> str | None:
    """Return why a feed takes no deployment records now, None if it takes them."""
    if not feed.active:
        return f"names the feed '{feed.name}', which is inactive."
    if not feed.deployment_records_enabled:
        return f"names the feed '{feed.name}', for which deployment records are switched off."
    return None


def _not_permitted(caller: Caller, feed: str, reason: str) -> NotPermitted:
    """Say what is missing, and no more than the caller may know: a feed's name only if it exists."""
    if caller.name == ANONYMOUS and caller.key is None and caller.user is None:
        message = "An API key is needed; send it in the X-ApiKey header."
    elif caller.user is not None:
        message = f"The user {caller.user.name} lacks the privilege {DOWNLOAD_PACKAGE} here."
    else:
        message = "The API key may not record deployments here."
    return NotPermitted(message, actor=caller.recorded_by, subject=feed, reason=reason)
