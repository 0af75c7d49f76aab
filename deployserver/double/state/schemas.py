"""What the state of a world looks like as a document, which people write by hand and programs write in full."""

from __future__ import annotations

from typing import get_args

from marshmallow import fields, validate

from deployserver import api_keys, feeds, users
from deployserver.double.state.fields import Exact, Id, Moment, Several, StateSchema, YesNo, rule
from deployserver.models import FEED_PERMISSIONS, FEED_TYPES, PRIVILEGES, SYSTEM_APIS, KeyKind
from deployserver.passwords import check_hash
from deployserver.privileges import known_privilege
from deployserver.schemas import NAME_LENGTH, Date, SubmissionSchema, Text

KEY_KINDS: tuple[str, ...] = get_args(KeyKind)


class FeedSchema(StateSchema):
    """A feed."""

    shorthand = "name"

    name = Exact(
        required=True,
        validate=rule(feeds.check_name),
        metadata={"description": "its name; found in any letter case", "examples": ("DefaultNuGet",)},
    )
    type = Exact(
        load_default="nuget",
        validate=rule(feeds.check_type),
        metadata={"description": "its type, by ProGet's names", "enum": list(FEED_TYPES)},
    )
    anonymous = YesNo(
        load_default=False,
        metadata={
            "description": f"whether Anonymous is granted {' and '.join(PRIVILEGES)} there, so that no key is needed"
        },
    )
    active = YesNo(load_default=True, metadata={"description": "if not, posts to the feed are answered with 400"})
    deployment_records = YesNo(
        load_default=True,
        data_key="deploymentRecords",
        metadata={"description": "whether it takes deployments; if not, posts are answered with 400"},
    )
    alternate_names = Several(
        Exact(validate=rule(feeds.check_name)),
        load_default=list,
        data_key="alternateNames",
        metadata={"description": "other names that find it", "examples": (["nuget-internal"],)},
    )


class UserSchema(StateSchema):
    """A user; without a password they can only be impersonated by a personal key."""

    shorthand = "name"

    name = Exact(
        required=True,
        validate=rule(users.check_name),
        metadata={"description": "their name; found in any letter case", "examples": ("anna",)},
    )
    password = Exact(
        validate=rule(users.check_password),
        metadata={"description": "their password, as they type it; it is never read back", "examples": ("secret",)},
    )
    password_hash = Exact(
        allow_none=True,
        validate=rule(check_hash),
        data_key="passwordHash",
        metadata={"description": "what is stored of the password (Argon2), which is all that reading can give"},
    )


class KeySchema(StateSchema):
    """An API key; a text alone is a system key with full control."""

    shorthand = "key"

    id = Id("its number; default: the next one that is free")
    key = Exact(
        allow_none=True,
        validate=rule(api_keys.checked_value),
        metadata={
            "description": "its text; default: one is made up. Reading gives null where only its hash is known",
            "examples": ("abc12345",),
        },
    )
    kind = Exact(
        validate=validate.OneOf(KEY_KINDS, error=f"must be {', '.join(KEY_KINDS[:-1])} or {KEY_KINDS[-1]}."),
        metadata={"description": "its kind; default: feed if it has feeds, personal if it has a user, else system"},
    )
    name = Exact(
        load_default="",
        validate=rule(api_keys.check_name),
        metadata={"description": "what or whom it is for; shown as the deployer", "examples": ("ci",)},
    )
    feeds = Several(
        Exact(), metadata={"description": "of a feed key: the feeds it is for", "examples": (["DefaultNuGet"],)}
    )
    scopes = Several(
        Exact(),
        load_default=list,
        metadata={
            "description": f"of a system key: {', '.join(SYSTEM_APIS)} (default: the first); of a feed key: "
            f"{', '.join(FEED_PERMISSIONS)} (default: the first, with which deployments may be recorded)",
            "examples": (["view"],),
        },
    )
    user = Exact(
        allow_none=True,
        metadata={"description": "of a personal key: the user that it impersonates", "examples": ("anna",)},
    )
    expires = Moment(
        load_default=None,
        allow_none=True,
        metadata={
            "description": "when it stops working, which may be past; default: never",
            "examples": ("2026-12-31T00:00:00Z",),
        },
    )
    revoked = YesNo(load_default=False, metadata={"description": "whether it has been revoked"})


class PrivilegeSchema(StateSchema):
    """A grant or denial of a privilege."""

    principal = Exact(
        required=True,
        metadata={"description": "a user, or Everyone, Authenticated or Anonymous", "examples": ("Everyone",)},
    )
    privilege = Exact(
        required=True,
        validate=rule(known_privilege),
        metadata={"description": "what is granted or denied", "enum": list(PRIVILEGES)},
    )
    feed = Exact(
        allow_none=True,
        metadata={"description": "the feed it is for; default: all feeds", "examples": ("DefaultNuGet",)},
    )
    grant = YesNo(load_default=True, metadata={"description": "true for a grant, false for a denial"})


class DeploymentSchema(StateSchema, SubmissionSchema):
    """A deployment as the API answers it, with what may be left out of a post left out, too."""

    class Meta(StateSchema.Meta):
        """What the API ignores is refused here."""

    id = Id("its number, greater than those before it; default: the next one", data_key="Id")
    recorded_at = Date(
        NAME_LENGTH,
        data_key="RecordedAt",
        metadata={"description": "when it was recorded; default: now", "examples": ("2021-04-13T10:00:00Z",)},
    )
    recorded_by = Text(
        NAME_LENGTH,
        data_key="RecordedBy",
        metadata={"description": "who really recorded it; default: Anonymous", "examples": ("API key 1 (ci)",)},
    )


class WorldStateSchema(StateSchema):
    """The whole state of a world; what is left out is empty."""

    feeds = Several(fields.Nested(FeedSchema), load_default=list, metadata={"description": "all feeds"})
    users = Several(fields.Nested(UserSchema), load_default=list, metadata={"description": "all users"})
    keys = Several(fields.Nested(KeySchema), load_default=list, metadata={"description": "all API keys"})
    privileges = Several(
        fields.Nested(PrivilegeSchema),
        load_default=list,
        metadata={"description": "all grants and denials, but those of feeds that are anonymous"},
    )
    deployments = Several(
        fields.Nested(DeploymentSchema),
        load_default=list,
        metadata={"description": "all deployments, in the order of their arrival"},
    )
