"""Who changed what, and who was refused: kept in the database, beside the records."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from deployserver.clock import Clock
from deployserver.errors import Refused, StoreUnavailable
from deployserver.lockout import address_group
from deployserver.storage import Database

_log = logging.getLogger(__name__)

REFUSED = "refused"

_MINUTE = 60_000_000
_KINDS_WAITING = 10_000
_KINDS_AT_ONCE = 100
_RETRY_SECONDS = 5.0


class _Kind(NamedTuple):
    actor: str
    address: str
    subject: str
    reason: str


class _Tally(NamedTuple):
    first: int
    last: int
    calls: int


class RefusalAudit:
    """Writes every refused call to the audit; calls alike in one minute share a row that counts them.

    Sharing bounds what somebody who hammers the server can make it store.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: dict[_Kind, _Tally] = {}
        self._wake = asyncio.Event()
        self._closed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RefusalAudit:
        self._task = asyncio.create_task(self._run(), name="refusal audit")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Write what is waiting, then stop."""
        assert self._task is not None
        self._closed.set()
        self._wake.set()
        await self._task

    def add(self, refused: Refused, address: str) -> None:
        """Note a refused call, to be written at once but not waited for."""
        now = self._clock()
        group = address_group(address)  # somebody with a whole IPv6 network must not get a row for every address
        kind = _Kind(refused.actor, group, refused.subject, f"{refused.status} {refused.reason}")
        earlier = self._waiting.get(kind)
        if earlier is None and len(self._waiting) >= _KINDS_WAITING:
            _log.error("a refused call from %s is missing in the audit: too many are waiting to be written", group)
            return
        self._waiting[kind] = _Tally(earlier.first if earlier else now, now, earlier.calls + 1 if earlier else 1)
        self._wake.set()

    async def _run(self) -> None:
        while not self._closed.is_set() or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            # In order: two servers that write the same rows must not wait for each other.
            batch, self._waiting = dict(sorted(self._waiting.items())), {}
            if not batch:
                continue
            try:
                await self._write(batch)
            except StoreUnavailable as error:
                if self._closed.is_set():
                    _log.error("%d kinds of refused calls are missing in the audit: %s", len(batch), error.__cause__)
                    return
                for kind, tally in batch.items():
                    later = self._waiting.get(kind, _Tally(0, tally.last, 0))
                    self._waiting[kind] = _Tally(tally.first, later.last, tally.calls + later.calls)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closed.wait(), _RETRY_SECONDS)
                self._wake.set()
            except Exception:  # noqa: BLE001 - the audit must go on, whatever is wrong with one batch
                _log.exception("%d kinds of refused calls are missing in the audit", len(batch))

    async def _write(self, batch: dict[_Kind, _Tally]) -> None:
        """Write in parts, so that no deployment waits long behind them; what is written is taken out of ``batch``."""
        while batch:
            part = list(islice(batch, _KINDS_AT_ONCE))
            async with self._database.transaction() as repository:
                for kind in part:
                    tally = batch[kind]
                    await repository.add_audit_entry(
                        at=tally.first,
                        last_at=tally.last,
                        count=tally.calls,
                        actor=kind.actor,
                        address=kind.address,
                        action=REFUSED,
                        subject=kind.subject,
                        detail=kind.reason,
                        tally_key="\n".join((str(tally.last // _MINUTE), *kind)),
                    )
            for kind in part:
                del batch[kind]
