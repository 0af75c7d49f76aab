"""The schemas of the state document of the test double, made of those that read it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from marshmallow import fields

from deployserver.double.state.fields import Id, Several, StateSchema, YesNo
from deployserver.double.state.schemas import (
    KEY_KINDS,
    DeploymentSchema,
    FeedSchema,
    KeySchema,
    PrivilegeSchema,
    UserSchema,
    WorldStateSchema,
)
from deployserver.schemas import Date, HttpUrl, Text

JsonObject = dict[str, Any]

_STATE: Mapping[str, type[StateSchema]] = {
    "Feed": FeedSchema,
    "User": UserSchema,
    "Key": KeySchema,
    "Privilege": PrivilegeSchema,
    "Deployment": DeploymentSchema,
    "State": WorldStateSchema,
}


def reference(name: str) -> JsonObject:
    """Return what stands for a schema of ``SCHEMAS``."""
    return {"$ref": f"#/components/schemas/{name}"}


def said(field: fields.Field[Any]) -> JsonObject:
    """Return what is said about a property besides what it may be; in OpenAPI lists are lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in field.metadata.items()}


def _state_object(schema_type: type[StateSchema]) -> JsonObject:
    """Return the schema of an object of the state; names in other letter cases, which are taken, have no word."""
    schema = schema_type()
    known = {field.data_key or name: field for name, field in schema.load_fields.items()}
    described: JsonObject = {
        "type": ["object", "string"] if schema.shorthand else "object",
        "description": (schema_type.__doc__ or "").strip(),
        "properties": {name: said(field) | _state_value(field) for name, field in known.items()},
        "additionalProperties": False,
    }
    required = [name for name, field in known.items() if field.required]
    return described | ({"required": required} if required else {})


def _state_value(field: fields.Field[Any]) -> JsonObject:
    """Return what a property of the state may be; null is as good as absent."""
    if isinstance(field, Several):
        if isinstance(field.inner, fields.Nested):
            (item,) = [reference(name) for name, schema in _STATE.items() if schema is field.inner.nested]
            return {"anyOf": [{"type": "array", "items": item}, item, {"type": "null"}]}
        return {"type": ["array", "string", "null"], "items": {"type": "string"}}
    if isinstance(field, YesNo):
        return {"type": ["boolean", "null"], "default": field.load_default}
    if isinstance(field, Id):
        return {"type": ["integer", "null"], "minimum": 1, "maximum": field.greatest}
    enum = list(KEY_KINDS) if field.name == "kind" else field.metadata.get("enum")
    if enum is not None:
        return (
            {"type": "string", "enum": enum} if field.required else {"type": ["string", "null"], "enum": [*enum, None]}
        )
    types = ["string", "number"] if isinstance(field, Text) else ["string"]
    if isinstance(field, Date):
        types = ["string", "object"]  # Windows PowerShell makes an object of Get-Date
    elif isinstance(field, HttpUrl):
        types = ["string"]
    if not field.required:
        types.append("null")
    length = {"maxLength": field.length} if isinstance(field, Text) else {}
    return {"type": types if len(types) > 1 else types[0], **length}


STATE_SCHEMAS: Mapping[str, JsonObject] = MappingProxyType(
    {name: _state_object(schema) for name, schema in _STATE.items()}
)
"""By their names among the components."""
