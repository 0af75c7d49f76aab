"""``deployserver migrate`` and ``deployserver database``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployserver.cli.output import add_json_option, print_row
from deployserver.cli.session import configuration
from deployserver.storage import backup, database_path, migrate, migration_state


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser(
        "migrate",
        parents=[common],
        help="bring the database to this version",
        description="Brings the database to what this version needs; serve does the same at its start. A database "
        "that holds data is copied first, to FILE.before-MIGRATION beside it. There is no way back but that copy.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 3 if there is something to do")
    add_json_option(parser)
    parser.set_defaults(run=_migrate)

    database = commands.add_parser("database", parents=[common], help="copy the database")
    actions = database.add_subparsers(title="actions", metavar="ACTION", required=True)
    copy = actions.add_parser(
        "backup",
        parents=[common],
        help="copy the database while it is in use",
        description="Copies the database to a new file, whole and consistent, while the server goes on writing. "
        "Copying the file by other means can miss what is still in its write-ahead log.",
    )
    copy.add_argument("file", type=Path, metavar="FILE", help="the copy; must not exist yet")
    add_json_option(copy)
    copy.set_defaults(run=_backup)


def _backup(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    backup(configuration(arguments, environ).settings, arguments.file)
    size = arguments.file.stat().st_size
    print_row({"file": str(arguments.file), "bytes": size}, arguments.json, f"{arguments.file}: {size} bytes copied.")


def _migrate(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    settings = configuration(arguments, environ).settings
    path = database_path(settings)
    if arguments.check:
        state = migration_state(settings)
        sentence = (
            f"{path}: to be applied: {', '.join(state.pending)}." if state.pending else f"{path}: nothing to apply."
        )
        print_row({"applied": list(state.applied), "pending": list(state.pending)}, arguments.json, sentence)
        return 3 if state.pending else 0
    applied = migrate(settings)
    sentence = f"{path}: applied {', '.join(applied)}." if applied else f"{path}: nothing to apply."
    print_row({"applied": list(applied), "pending": []}, arguments.json, sentence)
    return 0
