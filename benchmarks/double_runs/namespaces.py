"""Prints, as JSON, the memory and threads of a double as namespaces are added to it, each with twenty deployments."""

from __future__ import annotations

import json
import sys
import threading

from noting import resident_bytes
from posting import post

from deployserver.testing import DeployServer


def main() -> None:
    """Add as many namespaces as the argument says."""
    server = DeployServer(state={"feeds": ["DefaultNuGet"], "keys": [{"key": "abc12345"}]})
    with server:
        post(server.namespace("first").url)  # what is loaded with the first request is no namespace's
        memory, threads = resident_bytes(), threading.active_count()
        for number in range(int(sys.argv[1])):
            url = server.namespace(f"n{number}").url
            for _ in range(20):
                post(url)
        grown = resident_bytes() - memory, threading.active_count() - threads
    print(json.dumps({"memory": grown[0], "threads": grown[1]}))


if __name__ == "__main__":
    main()
