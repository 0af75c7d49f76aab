"""``deployserver export``."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

from deployserver.administration import Administration
from deployserver.cli.progress import Progress
from deployserver.cli.session import administer
from deployserver.errors import DeployServerError, InvalidRequest, InvalidValue
from deployserver.exporting import FORMATS, export
from deployserver.queries import TimeFilter, asked, load_query
from deployserver.viewing import Asked

_DESCRIPTION = """\
Writes all deployment records, or those that are asked for, to a file or to standard output, in the order in which they
arrived: NDJSON (an object a line) or CSV, as GET /api/deployments?format= writes them. They are those of one moment,
while the server goes on. The file is there when it is whole, and replaces one that was there.

deployserver load reads it. It holds no feeds, keys, users and privileges: deployserver database backup copies
everything.
"""
_EPILOG = """\
examples:
  deployserver export history.ndjson.gz
  deployserver export --format csv --feed DefaultNuGet --since 2021-01-01 - | head
"""
_COMPRESSION = 6  # gzip's own; Python's would take twice as long for little


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "export",
        parents=[common],
        help="write records to a file",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", nargs="?", default="-", help="the file (default -, standard output)")
    parser.add_argument("--format", choices=FORMATS, help="the format (default: csv for a file named so, else ndjson)")
    parser.add_argument("--gzip", action="store_true", help="compress it, as is done for a file whose name ends in .gz")
    for name, field in TimeFilter._declared_fields.items():
        described = f"only records with: {field.metadata['description']}".replace("%", "%%")
        if name == "ungrouped":
            parser.add_argument("--ungrouped", action="append_const", const="true", help=described)
        else:
            parser.add_argument(f"--{name}", action="append", metavar=name.upper(), help=described)
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    file = None if arguments.file == "-" else Path(arguments.file)
    name = arguments.file.lower()
    compressed = arguments.gzip or name.endswith(".gz")
    format_ = arguments.format or ("csv" if name.removesuffix(".gz").endswith(".csv") else "ndjson")
    progress = Progress("records")

    async def work(admin: Administration) -> int:
        wanted = _asked(arguments, admin.clock())
        with _output(file, compressed) as write:
            return await export(admin.database, wanted, format_, write, lambda *done: progress.show("exporting", *done))

    try:
        count = administer(arguments, environ, work)
    finally:
        progress.clear()
    print(f"{count:,} record{'' if count == 1 else 's'} exported.", file=sys.stderr)


def _asked(arguments: argparse.Namespace, now: int) -> Asked:
    """Return which records the options ask for. Raises InvalidValue."""
    given = {name: values for name in TimeFilter._declared_fields if (values := getattr(arguments, name)) is not None}
    try:
        return asked(load_query(TimeFilter, given), now)
    except InvalidRequest as error:
        reasons = "; ".join(f"--{name} {' '.join(messages)}" for name, messages in error.errors.items())
        raise InvalidValue(reasons) from None


@contextlib.contextmanager
def _output(file: Path | None, compressed: bool) -> Iterator[Callable[[bytes], object]]:
    """Give what writes to a file, or standard output; the file appears when the block has ended well."""
    if file is None:
        with _compressed(sys.stdout.buffer, compressed) as stream:
            yield stream.write
        sys.stdout.buffer.flush()
        return
    if file.is_dir():
        raise InvalidValue(f"{file} is a directory; name a file in it.")
    if file.exists() and not file.is_file():  # a pipe or a device, which cannot be replaced
        with file.open("wb") as device, _compressed(device, compressed) as stream:
            yield stream.write
        return
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        with unfinished.open("xb") as whole:
            with _compressed(whole, compressed) as stream:
                yield stream.write
            whole.flush()
            os.fsync(whole.fileno())
        unfinished.replace(file)
    except OSError as error:
        raise DeployServerError(f"{file} cannot be written: {error.strerror or error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


@contextlib.contextmanager
def _compressed(stream: BinaryIO, compressed: bool) -> Iterator[BinaryIO]:
    if not compressed:
        yield stream
        return
    packed = gzip.GzipFile("", "wb", _COMPRESSION, stream, mtime=0)
    try:
        yield cast(BinaryIO, packed)
        packed.close()
    finally:
        packed.fileobj = None  # type: ignore[assignment]  # what was broken off must not end as if it were whole
