"""From what a line holds to the properties of a deployment, by the names that the API takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from deployserver.errors import InvalidRequest
from deployserver.schemas import PROPERTIES

RECORDED_AT, RECORDED_BY = "RecordedAt", "RecordedBy"
KNOWN = frozenset((*PROPERTIES, RECORDED_AT, RECORDED_BY))

_BY_NAME = {name: name for name in KNOWN} | {name.lower(): name for name in KNOWN}


def property_of(name: str) -> str | None:
    """Return the property that a name stands for, in any letter case; None for one that the API ignores."""
    return _BY_NAME.get(name) or _BY_NAME.get(name.strip().lower())


def read_object(text: str) -> Mapping[str, Any]:
    """Return the properties in a JSON object, as the API reads one: a number is the text that it was written as.

    Others may be among them. Raises InvalidRequest.
    """
    try:
        found = _DECODER.decode(text)
    except RecursionError:
        raise InvalidRequest({"line": ["is nested too deeply."]}) from None
    except json.JSONDecodeError as error:  # its own words would number the lines of this line
        raise InvalidRequest({"line": [f"is not valid JSON: {error.msg} at character {error.colno}."]}) from None
    except ValueError as error:
        raise InvalidRequest({"line": [f"is not valid JSON: {error}"]}) from None
    if isinstance(found, _Pairs):
        return _sorted(found)
    if not isinstance(found, dict):
        raise InvalidRequest({"line": ["is no JSON object."]})
    if text.find("{", 1) < 0 and found.keys() <= _USUAL:  # no object is in it, and no name is to be looked up
        return found
    return _sorted(found.items())


class _Pairs(list[tuple[str, Any]]):
    """The members of a JSON object in which a name is given more than once."""


def _members(pairs: list[tuple[str, Any]]) -> Any:
    members = dict(pairs)
    return members if len(members) == len(pairs) else _Pairs(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_int=str, parse_float=str, parse_constant=_no_constant)
_USUAL = KNOWN | {"Id"}


def _sorted(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    contradicting: dict[str, list[str]] = {}
    for name, value in pairs:
        known = property_of(name)
        if known is None:
            continue
        plain = dict(value) if isinstance(value, _Pairs) else value
        if known in values and values[known] != plain:
            contradicting[known] = ["is given more than once, with different values."]
        values[known] = plain
    if contradicting:
        raise InvalidRequest(contradicting)
    return values
