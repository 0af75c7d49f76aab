"""How the text of an option becomes a value; each reader raises ValueError with what would be right."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path

Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]

_WORDS = {
    "true": True,
    "yes": True,
    "on": True,
    "1": True,
    "false": False,
    "no": False,
    "off": False,
    "0": False,
}


def text(value: str) -> str:
    """Read a text that may not be empty."""
    if not value.strip():
        raise ValueError("must not be empty")
    return value.strip()


def integer(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return a reader of whole numbers from ``low`` to ``high``."""
    limits = f"a whole number of {low} or more" if high is None else f"a whole number from {low} to {high}"

    def read(value: str) -> int:
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"is {value!r}; it must be {limits}") from None
        if number < low or (high is not None and number > high):
            raise ValueError(f"is {number}; it must be {limits}")
        return number

    return read


def number(low: float) -> Callable[[str], float]:
    """Return a reader of numbers of ``low`` or more."""

    def read(value: str) -> float:
        try:
            result = float(value)
        except ValueError:
            raise ValueError(f"is {value!r}; it must be a number of {low} or more") from None
        if not low <= result < float("inf"):
            raise ValueError(f"is {value}; it must be a number of {low} or more")
        return result

    return read


def boolean(value: str) -> bool:
    """Read true or false, or one of their usual other words."""
    try:
        return _WORDS[value.strip().lower()]
    except KeyError:
        raise ValueError(f"is {value!r}; it must be true or false") from None


def choice(*known: str) -> Callable[[str], str]:
    """Return a reader of one of the words in ``known``, in any letter case."""

    def read(value: str) -> str:
        word = value.strip().lower()
        if word not in known:
            raise ValueError(f"is {value!r}; it must be one of {', '.join(known)}")
        return word

    return read


def optional_path(value: str) -> Path | None:
    """Read a path, or nothing."""
    return Path(value.strip()) if value.strip() else None


def base_path(value: str) -> str:
    """Read a URL path; the result is empty or starts, and does not end, with a slash."""
    path = value.strip().rstrip("/")
    if path and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path):
        raise ValueError(f"is {value!r}; it must be a path such as /proget")
    return path


def networks(value: str) -> Networks:
    """Read addresses and networks (``10.0.0.0/8``), separated by commas or blanks."""
    try:
        return tuple(ipaddress.ip_network(word) for word in re.split(r"[,\s]+", value.strip()) if word)
    except ValueError as error:
        raise ValueError(f"holds something that is no address or network: {error}") from None
