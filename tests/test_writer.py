"""Group commit: what many requests queue is stored in few batches, and each request hears what became of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

import pytest

from deployserver.errors import QueueFull, StoreUnavailable
from deployserver.models import DeploymentRow
from deployserver.storage import DeploymentWriter, RowRejected


def row(target: str) -> DeploymentRow:
    return DeploymentRow(1, "ProfitCalc", "", target, "Newtonsoft.Json", "12.0.3", None, "ci", None, 0, 0, "ci", None)


class Store:
    """Stores rows in a list as a database would: all of a batch or none, ids rising from 1.

    While ``closed`` it waits in the middle of a batch; ``fail`` may raise for a batch of targets.
    """

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.targets: list[str] = []
        self.fail: Callable[[list[str]], None] = lambda batch: None
        self._open = asyncio.Event()
        self._open.set()

    async def add_deployments(self, rows: Sequence[DeploymentRow]) -> Sequence[int]:
        batch = [row.target for row in rows]
        self.batches.append(batch)
        await asyncio.sleep(0)
        await self._open.wait()
        self.fail(batch)
        first = len(self.targets) + 1
        self.targets += batch
        return range(first, first + len(batch))

    def block(self) -> None:
        self._open.clear()

    def unblock(self) -> None:
        self._open.set()

    async def busy(self) -> None:
        """Wait until the batch that blocks has been begun."""
        begun = len(self.batches)
        async with asyncio.timeout(10):
            while len(self.batches) == begun:  # noqa: ASYNC110 - an event would be more than this needs
                await asyncio.sleep(0)


async def outcome(stored: asyncio.Future[int]) -> int | Exception:
    """Return the id, or the error, that a queued row came to."""
    try:
        async with asyncio.timeout(10):
            return await stored
    except TimeoutError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the outcome
        return error


async def outcomes(*stored: asyncio.Future[int]) -> list[int | Exception]:
    return [await outcome(one) for one in stored]


async def test_a_row_is_stored_and_its_id_returned() -> None:
    store = Store()
    async with DeploymentWriter(store.add_deployments, 10) as writer:
        assert await writer.write(row("a")) == 1
        assert await writer.write(row("b")) == 2
    assert store.batches == [["a"], ["b"]]


async def test_what_is_queued_while_a_batch_is_written_is_the_next_batch() -> None:
    """That is what makes a synced commit affordable: one for all who wait."""
    store = Store()
    async with DeploymentWriter(store.add_deployments, 1000) as writer:
        store.block()
        first = writer.write(row("0"))
        await store.busy()
        others = [writer.write(row(str(number))) for number in range(1, 300)]
        store.unblock()
        assert await outcomes(first, *others) == list(range(1, 301))
    assert store.batches == [["0"], [str(number) for number in range(1, 300)]]


async def test_rows_queued_together_are_one_batch() -> None:
    store = Store()
    async with DeploymentWriter(store.add_deployments, 1000) as writer:
        assert await outcomes(*[writer.write(row(name)) for name in "abc"]) == [1, 2, 3]
    assert store.batches == [["a", "b", "c"]]


async def test_each_row_gets_the_id_that_the_store_gave_it() -> None:
    """Ids need be neither consecutive nor rising for every caller to get their own."""

    async def add_deployments(rows: Sequence[DeploymentRow]) -> Sequence[int]:
        return [int(row.target) * 7 % 100 for row in rows]

    async with DeploymentWriter(add_deployments, 1000) as writer:
        stored = [writer.write(row(str(number))) for number in range(50)]
        assert await outcomes(*stored) == [number * 7 % 100 for number in range(50)]


async def test_more_rows_than_the_limit_are_refused_at_once() -> None:
    """The queue is bounded, counting what is being written, and takes rows again as soon as there is room."""
    store = Store()
    async with DeploymentWriter(store.add_deployments, 3) as writer:
        store.block()
        writing = writer.write(row("a"))
        await store.busy()
        waiting = [writer.write(row("b")), writer.write(row("c"))]
        for _ in range(3):
            with pytest.raises(QueueFull):
                writer.write(row("too many"))
        store.unblock()
        assert await outcomes(writing, *waiting) == [1, 2, 3]
        assert await writer.write(row("d")) == 4
    assert store.targets == ["a", "b", "c", "d"]


async def test_the_limit_holds_before_the_first_batch_has_begun() -> None:
    store = Store()
    async with DeploymentWriter(store.add_deployments, 1) as writer:
        stored = writer.write(row("a"))
        with pytest.raises(QueueFull):
            writer.write(row("b"))
        assert await outcome(stored) == 1


@pytest.mark.parametrize("bad", [0, 2, 4])
async def test_one_bad_row_does_not_cost_its_neighbours(bad: int) -> None:
    """A row the database will not have fails alone, wherever in its batch it is."""
    store = Store()

    def fail(batch: list[str]) -> None:
        if str(bad) in batch:
            raise RowRejected("FOREIGN KEY constraint failed")

    store.fail = fail
    async with DeploymentWriter(store.add_deployments, 100) as writer:
        results = await outcomes(*[writer.write(row(str(number))) for number in range(5)])
    assert isinstance(results.pop(bad), RowRejected)
    assert results == [1, 2, 3, 4]
    assert store.targets == [str(number) for number in range(5) if number != bad]
    assert writer.failure is None


async def test_nobody_waits_longer_than_told_behind_a_batch_that_does_not_end() -> None:
    """What waits is refused, and what comes after it at once, and neither is stored; the batch itself is waited for."""
    store = Store()
    store.block()
    async with DeploymentWriter(store.add_deployments, 100, patience=0.01) as writer:
        first = writer.write(row("a"))
        await store.busy()
        assert isinstance(await outcome(writer.write(row("b"))), StoreUnavailable)
        with pytest.raises(StoreUnavailable):
            writer.write(row("c"))
        assert writer.failure is not None
        store.unblock()
        assert await outcome(first) == 1
        assert await outcome(writer.write(row("d"))) == 2
        assert writer.failure is None
    assert store.targets == ["a", "d"]


async def test_a_store_that_fails_after_a_bad_row_keeps_nobody_waiting() -> None:
    """Rows that are written one by one for a bad neighbour's sake hear if the disk fills up meanwhile."""
    store = Store()

    def fail(batch: list[str]) -> None:
        if len(batch) > 1 or batch == ["bad"]:
            raise RowRejected("no")
        if batch == ["c"]:
            raise StoreUnavailable

    store.fail = fail
    async with DeploymentWriter(store.add_deployments, 100) as writer:
        a, bad, c, d = await outcomes(*[writer.write(row(name)) for name in ("a", "bad", "c", "d")])
    assert (a, d) == (1, 2)
    assert isinstance(bad, RowRejected)
    assert isinstance(c, StoreUnavailable)


