"""The requests that are sent to all doubles, each over a connection of its own, by the least client there is."""

from __future__ import annotations

import http.client
from urllib.parse import urlsplit

PATH = "/api/package-deployment/"
KEY = "abc12345"
FORM = (
    "FeedName=DefaultNuGet&Application=ProfitCalc&Description=Deployed by Custom Release Server"
    "&Target=localhost&PackageName=Newtonsoft.Json&Version=12.0.3"
)
HEADERS = {"X-ApiKey": KEY, "Content-Type": "application/x-www-form-urlencoded"}


def send(method: str, url: str, body: str = "") -> None:
    """Send a request; it must be answered with 200."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.netloc)
    try:
        connection.request(method, address.path, body, HEADERS)
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, (method, url, response.status, answer[:300])
    finally:
        connection.close()


def post(url: str) -> None:
    """Record a deployment at the server at ``url``."""
    send("POST", url + PATH, FORM)
