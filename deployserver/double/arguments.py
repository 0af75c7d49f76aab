"""What tests in Python give: checked where they give it, so that an error is about that and not about its inside."""

from __future__ import annotations

from typing import get_args

from deployserver.errors import InvalidValue
from deployserver.models import KeyKind


def check_texts(*optional: str, **given: object) -> None:
    """Raise InvalidValue for the first that is no text; those that are ``optional`` may be None."""
    for name, value in given.items():
        if not isinstance(value, str) and not (value is None and name in optional):
            raise InvalidValue(f"{name} must be a text, not {value!r}.")


def texts(name: str, given: object) -> list[str]:
    """Return a list of what was given: texts, or one by itself. Raises InvalidValue."""
    listed = [given] if isinstance(given, str) else given
    if not isinstance(listed, (list, tuple, set, frozenset)) or not all(isinstance(one, str) for one in listed):
        raise InvalidValue(f"{name} must be a text, or a list of texts, not {given!r}.")
    return list(listed)


def check_kind(kind: object) -> None:
    """Raise InvalidValue for what is no kind of an API key."""
    if kind not in get_args(KeyKind):
        raise InvalidValue(f"{kind!r} is no kind of an API key. Known are {', '.join(get_args(KeyKind))}.")
