"""Versions as the type of their feed orders them, and ranges of them: pure, and quick to import."""

from __future__ import annotations

from deployserver.versions.ranges import VersionRange, every_version, exactly, parse_range
from deployserver.versions.schemes import newest_first, ranked
from deployserver.versions.vers import WrongScheme

__all__ = ["VersionRange", "WrongScheme", "every_version", "exactly", "newest_first", "parse_range", "ranked"]
