"""Calls that record a deployment, to be copied from a page into a shell."""

from __future__ import annotations

from collections.abc import Mapping

PATH = "/api/package-deployment/"

SAMPLE = {
    "FeedName": "DefaultNuGet",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
    "Target": "localhost",
    "Application": "ProfitCalc",
    "Description": "Deployed by Custom Release Server",
}
"""The record of the API's own documentation."""


def powershell_call(public_url: str, record: Mapping[str, str] | None = None, key: str = "YOUR-KEY") -> str:
    """Return a call for PowerShell; it works in Windows PowerShell 5.1 as well."""
    fields = [f"  {name} = {_powershell(value)}" for name, value in {**SAMPLE, **(record or {})}.items()]
    return "\n".join(
        (
            "$data = @{",
            *fields,
            "}",
            f"Invoke-RestMethod -Method Post -Uri {_powershell(public_url + PATH)} `",
            f"  -Headers @{{ 'X-ApiKey' = {_powershell(key)} }} -Body $data",
        )
    )


def curl_call(public_url: str, record: Mapping[str, str] | None = None, key: str = "YOUR-KEY") -> str:
    """Return a call for curl in a POSIX shell."""
    lines = [f"curl --fail-with-body {_posix(public_url + PATH)}", f"-H {_posix('X-ApiKey: ' + key)}"]
    lines += [f"--data-urlencode {_posix(f'{name}={value}')}" for name, value in {**SAMPLE, **(record or {})}.items()]
    return " \\\n  ".join(lines)


def _powershell(text: str) -> str:
    return "'" + "".join(character * 2 if character in "'‘’‚‛" else character for character in text) + "'"


def _posix(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
