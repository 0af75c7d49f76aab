"""What is said about ``POST /api/package-deployment/``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from deployserver.description.answers import RecordSchema
from deployserver.description.operations import RECORDERS, Answer, Operation, problem

SUBMISSION: Mapping[str, str] = {
    "FeedName": "DefaultNuGet",
    "Application": "ProfitCalc",
    "Description": "Deployed by Custom Release Server",
    "Target": "localhost",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
}
"""What ProGet's own documentation sends."""

RECORD: Mapping[str, Any] = {
    "Id": 1,
    "FeedName": "DefaultNuGet",
    "GroupName": None,
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
    "Target": "localhost",
    "Application": "ProfitCalc",
    "Description": "Deployed by Custom Release Server",
    "UserName": "ci",
    "Url": None,
    "Date": "2021-04-13T10:00:00Z",
    "RecordedAt": "2021-04-13T10:00:00.123456Z",
    "RecordedBy": "API key 3 (ci)",
}


def _reference(name: str) -> Mapping[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


OPERATIONS = MappingProxyType(
    {
        ("POST", "/api/package-deployment/"): Operation(
            id="recordDeployment",
            tag="Recording",
            summary="Record a deployment",
            description=(
                "Says that a version of a package was deployed to a target. A 200 is answered once the record is on "
                "the disk.\n\n"
                "Names match in any letter case, and unknown ones are ignored. White space around values is stripped; "
                "an empty value is as good as none. Control characters are refused, but for line breaks and tabs in "
                "`Description`. JSON without its content type is understood as well, and so is what PowerShell sends "
                "in Latin-1.\n\n"
                "The key may also be in the body: `key` in a form, `API_Key` in JSON. The caller needs "
                "`Feeds_DownloadPackage` in the feed.\n\n"
                "If no answer comes, the record may have been stored: look before sending it again. After a 503 it "
                "was not stored."
            ),
            security=RECORDERS,
            body={
                "application/x-www-form-urlencoded": {"schema": _reference("SubmissionForm"), "example": SUBMISSION},
                "application/json": {"schema": _reference("Submission"), "example": SUBMISSION},
                "multipart/form-data": {"schema": _reference("SubmissionForm"), "example": SUBMISSION},
                "text/plain": {
                    "schema": {"type": "string", "description": "the same JSON, by clients that do not label it"},
                    "example": '{"FeedName": "DefaultNuGet", "Application": "ProfitCalc", "Description": "Deployed", '
                    '"Target": "localhost", "PackageName": "Newtonsoft.Json", "Version": "12.0.3"}',
                },
            },
            answers={
                200: Answer(
                    "The record, as it was stored.", {"application/json": {"schema": RecordSchema, "example": RECORD}}
                ),
                400: problem(
                    "Missing or invalid data, every field of it; a body that cannot be read; a feed that is inactive "
                    "or takes no deployment records.",
                    "Invalid or missing data",
                    400,
                    {"Version": ["is required."]},
                ),
                403: problem(
                    "No key where one is needed; a key that is wrong, expired or revoked; a caller without "
                    "`Feeds_DownloadPackage` in the feed, or in any. The text says which.",
                    "Forbidden",
                    403,
                    "An API key is needed; send it in the X-ApiKey header.",
                ),
                404: problem(
                    "There is no such feed, said to callers who are let in somewhere.",
                    "Feed not found",
                    404,
                    "There is no feed named 'Nowhere'.",
                ),
                405: problem(
                    "Another method on this path, for instance because a client followed a redirect.",
                    "Method Not Allowed",
                    405,
                    "GET is not allowed here. Deployments are recorded with POST "
                    "http://127.0.0.1:8624/api/package-deployment/",
                    ("Allow",),
                ),
                413: "BodyTooLarge",
                429: "TooManyFailures",
                503: problem(
                    "The database cannot take the record now, or too many are waiting to be written. Nothing was "
                    "stored.",
                    "Store unavailable",
                    503,
                    "The deployment could not be stored: the database is unavailable.",
                    ("Retry-After",),
                ),
            },
        ),
    }
)
