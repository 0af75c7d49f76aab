"""Whether what is derived from the records is what the records say."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from reading import DAY


def newest(path: Path) -> tuple[int, int]:
    """Return up to which record is indexed, and the newest there is."""
    ((indexed, newest_id),) = _all(
        path, "SELECT deployment_id, (SELECT coalesce(max(id), 0) FROM deployments) FROM indexed"
    )
    return indexed, newest_id


def check_indexed(path: Path) -> None:
    """See that what readers look things up in is what a recomputation from all records gives."""
    records = _all(
        path,
        "SELECT d.id, d.date, i.feed_id, d.application_id, d.version_id, d.user_id, d.description "
        "FROM deployments d JOIN installations i ON i.id = d.installation_id",
    )
    assert newest(path)[0] >= newest(path)[1]
    days = Counter((feed, date // DAY) for _, date, feed, *_ in records)
    assert _all(path, "SELECT feed_id, day, count FROM daily_counts") == sorted((*key, n) for key, n in days.items())
    by = Counter((application, date // DAY, feed) for _, date, feed, application, *_ in records)
    assert _all(path, "SELECT application_id, day, feed_id, count FROM application_counts") == sorted(
        (*key, n) for key, n in by.items()
    )
    uses = {(name, date, id_, feed) for id_, date, feed, *names, _ in records for name in names}
    assert _all(path, "SELECT name_id, date, deployment_id, feed_id FROM name_uses") == sorted(uses)
    words = {description.split()[0] for *_, description in records if len(description.split()[0]) >= 3}
    for word in words:
        (found,) = zip(
            *_all(path, "SELECT rowid FROM deployment_texts WHERE deployment_texts MATCH ?", word[:3]), strict=True
        )
        assert set(found) >= {id_ for id_, *_, description in records if word[:3] in description}


def _all(path: Path, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return sorted(connection.execute(sql, parameters).fetchall())
