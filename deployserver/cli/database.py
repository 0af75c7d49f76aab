"""``deployserver migrate`` and ``deployserver database``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployserver import config
from deployserver.cli.output import add_json_option, print_json, print_row
from deployserver.cli.session import configuration
from deployserver.database_urls import database_url
from deployserver.errors import InvalidValue
from deployserver.settings import Settings
from deployserver.storage import Engine, engine, engine_at

if TYPE_CHECKING:
    from deployserver.storage.copying.copier import Copied

_COPY = """\
Copies a whole installation to a new database, of the same kind or not, in whichever direction: feeds, API keys, users
with their passwords, privileges, audit, and all deployments with their ids. Only who is signed in to the web pages is
not copied: people sign in anew. At the end all rows of both are compared. TO is migrated first; FROM is only read.

FROM and TO are sqlite:///FILE, relative to the configuration file, postgresql://USER@HOST/NAME, or another
configuration file, whose [database] url is meant. TO must be new or empty; a PostgreSQL database is made with createdb.

FROM may be in use: what is copied is what it holds when the command starts. The command may be broken off at any time;
called again, it goes on where it ended and takes what has come to FROM since. Until it is finished, TO is marked as
unfinished and no server will use it. To move an installation that is in use, copy with --unfinished, stop the server,
and copy again without: that takes only what is new.
"""
_COPY_EPILOG = """\
A password in a URL can be seen in the list of processes and stays in the shell's history. Leave it out, and set
PGPASSWORD, or write it to ~/.pgpass (PGPASSFILE names another file), which is looked into as psql does; or name a
configuration file in place of the URL.

exit codes:
  0  done: both hold the same
  1  failed, or they differ: standard error says where
  2  wrong usage or configuration
  3  --check has found a difference

examples:
  deployserver database copy sqlite:///deployserver.db postgresql://deployserver@db.example/deployserver
  deployserver database copy config.ini sqlite:///copy.db
  deployserver database copy --check sqlite:///deployserver.db postgresql://deployserver@db.example/deployserver
"""


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands."""
    parser = commands.add_parser(
        "migrate",
        parents=[common],
        help="bring the database to this version",
        description="Brings the database to what this version needs; serve does the same at its start. A database "
        "that holds data is copied first, to FILE.before-MIGRATION beside it; "
        "PostgreSQL is not, so back up with pg_dump before. There is no way back but such a copy.",
    )
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 3 if there is something to do")
    add_json_option(parser)
    parser.set_defaults(run=_migrate)

    database = commands.add_parser("database", parents=[common], help="copy the database, or move to another")
    actions = database.add_subparsers(title="actions", metavar="ACTION", required=True)
    backup = actions.add_parser(
        "backup",
        parents=[common],
        help="copy the database while it is in use",
        description="Copies the database to a new file, whole and consistent, while the server goes on writing. "
        "Copying the file by other means can miss what is still in its write-ahead log. PostgreSQL has pg_dump.",
    )
    backup.add_argument("file", type=Path, metavar="FILE", help="the copy; must not exist yet")
    add_json_option(backup)
    backup.set_defaults(run=_backup)

    copy = actions.add_parser(
        "copy",
        parents=[common],
        help="copy an installation to a new database, to PostgreSQL or back",
        description=_COPY,
        epilog=_COPY_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    copy.add_argument("original", metavar="FROM", help="the database to copy")
    copy.add_argument("copy", metavar="TO", help="the copy")
    how = copy.add_mutually_exclusive_group()
    how.add_argument("--check", action="store_true", help="copy nothing; only compare all rows of both")
    how.add_argument(
        "--unfinished",
        action="store_true",
        help="neither compare nor finish: the next copy takes what has come to FROM by then",
    )
    add_json_option(copy)
    copy.set_defaults(run=_copy)


def _backup(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    engine(configuration(arguments, environ).settings).backup(arguments.file)
    size = arguments.file.stat().st_size
    print_row({"file": str(arguments.file), "bytes": size}, arguments.json, f"{arguments.file}: {size} bytes copied.")


def _copy(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from deployserver.cli.progress import Progress
    from deployserver.storage.copying import copier

    settings = configuration(arguments, environ).settings
    original, copy = (_engine(given, settings, environ) for given in (arguments.original, arguments.copy))
    progress = Progress("rows")

    @contextmanager
    def watch(what: str, total: int) -> Iterator[Callable[[int], None]]:
        done = 0

        def advance(rows: int) -> None:
            nonlocal done
            done += rows
            progress.show(what, done, total, done)

        progress.show(what, 0, total, 0)
        yield advance

    began = time.monotonic()
    try:
        if arguments.check:
            for chosen in (original, copy):
                copier.require_current(chosen)
            result = asyncio.run(copier.check(original, copy, watch))
        else:
            mark = copier.prepare(original, copy)
            result = asyncio.run(copier.copy(original, copy, mark, watch, finish=not arguments.unfinished))
    finally:
        progress.clear()
    _print_copied(arguments, original, copy, result, time.monotonic() - began)
    if result.is_same:
        return 0
    return 3 if arguments.check else 1


def _engine(given: str, settings: Settings, environ: Mapping[str, str]) -> Engine:
    """Return the database of a URL, or of a configuration file. Raises ConfigurationError, InvalidValue."""
    if "://" not in given:
        others = {name: value for name, value in environ.items() if not name.startswith("DEPLOYSERVER_DATABASE_")}
        return engine(config.load(Path(given), others).settings)
    try:
        return engine_at(database_url(given), settings)
    except ValueError as error:
        raise InvalidValue(f"The database {error}.") from None


def _print_copied(
    arguments: argparse.Namespace, original: Engine, copy: Engine, result: Copied, seconds: float
) -> None:
    finished = result.is_same and not arguments.unfinished
    if arguments.json:
        print_json(
            {
                "from": original.place,
                "to": copy.place,
                "rows": dict(result.rows),
                "differences": [vars(difference) for difference in result.differences],
                "recordedSince": result.recorded_since,
                "finished": finished,
                "seconds": round(seconds, 3),
            }
        )
    for difference in result.differences:
        print(f"deployserver: {difference}", file=sys.stderr)
    if result.recorded_since:
        print(
            f"deployserver: {result.recorded_since} deployments have been recorded in {original.place} since the copy "
            "began, and are not in it.",
            file=sys.stderr,
        )
    if arguments.json:
        return
    rows = f"{sum(result.rows.values()):,} rows, {result.rows['deployments']:,} of them deployments"
    if not result.is_same:
        print(f"{original.place} and {copy.place} do not hold the same.")
    elif arguments.check:
        print(f"{original.place} and {copy.place} hold the same: {rows}.")
    elif arguments.unfinished:
        print(f"{copy.place} holds {rows}. It is marked as unfinished: copy again to finish it.")
    else:
        print(f"{copy.place} holds the same as {original.place}: {rows}; copied in {seconds:.0f} s.")


def _migrate(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    chosen = engine(configuration(arguments, environ).settings)
    if arguments.check:
        state = chosen.migration_state()
        pending = f"to be applied: {', '.join(state.pending)}" if state.pending else "nothing to apply"
        sentence = f"{chosen.place}: {pending}."
        print_row({"applied": list(state.applied), "pending": list(state.pending)}, arguments.json, sentence)
        return 3 if state.pending else 0
    applied = chosen.migrate()
    sentence = f"{chosen.place}: applied {', '.join(applied)}." if applied else f"{chosen.place}: nothing to apply."
    print_row({"applied": list(applied), "pending": []}, arguments.json, sentence)
    return 0
