"""Records that are stored together, and where in the file the next ones begin."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from deployserver.clock import Clock
from deployserver.errors import InvalidRequest
from deployserver.loading.checking import Checked, Checker
from deployserver.loading.records import Reasons, Records

AT_ONCE = 2000
"""Records in one transaction, so that no deployment waits long behind it: some 40 ms."""

BYTES_AT_ONCE = 1 << 20


class Candidate(NamedTuple):
    """A record that may be stored, and the line it is from."""

    number: int
    line: bytes
    checked: Checked


class Refused(NamedTuple):
    """A line that is not loaded, and why; an empty one was too long to be kept."""

    number: int
    line: bytes
    reasons: Reasons


class Batch(NamedTuple):
    """Some records in their order, and how far the file has been read then."""

    candidates: list[Candidate]
    refused: list[Refused]
    position: int
    lines: int
    digest: str


def batches(records: Records, checker: Checker, clock: Clock) -> Iterator[Batch]:
    """Yield all records, checked; the last batch may hold nothing but the end."""
    check, lines = checker.check, records.lines
    candidates: list[Candidate] = []
    refused: list[Refused] = []
    began, now = lines.position, clock()
    for number, line, values, reasons in records:
        if reasons is not None:
            refused.append(Refused(number, line, reasons))
        else:
            try:
                candidates.append(Candidate(number, line, check(values, now)))
            except InvalidRequest as error:
                refused.append(Refused(number, line, error.errors))
        if len(candidates) + len(refused) >= AT_ONCE or lines.position - began >= BYTES_AT_ONCE:
            yield Batch(candidates, refused, lines.position, lines.number, lines.digest)
            candidates, refused = [], []
            began, now = lines.position, clock()
    yield Batch(candidates, refused, lines.position, lines.number, lines.digest)
