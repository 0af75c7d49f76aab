"""How versions come to targets: early targets first, then production in waves; some are rolled back, some left out."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import dataset_names as names
from dataset_calendar import HOUR, SECOND, Calendar
from dataset_catalogue import Catalogue, Package
from dataset_versions import Versions

MINUTE = 60 * SECOND
_WAVES = (0.1, 0.4, 1.0)
"""Up to which share of production a rollout has come after each of its waves."""


class Rollout(NamedTuple):
    """What the records of one application deploying one version share; the description may have ``{target}``."""

    package: Package
    version: str
    application: str
    description: str
    user: str
    url: str | None


Event = tuple[int, str, Rollout]
"""When, on which target, what."""


class _State:
    """What has become of a package so far.

    ``late`` are the targets in production that are still kept up to date, at least ``kept`` of them; ``free`` says from
    when on a target can have something else: rollouts overlap, but none overtakes another on its way to a target.
    """

    __slots__ = ("free", "kept", "late", "package", "versions")

    def __init__(self, package: Package, random_: random.Random) -> None:
        self.package = package
        self.versions = Versions(package.type, random_)
        self.free: dict[str, int] = {}
        self.late = list(package.late)
        self.kept = len(package.late) * 3 // 4


class Rollouts:
    """Everything that is deployed in an installation, ``records`` times, by the hour. To be read once."""

    def __init__(self, catalogue: Catalogue, calendar: Calendar, records: int, seed: int) -> None:
        self._random = random.Random(f"rollouts {seed}")
        self._chance = self._random.random
        self._catalogue = catalogue
        self._calendar = calendar
        self._records = records
        self._states: dict[int, _State] = {}
        self._number = 1000

    def hours(self) -> Iterator[list[Event]]:
        """Yield what happens in each hour in which something does, in the order of time."""
        waiting: list[list[Event]] = [[] for _ in range(self._calendar.hours)]
        popular, firsts = self._popular(), self._firsts()
        done, next_first = 0, 0.0
        # Every package appears, at the latest by its turn; but first records are not to be most of a small dataset.
        step = max(0.9 * self._records / len(self._catalogue.packages), 8)
        for hour in range(self._calendar.hours):
            wanted = round(self._records * self._calendar.share[hour]) - done
            tries = 0
            while len(waiting[hour]) < wanted:
                tries += 1
                if tries > 100 + 2 * wanted:  # too few targets for so many records: now rollouts do overtake
                    for state in self._states.values():
                        state.free.clear()
                index = None
                if done + len(waiting[hour]) >= next_first:
                    next_first += step
                    index = next(firsts, None)
                if index is None:
                    index = next(popular)
                at = self._calendar.start + hour * HOUR + int(HOUR * self._chance())
                for event in self._of_package(index, hour, at):
                    later = (event[0] - self._calendar.start) // HOUR
                    if later < self._calendar.hours:
                        waiting[later].append(event)
            if waiting[hour]:
                events = sorted(waiting[hour], key=_at)[: self._records - done]
                done += len(events)
                waiting[hour] = []
                yield events

    def _popular(self) -> Iterator[int]:
        indexes, weights = range(len(self._catalogue.packages)), self._catalogue.popularity
        while True:
            yield from self._random.choices(indexes, cum_weights=weights, k=4096)

    def _firsts(self) -> Iterator[int]:
        """Yield the packages in some order, without those that have appeared already."""
        order = list(range(len(self._catalogue.packages)))
        self._random.shuffle(order)
        return (index for index in order if index not in self._states)

    def _of_package(self, index: int, hour: int, at: int) -> Iterator[Event]:
        day = self._calendar.days[hour]
        state = self._states.get(index)
        if state is None:
            state = self._states[index] = _State(self._catalogue.packages[index], self._random)
            return self._first(state, day, at)
        chance = self._chance()
        if chance < 0.12 and state.package.early:
            return self._wave(state, self._rollout(state, state.versions.prerelease(day)), state.package.early, at)
        if chance < 0.25 and state.versions.current is not None:
            return self._wave(state, self._rollout(state, state.versions.current), self._few(state.late), at)
        if chance < 0.26:
            return self._wave(
                state, self._rollout(state, state.versions.stray(day)), self._few(state.package.early), at
            )
        return self._release(state, day, at)

    def _first(self, state: _State, day: str, at: int) -> Iterator[Event]:
        """A package's first version, on the early targets or, where it has none, on few others."""
        version = state.versions.release(day)
        return self._wave(state, self._rollout(state, version), state.package.early or self._few(state.late), at)

    def _release(self, state: _State, day: str, at: int) -> Iterator[Event]:
        """A version's way to all targets, or to some and back again."""
        before = state.versions.current
        version = state.versions.release(day)
        early = self._rollout(state, version)
        yield from self._wave(state, early, state.package.early, at)
        if len(state.late) > state.kept and self._chance() < 0.02:
            state.late.pop(int(len(state.late) * self._chance()))  # from now on it is left behind
        order = state.late[:]
        self._random.shuffle(order)
        late = self._rollout(state, version, manual=0.6)
        done = 0
        for wave in _WAVES:
            chance = self._chance()  # the next wave comes soon, tomorrow, or in some days
            pause = (1 + 4 * chance) * HOUR if chance < 0.5 else (20 + 80 * (chance - 0.5)) * HOUR
            if done or state.package.early:
                at = self._calendar.opened(at + int(pause), self._chance())
            upto = max(int(len(order) * wave), 1)
            reached = [target for target in order[done:upto] if self._chance() > 0.04]
            yield from self._wave(state, late, reached, at)
            done = upto
            if before is not None and self._chance() < 0.012:
                state.versions.current = before
                back = self._rollback(state, before, version)
                yield from self._wave(
                    state, back, (*order[:done], *state.package.early), at + int(8 * HOUR * self._chance())
                )
                return
            if done >= len(order):
                return

    def _wave(self, state: _State, rollout: Rollout, targets: Sequence[str], at: int) -> Iterator[Event]:
        """One target after another, as long as each takes."""
        pace, free = 20 * SECOND + self._chance() * (MINUTE if len(targets) > 20 else 4 * MINUTE), state.free
        for target in targets:
            begun = max(at, free.get(target, 0))
            free[target] = begun + MINUTE
            yield begun, target, rollout
            at += int(pace * (0.5 + self._chance()))

    def _few(self, targets: Sequence[str]) -> Sequence[str]:
        start = int(len(targets) * self._chance())
        return targets[start : start + 1 + int(4 * self._chance())]

    def _rollback(self, state: _State, to: str, bad: str) -> Rollout:
        rollout = self._rollout(state, to, manual=1)
        reason = self._random.choice(names.ROLLBACK_REASONS)
        description = names.ROLLBACK.format(package=state.package.name, bad=bad, version=to, topic=reason)
        return rollout._replace(description=description)

    def _rollout(self, state: _State, version: str, manual: float = 0.25) -> Rollout:
        """``manual`` is the chance that it was a person of the package's team, and no service account."""
        package, chance = state.package, self._chance
        index = package.application if chance() < 0.9 else int(len(names.APPLICATIONS) * chance() ** 3)
        application, _, service, url = names.APPLICATIONS[index]
        self._number += 1 + int(3 * chance())
        user = package.team[int(len(package.team) * chance() ** 2)] if chance() < manual else service
        forms = names.TEMPLATED if chance() < 0.5 else names.UNIQUE
        filled = {
            "application": application, "package": package.name, "version": version, "number": self._number,
            "user": user, "commit": f"{self._random.getrandbits(40):010x}", "target": "{target}",
            "topic": names.TOPICS[int(len(names.TOPICS) * chance() ** 1.4)],
            "topic2": names.TOPICS[int(len(names.TOPICS) * chance() ** 1.4)],
        }  # fmt: skip
        return Rollout(
            package,
            version,
            application,
            forms[int(len(forms) * chance() ** 1.6)].format_map(filled),
            user,
            url.format_map(filled).replace(" ", "%20") if url and chance() < 0.7 else None,
        )


def _at(event: Event) -> int:
    return event[0]