async def test_an_unavailable_store_fails_the_batch_with_an_error_for_each() -> None:
    """Each waiter gets an exception of their own, with the cause: one that is raised twice collects tracebacks."""
    store = Store()
    cause = OSError("disk full")

    def fail(batch: list[str]) -> None:
        raise StoreUnavailable from cause

    store.fail = fail
    async with DeploymentWriter(store.add_deployments, 100) as writer:
        errors = await outcomes(*[writer.write(row(name)) for name in "abc"])
        assert writer.failure is not None
    assert all(isinstance(error, StoreUnavailable) and error.__cause__ is cause for error in errors)
    assert len({id(error) for error in errors}) == 3
    assert len(store.batches) == 1  # a disk that is full is not asked again for every row
    assert store.targets == []


async def test_writing_goes_on_when_the_store_is_available_again() -> None:
    store = Store()

    def fail(batch: list[str]) -> None:
        raise StoreUnavailable

    async with DeploymentWriter(store.add_deployments, 100) as writer:
        for number in range(3):
            store.fail = fail
            assert isinstance(await outcome(writer.write(row("lost"))), StoreUnavailable)
            assert writer.failure is not None
            store.fail = lambda batch: None
            assert await outcome(writer.write(row("kept"))) == number + 1
            assert writer.failure is None
    assert store.targets == ["kept"] * 3


