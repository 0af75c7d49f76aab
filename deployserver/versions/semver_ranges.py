"""Ranges of semantic versions, as npm, Cargo, Terraform and Helm write them: ``^1.2.3``, ``>=1 <2``, ``1.x``.

A range here says what is affected and not what to install. So pre-releases are versions like others: ``^1.2.3`` holds
1.3.0-beta, as node-semver has it with ``includePrerelease``. It does not hold 2.0.0-beta, because the 2 that a caret,
a tilde or a part left out brings in begins with its first pre-release; a ``<2.0.0`` written in full does.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from deployserver.versions.comparators import comparisons
from deployserver.versions.intervals import Holds, Interval, any_of, compared
from deployserver.versions.keys import Key, before, pre_release, without_zeros
from deployserver.versions.schemes import VERSION_LENGTH, Scheme

_OPERATORS = ("^", "~", "~>", "=", "==", "!=", ">", ">=", "<", "<=")
_HYPHEN = re.compile(r"\s*([^\s|]+)\s+-\s+([^\s|]+)\s*")
_PARTIAL = re.compile(
    r"[vV]?(?P<numbers>(?:[0-9]+(?:\.[0-9]+)*)?)(?P<wild>(?:(?:^|(?<=v)|(?<=V)|\.)[xX*])*)"
    r"(?:-(?P<pre>[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
_PARTS = 3
_NOTHING = Interval(outside=True)


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where the syntaxes differ: what stands for no operator, if parts left out are zero, and what ``~>`` is."""

    bare: str
    zeros: bool = False
    pessimistic: bool = False


NPM = Dialect(bare="=")
CARGO = Dialect(bare="^")
TERRAFORM = Dialect(bare="=", zeros=True, pessimistic=True)


class _Partial(NamedTuple):
    """The numbers that were written, and the label."""

    numbers: list[int]
    label: str | None

    @property
    def key(self) -> Key:
        return without_zeros(self.numbers), pre_release(self.label)

    @property
    def complete(self) -> bool:
        return self.label is not None or len(self.numbers) >= _PARTS

    @property
    def start(self) -> Key:
        """The least key of what it stands for."""
        return self.key if self.complete else before(self.numbers)

    def end(self, index: int) -> Key:
        """The key where the versions end that have the same number at this index, and before."""
        return before([*self.numbers[:index], self.numbers[index] + 1])


def semver_range(dialect: Dialect, text: str) -> Holds:
    """Return the range in a dialect. Raises ValueError."""
    return any_of(_intervals(dialect, alternative) for alternative in text.split("||"))


def npm_range(_: Scheme, text: str) -> Holds:
    """Return npm's range. Raises ValueError."""
    return semver_range(NPM, text)


def cargo_range(_: Scheme, text: str) -> Holds:
    """Return Cargo's range, where ``1.2`` is ``^1.2``. Raises ValueError."""
    return semver_range(CARGO, text)


def terraform_range(_: Scheme, text: str) -> Holds:
    """Return Terraform's range, where ``~> 1.2`` ends before 2 and ``~> 1.2.3`` before 1.3. Raises ValueError."""
    return semver_range(TERRAFORM, text)


def _intervals(dialect: Dialect, text: str) -> list[Interval]:
    if match := _HYPHEN.fullmatch(text):
        return [_interval(dialect, ">=", match[1]), _interval(dialect, "<=", match[2])]
    return [
        _interval(dialect, operator or dialect.bare, version) for operator, version in comparisons(text, _OPERATORS)
    ]


def _interval(dialect: Dialect, operator: str, version: str) -> Interval:
    partial, wild = _parse(version)
    numbers = partial.numbers
    if not numbers:
        return _NOTHING if operator in (">", "<", "!=") else Interval()
    last = len(numbers) - 1
    match operator:
        case "^":
            # The first number that is not 0 must stay, or the last one if all are.
            kept = next((index for index, number in enumerate(numbers) if number), last)
            return _until(partial.start, partial.end(kept))
        case "~>" if dialect.pessimistic:
            return _until(partial.key, partial.end(last - 1)) if last else Interval(low=partial.key)
        case "~" | "~>":
            return _until(partial.start, partial.end(min(last, 1)))
    if partial.complete or (dialect.zeros and not wild):
        return compared(operator, (partial.key, partial.key))
    start, end = partial.start, partial.end(last)
    match operator:
        case ">=":
            return Interval(low=start)
        case ">":
            return Interval(low=end)
        case "<=":
            return Interval(high=end, with_high=False)
        case "<":
            return Interval(high=start, with_high=False)
        case _:
            return Interval(start, end, with_high=False, outside=operator == "!=")


def _parse(text: str) -> tuple[_Partial, bool]:
    match = _PARTIAL.fullmatch(text)
    if match is None or not (match["numbers"] or match["wild"]) or len(text) > VERSION_LENGTH or not text.isascii():
        raise ValueError(f"'{text}' is not a version, or the beginning of one.")
    numbers = [int(part) for part in match["numbers"].split(".")] if match["numbers"] else []
    return _Partial(numbers, None if match["wild"] else match["pre"]), bool(match["wild"])


def _until(start: Any, end: Any) -> Interval:
    return Interval(start, end, with_high=False)
