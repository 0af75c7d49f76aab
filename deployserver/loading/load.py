"""Loads a file: batch by batch, each committed with the place where the next one begins."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

from deployserver.administration import Administration
from deployserver.errors import Conflict, DeployServerError, InvalidValue
from deployserver.feeds import add_feed
from deployserver.live_access import read_access
from deployserver.loading.ahead import Ahead, in_thread
from deployserver.loading.batches import Batch, Refused, batches
from deployserver.loading.checking import Checker
from deployserver.loading.feeds import Feeds
from deployserver.loading.formats import open_records
from deployserver.loading.lines import Lines
from deployserver.loading.order import Order, Outcome, Watch
from deployserver.loading.refusals import Refusals
from deployserver.loading.source import Source
from deployserver.models import DeploymentRow, LoadState
from deployserver.storage import RowRejected, loads
from deployserver.storage.indexer import PAUSE_SECONDS, TURN_SECONDS
from deployserver.storage.indexing import index_next
from deployserver.storage.repository import Repository

INDEX_AT_ONCE = 4000
"""Records that are indexed in one transaction: some 40 ms."""

_ALONE_SECONDS = 2.0
"""How long a turn is while nobody else records."""

_COMPANY_SECONDS = 10.0
"""How long somebody who has recorded is taken to go on."""

_LOOK_SECONDS = 1.0
"""How often it is looked whether feeds have changed, as servers do."""


class Load:
    """Loads what ``order`` says into the database of ``admin``; ``outcome`` is what has become of it so far."""

    def __init__(self, admin: Administration, order: Order, watch: Watch) -> None:
        self._database = admin.database
        self._admin = admin
        self._order = order
        self._watch = watch
        self._state = LoadState(0, "", None, 0, "", 0, 0, 0, 0)
        self._refusals: Refusals
        self._feeds: Feeds
        self._looked = 0.0
        self._began = time.monotonic()
        self._company = self._began
        self._unindexed = 0
        self._started_with = 0
        self.outcome = Outcome(order.path)

    async def run(self) -> Outcome:
        """Load it all. Raises InvalidValue for what cannot be read as what it is, Conflict, StoreUnavailable.

        Whatever is raised, what the database has of it is all that ``outcome`` says, and the same order goes on there.
        """
        source = await in_thread(lambda: Source(self._order.path))
        try:
            await self._run(source)
        finally:
            source.close()
        return self.outcome

    async def _run(self, source: Source) -> None:
        order = self._order
        fingerprint, end = await in_thread(lambda: self._identify(source))
        if end == 0:
            return
        lines = Lines(source, order.limit, end)
        records = await in_thread(lambda: open_records(lines, source, order.format))
        self.outcome.format = records.name
        self._refusals = Refusals(records, order.refused, self._watch.tell)
        self._feeds = Feeds(await self._admin.access(), create=order.create_feeds is not None)
        if not order.dry_run and not await self._take_up(fingerprint, lines):
            await self._index()
            return
        try:
            checker = Checker(order.user_name, order.recorded_by)
            async with Ahead(batches(records, checker, self._admin.clock)) as ahead:
                async for batch in ahead:
                    await self._write(batch)
                    self._watch.progress(
                        "checking" if order.dry_run else "loading",
                        source.taken,
                        source.size,
                        self.outcome.loaded + self.outcome.refused - self._started_with,
                    )
            if not order.dry_run:
                await self._finish()
        finally:
            self._refusals.close()
        if not order.dry_run:
            await self._index()

    def _identify(self, source: Source) -> tuple[str, int | None]:
        """Return what it is known again by, and where it ends if that is known."""
        if self._order.name is not None:
            return f"name:{self._order.name}", None
        if source.is_file:
            content = source.digest(lambda taken: self._watch.progress("reading", taken, source.size, 0))
            return f"sha256:{content.digest}", content.length
        beginning = source.beginning()
        return f"beginning:{beginning.digest}", None if beginning.length else 0

    async def _take_up(self, fingerprint: str, lines: Lines) -> bool:
        """Find out where to begin; False if there is nothing left to do. Raises InvalidValue."""
        async with self._database.snapshot() as repository:
            state = await loads.find(repository.connection, fingerprint)
        fresh = state is None or (state.finished_at is not None and self._order.again)
        if fresh:
            self._refusals.open(0, resumed=False)
            async with self._admin.change("load.begin", self._name) as change:
                connection = change.repository.connection
                await loads.begin(connection, fingerprint, self._name, self._order.recorded_by, change.at)
                state = await loads.find(connection, fingerprint)
        assert state is not None
        self._state = state
        self._take_over(state)
        if fresh:
            return True
        if state.finished_at is not None and lines.is_whole:
            self.outcome.was_loaded = True
            return False
        if state.position:  # else nothing of it counts yet, though a header has been read of the lines
            there = await in_thread(lambda: lines.skip(state.position, state.lines))
            if not there or lines.digest != state.digest:
                raise InvalidValue(
                    f"{self._name} does not begin with the {state.lines} lines that have been loaded of it. To load it "
                    "as something else, name it with --name."
                )
        self._refusals.open(state.refused_bytes, resumed=True)
        self.outcome.resumed_after = state.lines
        self._started_with = state.loaded + state.refused
        if state.finished_at is None and state.position:
            self._watch.tell(f"going on after line {state.lines}")
        return True

    @property
    def _name(self) -> str:
        return self._order.name or ("standard input" if self._order.path == "-" else self._order.path)

    async def _write(self, batch: Batch) -> None:
        if not self._order.dry_run and batch.lines == self._state.lines:
            return  # it was the end already
        await self._look(_LOOK_SECONDS)
        while not await self._written(batch):
            pass  # a feed has been removed, and now the lines for it are refused
        if self._order.dry_run:
            return
        await self._rest()
        self._unindexed += len(batch.candidates)
        if self._unindexed >= INDEX_AT_ONCE:
            self._unindexed -= INDEX_AT_ONCE
            await self._index_next()
            await self._rest()

    async def _written(self, batch: Batch) -> bool:
        """Store a batch, and how far that is; False, and nothing is stored, if feeds have just changed."""
        rows, refused = await self._resolved(batch)
        before = self._state
        after = before._replace(
            finished_at=None,
            position=batch.position,
            digest=batch.digest,
            lines=batch.lines,
            loaded=before.loaded + len(rows),
            refused=before.refused + len(refused),
        )
        if self._order.dry_run:
            self._refusals.add(refused, self._refusals.written)
            self._take_over(after)
            return True

        before_written = self._refusals.written

        async def note(repository: Repository) -> None:
            nonlocal after
            self._refusals.add(refused, before_written)  # before the commit, so that none is missing after it
            after = after._replace(refused_bytes=self._refusals.written)
            await self._advance(repository, before, after)

        try:
            ids = await self._database.add_deployments(rows, note) if rows else await self._only(note)
        except RowRejected as error:
            if await self._look(0):
                return False
            raise DeployServerError(f"The database refuses a record before line {batch.lines}: {error}") from error
        self._take_over(after)
        if ids:
            if self.outcome.last_id is not None and ids[0] != self.outcome.last_id + 1:
                self._company = time.monotonic()
            self.outcome.first_id = self.outcome.first_id or ids[0]
            self.outcome.last_id = ids[-1]
        return True

    async def _only(self, note: Callable[[Repository], Awaitable[None]]) -> Sequence[int]:
        async with self._database.transaction() as repository:
            await note(repository)
        return ()

    async def _advance(self, repository: Repository, before: LoadState, after: LoadState) -> None:
        if not await loads.advance(repository.connection, before, after, self._admin.clock()):
            raise Conflict(f"{self._name} is being loaded by somebody else, too; this run has ended.")

    async def _finish(self) -> None:
        if self._state.finished_at is not None:
            self.outcome.was_loaded = True
            return
        async with self._admin.change("load.end", self._name) as change:
            after = self._state._replace(finished_at=change.at)
            await self._advance(change.repository, self._state, after)
            change.detail |= {"lines": after.lines, "loaded": after.loaded, "refused": after.refused}
            if self.outcome.first_id is not None:
                change.detail["ids"] = f"{self.outcome.first_id} to {self.outcome.last_id}"

    def _take_over(self, state: LoadState) -> None:
        self._state = state
        self.outcome.lines, self.outcome.loaded, self.outcome.refused = state.lines, state.loaded, state.refused

    async def _resolved(self, batch: Batch) -> tuple[list[DeploymentRow], list[Refused]]:
        """Return the records of feeds that take them, and the lines that are refused."""
        await self._create_feeds(batch)
        find = self._feeds.find
        rows, refused = [], []
        for number, line, checked in batch.candidates:
            feed = find(checked[0])
            if isinstance(feed, str):
                refused.append(Refused(number, line, {"FeedName": [feed]}))
            else:
                rows.append(DeploymentRow(feed or 0, *checked[1:], None))
        return rows, sorted([*batch.refused, *refused])

    async def _create_feeds(self, batch: Batch) -> None:
        type_ = self._order.create_feeds
        if type_ is None:
            return
        for name in dict.fromkeys(candidate.checked.feed_name for candidate in batch.candidates):
            if self._feeds.find(name) is None and not self._order.dry_run:
                with contextlib.suppress(Conflict):  # somebody else has just made it
                    await add_feed(self._admin, name, type_)
                    self.outcome.feeds_created.append(name)
                await self._look(0)

    async def _look(self, seconds: float) -> bool:
        """Read the feeds again if they have changed, once in so many seconds; tell whether they had."""
        now = time.monotonic()
        if now - self._looked < seconds:
            return False
        self._looked = now
        async with self._database.snapshot() as repository:
            if await repository.revision() == self._feeds.access.revision:
                return False
            self._feeds = Feeds(await read_access(repository), create=self._order.create_feeds is not None)
            return True

    async def _rest(self) -> None:
        """Let others write, who try every tenth of a second; more often if somebody has just done so."""
        now = time.monotonic()
        if now - self._began > (TURN_SECONDS if now - self._company < _COMPANY_SECONDS else _ALONE_SECONDS):
            await asyncio.sleep(PAUSE_SECONDS)
            self._began = time.monotonic()

    async def _index_next(self) -> bool:
        """Index the next records, so that readers find what has been loaded by the time that it ends."""
        async with self._database.indexing_transaction() as connection:
            return await index_next(connection, INDEX_AT_ONCE)

    async def _index(self) -> None:
        """Index what is left."""
        async with self._database.snapshot() as repository:
            left = await repository.unindexed()
        done = 0
        while await self._index_next():
            done = min(done + INDEX_AT_ONCE, left)
            self._watch.progress("indexing", done, left, done)
            await self._rest()
