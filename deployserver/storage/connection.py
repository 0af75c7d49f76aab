"""What the records are asked through: SQL that is written once, as SQLite has it, for every database.

Statements keep to what all of them know. What they cannot share is given to ``Parameters``, or respelled by the
connection of a database that spells it otherwise.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

from deployserver.storage.texts import Texts


class Parameters(ABC):
    """The parameters of one statement by their names, so that a condition can stand in it more than once."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add(self, value: Any) -> str:
        """Return what stands for ``value`` in the statement."""
        name = f"p{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def is_in(self, column: str, ids: Collection[int]) -> str:
        """Return the condition that ``column`` is one of ``ids``, which its index may be asked for."""
        if len(ids) == 1:
            return f"{column} = {self.add(next(iter(ids)))}"
        return f"{column} IN ({self.table(ids)})"

    def is_among(self, column: str, ids: Collection[int]) -> str:
        """Return the condition that ``column`` of a row that is at hand is one of ``ids``: no index is asked."""
        return self.is_in(f"+{column}", ids)

    def by_id(self, table: str, name: str, id_: str) -> str:
        """Return the join of the row of ``table``, called ``name``, with the id that an expression gives."""
        return f"CROSS JOIN {table} AS {name} ON {name}.id = {id_}"

    @abstractmethod
    def is_given(self, column: str, query: str) -> str:
        """Return the condition that ``column`` is one of the few ids of a query, each of which its index is asked for.

        The query may be about tables before that of ``column``.
        """

    @abstractmethod
    def earliest(self, records: str, by: str, columns: str) -> str:
        """Return a query for the row with the least ``date`` of those with the same ``by``; ``columns`` are others."""

    @abstractmethod
    def table(self, ids: Iterable[int]) -> str:
        """Return a query that gives ``ids`` as ``value``."""

    @abstractmethod
    def texts(self, texts: Iterable[str]) -> str:
        """Return a query that gives ``texts`` as ``value``."""

    @abstractmethod
    def tuples(self, rows: Sequence[Sequence[int | str]], **columns: type[int] | type[str]) -> str:
        """Return a query that gives ``rows`` with their number from 0 as ``number``, and their items as ``columns``."""


class Connection(Protocol):
    """A connection during a transaction."""

    @property
    def driver(self) -> Any:
        """The driver's own connection, for the queries in ``queries/``."""

    @property
    def queries(self) -> Any:
        """What is in ``queries/``, as this database has it."""

    @property
    def texts(self) -> Texts:
        """The index of what is written in the records."""

    def parameters(self) -> Parameters:
        """Return parameters for a statement."""

    async def rows(self, statement: str, parameters: Parameters | Mapping[str, Any] | None = None) -> Sequence[Any]:
        """Execute a statement, whose parameters are written ``:name``, and return its rows: sequences of values."""
