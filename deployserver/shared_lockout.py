"""The lockout of all servers and processes on one database: each keeps it in memory, and they count in the database."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice

from deployserver.clock import Clock
from deployserver.errors import StoreUnavailable, TooManyFailures
from deployserver.lockout import Lockout, address_group
from deployserver.settings import SecuritySettings
from deployserver.storage import Database, lockouts
from deployserver.storage.repository import Repository

_log = logging.getLogger(__name__)

_SECOND = 1_000_000
_WAITING = 10_000
_AT_ONCE = 500
_PAUSE_SECONDS = 0.05
"""How long after a commit the next one comes at the earliest: guesses must not keep deployments from being written."""
_PROVEN_SECONDS = 2.0
"""How long what was right waits for more of it."""
_PATIENCE_SECONDS = 1.0
"""How long a failure waits to be counted elsewhere; what was counted here has to do then."""
_RETRY_SECONDS = 5.0
_SWEEP_SECONDS = 60.0


@dataclass(slots=True)
class _Waiting:
    """Failures of an address group that are to be counted together; ``counted`` gives how many there are then.

    It gives None if they could not be counted.
    """

    failures: int = 0
    counted: asyncio.Future[int | None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SharedLockout:
    """Counts wrong credentials as ``Lockout`` does, whichever server or process they come to.

    What is locked elsewhere is known here when the access watch has called ``read``. While the database is unavailable,
    each process counts for itself, and adds what it has counted later. A database that nobody shares is not asked.
    """

    def __init__(self, database: Database, settings: SecuritySettings, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._limit = settings.lockout_failures
        self._period = settings.lockout_seconds * _SECOND
        self._is_shared = database.shared and self._limit > 0
        seconds = (lambda: clock() / _SECOND) if self._is_shared else time.monotonic
        self._memory = Lockout(self._limit, settings.lockout_seconds, seconds)
        self._waiting: dict[str, _Waiting] = {}
        self._writing: dict[str, _Waiting] = {}
        self._proven: set[tuple[str, str]] = set()
        self._swept = 0.0
        self._failing = False
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._soon: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> SharedLockout:
        if self._is_shared:
            self._task = asyncio.create_task(self._run(), name="lockout")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Count what is waiting, then stop."""
        if self._task is not None:
            self._closed.set()
            self._wake.set()
            await self._task
            if self._soon is not None:
                self._soon.cancel()

    async def read(self, repository: Repository) -> None:
        """Read what is locked, wherever that was found, and what was right from there before."""
        if self._is_shared:
            self._note_locked(await lockouts.locked(repository.connection, self._clock()))

    async def settled(self, address: str) -> None:
        """Wait, where an address has only just been locked here, until it is known what was right from there elsewhere.

        A right credential and a wrong one must wait alike, or the time it takes would tell them apart.
        """
        if not (self._waiting or self._writing):
            return
        group = address_group(address)
        waiting = self._writing.get(group) or self._waiting.get(group)
        if waiting is not None and self._memory.remaining(group):
            await self._counted(waiting)

    def require_open(self, address: str, proof: str | None) -> None:
        """Raise TooManyFailures if the address is locked and ``proof`` (who is calling) never was right from there."""
        self._memory.require_open(address, proof)

    def succeeded(self, address: str, proof: str) -> None:
        """Remember that ``proof`` was right from this address, here and soon elsewhere."""
        if self._memory.succeeded(address, proof) and self._is_shared and len(self._proven) < _WAITING:
            if not self._proven:
                self._soon = asyncio.get_running_loop().call_later(_PROVEN_SECONDS, self._wake.set)
            self._proven.add((address_group(address), proof))

    def failed(self, address: str) -> Awaitable[float]:
        """Count a wrong credential, here at once and elsewhere while the result is awaited.

        That is how many seconds the answer is to be held back. Awaiting it raises TooManyFailures if there were too
        many before this one, most of them elsewhere.
        """
        delay, group = self._memory.failed(address), address_group(address)
        waiting = self._waiting.get(group)
        if self._is_shared and waiting is None and len(self._waiting) < _WAITING:
            waiting = self._waiting[group] = _Waiting()
        if waiting is not None:
            waiting.failures += 1
            self._wake.set()
        return self._outcome(group, delay, waiting, waiting.failures if waiting is not None else 0)

    async def _outcome(self, group: str, delay: float, waiting: _Waiting | None, position: int) -> float:
        total = await self._counted(waiting) if waiting is not None else None
        if waiting is not None and total is not None and total - waiting.failures + position > self._limit:
            raise TooManyFailures(self._memory.remaining(group) or 1)
        return delay

    async def _counted(self, waiting: _Waiting) -> int | None:
        if self._failing:
            return None
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE_SECONDS):
                return await asyncio.shield(waiting.counted)
        return None

    async def _run(self) -> None:
        while not self._closed.is_set() or self._waiting or self._proven:
            await self._wake.wait()
            self._wake.clear()
            self._writing = {group: self._waiting.pop(group) for group in list(islice(self._waiting, _AT_ONCE))}
            proven = set(islice(self._proven, _AT_ONCE))
            if not self._writing and not proven:
                continue
            pause = _PAUSE_SECONDS
            try:
                await self._write(self._writing, proven)
                self._proven -= proven
                self._failing = False
            except StoreUnavailable as error:
                if not self._failing:
                    _log.warning("wrong credentials are counted by each process for itself: %s", error.__cause__)
                if self._closed.is_set():
                    self._writing = {}
                    return
                self._failing = True
                self._wait_again(self._writing)
                pause = _RETRY_SECONDS
            except Exception:  # noqa: BLE001 - the lockout must go on, whatever is wrong with one batch
                _log.exception("counting wrong credentials failed")
                self._proven -= proven
            for written in self._writing.values():
                if not written.counted.done():
                    written.counted.set_result(None)
            self._writing = {}
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), pause)
            if self._waiting or self._proven:
                self._wake.set()

    def _wait_again(self, writing: Mapping[str, _Waiting]) -> None:
        for group, waiting in writing.items():
            if group in self._waiting or len(self._waiting) < _WAITING:
                self._waiting.setdefault(group, _Waiting()).failures += waiting.failures

    async def _write(self, writing: Mapping[str, _Waiting], proven: set[tuple[str, str]]) -> None:
        now = self._clock()
        counted: list[lockouts.Counted] = []
        locked = lockouts.Locked((), ())
        async with self._database.connected_transaction() as connection:
            if time.monotonic() - self._swept > _SWEEP_SECONDS:
                await lockouts.sweep(connection, self._period, now)
                self._swept = time.monotonic()
            if proven:
                await lockouts.prove(connection, proven, now)
            if writing:
                failures = {group: waiting.failures for group, waiting in writing.items()}
                counted = await lockouts.count(connection, failures, self._limit, self._period, now)
            if any(one.locked_until is not None for one in counted):
                locked = await lockouts.locked(connection, now)
        self._note_locked(locked)
        for one in counted:
            self._note(one)
            if not writing[one.address].counted.done():
                writing[one.address].counted.set_result(one.failures)

    def _note_locked(self, locked: lockouts.Locked) -> None:
        for address, proof in locked.proven:
            self._memory.prove(address, proof)
        for one in reversed(locked.addresses):
            self._note(one)

    def _note(self, one: lockouts.Counted) -> None:
        waiting = self._waiting.get(one.address)
        until = None if one.locked_until is None else one.locked_until / _SECOND
        count = one.failures + (waiting.failures if waiting is not None else 0)
        self._memory.counted(one.address, one.since / _SECOND, count, until)
