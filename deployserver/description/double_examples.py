"""What is sent to the control API of the test double, and what it answers, as examples that fit each other."""

from __future__ import annotations

from typing import Any

from deployserver import __version__
from deployserver.description.recording import RECORD, SUBMISSION

STATE: dict[str, Any] = {
    "feeds": [{"name": "DefaultNuGet", "type": "nuget", "alternateNames": ["nuget-internal"]}],
    "users": [{"name": "anna", "password": "correct horse"}],
    "keys": [{"key": "abc12345", "name": "ci", "feeds": ["DefaultNuGet"], "scopes": ["view"]}],
    "privileges": [{"principal": "anna", "privilege": "Feeds_ViewFeed", "grant": True}],
    "deployments": [{**SUBMISSION, "Date": "2021-04-13T10:00:00Z"}],
}
FULL_STATE: dict[str, Any] = {
    "feeds": [
        {
            "name": "DefaultNuGet",
            "type": "nuget",
            "anonymous": False,
            "active": True,
            "deploymentRecords": True,
            "alternateNames": [],
        }
    ],
    "users": [],
    "keys": [
        {
            "id": 1,
            "key": "abc12345",
            "kind": "feed",
            "name": "ci",
            "feeds": ["DefaultNuGet"],
            "scopes": ["view"],
            "user": None,
            "expires": None,
            "revoked": False,
        }
    ],
    "privileges": [],
    "deployments": [{**RECORD, "RecordedBy": "API key 1 (ci)"}],
}
FAULT: dict[str, Any] = {
    "path": "/api/package-deployment",
    "package": "Newtonsoft.*",
    "first": 2,
    "do": "answer",
    "status": 503,
}
ACTIVE_FAULT: dict[str, Any] = {
    "id": 1,
    "path": "/api/package-deployment",
    "package": "Newtonsoft.*",
    "first": 2,
    "skip": 0,
    "do": "answer",
    "status": 503,
    "retry_after": 5,
    "when": "read",
    "matched": 0,
    "hits": 0,
}
CLOCK: dict[str, Any] = {"now": "2021-04-13T10:00:00Z", "frozen": True}
WORLD: dict[str, Any] = {
    "url": "http://127.0.0.1:40123",
    "version": __version__,
    "clock": {"now": "2021-04-13T10:00:00Z", "frozen": False},
    "requests": 3,
    "forgotten": 0,
    "faults": 1,
    "namespaces": None,
}
REQUEST: dict[str, Any] = {
    "number": 1,
    "receivedAt": "2021-04-13T10:00:00Z",
    "method": "POST",
    "target": "/api/package-deployment/",
    "path": "/api/package-deployment/",
    "query": [],
    "headers": [["Content-Type", "application/json"], ["X-ApiKey", "abc12345"]],
    "body": '{"PackageName": "Newtonsoft.Json"}',
    "bodyBase64": "eyJQYWNrYWdlTmFtZSI6ICJOZXd0b25zb2Z0Lkpzb24ifQ==",
    "fields": {"PackageName": "Newtonsoft.Json"},
    "caller": "API key 1 (ci)",
    "address": "127.0.0.1",
    "answer": {
        "status": 400,
        "headers": [["Content-Type", "text/plain; charset=utf-8"]],
        "body": "Version is required.\n",
        "bodyBase64": "VmVyc2lvbiBpcyByZXF1aXJlZC4K",
    },
    "deploymentId": None,
    "refusal": None,
    "fault": None,
}
RECORDING: dict[str, Any] = {
    "format": "deployserver recording",
    "version": 1,
    "source": f"deployserver {__version__}",
    "requests": [
        {
            "method": "POST",
            "target": "/api/package-deployment/",
            "caller": "API key 1 (ci)",
            "headers": ["X-ApiKey: {{key ci}}", "Content-Type: application/json"],
            "bodyJson": {"PackageName": "Newtonsoft.Json"},
            "bodyStyle": "spaced",
            "answer": {
                "status": 400,
                "contentType": "text/plain; charset=utf-8",
                "bodyLines": ["Version is required.\n"],
            },
        }
    ],
}
VERIFICATION: dict[str, Any] = {
    "deployed": {"package": "Newtonsoft.Json", "version": "12.0.3", "target": "localhost", "times": 1},
    "notDeployed": {"target": "web02"},
    "requested": {"method": "POST", "times": 0},
}
