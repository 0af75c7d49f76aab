"""What an installation consists of before anything is deployed: feeds, packages, targets, and what runs where."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate, count

import dataset_names as names

MOST_TARGETS = 200
"""That one package runs on."""


@dataclass(frozen=True, slots=True, eq=False)
class Package:
    """A package, and where it runs: ``early`` are the targets that get a version first, ``late`` is production."""

    feed: int
    type: str
    group: str | None
    name: str
    application: int
    team: tuple[str, ...]
    early: tuple[str, ...]
    late: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Catalogue:
    """All of an installation: names and types of feeds, and packages with their cumulative weights."""

    feeds: list[tuple[str, str]]
    packages: list[Package]
    popularity: list[float]


def make_catalogue(feeds: int, packages: int, targets: int, seed: int) -> Catalogue:
    """Make as many of each as is said; the same for the same arguments, on every machine."""
    random_ = random.Random(f"catalogue {seed}")
    made_feeds = _feeds(feeds)
    users = _users(random_)
    people = users, zipf(len(users), 0.9)
    pools = _targets(targets, random_)
    made = [
        _package(rank, feed, made_feeds[feed][1], group, name, people, pools, random_)
        for rank, (feed, group, name) in enumerate(_package_names(made_feeds, packages, random_))
    ]
    return Catalogue(made_feeds, made, zipf(packages, 0.92))


def zipf(size: int, exponent: float, offset: float = 3) -> list[float]:
    """Return cumulative weights that fall as ranks do in real life; ``offset`` flattens the first ranks."""
    return list(accumulate((rank + offset) ** -exponent for rank in range(size)))


def _feeds(number: int) -> list[tuple[str, str]]:
    made = [("DefaultNuGet", "nuget")]
    of_type: dict[str, int] = {}
    for index in range(1, number):
        type_ = names.FEED_TYPES[index % len(names.FEED_TYPES)]
        again, qualifier = divmod(of_type.setdefault(type_, 0), len(names.FEED_QUALIFIERS))
        of_type[type_] += 1
        made.append((f"{names.FEED_QUALIFIERS[qualifier]}-{type_}{again + 1 if again else ''}", type_))
    return made[:number]


def _users(random_: random.Random) -> list[str]:
    made = [f"{first}.{chr(97 + letter)}" for first in names.FIRST_NAMES for letter in range(0, 20, 2)]
    random_.shuffle(made)
    for index, name in enumerate(made):
        if index % 7 == 3:
            made[index] = f"CORP\\{name}"
        elif index % 11 == 5:
            made[index] = f"{name}@example.com"
    return made


Pools = dict[tuple[str, str], tuple[list[str], list[float]]]
"""By platform and stage: targets, the most popular first, and their cumulative weights."""


def _targets(number: int, random_: random.Random) -> Pools:
    numbers: dict[str, int] = {}
    members: dict[tuple[str, str], list[str]] = {}
    for platform in random_.choices(list(names.TARGETS), (40, 30, 15, 15), k=number):
        stage = "early" if random_.random() < 0.25 else "late"
        environment = random_.choice(names.ENVIRONMENTS[stage])
        pattern = random_.choice(names.TARGETS[platform])
        filled = {
            "env": environment,
            "ENV": environment.upper()[:4],
            "namespace": random_.choice(names.NAMESPACES),
        }
        series = pattern.format(n=0, **filled)
        numbers[series] = numbers.get(series, 0) + 1
        members.setdefault((platform, stage), []).append(pattern.format(n=numbers[series], **filled))
    return {key: (pool, zipf(len(pool), 0.85, 2)) for key, pool in members.items()}


def _package_names(
    feeds: Sequence[tuple[str, str]], number: int, random_: random.Random
) -> list[tuple[int, str | None, str]]:
    """Return feed, group and name of each package, in the order of their popularity; none is there twice."""
    made: dict[tuple[int, str | None, str], None] = {}
    sizes = zipf(len(feeds), 1.0, 4)
    public = {index: list(names.PUBLIC_PACKAGES.get(type_, ())) for index, (_, type_) in enumerate(feeds)}
    for attempt in count():
        if len(made) == number:
            break
        (feed,) = random_.choices(range(len(feeds)), cum_weights=sizes)
        if public[feed] and random_.random() < 0.3:
            group, _, name = public[feed].pop(0).rpartition("/")
            made[feed, group or None, name] = None
        else:
            made[feed, *_internal(feeds[feed][1], attempt // (2 * number), random_)] = None
    return list(made)


def _internal(type_: str, generation: int, random_: random.Random) -> tuple[str | None, str]:
    """Return group and name of a package of the house; a later ``generation`` has a number, where all else is taken."""
    words = [random_.choice(names.DOMAINS), random_.choice(names.PARTS)]
    group = random_.choice(names.GROUPS.get(type_, ("",))).format(words[0])
    if random_.random() < 0.35:
        words.append(random_.choice(names.PARTS))
    if generation:
        words.append(str(generation + 1))
    return group or None, _CASES.get(type_, "-".join)(words)


_CASES: dict[str, Callable[[list[str]], str]] = {
    "nuget": lambda words: "Acme." + ".".join(word.capitalize() for word in words),
    "powershell": lambda words: "Acme." + "".join(word.capitalize() for word in words),
    "universal": lambda words: "".join(word.capitalize() for word in words),
    "vsix": lambda words: "Acme." + "".join(word.capitalize() for word in words),
    "pypi": "_".join,
    "rubygems": "_".join,
    "cargo": "_".join,
}


def _package(
    rank: int,
    feed: int,
    type_: str,
    group: str | None,
    name: str,
    people: tuple[list[str], list[float]],
    pools: Pools,
    random_: random.Random,
) -> Package:
    platform = random_.choice(names.PLATFORMS.get(type_, ("linux",)))
    size = min(MOST_TARGETS, int((6 if rank < 250 else 2.2) / (1 - random_.random()) ** 0.9 + 0.5)) or 1
    late = _some(pools, platform, "late", max(1, size * 4 // 5), random_)
    early = _some(pools, platform, "early", size - len(late), random_)
    weights = [weight for _, weight, *_ in names.APPLICATIONS]
    (application,) = random_.choices(range(len(weights)), weights)
    team = tuple(random_.choices(people[0], cum_weights=people[1], k=4))
    return Package(feed, type_, group, name, application, team, early, late)


def _some(pools: Pools, platform: str, stage: str, number: int, random_: random.Random) -> tuple[str, ...]:
    """Return up to that many different targets, the popular ones more often."""
    pool, weights = pools.get((platform, stage)) or next(iter(pools.values()))
    if number * 2 > len(pool):
        return tuple(random_.sample(pool, min(number, len(pool))))
    return tuple(dict.fromkeys(random_.choices(pool, cum_weights=weights, k=number * 2)))[:number]
