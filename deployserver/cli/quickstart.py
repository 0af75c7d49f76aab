"""``deployserver quickstart``."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployserver import config
from deployserver.administration import Administration
from deployserver.api_keys import create_key
from deployserver.cli.serve import add_listen_options, listen_overrides, run_server
from deployserver.clock import now
from deployserver.config import QUICKSTART_DIRECTORY, Configuration
from deployserver.errors import ConfigurationError, DatabaseError
from deployserver.example_config import example_config
from deployserver.feeds import add_feed
from deployserver.settings import Settings
from deployserver.storage import database, engine, migrate

_KEY_NAME = "quickstart"
_BODY = (
    "FeedName={feed}&Application=ProfitCalc&Description=Deployed by Custom Release Server&Target=localhost"
    "&PackageName=Newtonsoft.Json&Version=12.0.3"
)


def add_commands(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the command."""
    del common  # its configuration file is the one in --directory
    parser = commands.add_parser(
        "quickstart",
        help="set up and serve, in one command",
        description="Makes a directory with a commented config.ini, a database, a feed and an API key, shows the key "
        "this once, with calls that can be pasted, and serves. Run again, it makes nothing new and serves.",
    )
    parser.add_argument(
        "--directory",
        type=Path,
        default=Path(QUICKSTART_DIRECTORY),
        help=f"where (default ./{QUICKSTART_DIRECTORY})",
    )
    parser.add_argument(
        "--feed", default="DefaultNuGet", metavar="NAME", help="name of the feed (default DefaultNuGet)"
    )
    add_listen_options(parser)
    parser.set_defaults(run=_quickstart)


def _quickstart(arguments: argparse.Namespace, environ: Mapping[str, str]) -> None:
    if arguments.config is not None:
        raise ConfigurationError("quickstart takes --directory and makes config.ini there; to use another, run serve.")
    file: Path = arguments.directory / "config.ini"
    overrides = listen_overrides(arguments)
    _make_directory(file, overrides)
    configured = config.load(file, environ, overrides)
    migrate(configured.settings)
    secret = asyncio.run(_set_up(configured.settings, arguments.feed, file))
    if secret is not None:  # at once: should the port be taken, this is still the only time the key can be shown
        print(f"API key for the feed {arguments.feed}, shown this once:\n\n    {secret}\n", flush=True)

    def ready(url: str) -> None:
        print(_welcome(url, arguments.feed, secret, file, _database_of(configured, file)), flush=True)

    run_server(configured, ready)


def _make_directory(file: Path, chosen: Mapping[tuple[str, str], str]) -> None:
    """Make the directory and its configuration, if they are not there; the file appears whole or not at all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            unfinished = file.with_suffix(".tmp")
            unfinished.write_text(
                example_config({option: value for option, value in chosen.items() if value != "0"}), "utf-8"
            )
            unfinished.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file.parent}: cannot be set up: {error}") from None


async def _set_up(settings: Settings, feed: str, file: Path) -> str | None:
    """Make the feed and the key in a database that has no keys, and return the key; None if it has some."""
    async with database(settings).opened() as store:
        admin = Administration(store, "quickstart", now)
        access = await admin.access()
        if access.keys:
            if access.feed(feed) is None:
                raise DatabaseError(f"There is no feed named {feed}. Add it: {_command(file, 'feed', 'add', feed)}")
            return None
        if access.feed(feed) is None:
            await add_feed(admin, feed)
        return (await create_key(admin, "feed", feeds=[feed], name=_KEY_NAME)).secret


def _command(file: Path, *words: str) -> str:
    return shlex.join(["deployserver", "--config", str(file), *words])


def _database_of(configured: Configuration, file: Path) -> str:
    """Return where the database is, and what says so if that is not the file: without it the next start has another."""
    (url,) = (value for value in configured.values if value.option.variable == "DEPLOYSERVER_DATABASE_URL")
    said_by = "" if url.source in (str(file), "the default") else f", as {url.source} says"
    return f"{engine(configured.settings).place}{said_by}"


def _welcome(url: str, feed: str, secret: str | None, file: Path, place: str) -> str:
    head = f"deployserver is ready on {url}\nConfiguration: {file}. Database: {place}. Ctrl-C stops it."
    if secret is None:
        another = _command(file, "key", "create", "--feed", feed)
        return f"{head}\nThe API key was shown at the first start; another: {another}"
    body = _BODY.format(feed=feed)
    uri = f"{url}/api/package-deployment/"
    return (
        f"{head}\n\n"
        "Record a deployment with PowerShell:\n\n"
        f"    Invoke-RestMethod -Method Post -Uri '{uri}' -Headers @{{ 'X-ApiKey' = '{secret}' }} -Body '{body}'\n\n"
        "or with curl:\n\n"
        f"    curl -H 'X-ApiKey: {secret}' -d '{body}' {uri}\n\n"
        f"and see what runs where on {url}/, signed in with the key.\n"
    )
