"""Administrative changes: each is one transaction, noted in the audit, and seen by running servers within a second."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from deployserver.access import Access
from deployserver.clock import Clock
from deployserver.live_access import read_access
from deployserver.models import AuditEntry
from deployserver.storage import Database
from deployserver.storage.repository import Repository


class Change:
    """A change under way: what is stored so far, where to store more, and what the audit will say."""

    def __init__(self, repository: Repository, access: Access, at: int, subject: str) -> None:
        self.repository = repository
        self.access = access
        self.at = at
        self.subject = subject
        self.detail: dict[str, Any] = {}


class Administration:
    """Makes changes in ``database`` on behalf of ``actor``, a person or program as the audit is to name them."""

    def __init__(self, database: Database, actor: str, clock: Clock) -> None:
        self.database = database
        self._actor = actor
        self.clock = clock

    async def access(self) -> Access:
        """Return feeds, keys, users and privileges as they are now."""
        async with self.database.snapshot() as repository:
            return await read_access(repository)

    async def audit(self, limit: int) -> list[AuditEntry]:
        """Return the newest ``limit`` entries of the audit, newest first."""
        async with self.database.snapshot() as repository:
            return await repository.audit_entries(limit)

    @asynccontextmanager
    async def change(self, action: str, subject: str = "") -> AsyncIterator[Change]:
        """Make one change: all of the block is stored, with its audit entry, or, if it raises, nothing."""
        async with self.database.transaction() as repository:
            await repository.raise_revision()  # first, so that whoever else makes a change waits until this one is made
            change = Change(repository, await read_access(repository), self.clock(), subject)
            yield change
            await repository.add_audit_entry(
                at=change.at,
                last_at=change.at,
                count=1,
                actor=self._actor,
                address="",
                action=action,
                subject=change.subject,
                detail=json.dumps(change.detail, ensure_ascii=False) if change.detail else "",
            )
