"""Records in ProGet what has been deployed: ``python release.py PACKAGE VERSION TARGET``.

Address, API key and feed come from PROGET_URL, PROGET_API_KEY and PROGET_FEED.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http.client import HTTPException
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

COME_BACK = (429, 503)


class NotRecorded(Exception):
    """ProGet has no record of the deployment, or none that we know of."""


class ProGet:
    """The deployment records of a ProGet server; all times are in seconds."""

    attempts = 3
    timeout = 10.0

    def __init__(self, url: str, key: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url.rstrip("/")
        self.key = key
        self.sleep = sleep

    def record(self, deployment: Mapping[str, str]) -> None:
        """Record a deployment; raises NotRecorded, with the reason.

        Where an answer is lost, nobody knows whether the record was stored: it is looked for before it is sent again.
        """
        # The same date in each attempt: if there are two records in the end, anyone can see that they are one.
        deployment = {"Date": datetime.now(UTC).isoformat(), **deployment}
        for attempt in range(1, self.attempts + 1):
            try:
                self._send("/api/package-deployment/", urlencode(deployment).encode())
                return
            except HTTPError as error:
                problem = f"ProGet answered {error.code}: {error.read().decode(errors='replace').strip()}"
                if error.code not in COME_BACK:
                    raise NotRecorded(problem) from error
                pause = _seconds(error.headers.get("Retry-After"))
            except (OSError, HTTPException) as error:
                problem = f"ProGet did not answer: {error}"
                pause = 1
                if self._has(deployment):
                    return
            if attempt < self.attempts:
                self.sleep(pause)
        raise NotRecorded(f"{problem} (tried {self.attempts} times)")

    def _has(self, deployment: Mapping[str, str]) -> bool:
        """Tell whether a deployment is known to be recorded.

        If it cannot be asked for, it counts as not recorded: better twice in the history than not at all.
        """
        names = {"feed": "FeedName", "package": "PackageName", "version": "Version", "target": "Target"}
        query = {name: deployment[field] for name, field in names.items()} | {"since": deployment["Date"]}
        try:
            return bool(json.loads(self._send(f"/api/deployments?{urlencode(query)}")))
        except (OSError, HTTPException, ValueError):
            return False

    def _send(self, path: str, body: bytes | None = None) -> bytes:
        request = Request(self.url + path, body, {"X-ApiKey": self.key})
        with urlopen(request, timeout=self.timeout) as answer:
            return answer.read()


def _seconds(retry_after: str | None) -> int:
    return int(retry_after) if retry_after and retry_after.isdecimal() else 1


def main() -> None:
    """Record what the command line says."""
    package, version, target = sys.argv[1:]
    # ... here it is deployed ...
    proget = ProGet(os.environ["PROGET_URL"], os.environ["PROGET_API_KEY"])
    try:
        proget.record(
            {
                "FeedName": os.environ.get("PROGET_FEED", "DefaultNuGet"),
                "PackageName": package,
                "Version": version,
                "Target": target,
                "Application": "release.py",
                "Description": f"{package} {version} to {target}",
            }
        )
    except NotRecorded as error:
        sys.exit(f"{package} {version} is deployed to {target}, but not recorded: {error}")


if __name__ == "__main__":
    main()
