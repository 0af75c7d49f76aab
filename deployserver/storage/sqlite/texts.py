"""The indexes of texts in SQLite: FTS5 with trigrams."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from deployserver.storage.texts import begins

if TYPE_CHECKING:
    from deployserver.storage.connection import Parameters
    from deployserver.storage.sqlite.connection import SQLiteConnection

_MOST_TERMS = 200

_LONG = 9
"""Of words with more characters only the rarest trigrams are looked up."""

_RAREST = 4
_SAMPLE = 1_000

# The first of the records with the same texts stands for all of them within so many ids: most of a release have the
# same. However few are indexed at once, those before them are looked at; not one that has lost its first with its feed.
_TOGETHER = 1000
_WITH_FIRST = f"""
SELECT min(d.id) OVER (PARTITION BY d.id / {_TOGETHER}, d.description, d.url) AS first_id, d.id, d.description, d.url
FROM deployments AS d
WHERE d.id >= (:after + 1) / {_TOGETHER} * {_TOGETHER} AND d.id <= :last
AND (d.id > :after OR EXISTS (SELECT 1 FROM deployment_texts_docsize AS s WHERE s.id = d.id))
"""


class SQLiteTexts:
    """The indexes of a SQLite database, on one of its connections."""

    # What is appended lets the last characters of a text begin a trigram, as all others do.
    index_steps = (
        f"""
        INSERT INTO deployment_texts (rowid, text)
        SELECT id, description || char(10) || coalesce(url, '') || char(10, 10) FROM ({_WITH_FIRST})
        WHERE first_id = id AND id > :after ORDER BY 1
        """,
        f"""
        INSERT INTO same_texts (first_id, deployment_id)
        SELECT first_id, id FROM ({_WITH_FIRST}) WHERE first_id <> id AND id > :after ORDER BY 1, 2
        """,
        """
        INSERT INTO name_texts (rowid, text)
        SELECT id, name_key || char(10, 10) FROM names
        WHERE id > (SELECT name_id FROM indexed) AND kind <> 'recorder' ORDER BY id
        """,
        "UPDATE indexed SET name_id = (SELECT max(id) FROM names)",
    )

    def __init__(self, connection: SQLiteConnection) -> None:
        self._connection = connection

    async def with_word(self, word: str, most: int, *, is_rare: bool = False) -> Collection[int] | None:
        """Return the ids of up to ``most`` records that may have a word; None for a short one that begins much."""
        del is_rare
        if len(word) > _LONG:
            matching: str | None = " AND ".join(map(_quoted, await self._rarest(word)))
        else:
            matching = await self._matching(word, "deployment_terms")
        if not matching:
            return None if matching is None else ()
        parameters = self._connection.parameters()
        limit = parameters.add(most)
        first = f"SELECT rowid FROM deployment_texts WHERE deployment_texts MATCH {parameters.add(matching)}"
        rows = await self._connection.rows(
            f"WITH first AS MATERIALIZED ({first} LIMIT {limit}) SELECT rowid FROM first UNION ALL "
            f"SELECT s.deployment_id FROM first AS f CROSS JOIN same_texts AS s ON s.first_id = f.rowid LIMIT {limit}",
            parameters,
        )
        return [id_ for (id_,) in rows]

    async def _rarest(self, word: str) -> list[str]:
        """Return the trigrams of a word that the newest records have least: what all have takes long to go through."""
        rows = await self._connection.rows(
            "SELECT group_concat(description || coalesce(url, '')) "
            f"FROM (SELECT description, url FROM deployments ORDER BY id DESC LIMIT {_SAMPLE})"
        )
        texts = (rows[0][0] or "").lower()
        trigrams = dict.fromkeys(word[start : start + 3] for start in range(len(word) - 2))
        return sorted(trigrams, key=lambda trigram: texts.count(trigram.lower()))[:_RAREST]

    async def names_with(self, parameters: Parameters, word: str) -> str:
        """Return what a FROM clause takes: names ``n``, among them all with a word, and few others."""
        matching = await self._matching(word, "name_terms")
        if matching is None:
            return "names AS n"
        found = "SELECT id FROM names WHERE id > (SELECT name_id FROM indexed)"
        if matching:
            matching = parameters.add(matching)
            found = f"SELECT rowid AS id FROM name_texts WHERE name_texts MATCH {matching} UNION ALL {found}"
        return f"({found}) AS f CROSS JOIN names AS n ON n.id = f.id"

    async def _matching(self, word: str, terms: str) -> str | None:
        """Return what the texts with a word match, empty if there are none; None for a word that is in too many.

        ``terms`` is the table of what is in the index.
        """
        if len(word) >= 3:
            # Every other trigram, and the last one: what has all of these rarely lacks the others, and each one costs.
            starts = sorted({*range(0, len(word) - 2, 2), len(word) - 3})
            return " AND ".join(_quoted(word[start : start + 3]) for start in starts)
        beginning = word.lower()  # as the index folds it, nearly
        parameters = self._connection.parameters()
        begin = begins("term", beginning, parameters)
        rows = await self._connection.rows(
            f"SELECT term FROM {terms} WHERE {begin} LIMIT {_MOST_TERMS + 1}", parameters
        )
        found = [_quoted(term) for (term,) in rows]
        return None if len(found) > _MOST_TERMS else " OR ".join(found)


def _quoted(term: str) -> str:
    return '"' + term.replace('"', '""') + '"'
