"""Programs that tests run: ``deployserver`` and ``pytest``, installed or not, and ``schemathesis``."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from pathlib import Path

from processes import environment

_PYTEST = """
import sys
from importlib.metadata import entry_points

import pytest

# Where deployserver is installed, pytest loads the plugin by itself, and refuses to load it twice.
installed = any(point.value == "deployserver.pytest_plugin" for point in entry_points(group="pytest11"))
plugin = [] if installed else ["-p", "deployserver.pytest_plugin"]
sys.exit(pytest.main(["-p", "no:cacheprovider", *plugin, *sys.argv[1:]]))
"""


def with_programs(directory: Path) -> dict[str, str]:
    """Make the programs in a directory, and return an environment that finds them first (not for Windows)."""
    directory.mkdir()
    script = directory / "run_pytest.py"
    script.write_text(_PYTEST, "utf-8")
    for name, words in {"deployserver": ["-m", "deployserver"], "pytest": [str(script)]}.items():
        launcher = directory / name
        launcher.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *words])} "$@"\n')
        launcher.chmod(0o755)
    path = f"{directory}{os.pathsep}{os.environ['PATH']}"
    return environment() | {"PATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


async def schemathesis(url: str, directory: Path, *options: str) -> None:
    """Ask the server at ``url`` whatever its description allows; fail if an answer is not as described."""
    config = Path(__file__).parents[1] / "schemathesis.toml"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", str(config), "run", f"{url}/api/openapi.json", "--checks", "all"),
        *("--seed", "1", "--no-color", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=directory,
    )
    try:
        output, _ = await asyncio.wait_for(process.communicate(), 300)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, output.decode()
