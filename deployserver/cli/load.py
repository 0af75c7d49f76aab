"""``deployserver load``."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployserver.administration import Administration
from deployserver.cli.output import add_json_option, print_row
from deployserver.cli.progress import Progress
from deployserver.cli.session import administer, configuration, system_user
from deployserver.errors import DeployServerError, InvalidValue
from deployserver.feeds import check_type
from deployserver.loading.formats import FORMATS
from deployserver.loading.load import Load
from deployserver.loading.order import Order, Outcome, Watch

_DESCRIPTION = """\
Loads deployment records from a file: NDJSON (an object a line) or CSV with a header (separated by commas, semicolons or
tabs), plain or gzip, as deployserver export and GET /api/deployments?format=ndjson or csv write them; - is standard
input. Each line is checked as POST /api/package-deployment/ does it, with the names of its properties in any letter
case. RecordedAt and RecordedBy are kept where a line has them, else they are now and "command line (you)"; UserName is
you, or --user-name, and Date is RecordedAt where a line has none. Id is not kept: records get new ids, in the order of
the file. The server may run meanwhile.

A load that was interrupted, however that came, goes on where it was when the same command is given again; nothing is
doubled or missing. A file is known again by its whole content, and one that has been loaded is not loaded again unless
--again says so. A pipe is known again by its first MiB, or, what a pipe that may have grown needs, by --name: what has
been loaded of it is passed over, after it was compared, and what follows is loaded.
"""
_EPILOG = """\
exit codes:
  0  all lines are loaded, or were before
  1  failed, on the way perhaps: the same command goes on
  2  wrong usage or configuration, or a file that cannot be read as what it is
  3  done, now or before, but some lines were refused

examples:
  deployserver load history.ndjson.gz --refused refused.ndjson
  deployserver load history.csv --create-feeds nuget --dry-run
  curl -sS -H "X-ApiKey: $KEY" 'https://deploy.example/api/deployments?format=ndjson' | deployserver load - --name old
"""


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "load",
        parents=[common],
        help="load records from a file",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="what to load; - is standard input")
    parser.add_argument("--format", choices=FORMATS, help="the format (default: what the file looks like)")
    parser.add_argument("--dry-run", action="store_true", help="check all lines and load nothing")
    parser.add_argument(
        "--refused",
        type=Path,
        metavar="FILE",
        help="write refused lines to a new file, with the reasons; once mended, it can be loaded",
    )
    parser.add_argument("--create-feeds", metavar="TYPE", help="make feeds that are missing, of this type")
    parser.add_argument("--user-name", metavar="NAME", help="UserName of lines without one (default: you)")
    parser.add_argument("--name", metavar="NAME", help="know the file or pipe again by this name, not by its content")
    parser.add_argument("--again", action="store_true", help="load it though it has been loaded already")
    add_json_option(parser)
    parser.set_defaults(run=_load)


def _load(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    user = system_user()
    if arguments.create_feeds is not None:
        check_type(arguments.create_feeds)
    order = Order(
        arguments.file,
        (arguments.user_name or "").strip() or user,
        f"command line ({user})",
        configuration(arguments, environ).settings.limits.body_bytes,
        arguments.format,
        arguments.name,
        arguments.create_feeds,
        arguments.refused,
        arguments.again,
        arguments.dry_run,
    )
    sys.setswitchinterval(0.0005)  # lines are read by one thread and stored by another, which wait for each other
    progress = Progress("records")
    begun: list[Load] = []

    async def work(admin: Administration) -> Outcome:
        load = Load(admin, order, Watch(progress.show, progress.tell))
        begun.append(load)
        return await load.run()

    began = time.monotonic()
    try:
        outcome = administer(arguments, environ, work)
    except (DeployServerError, KeyboardInterrupt) as error:
        progress.clear()
        lines = begun[0].outcome.lines if begun else 0
        if lines and not order.dry_run and not isinstance(error, InvalidValue):
            print(f"Interrupted after line {lines}; the same command goes on there.", file=sys.stderr)
        raise
    progress.clear()
    seconds = time.monotonic() - began
    row = {**dataclasses.asdict(outcome), "dry_run": order.dry_run, "seconds": round(seconds, 3)}
    names = {_camel(name): value for name, value in row.items()}
    print_row(names, arguments.json, _sentence(outcome, order, seconds))
    return 3 if outcome.refused else 0


def _sentence(outcome: Outcome, order: Order, seconds: float) -> str:
    if outcome.was_loaded:
        return (
            f"{outcome.file} has been loaded already ({outcome.loaded:,} records, {outcome.refused:,} refused); "
            "--again loads it once more."
        )
    if not outcome.loaded + outcome.refused:
        return f"{outcome.file} is empty; there is nothing to load."
    done = "can be loaded" if order.dry_run else "loaded"
    rate = f" in {seconds:.1f} s" if not outcome.resumed_after else ""
    refused = f", {outcome.refused:,} refused" if outcome.refused else ""
    where = f"; see {order.refused}" if outcome.refused and order.refused else ""
    return (
        f"{outcome.file}: {outcome.loaded:,} record{'' if outcome.loaded == 1 else 's'} {done}{rate}{refused}{where}."
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
