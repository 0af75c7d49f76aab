"""What commands print: tables for people, JSON for scripts."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from deployserver.dates import format_date

Row = Mapping[str, Any]


def add_json_option(parser: argparse.ArgumentParser) -> None:
    """Let a command print JSON."""
    parser.add_argument("--json", action="store_true", help="print JSON, for scripts")


def print_json(data: Any) -> None:
    """Print data as JSON."""
    print(json.dumps(data, indent=2))


def print_rows(rows: Sequence[Row], as_json: bool, nothing: str) -> None:
    """Print rows as a table or as a JSON array; ``nothing`` tells people what to do where there are none."""
    if as_json:
        print_json(list(rows))
        return
    if not rows:
        print(nothing, file=sys.stderr)
        return
    header = tuple(rows[0])
    table = [header, *(tuple(_cell(row[name]) for name in header) for row in rows)]
    widths = [max(len(line[column]) for line in table) for column in range(len(header))]
    for line in table:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def print_row(row: Row, as_json: bool, sentence: str) -> None:
    """Print what was made or changed: as JSON, or as a sentence."""
    if as_json:
        print_json(dict(row))
    else:
        print(sentence)


def date(micros: int | None) -> str | None:
    """Return a time as commands show it."""
    return None if micros is None else format_date(micros)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "-"
    return "".join(character if character.isprintable() else "�" for character in str(value)) or "-"
