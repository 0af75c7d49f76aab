"""What answers hold, as schemas for the description; nothing is loaded or dumped with them, which would be slower.

A test compares them with what ``schemas.py``, ``api/tables.py`` and ``health.py`` write.
"""

from __future__ import annotations

from typing import Any

from marshmallow import EXCLUDE, Schema, fields, validate

from deployserver.comparison import DIFFERENCE_KINDS
from deployserver.health import ERROR, OK


class AnswerSchema(Schema):
    """Clients are to expect properties that are not there yet."""

    class Meta:
        """Which is why the description must not say that there are no others."""

        unknown = EXCLUDE


def _text(description: str, *, null: bool = False, **kwargs: Any) -> fields.String:
    return fields.String(required=True, allow_none=null, metadata={"description": description}, **kwargs)


def _moment(description: str) -> fields.String:
    return fields.String(required=True, metadata={"description": description, "format": "date-time"})


class RecordSchema(AnswerSchema):
    """A deployment as it was stored."""

    Id = fields.Integer(
        required=True, metadata={"description": "a number of its own, rising, never used again", "minimum": 1}
    )
    FeedName = _text("the feed's name of today")
    GroupName = _text("group, scope or namespace of the package", null=True)
    PackageName = _text("the package's name or id")
    Version = _text("the version, as it was sent")
    Target = _text("where to, usually a server's name")
    Application = _text("what deployed it")
    Description = _text("a brief summary")
    UserName = _text("who deployed it, as the client said, or else by the credential")
    Url = _text("an http or https URL with more about the deployment", null=True)
    Date = _moment("when it was deployed, in UTC, to the microsecond")
    RecordedAt = _moment("when it was recorded, by the server's clock")
    RecordedBy = _text("who really recorded it: `API key 3 (ci)`, `user alice`, `user alice, API key 4`, `Anonymous`")


class SuspectSchema(RecordSchema):
    """A deployment that now runs, and whether its version is in the range that was asked about."""

    Affected = fields.Boolean(
        required=True, allow_none=True, metadata={"description": "`true`, or `null` where it cannot be told"}
    )
    Reason = _text("why it cannot be told", null=True)


class DifferenceSchema(AnswerSchema):
    """One package, and the latest deployment of it on either side."""

    FeedName = _text("the feed's name")
    GroupName = _text("group, scope or namespace of the package", null=True)
    PackageName = _text("the package's name or id")
    Difference = _text("how the sides differ", validate=validate.OneOf(DIFFERENCE_KINDS))
    Left = fields.Nested(RecordSchema, required=True, allow_none=True)
    Right = fields.Nested(RecordSchema, required=True, allow_none=True)


class PeriodCountSchema(AnswerSchema):
    """How many deployments there were in a day, week or month."""

    Period = _text("its ISO 8601 name: `2021-04-13`, `2021-W15` (weeks begin on Monday) or `2021-04`")
    From = _moment("when it begins, in UTC")
    Count = fields.Integer(required=True, metadata={"description": "deployments in it", "minimum": 0})


def _status(description: str) -> fields.String:
    return _text(description, validate=validate.OneOf((OK, ERROR)))


class ReplicationSchema(AnswerSchema):
    """For ProGet's tools; this server does not replicate."""

    serverStatus = _text("always null", null=True)  # noqa: N815 - ProGet's names, here and below
    serverError = _text("always null", null=True)  # noqa: N815
    clientStatus = _text("always null", null=True)  # noqa: N815
    clientError = _text("always null", null=True)  # noqa: N815
    incoming = fields.List(fields.Dict(), required=True, metadata={"description": "always empty"})
    outgoing = fields.List(fields.Dict(), required=True, metadata={"description": "always empty"})


class HealthSchema(AnswerSchema):
    """ProGet's ProGetHealth object."""

    applicationName = _text("`deployserver`")  # noqa: N815
    databaseStatus = _status("whether the database can be read and written")  # noqa: N815
    databaseStatusDetails = _text("what is wrong with it", null=True)  # noqa: N815
    versionNumber = _text("the server's version")  # noqa: N815
    releaseNumber = _text("the same")  # noqa: N815
    licenseStatus = _status("always `OK`")  # noqa: N815
    licenseStatusDetail = _text("always null", null=True)  # noqa: N815
    serviceStatus = _status("always `OK`")  # noqa: N815
    serviceStatusDetail = _text("always null", null=True)  # noqa: N815
    replicationStatus = fields.Nested(ReplicationSchema, required=True)  # noqa: N815
    extensionsInstalled = fields.Dict(  # noqa: N815
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "always empty"}
    )


class ProblemSchema(AnswerSchema):
    """What went wrong (RFC 9457), for clients whose Accept header names JSON."""

    type = _text("always `about:blank`")
    title = _text("what kind of thing went wrong")
    status = fields.Integer(required=True, metadata={"description": "the HTTP status", "minimum": 400, "maximum": 599})
    detail = _text("what the answer would be as plain text: a line for each thing that is wrong")
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "messages by the name of the property or parameter; `body` is the body as a whole"},
    )
