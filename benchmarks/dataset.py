"""Makes the database of a realistic installation: years of deployments, skewed, bursty and untidy as in real life."""

from __future__ import annotations

import argparse
import asyncio
import random
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import dataset_names as names
from dataset_calendar import HOUR, SECOND, Calendar
from dataset_catalogue import make_catalogue
from dataset_rollouts import Rollouts

from deployserver import config, storage
from deployserver.administration import Administration
from deployserver.api_keys import create_key
from deployserver.clock import now
from deployserver.errors import DeployServerError
from deployserver.example_config import example_config
from deployserver.feeds import add_feed
from deployserver.models import AUTHENTICATED, VIEW_FEED, DeploymentRow
from deployserver.privileges import add_privilege
from deployserver.storage import Database
from deployserver.storage.indexing import index_next
from deployserver.users import add_user

KEY = "abc12345"
USER = "alice"

_BATCH = 2000
_LATE = 0.015
_OTHER_SPELLING = 0.01


@dataclass(frozen=True)
class Scale:
    """How much of everything; ``end`` is the last moment, in microseconds since 1970, ``days`` the time before it."""

    feeds: int = 50
    packages: int = 5000
    targets: int = 2000
    records: int = 100_000
    seed: int = 1
    end: int = field(default_factory=now)
    days: int = 1095


class Dataset:
    """The installation of a scale; the same scale makes the same one, whenever and wherever."""

    def __init__(self, scale: Scale) -> None:
        self.scale = scale
        self._catalogue = make_catalogue(scale.feeds, scale.packages, scale.targets, scale.seed)
        self.feeds = self._catalogue.feeds
        """Name and type of each."""

    def rows(self, feed_ids: Mapping[str, int], key_ids: Mapping[str, int] | None = None) -> Iterator[DeploymentRow]:
        """Yield all records, in the order in which they arrive; ``date`` is earlier in the few that arrive late.

        ``feed_ids`` are by name; ``key_ids`` by application, and what has no key there has been recorded by Anonymous.
        """
        scale, random_ = self.scale, random.Random(f"rows {self.scale.seed}")
        chance = random_.random
        ids = [feed_ids[name] for name, _ in self.feeds]
        keys = {application: (f"API key {id_} ({application})", id_) for application, id_ in (key_ids or {}).items()}
        nobody = ("Anonymous", None)
        calendar = Calendar(scale.end, scale.days, random_)
        for events in Rollouts(self._catalogue, calendar, scale.records, scale.seed).hours():
            for at, target, (package, version, application, description, user, url) in events:
                date, name, group = at, package.name, package.group
                kind = chance()
                if kind < _LATE:  # from an hour to eleven days
                    date = at - int(HOUR * 2 ** (8 * chance()))
                elif kind < 0.4:  # the client's clock, to the second
                    date = (at - int(40 * SECOND * chance())) // SECOND * SECOND
                elif kind > 1 - _OTHER_SPELLING:
                    name, group, target = _respelled(name, group, target, chance())
                yield DeploymentRow(
                    ids[package.feed],
                    application,
                    description.replace("{target}", target),
                    target,
                    name,
                    version,
                    group,
                    user,
                    url,
                    date,
                    at,
                    *keys.get(application, nobody),
                )


def _respelled(name: str, group: str | None, target: str, chance: float) -> tuple[str, str | None, str]:
    """Return the three with one or two of them in another letter case."""
    if chance < 0.5:
        other = name.lower()
        return (name.title() if other == name else other), group, target
    return name, group.upper() if group and chance < 0.6 else group, _other_case(target)


def _other_case(target: str) -> str:
    return target.lower() if target.upper() == target else target.upper()


async def load(store: Database, scale: Scale, progress: Callable[[int], None] = lambda _: None) -> Dataset:
    """Fill an open and migrated database that has no feeds, and tell ``progress`` the number of records so far.

    It gets the feeds, of which DefaultNuGet is open to Anonymous, a key for each application, and the records.
    """
    admin = Administration(store, "dataset", now)
    dataset = Dataset(scale)
    feed_ids = {}
    for index, (name, type_) in enumerate(dataset.feeds):
        feed_ids[name] = (await add_feed(admin, name, type_, anonymous=index == 0)).id
    key_ids = {}
    for application, *_ in names.APPLICATIONS:
        key_ids[application] = (await create_key(admin, "system", scopes=["feeds"], name=application)).key.id
    rows, done = dataset.rows(feed_ids, key_ids), 0
    while batch := list(islice(rows, _BATCH)):
        await store.add_deployments(batch)
        done += len(batch)
        progress(done)
    await index_all(store)
    return dataset


async def index_all(store: Database) -> None:
    """Do at once what a server would do in the moments after it has recorded."""
    indexed = True
    while indexed:
        async with store.indexing_transaction() as connection:
            indexed = await index_next(connection, 5 * _BATCH)


async def _set_up(store: Database) -> None:
    """Make the key and the user that are told at the end; the user, as all who sign in, may view all feeds."""
    admin = Administration(store, "dataset", now)
    await create_key(admin, "system", value=KEY, name="dataset")
    await add_user(admin, USER, USER)
    await add_privilege(admin, AUTHENTICATED, VIEW_FEED, None, granted=True)


async def _fill(store: Database, scale: Scale) -> None:
    started = shown = time.monotonic()

    def progress(done: int) -> None:
        nonlocal shown
        if done == scale.records or time.monotonic() - shown > 2:
            shown = time.monotonic()
            print(f"{done:,} of {scale.records:,} records, {done / (shown - started):,.0f} a second", flush=True)

    async with store.opened():
        await _set_up(store)
        await load(store, scale, progress)


def main() -> int:
    """Make the directory, and say how to serve it."""
    parser = argparse.ArgumentParser(description="Makes a configuration and a database with a realistic history.")
    parser.add_argument("--directory", type=Path, required=True, help="where; made if it is not there")
    for name in ("records", "feeds", "packages", "targets", "days", "seed"):
        default = getattr(Scale, name)
        parser.add_argument(f"--{name}", type=int, default=default, help=f"(default {default:,})")
    parser.add_argument("--end", type=int, default=now(), help="last moment, microseconds since 1970 (default now)")
    arguments = vars(parser.parse_args())
    directory: Path = arguments.pop("directory")
    file = directory / "config.ini"
    if file.exists():
        print(f"{file} is there already; a dataset needs a directory of its own.", file=sys.stderr)
        return 2
    directory.mkdir(parents=True, exist_ok=True)
    file.write_text(example_config(), "utf-8")
    settings = config.load(file).settings
    try:
        storage.migrate(settings)
        asyncio.run(_fill(storage.database(settings), Scale(**arguments)))
    except DeployServerError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The system key is {KEY}; {USER} signs in with the password {USER}. Serve it with:\n")
    print(f"    {shlex.join(['deployserver', '--config', str(file), 'serve'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
