"""``deployserver audit``."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from deployserver.cli.output import add_json_option, date, print_rows
from deployserver.cli.session import administer
from deployserver.option_values import integer


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "audit",
        parents=[common],
        help="list administrative changes, sign-ins and refused calls",
        description="Lists who changed feeds, keys, users and privileges, who signed in to the web pages or out, and "
        "which calls were refused, newest first. Sign-ins and refused calls that are alike share a row for each "
        "minute; count says how many they were.",
    )
    parser.add_argument("--limit", type=_count, default=50, metavar="N", help="how many entries at most (default 50)")
    add_json_option(parser)
    parser.set_defaults(run=_audit)


def _count(text: str) -> int:
    try:
        return integer(1)(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"it {error}") from None


def _audit(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    entries = administer(arguments, environ, lambda admin: admin.audit(arguments.limit))
    rows = [
        {
            "at": date(entry.at),
            "count": entry.count,
            "actor": entry.actor,
            "address": entry.address,
            "action": entry.action,
            "subject": entry.subject,
            "detail": entry.detail,
        }
        for entry in entries
    ]
    print_rows(rows, arguments.json, "Nothing yet.")
