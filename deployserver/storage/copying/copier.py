"""Copies an installation: from one state of the original, and so that a copy that was broken off goes on later.

The copy carries a mark until it is whole, among the names of its migrations, so that no version of deployserver takes
it for a database to use. What others refer to is there before them; rows of tables that only grow are added after the
greatest id that is there, in transactions of some thousand rows, so that a copy that goes on finds where it ended. What
has changed in the original meanwhile, a removed feed too, is changed in the copy then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deployserver.errors import DatabaseError, StoreUnavailable
from deployserver.storage.copying.chunks import Chunks
from deployserver.storage.copying.comparison import Difference, Watch, compare
from deployserver.storage.copying.sides import Reader, Writer
from deployserver.storage.copying.tables import ALWAYS_THERE, TABLES, Table, Way
from deployserver.storage.database import Database
from deployserver.storage.engine import Engine
from deployserver.storage.indexing import index_next
from deployserver.storage.migrations import UNFINISHED, UnfinishedCopy

CHUNKS_IN_TRANSACTION = 10
INDEXED_AT_ONCE = 5000


@dataclass(frozen=True)
class Copied:
    """What came of a copy: rows that are the same in both by table, what differs, what came to the original since."""

    rows: Mapping[str, int]
    differences: tuple[Difference, ...] = ()
    recorded_since: int = 0

    @property
    def is_same(self) -> bool:
        """Whether both hold the same."""
        return not self.differences


def prepare(original: Engine, copy: Engine) -> str:
    """See that there is something to copy, and migrate what it is to be copied to; return the mark of the copy.

    Raises DatabaseError if the original is not there or not of this version, if the copy is of another version, or an
    unfinished copy of something else.
    """
    require_current(original)
    if original.place == copy.place:
        raise DatabaseError(f"{copy.place} cannot be copied to itself.")
    mark = f"{UNFINISHED}{original.place}"
    try:
        state = copy.migration_state()
    except UnfinishedCopy as found:
        if found.original != original.place:
            raise DatabaseError(
                f"{copy.place} holds an unfinished copy of {found.original}, not of {original.place}. Finish that, or "
                "copy to a new database."
            ) from None
        if found.state.pending:
            raise DatabaseError(
                f"The unfinished copy in {copy.place} was made by an older version. Copy to a new database."
            ) from None
        return mark
    if state.applied and state.pending:
        raise DatabaseError(f"{copy.place} is a database of an older version. Copy to a new one.")
    copy.migrate()
    return mark


def require_current(engine: Engine) -> None:
    """See that a database is there and of this version, changing nothing. Raises DatabaseError."""
    if not engine.exists():
        raise DatabaseError(f"There is no database at {engine.place}.")
    state = engine.migration_state()
    if not state.applied:
        raise DatabaseError(f"The database {engine.place} is empty: nothing was ever recorded there.")
    if state.pending:
        raise DatabaseError(
            f"The database {engine.place} is of an older version: it lacks the migrations {', '.join(state.pending)}. "
            "Bring it to this version first: restart its server, or run deployserver migrate with it in [database] url."
        )


async def copy(original: Engine, target: Engine, mark: str, watch: Watch, *, finish: bool = True) -> Copied:
    """Copy all, or what is missing yet, and compare both; without ``finish``, leave the copy open for what comes.

    The copy is of the state that the original is in now. ``mark`` is what ``prepare`` has returned. Raises
    DatabaseError; what has been copied so far stays, and the same call goes on from there.
    """
    source, writer = original.reader(), target.writer()
    async with source.opened(), writer.opened():
        if not await writer.is_marked(mark):
            await _require_empty(target)
            await writer.mark(mark)
        await _Copier(source, writer, mark, watch).run()
        await _index(target.database(), watch)
        async with writer.transaction(mark):
            await writer.set_last_ids(await source.last_ids())
        await writer.settle()
        if not finish:
            rows = {table.name: await source.count(table) for table in TABLES}
            return Copied(rows, recorded_since=await _recorded_since(original, source))
        copied = target.reader()
        async with copied.opened():
            rows, differences = await compare(source, copied, watch)
        if not differences:
            await writer.remove_mark(mark)
        return Copied(rows, tuple(differences), await _recorded_since(original, source))


async def check(original: Engine, target: Engine, watch: Watch) -> Copied:
    """Compare two databases, of this version both. Raises DatabaseError if one cannot be read."""
    one, other = original.reader(), target.reader()
    async with one.opened(), other.opened():
        rows, differences = await compare(one, other, watch)
    return Copied(rows, tuple(differences))


class _Copier:
    """Brings the rows of the copy to what those of the original are."""

    def __init__(self, source: Reader, target: Writer, mark: str, watch: Watch) -> None:
        self._source = source
        self._target = target
        self._mark = mark
        self._watch = watch

    async def run(self) -> None:
        """Copy all tables."""
        last = await self._source.last_ids()
        for table in TABLES:
            if table.way is Way.APPENDED and await self._target.last(table) > last[table.name]:
                raise DatabaseError(
                    f"The copy holds {table.name} that {self._source.place} has never had: it is not the database that "
                    "the copy was begun from. Copy to a new database."
                )
        await self._remove_what_is_gone()
        for table in TABLES:
            await self._copy(table)

    async def _remove_what_is_gone(self) -> None:
        """Take out what the original had when the copy was begun and has no more, before others take its names."""
        async with self._target.transaction(self._mark):
            for table in reversed(TABLES):
                if table.way is Way.REPLACED:
                    await self._target.remove(table)
                elif table.way is Way.MERGED:
                    gone = await self._target.ids(table)
                    async for rows in self._source.rows(table):
                        gone.difference_update(row[0] for row in rows)
                    await self._target.remove(table, gone)

    async def _copy(self, table: Table) -> None:
        after = await self._target.last(table) if table.way is Way.APPENDED else 0
        with self._watch(f"copying {table.name}", await self._source.count(table, after)) as advance:
            async with Chunks(self._source.rows(table, after)) as chunks:
                more = True
                while more:
                    async with self._target.transaction(self._mark):
                        written, more = await self._write(table, chunks)
                    advance(written)

    async def _write(self, table: Table, chunks: Chunks) -> tuple[int, bool]:
        """Write the next chunks, within a transaction; return how many rows, and whether there may be more."""
        write = self._target.merge if table.way is Way.MERGED else self._target.add
        written = 0
        for _ in range(CHUNKS_IN_TRANSACTION):
            rows = await chunks.next()
            if not rows:
                return written, False
            await write(table, rows)
            written += len(rows)
        return written, True


async def _index(database: Database, watch: Watch) -> None:
    """Derive what only readers need, as the server does a moment after recording."""
    async with database.opened():
        try:
            async with database.snapshot() as repository:
                behind = await repository.unindexed()
            with watch("indexing deployments", behind) as advance:
                more = True
                while more:
                    async with database.connected_transaction() as connection:
                        for _ in range(CHUNKS_IN_TRANSACTION):
                            more = more and await index_next(connection, INDEXED_AT_ONCE)
                    async with database.snapshot() as repository:
                        left = await repository.unindexed()
                    advance(behind - left)
                    behind = left
        except StoreUnavailable as error:
            why = database.explain(error.__cause__ or error)
            raise DatabaseError(f"The database {database.place} failed: {why}") from error


async def _require_empty(target: Engine) -> None:
    """Raises DatabaseError if a database holds something, saying what."""
    reader = target.reader()
    async with reader.opened():
        there = {table.name: await reader.count(table) for table in TABLES if table.name not in ALWAYS_THERE}
    if found := [f"{count} {name.replace('_', ' ')}" for name, count in there.items() if count]:
        raise DatabaseError(f"{reader.place} is not empty: it holds {', '.join(found)}. Copy to a new database.")


async def _recorded_since(original: Engine, before: Reader) -> int:
    now = original.reader()
    async with now.opened():
        return (await now.last_ids())["deployments"] - (await before.last_ids())["deployments"]