async def test_a_failure_and_its_end_are_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """A full disk under load must not fill the log as well."""
    store = Store()

    def fail(batch: list[str]) -> None:
        raise StoreUnavailable from OSError("disk full")

    async with DeploymentWriter(store.add_deployments, 100) as writer:
        store.fail = fail
        for _ in range(5):
            await outcome(writer.write(row("lost")))
        store.fail = lambda batch: None
        for _ in range(5):
            await outcome(writer.write(row("kept")))
    assert caplog.messages == ["deployments cannot be stored: disk full", "the database takes deployments again"]


async def test_an_unexpected_error_fails_its_batch_and_not_the_writer(caplog: pytest.LogCaptureFixture) -> None:
    """A bug in the store costs one batch; the writer outlives it, and the log says what it was."""
    store = Store()

    def fail(batch: list[str]) -> None:
        raise ZeroDivisionError("a bug")

    async with DeploymentWriter(store.add_deployments, 100) as writer:
        store.fail = fail
        errors = await outcomes(writer.write(row("a")), writer.write(row("b")))
        assert [type(error) for error in errors] == [ZeroDivisionError, ZeroDivisionError]
        store.fail = lambda batch: None
        assert await outcome(writer.write(row("c"))) == 1
    assert [record.exc_info is not None for record in caplog.records] == [True]


async def test_a_store_that_returns_too_few_ids_does_not_kill_the_writer() -> None:
    """Nobody is told an id that may be another's, and nobody waits for ever."""
    short = True

    async def add_deployments(rows: Sequence[DeploymentRow]) -> Sequence[int]:
        return range(1, len(rows) + (0 if short else 1))

    async with DeploymentWriter(add_deployments, 100) as writer:
        first = await outcomes(writer.write(row("a")), writer.write(row("b")))
        assert all(isinstance(result, Exception) for result in first)
        short = False
        assert await outcomes(writer.write(row("c")), writer.write(row("d"))) == [1, 2]


async def test_closing_writes_what_is_queued() -> None:
    """The end of the server is no reason to lose what was taken in."""
    store = Store()
    writer = DeploymentWriter(store.add_deployments, 100)
    async with writer:
        store.block()
        stored = [writer.write(row("0"))]
        await store.busy()
        stored += [writer.write(row(str(number))) for number in range(1, 20)]
        store.unblock()
    assert all(one.done() for one in stored)
    assert await outcomes(*stored) == list(range(1, 21))
    with pytest.raises(StoreUnavailable, match="stopping"):
        writer.write(row("late"))
    assert len(store.targets) == 20


async def test_closing_with_a_broken_store_ends_and_tells_everybody() -> None:
    store = Store()

    def fail(batch: list[str]) -> None:
        raise StoreUnavailable

    store.fail = fail
    async with DeploymentWriter(store.add_deployments, 100) as writer:
        stored = [writer.write(row(name)) for name in "abc"]
    assert [type(result) for result in await outcomes(*stored)] == [StoreUnavailable] * 3


async def test_closing_an_idle_writer_ends() -> None:
    store = Store()
    async with asyncio.timeout(10), DeploymentWriter(store.add_deployments, 100):
        pass
    assert store.batches == []


@pytest.mark.parametrize("fails", [False, True])
async def test_a_waiter_that_has_gone_away_does_not_disturb_the_others(fails: bool) -> None:
    """A client that hung up may have its row stored; those beside it get their own ids or errors."""
    store = Store()

    def fail(batch: list[str]) -> None:
        if fails:
            raise StoreUnavailable

    store.fail = fail
    async with DeploymentWriter(store.add_deployments, 100) as writer:
        store.block()
        first = writer.write(row("a"))
        await store.busy()
        second, third = writer.write(row("b")), writer.write(row("c"))
        first.cancel()
        second.cancel()
        store.unblock()
        result = await outcome(third)
    assert isinstance(result, StoreUnavailable) if fails else result == 3
    assert first.cancelled()
    assert second.cancelled()
