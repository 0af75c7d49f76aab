"""The wheel, installed in a clean environment, is all it takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest
from conftest import PATH
from processes import quickstart

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, built from a copy so that nothing is left behind in it."""
    source = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "setup.cfg", "README.md", "LICENSE"):
        (source / name).write_bytes((ROOT / name).read_bytes())
    for folder in ("deployserver", "migrations"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                target = source / file.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(file.read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", out, source],
        check=True,
        timeout=300,
    )
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_queries_migrations_pages_and_types(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "deployserver/migrations/sqlite/0001_initial.sql" in names
    assert "deployserver/storage/queries/access.sql" in names
    assert "deployserver/pages/templates/parts/records.html" in names
    assert "deployserver/pages/static/style.css" in names
    assert "deployserver/py.typed" in names
    assert [name for name in names if name.startswith(("tests/", "migrations/", "benchmarks/"))] == []


def test_a_clean_environment_serves_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    """Installed with what it says it needs and nothing else, the first command of the README works."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run([python, "-m", "pip", "install", "--quiet", wheel], check=True, timeout=300, env=environment)
    with quickstart(python.with_name("deployserver"), tmp_path, environment) as (url, key):
        body = "FeedName=DefaultNuGet&Application=a&Description=d&Target=t&PackageName=p&Version=1"
        request = urllib.request.Request(url + PATH, body.encode(), {"X-ApiKey": key})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["Id"] == 1
