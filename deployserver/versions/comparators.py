"""Ranges of comparisons: ``>= 1.0, < 2.0``, as Debian, RPM, Alpine, RubyGems, R and conda write them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from deployserver.versions.intervals import Holds, Interval, any_of, compared
from deployserver.versions.keys import apk_release, conda_prefix, gem_pessimistic_end
from deployserver.versions.schemes import Scheme

_COMPARISON = re.compile(r"(?P<operator>[<>=!~^]*)\s*(?P<version>[0-9A-Za-z*](?:[^\s,|()<>=!]|!(?!=))*)\s*,?\s*")
_BASIC = ("=", "==", "!=", ">", ">=", "<", "<=")
_NUMBERS = re.compile(r"[0-9]+(?:\.[0-9]+)*")


def comparisons(text: str, operators: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield the operators, empty where there is none, and the versions. Raises ValueError where there is neither."""
    text = text.strip()
    if not text:
        raise ValueError("nothing stands on one side of ||.")
    position = 0
    while position < len(text):
        match = _COMPARISON.match(text, position)
        if match is None:
            raise ValueError(f"no version can be read at '{text[position:]}'.")
        if match["operator"] and match["operator"] not in operators:
            raise ValueError(f"'{match['operator']}' is none of the operators {' '.join(operators)}.")
        yield match["operator"], match["version"]
        position = match.end()


def debian_range(scheme: Scheme, text: str) -> Holds:
    """Return the range of Debian's relations; ``<`` and ``>`` are taken for what they look like. Raises ValueError."""
    strict = {"<<": "<", ">>": ">"}
    return any_of(
        [compared(strict.get(operator, operator), scheme.equals(version)) for operator, version in found]
        for found in _alternatives(_without_parentheses(text), ("<<", ">>", *_BASIC), r"\|\|?")
    )


def basic_range(scheme: Scheme, text: str) -> Holds:
    """Return the range of comparisons that all must hold, as RPM and R have them. Raises ValueError."""
    return any_of(
        [compared(operator, scheme.equals(version)) for operator, version in found]
        for found in _alternatives(_without_parentheses(text), _BASIC, r"\|\|")
    )


def gem_range(scheme: Scheme, text: str) -> Holds:
    """Return the range of RubyGems' requirements: ``~> 1.2`` ends before 2, and before its pre-releases. ValueError."""

    def interval(operator: str, version: str) -> Interval:
        if operator != "~>":
            return compared(operator, scheme.equals(version))
        return Interval(scheme.key(version), gem_pessimistic_end(version), with_high=False)

    return _range(text, ("~>", *_BASIC), r"\|\|", interval)


def apk_range(scheme: Scheme, text: str) -> Holds:
    """Return the range of Alpine's dependencies: ``~1.2`` is every version whose numbers begin so. ValueError."""
    prefix = ("~", "~=", "=~")

    def interval(operator: str, version: str) -> Interval:
        if operator not in prefix:
            return compared(operator, scheme.equals(version))
        if not _NUMBERS.fullmatch(version):
            raise ValueError(f"'{version}' after {operator} is not numbers with dots between.")
        release = apk_release(version)
        return Interval((release,), ((*release, (2,)),), with_high=False)

    return _range(text, (*prefix, *_BASIC), r"\|\|", interval)


def conda_range(scheme: Scheme, text: str) -> Holds:
    """Return the range of a conda specification: ``1.2.*`` and ``=1.2`` are every 1.2, ``|`` is or. ValueError."""

    def interval(operator: str, version: str) -> Interval:
        starred = version.endswith("*")
        version = version.rstrip("*").rstrip(".")
        if starred and not version:
            return Interval(outside=operator == "!=")
        if operator == "~=":
            numbers = _conda_numbers(version)
            if len(numbers) == 1:
                raise ValueError(f"'{version}' after ~= has no second number: write ~={version}.0.")
            return Interval(scheme.key(version), _conda_interval(numbers[:-1]).high, with_high=False)
        if (starred and operator in ("", "=", "==", "!=")) or operator == "=":
            return _conda_interval(_conda_numbers(version), outside=operator == "!=")
        return compared(operator, scheme.equals(version))

    return _range(text, ("~=", *_BASIC), r"\|\|?", interval)


def _conda_numbers(version: str) -> list[int]:
    if not _NUMBERS.fullmatch(version):
        raise ValueError(f"'{version}' stands for all that begins with it, and is not numbers with dots between.")
    return [int(part) for part in version.split(".")]


def _conda_interval(numbers: list[int], *, outside: bool = False) -> Interval:
    low, high = (conda_prefix(".".join(map(str, ends))) for ends in (numbers, [*numbers[:-1], numbers[-1] + 1]))
    return Interval(low, high, with_high=False, outside=outside)


def _range(text: str, operators: tuple[str, ...], either: str, interval: Callable[[str, str], Interval]) -> Holds:
    return any_of([interval(*comparison) for comparison in found] for found in _alternatives(text, operators, either))


def _alternatives(text: str, operators: tuple[str, ...], either: str) -> Iterator[Iterator[tuple[str, str]]]:
    return (comparisons(alternative, operators) for alternative in re.split(either, text))


def _without_parentheses(text: str) -> str:
    return text.replace("(", " ").replace(")", " ")
