"""The PostgreSQL connection that the records are asked through: it respells what PostgreSQL has other words for.

The statements say in which order tables are to be joined and what is to be looked up in which index (see
``deployserver.storage.connection``). PostgreSQL is told to go that way: its own choice depends on statistics, and
changes when they do, for the worse just when a table has grown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import asyncpg

from deployserver.storage.connection import Parameters
from deployserver.storage.postgresql.texts import PostgreSQLTexts
from deployserver.storage.repository import load_queries

AS_WRITTEN = """
SET plan_cache_mode = force_generic_plan;
SET join_collapse_limit = 1;
SET from_collapse_limit = 1;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET enable_material = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_sort = off;
SET seq_page_cost = 0;
SET random_page_cost = 0;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
"""
"""What makes PostgreSQL join in the order in which it is written, going from row to row as SQLite does.

It looks up in indexes; goes through an index in its order where that is the order asked for, unless that is of
expressions, such as a column with a plus; and of two indexes it takes that which leads to fewer rows by the conditions
alone. Pages cost nothing, so that how the rows of a table happen to lie does not matter.
"""

_OTHER_WORDS = (
    # By their ids, and not by the index that has the right order.
    (
        "deployments AS d NOT INDEXED",
        # Of a range, PostgreSQL expects few rows.
        "(SELECT * FROM deployments WHERE id > (SELECT deployment_id FROM indexed) AND id < 9223372036854775807 "
        "OFFSET 0) AS d",
    ),
    ("CROSS JOIN", "JOIN"),  # each has its ON; SQLite keeps to the order only if it is told so
    (" INDEXED BY deployments_by_date", ""),
    ("instr(", "strpos("),
    (" LIKE ", " ILIKE "),
)
# Rows are looked up for each row before them, whatever is asked of them then: PostgreSQL would gladly look for all rows
# that meet what is asked, and go through these first.
_LOOKED_UP = re.compile(
    r"CROSS JOIN (deployments|installations|names) AS (\w+) "
    r"ON \2\.(id|package_id|target_id) = (\w+\.\w+|coalesce\(\w+\.\w+, \w+\.\w+\))"
    r"(?: AND \2\.feed_id = (:\w+(?:::\w+)?))?"
)
# Of other joins, the first table has no index for what it is joined by: the second's rows could come first otherwise.
_JOINED = re.compile(r"( (?:ON|AND) \w+\.\w+ = )(\w+\.(?:\w+_)?id)\b")
_FEW = 8
"""So many values are compared with one by one; PostgreSQL makes no hash table of a parameter's."""
_PARAMETER = re.compile(r"(?<![:\w]):([a-z]\w*)")


class PostgreSQLParameters(Parameters):
    """Parameters by their names; what is a table of values is an array for each of its columns."""

    def add(self, value: Any) -> str:
        """Return what stands for ``value`` in the statement, with its type: not all statements tell it."""
        types = {int: "bigint", str: "text"}
        name = super().add(value)
        return f"{name}::{types[type(value)]}" if type(value) in types else name

    def is_in(self, column: str, ids: Collection[int]) -> str:
        """Return the condition that ``column`` is one of ``ids``, which its index may be asked for."""
        if len(ids) == 1:
            return f"{column} = {self.add(next(iter(ids)))}"
        return f"{column} = ANY ({self.add(list(ids))}::bigint[])"

    def is_among(self, column: str, ids: Collection[int]) -> str:
        """Return the condition that ``column`` of a row that is at hand is one of ``ids``: no index is asked."""
        if len(ids) <= _FEW:
            return self.is_in(f"+{column}", ids)
        return f"({column} IN ({self.table(ids)})) IS TRUE"  # which is a hash table, and not one more join

    def by_id(self, table: str, name: str, id_: str) -> str:
        """Return the join of the row of ``table``, called ``name``, with the id that an expression gives."""
        return f"JOIN LATERAL (SELECT * FROM {table} WHERE id = {id_} OFFSET 0) AS {name} ON TRUE"

    def is_given(self, column: str, query: str) -> str:
        """Return the condition that ``column`` is one of the ids of a query."""
        return f"{column} = ANY (ARRAY ({query}))"

    def earliest(self, records: str, by: str, columns: str) -> str:
        """Return a query for the row with the least ``date`` of those with the same ``by``."""
        return f"SELECT DISTINCT ON ({by}) date, {columns} FROM ({records}) AS r ORDER BY {by}, date"

    def table(self, ids: Iterable[int]) -> str:
        """Return a query that gives ``ids`` as ``value``."""
        return f"SELECT value FROM unnest({self.add(list(ids))}::bigint[]) AS u (value)"

    def texts(self, texts: Iterable[str]) -> str:
        """Return a query that gives ``texts`` as ``value``."""
        return f"SELECT value FROM unnest({self.add(list(texts))}::text[]) AS u (value)"

    def tuples(self, rows: Sequence[Sequence[int | str]], **columns: type[int] | type[str]) -> str:
        """Return a query that gives ``rows`` with their number from 0 as ``number``, and their items as ``columns``."""
        arrays = ", ".join(
            f"{self.add([row[index] for row in rows])}::{'bigint' if kind is int else 'text'}[]"
            for index, kind in enumerate(columns.values())
        )
        names = ", ".join(columns)
        return f"SELECT number - 1 AS number, {names} FROM unnest({arrays}) WITH ORDINALITY AS u ({names}, number)"


class PostgreSQLConnection:
    """A connection of asyncpg as ``Connection`` has it."""

    def __init__(self, driver: asyncpg.Connection) -> None:
        self.driver = driver
        self.queries = load_queries("postgresql", "asyncpg")
        self.texts = PostgreSQLTexts(self)

    def parameters(self) -> PostgreSQLParameters:
        """Return parameters for a statement."""
        return PostgreSQLParameters()

    async def rows(self, statement: str, parameters: Parameters | Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Execute a statement and return its rows."""
        values = parameters.values if isinstance(parameters, Parameters) else parameters or {}
        respelt, names = respell(statement)
        found: Sequence[Any] = await self.driver.fetch(respelt, *[values[name] for name in names])
        return found


def _for_each(found: re.Match[str]) -> str:
    table, name, column, value, feed = found.groups()
    # One column: an index of two might be gone through for what has the second.
    wanted = f"{column} = {value}" if feed is None else f"(feed_id::bigint << 32 | {column}) = ({feed} << 32 | {value})"
    return f"JOIN LATERAL (SELECT * FROM {table} WHERE {wanted} OFFSET 0) AS {name} ON TRUE"


@lru_cache(maxsize=1024)
def respell(statement: str) -> tuple[str, tuple[str, ...]]:
    """Return a statement in PostgreSQL's words, and the names of its parameters in the order of their numbers."""
    statement = _LOOKED_UP.sub(_for_each, statement)
    for ours, theirs in _OTHER_WORDS:
        statement = statement.replace(ours, theirs)
    statement = _JOINED.sub(r"\1+\2", statement)
    names: dict[str, int] = {}
    numbered = _PARAMETER.sub(lambda found: f"${names.setdefault(found[1], len(names) + 1)}", statement)
    return numbered, tuple(names)
