"""What docs/running-at-scale.md shows is run, and what it names is there."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import asyncpg
import postgres
import pytest
import yaml
from conftest import RECORD
from postgres import Cluster
from programs import with_programs

from deployserver import config
from deployserver.cli import make_parser
from deployserver.settings import OPTIONS
from deployserver.storage.postgresql.pool import READERS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "running-at-scale.md").read_text("utf-8")
COMPOSE = yaml.safe_load((ROOT / "examples" / "postgresql.yml").read_text("utf-8"))


def blocks(language: str) -> list[str]:
    """Return the code blocks of a language, also those within lists."""
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", PAGE, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for block in found]


def anchors(text: str) -> set[str]:
    """Return what the headings of a page are linked by."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", PAGE)
    assert len(links) > 10
    for file, anchor in links:
        target = ROOT / "docs" / (file or "running-at-scale.md")
        assert target.is_file(), file
        assert not anchor or anchor in anchors(target.read_text("utf-8")), f"{file}#{anchor}"


@pytest.mark.parametrize("number", range(len(blocks("ini"))))
def test_every_configuration_is_one(number: int, tmp_path: Path) -> None:
    file = tmp_path / "config.ini"
    file.write_text(blocks("ini")[number], "utf-8")
    assert config.load(file, {}).file == file


def test_every_option_that_is_named_is_there() -> None:
    named = re.findall(r"`\[(\w+)\] (\w+)`", PAGE)
    assert named
    assert set(named) <= {(option.section, option.name) for option in OPTIONS}
    assert set(re.findall(r"DEPLOYSERVER_\w+", PAGE)) <= {
        name for option in OPTIONS for name in (option.variable, f"{option.variable}_FILE")
    }


def test_every_command_that_is_named_is_there() -> None:
    named = re.findall(r"`deployserver ((?:[a-z]+ ?)+)", PAGE)
    assert len(named) >= 5
    for words in named:
        with pytest.raises(SystemExit) as ended:
            make_parser().parse_args([*words.split(), "--help"])
        assert ended.value.code == 0, words


def test_every_log_message_is_one_of_the_program() -> None:
    sources = [file.read_text("utf-8") for file in (ROOT / "deployserver").rglob("*.py")]
    source = re.sub(r'"\s+f?"', "", "\n".join(sources))
    table = PAGE.partition("| Message | |")[2].partition("\n\n")[0]
    messages = re.findall(r"`([^`]+)`", table)
    assert len(messages) >= 15
    for message in messages:
        pieces = (re.escape(piece.strip()) for piece in message.split("…"))
        assert re.search("[^\n]*".join(pieces), source), message


def test_a_process_has_as_many_connections_as_it_says() -> None:
    assert f"up to {READERS} that read" in PAGE
    assert f"at most {READERS + 4}." in PAGE  # one each to record, watch, index and listen


@pytest.mark.skipif(sys.platform == "win32", reason="the programs are shell scripts")
def test_the_commands_run_as_shown(cluster: Cluster, tmp_path: Path) -> None:
    """Those of an administrator of PostgreSQL, then the move there, the backup and its restoration, and a history."""
    administration, *questions = blocks("sql")
    for statement in filter(str.strip, administration.split(";")):
        asyncio.run(cluster.execute(statement))
    (tmp_path / "first.ndjson").write_text(json.dumps(RECORD) + "\n", "utf-8")
    preparation = "deployserver migrate; deployserver load first.ndjson --create-feeds nuget"
    script = "\n".join([preparation, *blocks("sh")])
    script = re.sub(r"\?sslmode=[^' ]*", "", script).replace("@db.example", f"@127.0.0.1:{cluster.port}")
    script = script.replace("--host db.example", "--host 127.0.0.1")
    assert "example" not in script
    programs = postgres.programs()
    assert programs is not None
    environment = with_programs(tmp_path / "bin") | {"PGPORT": str(cluster.port), "PGUSER": "tests"}
    environment["PATH"] += f"{os.pathsep}{programs}"
    done = subprocess.run(
        [shutil.which("bash") or "sh", "-e", "-u", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "It is marked as unfinished" in done.stdout
    assert "holds the same as" in done.stdout
    asyncio.run(_see(cluster, questions))


async def _see(cluster: Cluster, questions: list[str]) -> None:
    """See that the restored database is whole, and that its owner, settings and questions are as the page says."""
    connection = await asyncpg.connect(cluster.url("restored"))
    try:
        assert await connection.fetchval("SELECT package_name FROM deployment_records") == RECORD["PackageName"]
        owners = await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
        assert [row[0] for row in owners] == ["deployserver"]
        for question in questions:
            await connection.fetch(question)
        known = {row[0] for row in await connection.fetch("SELECT name FROM pg_settings")}
    finally:
        await connection.close()
    named = set(re.findall(r"^(\w+) = ", "\n".join(blocks("conf")), re.MULTILINE))
    table = PAGE.partition("| Setting | |")[2].partition("\n\n")[0]
    named |= set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    assert len(named) >= 8
    assert named <= known


def test_the_containers_have_the_configuration_that_is_tested() -> None:
    """nginx reaches the servers where its configuration says that they are, and they believe nobody but it."""
    services = COMPOSE["services"]
    nginx = (ROOT / "deploy" / "nginx.conf").read_text("utf-8")
    servers = [services[name] for name in ("one", "two")]
    addresses = [server["networks"]["servers"]["ipv4_address"] for server in servers]
    assert re.findall(r"^ *server ([\d.]+):8624 ", nginx, re.MULTILINE) == addresses
    (volume,) = services["nginx"]["volumes"]
    assert (ROOT / "examples" / volume.split(":")[0]).resolve() == ROOT / "deploy" / "nginx.conf"
    known = {name for option in OPTIONS for name in (option.variable, f"{option.variable}_FILE")}
    for server in servers:
        assert set(server["environment"]) <= known
        assert (
            server["environment"]["DEPLOYSERVER_SERVER_TRUSTED_PROXIES"]
            == (services["nginx"]["networks"]["servers"]["ipv4_address"])
        )
        assert set(server["secrets"]) <= set(COMPOSE["secrets"])
        assert (ROOT / "examples" / server["build"]["context"] / server["build"]["dockerfile"]).is_file()
    text = (ROOT / "examples" / "postgresql.yml").read_text("utf-8")
    for words in re.findall(r"exec one deployserver (.*)$", text, re.MULTILINE):
        make_parser().parse_args(words.split())
