"""From the command line to the database that it is about."""

from __future__ import annotations

import argparse
import asyncio
import getpass
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from deployserver import config
from deployserver.administration import Administration
from deployserver.clock import now
from deployserver.config import Configuration
from deployserver.errors import DatabaseError, StoreUnavailable
from deployserver.storage import Database, Engine, engine

T = TypeVar("T")


def configuration(
    arguments: argparse.Namespace,
    environ: Mapping[str, str],
    overrides: Mapping[tuple[str, str], str] | None = None,
) -> Configuration:
    """Read the configuration that a command is to use. Raises ConfigurationError."""
    return config.load(config.find_file(arguments.config, environ), environ, overrides)


def administer(
    arguments: argparse.Namespace, environ: Mapping[str, str], work: Callable[[Administration], Awaitable[T]]
) -> T:
    """Do ``work`` on the database of the configuration, in the name of whoever runs the command.

    Raises DatabaseError if there is no database yet or it is not migrated: a mistyped path must not make a new one.
    """
    settings = configuration(arguments, environ).settings
    store = ready_database(engine(settings))

    async def run() -> T:
        async with store.opened():
            try:
                return await work(Administration(store, f"command line ({system_user()})", now))
            except StoreUnavailable as error:
                why = store.explain(error.__cause__ or error)
                raise DatabaseError(f"The database {store.place} cannot be used: {why}") from error

    return asyncio.run(run())


def ready_database(chosen: Engine) -> Database:
    """Return a database that is there and has been migrated, not yet open. Raises DatabaseError for any other."""
    if not chosen.exists():
        raise DatabaseError(
            f"There is no database at {chosen.place}. Is --config right? "
            "To make one, run deployserver quickstart, serve or migrate."
        )
    if pending := chosen.migration_state().pending:
        raise DatabaseError(
            f"The database {chosen.place} lacks the migrations {', '.join(pending)}. "
            "Run deployserver migrate, or restart the server."
        )
    return chosen.database()


def system_user() -> str:
    """Return the name of whoever runs the command."""
    try:
        return getpass.getuser()
    except (ImportError, KeyError, OSError):  # a container's user id may have no name, a task on Windows neither
        return "unknown"
