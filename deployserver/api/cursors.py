"""Where a page of results goes on: a text that says nothing to clients, and belongs to one question."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from deployserver.errors import InvalidRequest


def encode_cursor(question: str, position: tuple[Any, ...]) -> str:
    """Return the cursor of a position in the answer to ``question``."""
    text = json.dumps([question, *position], ensure_ascii=False, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(
    question: str, cursor: str | None, types: tuple[type, ...], parameter: str = "cursor"
) -> tuple[Any, ...] | None:
    """Return the position, or None without a cursor.

    Raises InvalidRequest, about the parameter that the cursor came in, for what ``encode_cursor`` did not make.
    """
    if cursor is None:
        return None
    try:
        data = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        kind, *position = json.loads(data)
        ours = kind == question and encode_cursor(question, tuple(position)) == cursor
    except (binascii.Error, ValueError, TypeError, RecursionError):  # errors of Unicode are ValueErrors
        ours, position = False, []
    right = [type(value) for value in position] == list(types)
    if not ours or not right or any(isinstance(value, int) and abs(value) >= 2**63 for value in position):
        raise InvalidRequest({parameter: ["is not one that the Link header of such an answer gave."]})
    return tuple(position)
