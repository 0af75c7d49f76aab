"""``deployserver serve``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping
from typing import Any

from deployserver.addresses import require_sharing
from deployserver.cli.session import configuration
from deployserver.config import Configuration
from deployserver.logs import configure_logging
from deployserver.storage import engine

_log = logging.getLogger(__name__)


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        parents=[common],
        help="run the server in the foreground",
        description="Runs the server in the foreground, and makes or migrates its database first. SIGTERM or Ctrl-C "
        "stops it: it answers what is under way, writes what is queued, and ends. Logs go to standard error. With "
        "--workers N, N processes serve on the one port; one that dies is replaced.",
    )
    add_listen_options(parser)
    parser.set_defaults(run=_serve)


def add_listen_options(parser: argparse.ArgumentParser) -> None:
    """Add --host, --port and --workers."""
    parser.add_argument("--host", help="address to listen on (default: [server] host, 127.0.0.1)")
    parser.add_argument("--port", help="port to listen on, 0 for a free one (default: [server] port, 8624)")
    parser.add_argument("--workers", help="processes that serve on the one port (default: [server] workers, 1)")


def listen_overrides(arguments: argparse.Namespace) -> dict[tuple[str, str], str]:
    """Return the options that --host, --port and --workers set."""
    given = {("server", name): getattr(arguments, name) for name in ("host", "port", "workers")}
    return {option: value for option, value in given.items() if value is not None}


def run_server(configured: Configuration, ready: Callable[[str], None]) -> None:
    """Migrate the database and serve until told to stop; ``ready`` is called with the URL."""
    settings = configured.settings
    require_sharing(settings.server)
    configure_logging(settings.logging)
    _log.info("configuration: %s", configured.file or "defaults and the environment")
    chosen = engine(settings)
    if applied := chosen.migrate():
        _log.info("database %s migrated: %s", chosen.place, ", ".join(applied))
    if settings.server.workers > 1:
        from deployserver import supervisor

        supervisor.run(settings, ready)
    else:
        from deployserver import server  # with the web framework, which other commands do not need

        server.run(settings, ready)


def _serve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    run_server(configuration(arguments, environ, listen_overrides(arguments)), lambda url: None)
