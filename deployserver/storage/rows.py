"""What a database says of a row it will not have."""

from __future__ import annotations

from deployserver.errors import DeployServerError


class RowRejected(DeployServerError):
    """The database refuses a row by its own rules, as when its feed is gone; nothing of the statement was stored."""
