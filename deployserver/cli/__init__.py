"""The ``deployserver`` command."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from deployserver import __version__
from deployserver.cli import (
    audit,
    database,
    double,
    export,
    feed,
    key,
    load,
    privilege,
    quickstart,
    replay,
    serve,
    settings,
    user,
)
from deployserver.errors import ConfigurationError, DeployServerError, InvalidValue

DONE, FAILED, USAGE, NO = 0, 1, 2, 3

_EPILOG = """\
exit codes:
  0  done; of a question, yes
  1  failed; standard error says why
  2  wrong usage or configuration
  3  the answer is no: privilege explain refuses, migrate --check finds something to do, replay finds differences

first steps:
  deployserver quickstart                              set up and serve, in one command
  deployserver key create --feed DefaultNuGet          make a key for an agent
  deployserver privilege explain --key 1 --feed DefaultNuGet

The configuration is --config FILE, else what DEPLOYSERVER_CONFIG names, else ./config.ini, else
./deployserver-data/config.ini, else defaults. Commands that change something are safe while the server runs; it
takes notice within a second.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a key that was made must be shown, whatever the console can write
            stream.reconfigure(errors="backslashreplace")
    parser = make_parser()
    chosen = parser.parse_args(arguments)
    try:
        code = int(chosen.run(chosen, os.environ) or DONE)
        sys.stdout.flush()
        return code
    except (ConfigurationError, InvalidValue) as error:
        print(f"deployserver: {error}", file=sys.stderr)
        return USAGE
    except DeployServerError as error:
        print(f"deployserver: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        _discard_output()
        return DONE
    except OSError as error:  # a full disk under our output, most likely; what the database says has become ours
        _discard_output()
        print(f"deployserver: {error}", file=sys.stderr)
        return FAILED


def _discard_output() -> None:
    """Let the interpreter flush what is left without another error."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="deployserver",
        description="Records which version of which package was deployed where, by whom and with what: a server for "
        "the Package Deployment API of Inedo ProGet.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"deployserver {__version__}")
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration file")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="configuration file")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        quickstart,
        serve,
        double,
        replay,
        feed,
        key,
        user,
        privilege,
        audit,
        load,
        export,
        database,
        settings,
    ):
        module.add_commands(commands, common)
    return parser
