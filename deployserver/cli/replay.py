"""``deployserver replay``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployserver.errors import DeployServerError, InvalidRequest, InvalidValue

if TYPE_CHECKING:
    from deployserver.double.recordings.recording import Recording
    from deployserver.double.recordings.replay import Comparison

_DESCRIPTION = """\
Sends the requests of a recording to a server, one after the other, and compares what it answers with what the
recording says: status, content type, and body field by field. It really sends them: the deployments are recorded once
more on that server.

A recording holds no credentials but says whose they were, as {{key ci}} or {{password of anna}}; --key and --key-file
give those of the server at --url. Not compared are Id, RecordedAt and RecordedBy, and Date and UserName where the
client sent none. Requests that a fault had hit are left out.
"""
_EPILOG = """\
exit codes:
  0  all answers are alike
  1  the server cannot be reached at all
  2  wrong usage, or a file that is no recording
  3  there are differences

examples:
  deployserver replay requests.json --url http://127.0.0.1:8624 --key-file - < key.txt
  deployserver replay requests.json --url https://proget.example/ --key ci=KEY --key anna=PASSWORD --status-only
"""


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "replay",
        parents=[common],
        help="send recorded requests to a server and compare its answers",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="the recording")
    parser.add_argument("--url", required=True, metavar="URL", help="the server, with its base path if it has one")
    parser.add_argument(
        "--key",
        action="append",
        default=[],
        metavar="[NAME=]KEY",
        help="the key or password that NAME stands for in the recording; without NAME, the one that is not named yet. "
        "May be repeated. It can be seen in the list of processes and stays in the shell's history: see --key-file",
    )
    parser.add_argument(
        "--key-file",
        metavar="FILE",
        help="read keys from a file, one a line, written as for --key; - is standard input",
    )
    parser.add_argument("--status-only", action="store_true", help="compare nothing but the statuses")
    parser.add_argument("--insecure", action="store_true", help="take any certificate, such as one that signs itself")
    parser.add_argument("--timeout", type=_seconds, default=30, metavar="SECONDS", help="for each request (default 30)")
    parser.set_defaults(run=_replay)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of seconds above 0, up to a day")
    return seconds


def _replay(arguments: argparse.Namespace, environ: Mapping[str, str]) -> int:
    from deployserver.double.recordings.answer import OTHER_KIND
    from deployserver.double.recordings.replay import replay, summary

    recording = _recording(arguments.file)
    secrets = assigned(recording.credentials, [*arguments.key, *_keys_in(arguments.key_file)])
    results = asyncio.run(
        replay(
            recording,
            arguments.url,
            secrets,
            timeout=arguments.timeout,
            status_only=arguments.status_only,
            insecure=arguments.insecure,
            on_result=_print,
        )
    )
    sent = [result for result in results if result.outcome != "skipped"]
    if sent and all(result.outcome == "unreachable" for result in sent):
        raise DeployServerError(f"The server at {arguments.url} cannot be reached: {sent[0].differences[0]}.")
    print(summary(results))
    if any(line.startswith(OTHER_KIND) for result in results for line in result.differences):
        print("Not every server answers with the record that it stored: --status-only compares the statuses alone.")
    return 3 if any(result.is_difference for result in results) else 0


def _recording(file: Path) -> Recording:
    from deployserver.double.recordings.recording import load_recording

    try:
        return load_recording(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InvalidValue(f"{file} cannot be read: {why}.") from error
    except InvalidRequest as error:
        raise InvalidValue(f"{file} is no recording that can be read: {error}") from error
    except InvalidValue as error:
        raise InvalidValue(f"{file}: {error}") from error


def _keys_in(file: str | None) -> list[str]:
    if file is None:
        return []
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise InvalidValue(f"The key file {file} cannot be read: {why}.") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def assigned(needed: Sequence[str], given: Sequence[str]) -> dict[str, str]:
    """Return the credentials that a recording needs, by what they are called in it, from ``[NAME=]KEY``.

    NAME is ``ci`` for ``key ci``, ``anna`` for ``password of anna``, or all of it. Raises InvalidValue for one that
    is not there, and for one too many.
    """
    secrets: dict[str, str] = {}
    unnamed = []
    for text in given:
        name, equals, secret = text.partition("=")
        called = [known for known in needed if name in (known, known.removeprefix("key ").removeprefix("password of "))]
        if len(called) > 1:
            raise InvalidValue(f"'{name}' can be {' or '.join(called)}: write '{called[0]}=...'.")
        if equals and called:
            secrets[called[0]] = secret
        else:
            unnamed.append(text)
    missing = [name for name in needed if not secrets.get(name)]
    if len(unnamed) > 1 and len(unnamed) > len(missing):
        raise InvalidValue("There are more keys than the recording has names for.")
    secrets |= dict(zip(missing, unnamed, strict=False))
    if missing := [name for name in needed if not secrets.get(name)]:
        short = missing[0].removeprefix("key ").removeprefix("password of ")
        raise InvalidValue(
            f"The recording needs the {', the '.join(missing)}. Give {'it' if len(missing) == 1 else 'them'} with "
            f"--key {short}=... or in a --key-file."
        )
    return secrets


def _print(result: Comparison) -> None:
    line = f"{result.number:>4}  {result.method} {result.target}  "
    if result.outcome == "alike":
        print(f"{line}ok", flush=True)
    elif result.outcome == "skipped":
        print(f"{line}skipped: {'; '.join(result.differences)}", flush=True)
    else:
        print("\n        ".join((line + result.outcome, *result.differences)), flush=True)
