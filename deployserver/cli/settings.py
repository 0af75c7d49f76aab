"""``deployserver config``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from deployserver.addresses import require_sharing
from deployserver.cli.output import add_json_option, print_row, print_rows
from deployserver.cli.session import configuration
from deployserver.storage import engine


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser("config", parents=[common], help="check or show the configuration")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    check = actions.add_parser(
        "check",
        parents=[common],
        help="say whether the server could start",
        description="Reads the configuration, the certificate and the database's state as serve would, and says what "
        "is wrong. Changes nothing.",
    )
    add_json_option(check)
    check.set_defaults(run=_check)
    show = actions.add_parser(
        "show",
        parents=[common],
        help="show every option, its value and where that came from",
        description="Shows every option, its value, and where the value came from. Passwords in URLs are hidden.",
    )
    add_json_option(show)
    show.set_defaults(run=_show)


def _check(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    from deployserver.server import tls_context

    configured = configuration(arguments, environ)
    require_sharing(configured.settings.server)
    tls_context(configured.settings)
    chosen = engine(configured.settings)
    state, exists = chosen.migration_state(), chosen.exists()
    chosen.require_writable()
    file = str(configured.file) if configured.file else None
    print_row(
        {"file": file, "database": chosen.place, "exists": exists, "pending": list(state.pending)},
        arguments.json,
        f"{file or 'No file, only defaults and the environment'}: fine. Database {chosen.place}: "
        + (_pending(state.pending) if exists else "is made when the server starts."),
    )


def _pending(names: tuple[str, ...]) -> str:
    return f"lacks {', '.join(names)}, applied when the server starts." if names else "up to date."


def _show(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    configured = configuration(arguments, environ)
    rows = [
        {
            "option": f"[{value.option.section}] {value.option.name}",
            "value": value.shown,
            "source": value.source,
            "environment": value.option.variable,
        }
        for value in configured.values
    ]
    print_rows(rows, arguments.json, "")
