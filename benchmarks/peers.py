"""What others would take to record deployments over HTTP without writing a server: tables with an API.

They check no fields, no feed and no privilege, and most sync less; they show what such a request costs elsewhere.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from servers import HERE, RESULTS, CannotStart, Post, Server, free_port, installed_python, plain_environment, run, start

_RECORD = {
    "FeedName": "DefaultNuGet",
    "Application": "ProfitCalc",
    "Description": "Deployed by Custom Release Server",
    "Target": "localhost",
    "PackageName": "Newtonsoft.Json",
    "Version": "12.0.3",
}
_PACKAGES = ("soul-cli@0.8.2", "json-server@0.17.4")


def start_soul(name: str, directory: Path) -> Server:
    """Start soul, an API for SQLite databases in Node.js on better-sqlite3: a commit a request, the file in WAL."""
    port, database = free_port(), _table(directory)
    command = [_node("soul"), "--database", str(database), "--port", str(port)]
    post = Post("/api/tables/deployments/rows", json.dumps({"fields": _RECORD}))
    return start(name, port, command, directory, plain_environment(), database, post)


def start_json_server(name: str, directory: Path) -> Server:
    """Start json-server, which keeps everything in one JSON file and writes all of it with every request."""
    port, database = free_port(), directory / "db.json"
    database.write_text('{"deployments": []}')
    command = [_node("json-server"), "--port", str(port), "--quiet", str(database)]
    post = Post("/deployments", json.dumps(_RECORD))
    return start(name, port, command, directory, plain_environment(), None, post)


def start_datasette(name: str, directory: Path) -> Server:
    """Start Datasette with its insert API, in a virtual environment of its own."""
    port, database = free_port(), _table(directory)
    python = installed_python("datasette", HERE / "datasette_requirements.txt")
    program = [str(python), "-m", "datasette"]
    token = subprocess.run(
        [*program, "create-token", "root", "--secret", "secret"], capture_output=True, text=True, check=True
    ).stdout.strip()
    command = [*program, "serve", str(database), "--root", "--secret", "secret", "--port", str(port)]
    post = Post("/deployments/deployments/-/insert", json.dumps({"row": _RECORD}), token)
    return start(name, port, command, directory, plain_environment(), database, post)


def _table(directory: Path) -> Path:
    file = directory / "deployments.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        columns = ", ".join(f"{name} TEXT NOT NULL" for name in _RECORD)
        connection.execute(f"CREATE TABLE deployments (id INTEGER PRIMARY KEY, {columns})")
    return file


def _node(program: str) -> str:
    """Return a program of Node.js, which npm installs if it is not there."""
    directory = RESULTS.resolve() / "npm"
    made_from = directory / "packages.txt"
    if not made_from.exists() or made_from.read_text() != " ".join(_PACKAGES):
        npm = shutil.which("npm")
        if npm is None:
            raise CannotStart("npm is needed (Debian, Ubuntu: apt install npm)")
        directory.mkdir(parents=True, exist_ok=True)
        install = [npm, "install", "--silent", "--no-fund", "--no-audit", "--prefix", str(directory), *_PACKAGES]
        run(install, directory, plain_environment())
        made_from.write_text(" ".join(_PACKAGES))
    return str(directory / "node_modules" / ".bin" / program)
