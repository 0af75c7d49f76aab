"""The state of a world as a document says it: read, checked by the rules of the API and the use cases, and typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, cast

from marshmallow import ValidationError

from deployserver.api.encodings import without_byte_order_mark
from deployserver.double.state.agreement import Agreement, Entry, Present, key_kind
from deployserver.double.state.schemas import WorldStateSchema
from deployserver.errors import InvalidRequest
from deployserver.models import KeyKind, Submission
from deployserver.privileges import known_privilege

NOTHING = Present()

_SCHEMA = WorldStateSchema()
_ENTRY = re.compile(rf"({'|'.join(_SCHEMA.fields)})(?:$|\[(\d+)\])")


@dataclass(frozen=True, slots=True)
class FeedState:
    """A feed; ``anonymous`` tells whether nobody needs a key to view it and to record in it."""

    name: str
    type: str
    anonymous: bool
    active: bool
    deployment_records: bool
    alternate_names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UserState:
    """A user; of ``password`` and ``password_hash`` at most one is given."""

    name: str
    password: str | None = field(repr=False)
    password_hash: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeyState:
    """An API key; without ``key`` its text is to be made up. ``expires_at`` is in microseconds since 1970."""

    id: int
    key: str | None = field(repr=False)
    kind: KeyKind
    name: str
    feeds: tuple[str, ...]
    scopes: tuple[str, ...]
    user: str | None
    expires_at: int | None
    revoked: bool


@dataclass(frozen=True, slots=True)
class PrivilegeState:
    """A grant or denial; ``feed`` is None for all feeds."""

    principal: str
    privilege: str
    feed: str | None
    grant: bool


@dataclass(frozen=True, slots=True)
class DeploymentState:
    """A deployment; what is None of how it was recorded is as for an anonymous caller of now."""

    id: int
    submission: Submission
    recorded_at: int | None
    recorded_by: str | None


@dataclass(frozen=True, slots=True)
class State:
    """The whole state of a world: every name in it is known, and every id is given and free."""

    feeds: tuple[FeedState, ...]
    users: tuple[UserState, ...]
    keys: tuple[KeyState, ...]
    privileges: tuple[PrivilegeState, ...]
    deployments: tuple[DeploymentState, ...]


def parse_state(text: str | bytes) -> Any:
    """Return what JSON holds, numbers as they are written in it. Raises InvalidRequest, at ``body``."""
    try:
        decoded = text if isinstance(text, str) else without_byte_order_mark(text).decode()
        return json.loads(decoded, parse_int=str, parse_float=str, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidRequest({"body": ["The JSON is nested too deeply."]}) from None
    except ValueError as error:
        raise InvalidRequest({"body": [f"The state is not valid JSON in UTF-8: {error}"]}) from None


def check_state(document: object, present: Present = NOTHING) -> State:
    """Return what a document says, to be added to what is ``present``.

    Raises InvalidRequest with everything that is wrong, by its place: ``feeds[1].type``; ``body`` is all of it.
    """
    errors: dict[str, list[str]] = {}
    try:
        loaded: Any = _SCHEMA.load(cast("Mapping[str, Any]", document))
    except ValidationError as error:
        errors = dict(_by_place(error.messages))
        loaded = error.valid_data or {}  # what is right by itself may still not fit together
    found = {name: tuple(loaded.get(name, ())) for name in _SCHEMA.fields}
    Agreement(errors, present, **found).check()
    if errors:
        raise InvalidRequest(dict(sorted(errors.items(), key=_position)))
    key_ids = _free_ids({entry["id"] for entry in (*present.keys, *found["keys"]) if "id" in entry})
    return State(
        tuple(FeedState(**entry | {"alternate_names": tuple(entry["alternate_names"])}) for entry in found["feeds"]),
        tuple(UserState(user["name"], user.get("password"), user.get("password_hash")) for user in found["users"]),
        tuple(_key({"id": next(key_ids)} | entry if "id" not in entry else entry) for entry in found["keys"]),
        tuple(_privilege(entry) for entry in found["privileges"]),
        tuple(_numbered(found["deployments"], present.last_id)),
    )


def _key(entry: Entry) -> KeyState:
    return KeyState(
        entry["id"],
        entry.get("key"),
        key_kind(entry),
        entry["name"],
        tuple(entry.get("feeds", ())),
        tuple(entry["scopes"]),
        entry.get("user"),
        entry["expires"],
        entry["revoked"],
    )


def _privilege(entry: Entry) -> PrivilegeState:
    return PrivilegeState(entry["principal"], known_privilege(entry["privilege"]), entry.get("feed"), entry["grant"])


def _numbered(entries: tuple[Entry, ...], id_: int) -> Iterator[DeploymentState]:
    for entry in entries:
        id_ = entry.get("id", id_ + 1)
        submission = Submission._make(entry[name] for name in Submission._fields)
        yield DeploymentState(id_, submission, entry["recorded_at"], entry["recorded_by"])


def _free_ids(taken: set[int]) -> Iterator[int]:
    id_ = 0
    while True:
        id_ += 1
        if id_ not in taken:
            yield id_


def _by_place(messages: Any, place: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the messages of schemas within schemas with the place of each."""
    if isinstance(messages, list):
        yield place or "body", messages
        return
    for name, inner in messages.items():
        if name == "_schema":
            yield from _by_place(inner, place)
        elif isinstance(name, int):
            yield from _by_place(inner, f"{place}[{name}]")
        else:
            yield from _by_place(inner, f"{place}.{name}" if place else str(name))


def _position(error: tuple[str, object]) -> tuple[int, int]:
    """Return where in the document, read from its beginning, the entry is that an error is about."""
    place = _ENTRY.match(error[0])
    return (list(_SCHEMA.fields).index(place[1]), int(place[2] or 0)) if place else (-1, 0)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
