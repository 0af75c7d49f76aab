"""Starts one double without pytest and prints, as JSON, how long that took and how long each renewal did.

With ``serve``, it then says where it is and stays there until its standard input ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable

_started, _processor = time.perf_counter(), time.process_time()  # before anything of the double is imported

Started = tuple[str, Callable[[], object]]
"""The address of a double, and what makes it as new."""

STATE = {"feeds": ["DefaultNuGet"], "keys": [{"key": "abc12345"}]}


def proget() -> Started:
    """Start the product's double, which begins with nothing."""
    from deployserver.testing import DeployServer

    server = DeployServer().start()
    return server.url, server.reset


def proget_seeded() -> Started:
    """Start the product's double, which begins with a feed and a key."""
    from deployserver.testing import DeployServer

    server = DeployServer(state=STATE).start()
    return server.url, server.reset


def httpserver() -> Started:
    """Start pytest-httpserver, which answers what is posted to it."""
    from pytest_httpserver import HTTPServer

    server = HTTPServer()
    server.start()

    def renew() -> None:
        server.clear()
        server.expect_request("/api/package-deployment/", method="POST").respond_with_json({"Id": 1})

    renew()
    return f"http://{server.host}:{server.port}", renew


def moto() -> Started:
    """Start moto's server."""
    from moto.server import ThreadedMotoServer
    from posting import send

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    return url, lambda: send("POST", f"{url}/moto-api/reset")


def main() -> None:
    """Run the double of the first argument; the second is how often it is renewed."""
    starts = {"proget": proget, "proget seeded": proget_seeded, "httpserver": httpserver, "moto": moto}
    url, renew = starts[sys.argv[1]]()
    start, processor = time.perf_counter() - _started, time.process_time() - _processor
    times = []
    for _ in range(int(sys.argv[2])):
        before = time.perf_counter()
        renew()
        times.append(time.perf_counter() - before)
    if sys.argv[1] == "moto":
        from posting import send

        send("PUT", f"{url}/bucket")
    print(json.dumps({"url": url, "start": start, "processor": processor, "renewals": times}), flush=True)
    if "serve" in sys.argv[3:]:
        sys.stdin.read()
        os._exit(0)  # some doubles would wait for their threads


if __name__ == "__main__":
    main()
