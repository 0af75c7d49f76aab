"""What is said of a PostgreSQL database that cannot be used, and that commands do with one that can be."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import FEED
from postgres import Cluster
from processes import Finished, Installation, environment, fetched, until

from deployserver.errors import DatabaseError
from deployserver.storage.migrations import folder_of
from deployserver.storage.postgresql.engine import PostgreSQLEngine

_BLOCKED = """
import sys
sys.modules["asyncpg"] = None
from deployserver.cli import main
sys.exit(main())
"""


@pytest.fixture
async def url(cluster: Cluster) -> str:
    """The URL of an empty database."""
    return cluster.url(await cluster.make())


async def sql(url: str, *statements: str) -> None:
    for statement in statements:
        await asyncio.to_thread(fetched, url, statement)


def migrated(url: str) -> tuple[str, ...]:
    return PostgreSQLEngine(url, 2).migrate()


def as_user(url: str, user: str) -> str:
    return url.replace("tests@", f"{user}@")


async def made_user(url: str, name: str) -> str:
    """Return the URL for a user who is made if not there."""
    await sql(url, f"DO $$ BEGIN CREATE ROLE {name} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    return as_user(url, name)


def refused(url: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        migrated(url)
    text = str(caught.value)
    assert text.startswith("The database postgresql://")
    assert "\n" not in text
    return text


def not_writable(url: str) -> str:
    with pytest.raises(DatabaseError) as caught:
        PostgreSQLEngine(url, 2).require_writable()
    return str(caught.value)


async def test_a_database_that_cannot_be_reached_is_explained(cluster: Cluster, url: str) -> None:
    """Each message names what to look at; none is a stack of driver's words."""
    nobody = refused(url.replace(str(cluster.port), "1"))
    assert "nothing takes connections there" in nobody
    assert "there is no such database on the server" in refused(cluster.url("missing"))
    assert 'role "nobody_at_all" does not exist' in refused(as_user(url, "nobody_at_all"))
    assert "the name of the host cannot be looked up" in refused("postgresql://u@host.invalid/db")
    assert "TLS" in refused(f"{url}?sslmode=require") or "rejected SSL" in refused(f"{url}?sslmode=require")
    assert 'unrecognized configuration parameter "nonsense"' in refused(f"{url}?nonsense=1")


async def test_no_message_holds_the_password(cluster: Cluster, url: str) -> None:
    """Not as it is written in the URL, and not as it is meant."""
    for wrong in ("tests:se%40cret-pass@", "nobody_at_all:se%40cret-pass@"):
        text = refused(url.replace("tests@", wrong).replace(str(cluster.port), "1"))
        assert "cret-pass" not in text


async def test_several_hosts_are_tried_until_one_takes_records(cluster: Cluster, url: str) -> None:
    """The usual way to name a primary server and its standbys."""
    several = url.replace("127.0.0.1:", "127.0.0.1:1,127.0.0.1:")
    assert migrated(several) == ("0001_initial",)


async def test_a_database_of_another_program_is_left_alone(url: str) -> None:
    """Its tables, and a table that other programs call schema_migrations, too."""
    await sql(url, "CREATE TABLE recipes (name text)")
    assert "it is the database of another program" in refused(url)
    await sql(url, "CREATE TABLE schema_migrations (version text)")
    assert "it is the database of another program" in refused(url)


async def test_a_database_that_is_newer_is_left_alone(url: str) -> None:
    """An old server on a new database would write what the new ones cannot read."""
    migrated(url)
    await sql(url, "INSERT INTO schema_migrations VALUES ('9999_later', now())")
    assert "it was made by a newer version of deployserver" in refused(url)


async def test_tables_may_be_in_a_schema_of_their_own(url: str) -> None:
    """Beside those of another program, in one database: what search_path is for."""
    await sql(url, "CREATE TABLE recipes (name text)", "CREATE SCHEMA records")
    assert migrated(f"{url}?search_path=records") == ("0001_initial",)
    assert migrated(f"{url}?search_path=records,public") == ()
    assert "the schema that tables are to be made in does not exist" in refused(f"{url}?search_path=missing")


