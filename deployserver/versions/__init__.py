"""Versions as the type of their feed orders them, and ranges of them: pure, and quick to import."""

from __future__ import annotations

from deployserver.versions.schemes import newest_first

__all__ = ["newest_first"]
