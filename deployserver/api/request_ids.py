"""Ids that tie an answer to its lines in the log."""

from __future__ import annotations

import itertools
import re
import secrets

HEADER = "X-Request-Id"

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


class RequestIds:
    """Takes the id a client or proxy sent, if it is one, else makes one that no other process makes."""

    def __init__(self) -> None:
        self._process = secrets.token_hex(4)
        self._numbers = itertools.count(1)

    def take(self, sent: str | None) -> str:
        """Return the id of a request that came with ``sent`` in its ``X-Request-Id``."""
        if sent and _ACCEPTABLE.fullmatch(sent):
            return sent
        return f"{self._process}-{next(self._numbers):x}"
