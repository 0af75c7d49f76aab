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

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PATH = "/api/package-deployment/"
FORM = (
    b"FeedName=DefaultNuGet&Application=ProfitCalc&Description=Deployed by Custom Release Server"
    b"&Target=localhost&PackageName=Newtonsoft.Json&Version=12.0.3"
)


class CannotStart(Exception):
    """A server cannot be set up or does not answer; the message says why."""


@dataclass
class Server:
    """A running server; ``database`` is its SQLite file, if it has one."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    log: Path
    database: Path | None
    answered: int = 0
    """2xx answers that wrk has counted so far."""

    @property
    def url(self) -> str:
        """Where deployments are posted to."""
        return f"http://127.0.0.1:{self.port}{PATH}"

    def rows(self) -> int | None:
        """Return how many deployments are stored, or None for a server that stores none."""
        if self.database is None:
            return None
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
    port = _free_port()
    command = [sys.executable, str(HERE / "baseline.py"), name, "--port", str(port)]
    return _start(name, port, command, directory, server_environment(product_directory()), None)


def start_product(name: str, directory: Path, checkout: Path | None = None) -> Server:
    """Start the product with its default settings, from ``checkout`` if given."""
    port = _free_port()
    environment = server_environment(checkout or product_directory())
    program = [sys.executable, "-m", "deployserver"]
    configured = ["--config", "config.ini"]
    (directory / "config.ini").write_text("# all defaults\n")
    for step in (
        ["migrate"],
        ["feed", "add", "DefaultNuGet"],
        ["key", "create", "--feed", "DefaultNuGet", "--value", "abc12345"],
    ):
        _run([*program, *step, *configured], directory, environment)
    command = [*program, "serve", "--port", str(port), *configured]
    return _start(name, port, command, directory, environment, directory / "deployserver.db")


def start_installed(name: str, directory: Path) -> Server:
    """Start the product on a configuration and a database that are there."""
    port = _free_port()
    program = [sys.executable, "-m", "deployserver", "--config", "config.ini", "serve", "--port", str(port)]
    return _start(name, port, program, directory, server_environment(product_directory()), None)


def start_usual(name: str, directory: Path) -> Server:
    """Start the server that most would write, in a virtual environment of its own."""
    port = _free_port()
    python = _usual_python()
    database = directory / "usual.db"
    environment = {**_plain_environment(), "USUAL_DATABASE": str(database)}
    return _start(name, port, [str(python), str(HERE / "usual.py"), str(port)], directory, environment, database)


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
    environment = RESULTS.resolve() / f"venv-{sys.version_info.major}.{sys.version_info.minor}"
    python = environment / "bin" / "python"
    requirements = (HERE / "requirements.txt").read_text()
    made_from = environment / "requirements.txt"
    if not made_from.exists() or made_from.read_text() != requirements:
        _run([sys.executable, "-m", "venv", "--clear", str(environment)], RESULTS, _plain_environment())
        install = [str(python), "-m", "pip", "install", "-q", "-r", str(HERE.resolve() / "requirements.txt")]
        _run(install, RESULTS, _plain_environment())
        made_from.write_text(requirements)
    return python


def _plain_environment() -> dict[str, str]:
    return {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith("DEPLOYSERVER_")
    }


def server_environment(package: Path) -> dict[str, str]:
    """Return an environment without settings of the product, and with ``package`` before all other packages."""
    others = [str(Path(entry).resolve()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    return {**_plain_environment(), "PYTHONPATH": os.pathsep.join([str(package.resolve()), *others])}


def _run(command: list[str], directory: Path, environment: Mapping[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True)
    if done.returncode:
        output = (done.stderr or done.stdout).strip().splitlines()
        raise CannotStart(output[-1] if output else f"{command[:4]} failed")


def _start(
    name: str, port: int, command: list[str], directory: Path, environment: Mapping[str, str], database: Path | None
) -> Server:
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=directory, env=environment, stdout=output, stderr=output)
    server = Server(name, port, process, log, database)
    try:
        _await_first_answer(server)
    except BaseException:
        server.stop()
        raise
    return server


def _await_first_answer(server: Server) -> None:
    """Post the request until it is answered with 200."""
    headers = {"X-ApiKey": "abc12345", "Content-Type": "application/x-www-form-urlencoded"}
    deadline = time.monotonic() + 20
    while True:
        try:
            request = urllib.request.Request(server.url, FORM, headers)
            with urllib.request.urlopen(request, timeout=5) as answer:
                if answer.status == 200:
                    server.answered += 1
                    return
        except OSError as error:
            if server.process.poll() is not None or time.monotonic() > deadline:
                last = server.log.read_text(errors="replace").strip().splitlines()[-1:]
                raise CannotStart(f"{server.name} does not answer: {last[0] if last else error}") from None
        time.sleep(0.05)


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
