"""Cells of a table that a spreadsheet would take for formulas (OWASP, "CSV Injection")."""

from __future__ import annotations

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def shielded(cell: Any) -> Any:
    """Return a cell as it is to be written: an apostrophe before what would be a formula makes it text.

    What has apostrophes before a formula already gets one more, so that ``unshielded`` can take it away again.
    """
    if isinstance(cell, str) and cell.startswith(_SHIELDED) and cell.lstrip("'").startswith(_FORMULA):
        return f"'{cell}"
    return cell


def unshielded(cell: str) -> str:
    """Return what a cell was before it was shielded."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


_SHIELDED = (*_FORMULA, "'")
