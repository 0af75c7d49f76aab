"""How long a fault waits before it acts: always the same, or drawn from a distribution."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Literal

DelayKind = Literal["fixed", "uniform", "normal", "lognormal", "exponential"]

LONGEST_SECONDS = 3600.0
"""No delay is longer, whatever is drawn."""

PARAMETERS: dict[DelayKind, tuple[str, ...]] = {
    "uniform": ("low", "high"),
    "normal": ("mean", "deviation"),
    "lognormal": ("median", "sigma"),
    "exponential": ("mean",),
}
"""The distributions, and what their numbers mean: seconds, but for ``sigma``, which is that of the logarithm."""


@dataclass(frozen=True, slots=True)
class Delay:
    """A time in seconds; ``numbers`` are one for ``fixed``, else those of ``PARAMETERS``."""

    kind: DelayKind
    numbers: tuple[float, ...]

    @property
    def is_random(self) -> bool:
        """Whether it differs from one time to the next."""
        return self.kind != "fixed"

    def draw(self, generator: random.Random) -> float:
        """Return seconds, never negative and at most ``LONGEST_SECONDS``."""
        return min(max(self._drawn(generator), 0.0), LONGEST_SECONDS)

    def _drawn(self, generator: random.Random) -> float:
        first, last = self.numbers[0], self.numbers[-1]
        if self.kind == "uniform":
            return generator.uniform(first, last)
        if self.kind == "normal":
            return generator.normalvariate(first, last)
        if self.kind == "lognormal":
            try:
                return first * generator.lognormvariate(0, last)
            except OverflowError:  # a sigma of hundreds
                return LONGEST_SECONDS
        if self.kind == "exponential":
            return generator.expovariate(1 / first)
        return first

    @property
    def document(self) -> Any:
        """The delay as a fault's document has it: a number, or an object that names the distribution."""
        if self.kind == "fixed":
            return self.numbers[0]
        return {self.kind: self.numbers[0] if len(self.numbers) == 1 else list(self.numbers)}

    def __str__(self) -> str:
        return f"delayed by {self.numbers[0]:g} s" if self.kind == "fixed" else "delayed"
