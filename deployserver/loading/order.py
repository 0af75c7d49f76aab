"""What somebody wants to be loaded, and what has become of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple


class Order(NamedTuple):
    """What is to be loaded, and how.

    ``name`` is what it is known again by, in place of its content; ``create_feeds`` the type of feeds that are made
    where they are missing; ``limit`` the longest line, in bytes.
    """

    path: str
    user_name: str
    recorded_by: str
    limit: int
    format: str | None = None
    name: str | None = None
    create_feeds: str | None = None
    refused: Path | None = None
    again: bool = False
    dry_run: bool = False


@dataclass
class Outcome:
    """What has become of a load; the numbers count what earlier runs have done of it, too."""

    file: str
    format: str = ""
    lines: int = 0
    loaded: int = 0
    refused: int = 0
    resumed_after: int = 0
    was_loaded: bool = False
    first_id: int | None = None
    last_id: int | None = None
    feeds_created: list[str] = field(default_factory=list)


class Watch(NamedTuple):
    """Who is told what happens.

    ``progress``: what is done, how many bytes or records of it are done and how many there are (None if that is not
    known), and how many records they are. ``tell``: a sentence.
    """

    progress: Callable[[str, int, int | None, int], None]
    tell: Callable[[str], None]
