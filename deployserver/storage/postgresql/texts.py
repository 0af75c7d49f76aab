"""The index of texts in PostgreSQL: a GIN index of their trigrams.

They are trigrams of all characters, as SQLite has them, made by a function of the schema: pg_trgm's leave out whatever
is no letter by the locale of the database, and need an extension.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from deployserver.storage.texts import has_any, pattern, spellings

if TYPE_CHECKING:
    from deployserver.storage.connection import Parameters
    from deployserver.storage.postgresql.connection import PostgreSQLConnection

SAMPLE = 1_000
"""So many of the newest records are looked at first: of a word that they have, the index may have millions."""

COMMON = 5
"""In so many of them is a word that is found soon by going back in time."""

_FOLDED = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class PostgreSQLTexts:
    """The index of a PostgreSQL database, on one of its connections."""

    # What is appended lets the last characters of a text begin a trigram, as all others do.
    index_steps = (
        r"""
        INSERT INTO deployment_texts (deployment_id, text)
        SELECT id, lower(description || E'\n' || coalesce(url, '') || E'\n\n')
        FROM deployments WHERE id > :after AND id <= :last
        """,
    )

    def __init__(self, connection: PostgreSQLConnection) -> None:
        self._connection = connection

    async def with_word(self, word: str, most: int, *, is_rare: bool = False) -> Collection[int] | None:
        """Return the ids of up to ``most`` records that may have a word; None for a common one."""
        if not is_rare and await self._is_common(word):
            return None
        parameters = self._connection.parameters()
        query = " | ".join(f"({_matching(spelling.translate(_FOLDED))})" for spelling in spellings(word))
        rows = await self._connection.rows(
            f"SELECT deployment_id FROM deployments_with({parameters.add(query)}, {parameters.add(most)}) "
            "AS found (deployment_id)",
            parameters,
        )
        return [id_ for (id_,) in rows]

    async def _is_common(self, word: str) -> bool:
        parameters = self._connection.parameters()
        patterns = [parameters.add(pattern(spelling)) for spelling in spellings(word)]
        found = " OR ".join([*has_any("description", patterns), *has_any("url", patterns)])
        ((common,),) = await self._connection.rows(
            "SELECT count(*) "
            f"FROM (SELECT description, url FROM deployments ORDER BY id DESC LIMIT {SAMPLE}) AS newest WHERE {found}",
            parameters,
        )
        return bool(common >= COMMON)

    async def names_with(self, parameters: Parameters, word: str) -> str:
        """Return what a FROM clause takes: names ``n``, among them all with a word, and few others."""
        found = f"names_with({parameters.add(_matching(word))}) AS found (id)"
        return f"(SELECT found.id FROM {found}) AS f CROSS JOIN names AS n ON n.id = f.id"


def _matching(word: str) -> str:
    """Return what the texts with a word match, as a tsquery."""
    if len(word) < 3:
        return f"{_quoted(word)}:*"
    return " & ".join(dict.fromkeys(_quoted(word[start : start + 3]) for start in range(len(word) - 2)))


def _quoted(term: str) -> str:
    return "'" + term.replace("\\", "\\\\").replace("'", "''") + "'"
