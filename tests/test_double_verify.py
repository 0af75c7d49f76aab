"""What ``POST /__double__/verify`` says where something is not as it was expected."""

from __future__ import annotations

import json
import urllib.request
from urllib.error import HTTPError

from deployserver.testing import DeployServer


def verify(server: DeployServer, document: object) -> str:
    """Return the text of the answer, whatever its status is."""
    body = json.dumps(document).encode()
    try:
        with urllib.request.urlopen(f"{server.url}/__double__/verify", body, timeout=10) as answer:
            return str(answer.read().decode())
    except HTTPError as error:
        return error.read().decode()


def test_the_message_over_http_is_that_of_the_assertion_line_by_line() -> None:
    with DeployServer() as server:
        server.add_feed("DefaultNuGet", anonymous=True)
        for target in ("web-01", "web-02\tsecond", "w" * 600):
            record = f"FeedName=DefaultNuGet&PackageName=A&Version=1&Target={target}&Application=x&Description=x"
            try:
                urllib.request.urlopen(f"{server.url}/api/package-deployment/", record.encode(), timeout=10).close()
            except HTTPError as error:
                error.close()
        try:
            server.assert_deployed(package="A", target="web-03")
        except AssertionError as error:
            message = str(error)
        assert message.count("\n") > 5
        assert verify(server, {"deployed": {"package": "A", "target": "web-03"}}) == f"{message}\n"