async def test_a_user_without_rights_is_told_which(url: str) -> None:
    """Who may not make tables, who may only read, and a database that is read-only, each before the first record."""
    reader = await made_user(url, "reader")
    await sql(url, "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT USAGE ON SCHEMA public TO reader")
    assert "GRANT CREATE ON SCHEMA to it" in refused(reader)
    migrated(url)
    assert "permission denied for table schema_migrations" in refused(reader)
    await sql(url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
    assert "this user may not write to its table" in refused(reader)
    assert "it is read-only" in refused(f"{url}?default_transaction_read_only=on")


async def test_config_check_does_not_call_a_database_fine_that_serve_refuses(url: str, tmp_path: Path) -> None:
    """A user who may only read can ask for the state of the migrations, and the server would not start as that user."""
    reader = await made_user(url, "checker")
    await sql(url, "REVOKE ALL ON SCHEMA public FROM PUBLIC", "GRANT USAGE ON SCHEMA public TO checker")
    assert "GRANT USAGE, CREATE ON SCHEMA" in not_writable(reader)
    assert fetched(url, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'") == []
    migrated(url)
    await sql(url, "GRANT SELECT ON ALL TABLES IN SCHEMA public TO checker")
    check = await Installation(tmp_path, database={"url": reader}).run("config", "check")
    assert (check.code, "this user may not write to its table" in check.err) == (1, True), check
    assert "it is read-only" in not_writable(f"{url}?default_transaction_read_only=on")
    PostgreSQLEngine(url, 2).require_writable()


async def test_a_database_in_another_encoding_is_refused(cluster: Cluster) -> None:
    """Not every name could be stored in it."""
    await cluster.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    assert "its encoding is LATIN1; it must be UTF8" in refused(cluster.url("latin"))


async def test_a_migration_that_is_killed_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    """No table, no lock: the next one starts from the beginning."""
    installation = Installation(tmp_path, database={"url": url})
    folder = tmp_path / "migrations"
    folder.mkdir()
    shutil.copy(str(folder_of("postgresql") / "0001_initial.sql"), folder)
    (folder / "0002_slow.sql").write_text("SELECT pg_sleep(60)")
    process = await installation.python("-c", _MIGRATION, url, str(folder))
    try:
        await until(lambda: _is_under_way(url))
    finally:
        process.kill()
        await process.wait()
    assert await asyncio.to_thread(migrated, url) == ("0001_initial",)


_MIGRATION = """
import pathlib, sys
from deployserver.storage.postgresql import migrator
from deployserver.storage.postgresql.engine import PostgreSQLEngine

folder = pathlib.Path(sys.argv[2])
PostgreSQLEngine(sys.argv[1], 5)._connected(lambda connection: migrator.migrate(connection, folder))
"""


async def _is_under_way(url: str) -> bool:
    statement = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND datname = current_database()"
    return len(await asyncio.to_thread(fetched, url, f"{statement} AND pid <> pg_backend_pid()")) > 0


async def test_commands_work_on_postgresql(url: str, tmp_path: Path) -> None:
    """All of them, from the empty database on."""
    installation = Installation(tmp_path, database={"url": url})
    check = await installation.run("config", "check")
    assert (check.code, "lacks 0001_initial, applied when the server starts" in check.out) == (0, True), check
    assert (await installation.run("migrate", "--check")).code == 3
    assert "Run deployserver migrate" in (await installation.run("feed", "list")).err

    async def runs(*arguments: str, code: int = 0) -> Finished:
        done = await installation.run(*arguments)
        assert done.code == code, (arguments, done)
        return done

    await runs("migrate")
    await runs("migrate", "--check")
    await runs("feed", "add", FEED)
    await runs("feed", "update", FEED, "--add-name", "Alias")
    await runs("user", "add", "alice", "--no-password")
    await runs("key", "create", "--user", "alice")
    await runs("key", "create", "--feed", FEED)
    await runs("privilege", "grant", "alice", "Feeds_DownloadPackage")
    await runs("key", "revoke", "2")
    await runs("feed", "remove", "Alias", "--force")
    assert json.loads((await runs("feed", "list", "--json")).out) == []
    actions = [entry["action"] for entry in json.loads((await runs("audit", "--json")).out)]
    assert actions[0] == "feed.remove"
    assert "pg_dump" in (await runs("database", "backup", "copy.db", code=1)).err
    assert "up to date" in (await runs("config", "check")).out


@pytest.mark.parametrize(
    "arguments", [("serve",), ("migrate",), ("feed", "list"), ("config", "check"), ("quickstart",)], ids=" ".join
)
def test_without_the_driver_every_command_says_what_to_install(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """It is an extra, and most installations do without it."""
    done = subprocess.run(
        [sys.executable, "-c", _BLOCKED, *arguments],
        cwd=tmp_path,
        env=environment() | {"DEPLOYSERVER_DATABASE_URL": "postgresql://u@127.0.0.1:1/db"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "pip install 'deployserver[postgresql]'" in done.stderr
    assert "Traceback" not in done.stderr
