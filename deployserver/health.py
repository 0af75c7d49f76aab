"""Whether the service can do its job, in the words of ProGet's health API."""

from __future__ import annotations

import asyncio
from typing import Any

from deployserver import __version__
from deployserver.errors import StoreUnavailable
from deployserver.storage import Database, DeploymentWriter

OK = "OK"
ERROR = "Error"


class Health:
    """Looks at the database and at the writer."""

    def __init__(self, database: Database, writer: DeploymentWriter) -> None:
        self._database = database
        self._writer = writer
        self._probing: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Wait for a write that is being tried."""
        if self._probing is not None:
            await asyncio.wait([self._probing])

    async def check(self) -> dict[str, Any]:
        """Return ProGet's ProGetHealth object; statuses are ``OK`` or ``Error``."""
        problem = await self._database_problem()
        return {
            "applicationName": "deployserver",
            "databaseStatus": ERROR if problem else OK,
            "databaseStatusDetails": problem,
            "versionNumber": __version__,
            "releaseNumber": __version__,
            "licenseStatus": OK,
            "licenseStatusDetail": None,
            "serviceStatus": OK,
            "serviceStatusDetail": None,
            "replicationStatus": {
                "serverStatus": None,
                "serverError": None,
                "clientStatus": None,
                "clientError": None,
                "incoming": [],
                "outgoing": [],
            },
            "extensionsInstalled": {},
        }

    async def _database_problem(self) -> str | None:
        """Read, and after a failed write try one: the service is well again when writing works, not before.

        A file that is gone or has been replaced shows before anybody fails to write to it.
        """
        try:
            async with self._database.watched() as repository:
                await repository.revision()
        except StoreUnavailable:
            return "The database cannot be read."
        try:
            if self._writer.failure is None and self._database.is_in_place():
                return None
            await self._probe()
        except StoreUnavailable:
            return "The database cannot be written."
        self._writer.note_success()
        return None

    async def _probe(self) -> None:
        """Try a write, one for all who ask meanwhile: deployments wait behind it while the database is locked."""
        if self._probing is None or self._probing.done():
            self._probing = asyncio.create_task(self._database.probe(), name="health probe")
        await asyncio.shield(self._probing)


def is_well(health: dict[str, Any]) -> bool:
    """Tell whether every status is ``OK``."""
    return all(health[status] == OK for status in ("databaseStatus", "licenseStatus", "serviceStatus"))
