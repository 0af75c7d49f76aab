"""``deployserver double``."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployserver.double.parent import watch_parent
from deployserver.errors import InvalidRequest, InvalidValue

if TYPE_CHECKING:
    from deployserver.double.faults.fault import Fault

_FEED = "DefaultNuGet"
_SHOWN = 100
"""Errors of a file that are told: of a large one that is wrong throughout, all would fill the console."""

_EPILOG = """\
With a command after --, it runs as long as the command does, which finds it by PROGET_URL and PROGET_API_KEY, and ends
with its exit code:

  deployserver double -- npm test

It begins with the feeds of --feed (DefaultNuGet if none is given) and a key of full control (--key, or a random one),
or with what --seed holds. Without a command, one line on standard output, when connections are accepted, says where
it is:

  {"url": "http://127.0.0.1:40123", "control": "http://127.0.0.1:40123/__double__", "key": "...", "pid": 4711}

Give "url" and "key" to what you test, and ask below "control" what arrived:

  curl -s $CONTROL/requests
  curl -s --fail-with-body $CONTROL/verify -d '{"deployed": {"package": "Newtonsoft.Json", "version": "12.0.3"}}'
  curl -s $CONTROL/faults -d '{"do": "answer", "status": 503, "first": 2}'

docs/test-double.md has all of it.
"""


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    del common  # it has no configuration file: tests must not depend on one that happens to be there
    parser = commands.add_parser(
        "double",
        help="run a stand-in for ProGet in tests: in memory, to be seeded, inspected and broken",
        description="Runs the server in memory for tests of tools that talk to ProGet: it answers as the service does, "
        "keeps what it receives, and forgets everything when it ends. It ends with the command that it is given, on a "
        "signal, and with the process that started it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", default="0", help="port to listen on (default 0: a free one)")
    parser.add_argument(
        "--feed", action="append", default=[], metavar="NAME", help="a feed to begin with; may be repeated"
    )
    parser.add_argument("--key", metavar="KEY", help="an API key that may do everything")
    parser.add_argument("--open", action="store_true", help="let everybody record and read without a key")
    parser.add_argument(
        "--seed", type=Path, metavar="FILE", help="state to begin with, as GET /__double__/state shows it"
    )
    parser.add_argument("--faults", type=Path, metavar="FILE", help="what is to go wrong: a JSON list of faults")
    parser.add_argument(
        "--ready-file", type=Path, metavar="FILE", help="file to write the line with the URL to; removed at the end"
    )
    parser.add_argument(
        "--namespaces", action="store_true", help="make /ns/NAME/ a world of its own, for every NAME that is used"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="go on when the process that started it has ended, as a step of a CI job does",
    )
    parser.add_argument("--verbose", action="store_true", help="log each request to standard error")
    parser.add_argument(
        "command", nargs="*", metavar="COMMAND", help="after --: what to run beside it, with its arguments"
    )
    parser.set_defaults(run=_double)


def _double(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    del environ
    if arguments.config is not None:
        raise InvalidValue("double has no configuration file; leave out --config.")
    parent_runs = watch_parent()  # before anything that takes time: it may end meanwhile

    from deployserver.double.beside import run_beside  # with the web framework
    from deployserver.double.ready_file import ReadyFile
    from deployserver.double.serving import serve
    from deployserver.double.settings import double_settings
    from deployserver.double.world import Beginning
    from deployserver.double.worlds import Worlds
    from deployserver.logs import ANSWERED, configure_logging

    state, key = _state(arguments)
    beginning = Beginning(state, _faults(arguments.faults))
    settings = double_settings(arguments.host, arguments.port, "info" if arguments.verbose else "warning")
    configure_logging(settings.logging)
    if not arguments.verbose:
        # What was answered with 503 on purpose is no error of the server.
        logging.getLogger(ANSWERED).setLevel(logging.CRITICAL)
    worlds = Worlds(settings, beginning, namespaces=arguments.namespaces)
    file = None if arguments.ready_file is None else ReadyFile(arguments.ready_file)

    async def ready(url: str, stop: asyncio.Event) -> int:
        said = {"url": url, "control": f"{url}/__double__", "key": key, "pid": os.getpid()}
        line = json.dumps(said)
        if file is not None:
            file.write(line)
        if arguments.command:
            # Without a key of its own, it must not find one that is meant for the real ProGet either.
            return await run_beside(arguments.command, {"PROGET_URL": url, "PROGET_API_KEY": key}, stop)
        print(line, flush=True)
        await stop.wait()
        return 0

    try:
        return asyncio.run(serve(worlds, ready, (lambda: True) if arguments.keep else parent_runs))
    finally:
        if file is not None:
            file.remove()


def _state(arguments: argparse.Namespace) -> tuple[dict[str, Any], str | None]:
    """Return the state to begin with, and the key to tell of. Raises InvalidValue."""
    from deployserver.double.state.document import check_state, parse_state

    state: dict[str, Any] = {}
    if arguments.seed is not None:
        with _named(f"--seed {arguments.seed}"):
            state = parse_state(_read(arguments.seed))
            check_state(state)
    feeds = arguments.feed or ([_FEED] if arguments.seed is None else [])
    key = arguments.key
    if key is None and arguments.seed is None and not arguments.open:
        key = secrets.token_hex(20)
    added: dict[str, list[Any]] = {"feeds": feeds, "keys": [] if key is None else [key]}
    if arguments.open:
        added["privileges"] = [
            {"principal": "Anonymous", "privilege": privilege}
            for privilege in ("Feeds_ViewFeed", "Feeds_DownloadPackage")
        ]
    if not any(added.values()):
        return state, key  # a large seed takes its time to be checked
    for name, items in added.items():
        known = next((one for one in state if one.casefold() == name), name)
        there = state.get(known)
        state = {**state, known: [*(there if isinstance(there, list) else [there] if there else []), *items]}
    with _named("--feed, --key or --open"):  # the rest is right
        check_state(state)
    return state, key


def _faults(file: Path | None) -> Sequence[Fault]:
    """Return the faults to begin with. Raises InvalidValue."""
    from deployserver.double.faults.schema import load_faults

    if file is None:
        return ()
    with _named(f"--faults {file}"):
        try:
            return load_faults(json.loads(_read(file)))
        except RecursionError:
            raise InvalidValue("The JSON is nested too deeply.") from None
        except ValueError as error:
            raise InvalidValue(f"This is no JSON in UTF-8: {error}.") from None


def _read(file: Path) -> str:
    from deployserver.api.encodings import without_byte_order_mark

    try:
        # Windows PowerShell writes UTF-16 with a mark where it is told to write into a file.
        return without_byte_order_mark(file.read_bytes()).decode()
    except OSError as error:
        raise InvalidValue(f"cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise InvalidValue(f"is not in UTF-8: {error}.") from None


@contextmanager
def _named(source: str) -> Iterator[None]:
    """Say in errors where the wrong thing comes from."""
    try:
        yield
    except InvalidRequest as error:
        lines = [f"{place}: {message}" for place, messages in error.errors.items() for message in messages]
        more = [f"... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        raise InvalidValue("\n  ".join([f"{source}:", *lines[:_SHOWN], *more])) from None
    except InvalidValue as error:
        raise InvalidValue(f"{source}: {error}") from None
