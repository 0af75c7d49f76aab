"""What a client would like to get, by its Accept header (RFC 9110, 12.5.1)."""

from __future__ import annotations

from collections.abc import Iterator


def wants_json(accept: str) -> bool:
    """Tell whether an Accept header names JSON and does not prefer plain text."""
    qualities = {"json": 0.0, "text": 0.0}
    for media_type, quality in _entries(accept):
        kind = "json" if media_type.endswith(("/json", "+json")) else "text" if media_type == "text/plain" else None
        if kind is not None:
            qualities[kind] = max(qualities[kind], quality)
    return qualities["json"] > 0 and qualities["json"] >= qualities["text"]


def accepted_quality(accept: str, media_type: str) -> float:
    """Return how much ``media_type`` is liked, from 0 to 1; the most specific entry for it counts."""
    if not accept.strip():
        return 1.0
    ranges = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    liked = {entry: quality for entry, quality in _entries(accept) if entry in ranges}
    return next((liked[entry] for entry in ranges if entry in liked), 0.0)


def _entries(accept: str) -> Iterator[tuple[str, float]]:
    for entry in accept.lower().split(","):
        media_type, *parameters = (part.strip() for part in entry.split(";"))
        yield media_type, _quality(parameters)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
