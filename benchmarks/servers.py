"""The servers that are compared: how each is set up, started and stopped, and what it has stored."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import postgres

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PATH = "/api/package-deployment/"
FORM = (
    b"FeedName=DefaultNuGet&Application=ProfitCalc&Description=Deployed by Custom Release Server"
    b"&Target=localhost&PackageName=Newtonsoft.Json&Version=12.0.3"
)


class CannotStart(Exception):
    """A server cannot be set up or does not answer; the message says why."""


@dataclass(frozen=True)
class Post:
    """The request that records a deployment: the documented form, or a body of JSON with perhaps a token."""

    path: str = PATH
    json: str = ""
    token: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What tells post.lua to send it."""
        return {name: value for name, value in (("POST_JSON", self.json), ("POST_TOKEN", self.token)) if value}

    def request(self, port: int) -> urllib.request.Request:
        """Return it for a server on a port of this machine."""
        headers = {"X-ApiKey": "abc12345", "Content-Type": "application/x-www-form-urlencoded"}
        if self.json:
            headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return urllib.request.Request(f"http://127.0.0.1:{port}{self.path}", self.json.encode() or FORM, headers)


OURS = Post()


@dataclass
class Server:
    """A running server; ``database`` is its SQLite file or PostgreSQL URL, if it has one that can be asked."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    database: Path | str | None
    post: Post = OURS
    answered: int = 0
    """2xx answers that wrk has counted so far."""

    @property
    def url(self) -> str:
        """Where deployments are posted to."""
        return f"http://127.0.0.1:{self.port}{self.post.path}"

    def rows(self) -> int | None:
        """Return how many deployments are stored, or None for a server whose database cannot be asked."""
        if self.database is None:
            return None
        if isinstance(self.database, str):
            return postgres.count(self.database, "deployments")
        with closing(sqlite3.connect(f"{self.database.as_uri()}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM deployments").fetchone()[0])

    def stop(self) -> None:
        """Tell the server to stop, and wait until it has."""
        self.process.terminate()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


Start = Callable[[str, Path], Server]


def product_directory() -> Path:
    """Return the directory that holds the package: where it is installed, or else this checkout."""
    found = importlib.util.find_spec("deployserver")
    return Path(found.origin).resolve().parents[1] if found and found.origin else HERE.resolve().parent


def start_baseline(name: str, directory: Path) -> Server:
    """Start ``bare`` or ``schema``."""
    port = free_port()
    command = [sys.executable, str(HERE / "baseline.py"), name, "--port", str(port)]
    return start(name, port, command, directory, server_environment(product_directory()), None)


def start_product(
    name: str,
    directory: Path,
    checkout: Path | None = None,
    *,
    workers: int = 1,
    url: str | None = None,
    database: Path | None = None,
) -> Server:
    """Start the product with its default settings, from ``checkout`` if given.

    It has another database if ``url`` is given, or a copy of the file ``database``.
    """
    port = free_port()
    environment = server_environment(checkout or product_directory())
    program = [sys.executable, "-m", "deployserver"]
    configured = ["--config", "config.ini"]
    settings = f"[server]\nworkers = {workers}\n" if workers > 1 else "# all defaults\n"
    (directory / "config.ini").write_text(settings + (f"[database]\nurl = {url}\n" if url else ""))
    steps = [["migrate"]]
    if database is not None:
        shutil.copyfile(database, directory / "deployserver.db")
    else:
        steps.append(["feed", "add", "DefaultNuGet"])
        steps.append(["key", "create", "--feed", "DefaultNuGet", "--value", "abc12345"])
    for step in steps:
        run([*program, *step, *configured], directory, environment)
    command = [*program, "serve", "--port", str(port), *configured]
    server = start(name, port, command, directory, environment, url or directory / "deployserver.db")
    if database is not None:
        server.answered = server.rows() or 0
    return server


def start_installed(name: str, directory: Path) -> Server:
    """Start the product on a configuration and a database that are there."""
    port = free_port()
    program = [sys.executable, "-m", "deployserver", "--config", "config.ini", "serve", "--port", str(port)]
    return start(name, port, program, directory, server_environment(product_directory()), None)


def start_usual(name: str, directory: Path) -> Server:
    """Start the server that most would write, in a virtual environment of its own."""
    port = free_port()
    python = _usual_python()
    database = directory / "usual.db"
    environment = {**plain_environment(), "USUAL_DATABASE": str(database)}
    return start(name, port, [str(python), str(HERE / "usual.py"), str(port)], directory, environment, database)


def versions_of_usual() -> str:
    """Return the versions of the libraries that ``usual`` uses, on one line."""
    listed = subprocess.run([_usual_python(), "-m", "pip", "freeze"], capture_output=True, text=True, check=True).stdout
    wanted = ("fastapi", "pydantic", "sqlalchemy", "starlette", "uvicorn")
    return ", ".join(line.replace("==", " ") for line in listed.splitlines() if line.lower().split("==")[0] in wanted)


def fresh_directory(name: str) -> Path:
    """Return an empty directory for a server, on the disk that this checkout is on."""
    directory = RESULTS.resolve() / "work" / name
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    return directory


def _usual_python() -> Path:
    """Return the interpreter of the virtual environment of ``usual``, which is made if it is not there."""
    return installed_python("venv", HERE / "requirements.txt")


def installed_python(name: str, requirements: Path) -> Path:
    """Return the interpreter of a virtual environment with ``requirements``, which is made if it is not there."""
    environment = RESULTS.resolve() / f"{name}-{sys.version_info.major}.{sys.version_info.minor}"
    python = environment / "bin" / "python"
    wanted, made_from = requirements.read_text(), environment / "requirements.txt"
    if not made_from.exists() or made_from.read_text() != wanted:
        run([sys.executable, "-m", "venv", "--clear", str(environment)], RESULTS, plain_environment())
        install = [str(python), "-m", "pip", "install", "-q", "-r", str(requirements.resolve())]
        run(install, RESULTS, plain_environment())
        made_from.write_text(wanted)
    return python


def plain_environment() -> dict[str, str]:
    """Return an environment without settings of the product, and without its package."""
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("DEPLOYSERVER_")
    }


def server_environment(package: Path) -> dict[str, str]:
    """Return an environment without settings of the product, and with ``package`` before all other packages."""
    others = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**plain_environment(), "PYTHONPATH": os.pathsep.join([str(package.resolve()), *others])}


def run(command: list[str], directory: Path, environment: Mapping[str, str] | None = None) -> None:
    """Run a command to its end. Raises CannotStart with the last line it has written if it fails."""
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines()
        raise CannotStart(output[-1] if output else f"{command[:4]} failed")


def start(
    name: str,
    port: int,
    command: list[str],
    directory: Path,
    environment: Mapping[str, str],
    database: Path | str | None,
    post: Post = OURS,
) -> Server:
    """Start a server and return it once it has recorded a deployment. Raises CannotStart."""
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=output, stderr=output)
    server = Server(name, port, process, log, database, post)
    try:
        _await_first_answer(server)
    except BaseException:
        server.stop()
        raise
    return server


def _await_first_answer(server: Server) -> None:
    """Post the request until it is answered with 2xx."""
    deadline = time.monotonic() + 20
    while True:
        try:
            with urllib.request.urlopen(server.post.request(server.port), timeout=5):
                server.answered += 1
                return
        except OSError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                last = server.log.read_text(errors="replace").strip().splitlines()[-1:]
                raise CannotStart(f"{server.name} does not answer: {last[0] if last else error}") from None
        time.sleep(0.05)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
