"""The doubles that are compared, and the virtual environment that all of them run in."""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servers import HERE, RESULTS, product_directory, server_environment

RUNS = HERE.resolve() / "double_runs"
_REQUIREMENTS = HERE / "double_requirements.txt"


@dataclass(frozen=True, slots=True)
class Double:
    """A double: its pytest plugin, the fixture in it, and what it is called by ``directly.py``."""

    name: str
    plugin: str
    fixture: str
    package: str
    direct: tuple[str, ...]

    @property
    def tests(self) -> str:
        """The file with the tests that use it."""
        return f"test_{self.fixture}.py"


DOUBLES = (
    Double("proget", "deployserver.pytest_plugin", "proget", "deployserver", ("proget", "proget seeded")),
    Double("pytest-httpserver", "pytest_httpserver.pytest_plugin", "httpserver", "pytest-httpserver", ("httpserver",)),
    Double("moto server", "moto_fixture", "moto", "moto", ("moto",)),
)


class Environment:
    """The interpreter that has the doubles, and how to run things with it."""

    def __init__(self) -> None:
        self.python = Path(sys.executable)
        self.versions: dict[str, str] = {}

    def prepare(self) -> list[Double]:
        """Install what is compared, and return what there is; what cannot be had is left out, with a word why.

        Without a package index the product alone is measured, in the environment that this runs in.
        """
        directory = RESULTS.resolve() / f"double-venv-{sys.version_info.major}.{sys.version_info.minor}"
        wanted = [*_requirements_of_product(), *_lines(_REQUIREMENTS)]
        made_from = directory / "made-from.txt"
        if not made_from.exists() or made_from.read_text() != "\n".join(wanted):
            try:
                _quietly([sys.executable, "-m", "venv", "--clear", str(directory)])
                self._install(directory, wanted)
                made_from.write_text("\n".join(wanted))
            except subprocess.CalledProcessError as error:
                print(f"pytest-httpserver and moto are left out: {_last_line(error.stderr)}")
        if made_from.exists():
            self.python = directory / "bin" / "python"
        packages = [double.package for double in DOUBLES if double.package != "deployserver"]
        self.versions = self._versions_of(["pytest", *packages, "aiohttp", "werkzeug"])
        return [double for double in DOUBLES if double.package == "deployserver" or double.package in self.versions]

    def run_tests(
        self, test: str, double: Double | None, *, count: int = 1, memory_after: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Run tests in a pytest of their own, with no plugin but that of the double, and return what was noted."""
        plugins = ["-p", "noting", *(("-p", double.plugin) if double else ()), "-p", "noting_plugins"]
        with tempfile.TemporaryDirectory() as directory:
            notes = Path(directory) / "notes.json"
            environment = {
                **self._variables(),
                "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
                "FIXTURE": double.fixture if double else "",
                "TESTS": str(count),
                "MEMORY_AFTER": " ".join(map(str, memory_after)),
                "NOTES": str(notes),
            }
            command = [str(self.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *plugins, test]
            _quietly([*command, "-c", os.devnull, "--rootdir", str(RUNS)], environment)
            noted: dict[str, Any] = json.loads(notes.read_text())
        return noted

    def run(self, script: str, *arguments: str) -> dict[str, Any]:
        """Run a script that prints JSON."""
        done: dict[str, Any] = json.loads(_quietly([str(self.python), script, *arguments], self._variables()))
        return done

    def serve(self, direct: str) -> tuple[subprocess.Popen[str], str]:
        """Start a double in a process of its own, which ends when its standard input is closed; return its address."""
        command = [str(self.python), "directly.py", direct, "0", "serve"]
        process = subprocess.Popen(
            command,
            cwd=RUNS,
            env=self._variables(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())["url"]

    def _variables(self) -> dict[str, str]:
        variables = server_environment(product_directory())
        return {**variables, "PYTHONPATH": f"{RUNS}{os.pathsep}{variables['PYTHONPATH']}"}

    def _install(self, directory: Path, wanted: list[str]) -> None:
        _quietly([str(directory / "bin" / "python"), "-m", "pip", "install", "-q", *wanted])

    def _versions_of(self, packages: list[str]) -> dict[str, str]:
        program = (
            "import importlib.metadata as m, json, sys\n"
            "names = {d.name.lower().replace('_', '-'): d.version for d in m.distributions()}\n"
            "print(json.dumps({n: names[n] for n in sys.argv[1:] if n in names}))"
        )
        return dict(json.loads(_quietly([str(self.python), "-c", program, *packages])))


def _requirements_of_product() -> list[str]:
    """Return what the product needs; it is run from where it is, so that changes of it are measured at once."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(product_directory() / "setup.cfg")
    declared = parser.get("options", "install_requires", fallback="deployserver")
    return [line.strip() for line in declared.splitlines() if line.strip()]


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text().splitlines() if line and not line.startswith("#")]


def _quietly(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=RUNS, env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout[-3000:], done.stderr[-3000:], file=sys.stderr)
        raise subprocess.CalledProcessError(done.returncode, command, done.stdout, done.stderr or done.stdout)
    return done.stdout


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no word why"])[-1]
