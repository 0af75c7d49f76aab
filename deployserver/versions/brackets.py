"""Ranges in brackets, as NuGet and Maven write them: ``[1.0,2.0)``."""

from __future__ import annotations

import re

from deployserver.versions.intervals import Holds, Interval, any_of
from deployserver.versions.keys import before, pre_release, without_zeros
from deployserver.versions.schemes import Scheme

_SET = re.compile(r"\s*([\[(])([^\[\](),]*)(,?)([^\[\](),]*)([\])])\s*")
_FLOATING = re.compile(r"((?:[0-9]+\.){1,3})\*(?:-\*)?")
_FLOATING_LABEL = re.compile(r"([0-9]+(?:\.[0-9]+){0,3})-\*")


def nuget_range(scheme: Scheme, text: str) -> Holds:
    """Return NuGet's range: ``1.0`` is that and later, ``1.*`` every 1, pre-releases too. Raises ValueError."""
    if text == "*-*":
        return any_of([[Interval()]])
    if match := _FLOATING.fullmatch(text):
        numbers = [int(part) for part in match[1].split(".")[:-1]]
        end = [*numbers[:-1], numbers[-1] + 1]
        return any_of([[Interval(before(numbers), before(end), with_high=False)]])
    if match := _FLOATING_LABEL.fullmatch(text):
        numbers = [int(part) for part in match[1].split(".")]
        return any_of([[Interval(before(numbers), (without_zeros(numbers), pre_release(None)))]])
    if text[0] not in "[(":
        return any_of([[Interval(low=scheme.key(text))]])
    return bracketed(scheme, text)


def maven_range(scheme: Scheme, text: str) -> Holds:
    """Return Maven's range. Raises ValueError, also for a version alone, which to Maven is only a wish."""
    if text[0] not in "[(":
        raise ValueError("a version alone is only a recommendation to Maven: write [1.0] for just that one.")
    return bracketed(scheme, text)


def bracketed(scheme: Scheme, text: str) -> Holds:
    """Return the union of sets such as ``[1.0]``, ``(,1.0]`` and ``[1.2,)``. Raises ValueError."""
    sets: list[list[Interval]] = []
    position = 0
    while position < len(text):
        if sets:
            if text[position] != ",":
                raise ValueError(f"a comma is missing before '{text[position:]}'.")
            position += 1
        match = _SET.match(text, position)
        if match is None:
            raise ValueError(f"'{text[position:]}' is no pair of brackets around one or two versions.")
        sets.append([_interval(scheme, *match.groups())])
        position = match.end()
    return any_of(sets)


def _interval(scheme: Scheme, opening: str, low: str, comma: str, high: str, closing: str) -> Interval:
    low, high = low.strip(), high.strip()
    written = f"{opening}{low}{comma}{high}{closing}"
    if not comma:
        if (opening, closing) != ("[", "]") or not low:
            raise ValueError(f"'{written}' has no comma: only one version in square brackets, [1.0], goes without.")
        return Interval(*scheme.equals(low))
    interval = Interval(
        scheme.key(low) if low else None,
        scheme.key(high) if high else None,
        with_low=opening == "[",
        with_high=closing == "]",
    )
    if low and high and not (interval.holds(interval.low) or interval.low < interval.high):
        raise ValueError(f"'{written}' holds no version: the lower one comes first.")
    return interval
