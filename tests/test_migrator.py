"""Migrations: all that is pending or nothing, once, and with a copy to go back to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from processes import Installation, closing, until

from deployserver.errors import DatabaseError
from deployserver.storage.sqlite.migrator import MigrationState, backup, migrate, migration_state, migrations_folder

FIRST = """\
-- Two tables; a semicolon in a comment; ends no statement.
CREATE TABLE packages (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE changes (
    name TEXT NOT NULL DEFAULT 'a;b' -- nor does one in a text
);
INSERT INTO packages (name) VALUES ('first; and only');
"""
TRIGGER = """\
CREATE TRIGGER packages_inserted AFTER INSERT ON packages
BEGIN
    INSERT INTO changes (name) VALUES (new.name);
    UPDATE packages SET name = CASE WHEN new.name = '' THEN 'none' ELSE new.name END WHERE id = new.id;
END;
INSERT INTO packages (name) VALUES ('');
-- the last line is a comment"""
BROKEN = """\
CREATE TABLE made (id INTEGER);
UPDATE packages SET name = 'changed';
DROP TABLE changes;
INSERT INTO nowhere VALUES (1);
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of migrations."""
    made = tmp_path / "migrations"
    made.mkdir()
    (made / "0001_first.sql").write_text(FIRST)
    (made / "README.md").write_text("no migration")
    return made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database is to be."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "test.db"


def dump(path: Path) -> list[str]:
    """Return all that a database holds, as SQL."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(connection.iterdump())


def names(path: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM packages ORDER BY id")]


def files(path: Path) -> list[str]:
    """Return the files beside a database; SQLite's own, which come and go, are left out."""
    return sorted(file.name for file in path.parent.iterdir() if not file.name.endswith(("-wal", "-shm")))


OURS = tuple(
    sorted(
        file.name.removesuffix(".sql")  # not the folder's other files
        for file in migrations_folder().iterdir()
        if file.name.endswith(".sql")
    )
)


def test_a_fresh_database_gets_everything_and_no_copy(path: Path) -> None:
    """There is nothing to go back to."""
    assert migration_state(path) == MigrationState((), OURS)
    assert not path.exists()
    assert migrate(path) == OURS
    assert migration_state(path) == MigrationState(OURS, ())
    assert files(path) == ["test.db"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows keeps permissions by other means")
def test_a_database_and_its_copies_are_for_their_owner_only(path: Path) -> None:
    """They hold hashes of passwords, and of keys that may be short enough to be guessed from them."""
    migrate(path)
    assert path.stat().st_mode & 0o777 == 0o600
    backup(path, path.with_name("copy.db"))
    assert path.with_name("copy.db").stat().st_mode & 0o777 == 0o600


def test_migrating_again_changes_nothing(path: Path) -> None:
    migrate(path)
    before = path.read_bytes()
    assert migrate(path) == ()
    assert path.read_bytes() == before
    assert files(path) == ["test.db"]


def test_statements_are_taken_apart_where_they_end(path: Path, folder: Path) -> None:
    """Semicolons in texts, comments and the bodies of triggers end no statement."""
    (folder / "0002_trigger.sql").write_text(TRIGGER)
    assert migrate(path, folder=folder) == ("0001_first", "0002_trigger")
    assert names(path) == ["first; and only", "none"]
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT name FROM changes").fetchall() == [("",)]


def test_a_copy_is_made_before_data_is_migrated(path: Path, folder: Path) -> None:
    """Migrations go forward only; the copy, named after what was applied to the original, is the way back."""
    migrate(path, folder=folder)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO packages (name) VALUES ('kept')")
        connection.commit()
    before = dump(path)
    (folder / "0002_trigger.sql").write_text(TRIGGER)
    (folder / "0003_index.sql").write_text("CREATE INDEX packages_name ON packages (name);")
    assert migration_state(path, folder) == MigrationState(("0001_first",), ("0002_trigger", "0003_index"))
    assert dump(path) == before
    assert migrate(path, folder=folder) == ("0002_trigger", "0003_index")
    assert files(path) == ["test.db", "test.db.before-0002_trigger"]
    copy = Path(f"{path}.before-0002_trigger")
    assert dump(copy) == before
    assert names(path) == ["first; and only", "kept", "none"]
    copy.replace(path)
    assert migration_state(path, folder).pending == ("0002_trigger", "0003_index")


def test_the_copy_holds_what_is_still_in_the_log(path: Path, folder: Path) -> None:
    """A server that was killed leaves records in the write-ahead log only; the copy must have them too."""
    migrate(path, folder=folder)
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("INSERT INTO packages (name) VALUES ('in the log')")
        other.commit()
        (folder / "0002_trigger.sql").write_text(TRIGGER)
        migrate(path, folder=folder)
    assert names(Path(f"{path}.before-0002_trigger")) == ["first; and only", "in the log"]


@pytest.mark.parametrize("good", [False, True], ids=["alone", "after a good one"])
def test_a_migration_that_fails_leaves_everything_as_it_was(path: Path, folder: Path, good: bool) -> None:
    """Not even those before it, applied in the same go, stay: the old program must find its own schema."""
    migrate(path, folder=folder)
    before = dump(path)
    if good:
        (folder / "0002_trigger.sql").write_text(TRIGGER)
    (folder / "0003_broken.sql").write_text(BROKEN)
    with pytest.raises(DatabaseError, match="nowhere"):
        migrate(path, folder=folder)
    assert dump(path) == before
    (folder / "0003_broken.sql").write_text("CREATE TABLE mended (id INTEGER);")
    assert migrate(path, folder=folder)[-1] == "0003_broken"


def test_a_first_migration_that_fails_leaves_nothing_behind(path: Path, folder: Path) -> None:
    """The next start, with a mended program, finds a fresh database and not another program's."""
    (folder / "0002_broken.sql").write_text(BROKEN)
    with pytest.raises(DatabaseError, match="nowhere"):
        migrate(path, folder=folder)
    (folder / "0002_broken.sql").unlink()
    assert migrate(path, folder=folder) == ("0001_first",)


def test_a_newer_database_is_refused_and_says_so(path: Path, folder: Path) -> None:
    """An old program must not write into a schema that it does not know."""
    (folder / "0002_trigger.sql").write_text(TRIGGER)
    migrate(path, folder=folder)
    before = path.read_bytes()
    (folder / "0002_trigger.sql").unlink()
    for refuses in (migrate, migration_state):
        with pytest.raises(DatabaseError) as caught:
            refuses(path, folder=folder)
        assert str(path) in str(caught.value)
        assert "newer version of deployserver (it has the migration 0002_trigger)" in str(caught.value)
    assert path.read_bytes() == before
    assert files(path) == ["test.db"]


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_another_programs_database_is_refused_and_left_alone(path: Path, mode: str) -> None:
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        connection.execute("CREATE TABLE recipes (name TEXT)")
        connection.commit()
    before = path.read_bytes()
    for refuses in (migrate, migration_state):
        with pytest.raises(DatabaseError, match="database of another program"):
            refuses(path)
    assert path.read_bytes() == before
    assert files(path) == ["test.db"]


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0" + b"\xff" * 5000], ids=["text", "header"])
def test_a_damaged_file_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    for refuses in (migrate, migration_state):
        with pytest.raises(DatabaseError, match="it is damaged or no SQLite database"):
            refuses(path)
    assert path.read_bytes() == content


def test_an_empty_file_is_a_fresh_database(path: Path) -> None:
    """So that a file made with the right owner beforehand, or by a container's mount, will do."""
    path.touch()
    assert migrate(path) == OURS


def test_a_locked_database_is_refused_after_the_busy_timeout(path: Path, folder: Path) -> None:
    migrate(path, folder=folder)
    (folder / "0002_trigger.sql").write_text(TRIGGER)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseError, match="another process has kept it locked"):
            migrate(path, 0.1, folder)
        other.execute("ROLLBACK")
    assert migrate(path, 0.1, folder) == ("0002_trigger",)


def test_a_backup_is_whole_while_others_write_and_replaces_nothing(path: Path, folder: Path) -> None:
    migrate(path, folder=folder)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO packages (name) VALUES ('not committed')")
        backup(path, path.with_name("copy.db"))
        other.execute("COMMIT")
    assert names(path.with_name("copy.db")) == ["first; and only"]
    before = path.with_name("copy.db").read_bytes()
    with pytest.raises(DatabaseError, match="exists already"):
        backup(path, path.with_name("copy.db"))
    assert path.with_name("copy.db").read_bytes() == before
    with pytest.raises(DatabaseError, match="does not exist"):
        backup(path.with_name("missing.db"), path.with_name("another.db"))
    assert files(path) == ["copy.db", "test.db"]


async def test_the_command_tells_what_is_pending_without_applying_it(tmp_path: Path) -> None:
    """A deployment script can ask first: exit code 3 is something to do, 0 nothing."""
    installation = Installation(tmp_path)
    check = await installation.run("migrate", "--check", "--json")
    assert (check.code, json.loads(check.out)) == (3, {"applied": [], "pending": list(OURS)})
    assert not installation.database.exists()
    done = await installation.run("migrate", "--json")
    assert (done.code, json.loads(done.out)) == (0, {"applied": list(OURS), "pending": []})
    again = await installation.run("migrate", "--json")
    assert (again.code, json.loads(again.out)) == (0, {"applied": [], "pending": []})
    check = await installation.run("migrate", "--check", "--json")
    assert (check.code, json.loads(check.out)) == (0, {"applied": list(OURS), "pending": []})


async def test_four_processes_that_start_together_migrate_once(tmp_path: Path) -> None:
    """Of several servers on a new database one makes the schema, and the others wait and go on."""
    for number in range(2):
        installation = Installation(tmp_path / str(number), database={"busy_timeout": 30})
        done = await asyncio.gather(*(installation.run("migrate", "--json") for _ in range(4)))
        assert [one.code for one in done] == [0] * 4, [one.err for one in done]
        assert sorted(json.loads(one.out)["applied"] for one in done) == [[], [], [], list(OURS)]


async def test_servers_that_start_together_on_a_new_database_all_serve(tmp_path: Path) -> None:
    installation = Installation(tmp_path, database={"busy_timeout": 30})
    async with closing([installation]):
        servers = await asyncio.gather(*(installation.serve() for _ in range(3)))
        assert [server.unexpected() for server in servers] == [[], [], []]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
async def test_a_process_killed_while_it_migrates_leaves_the_old_schema_and_no_lock(path: Path, folder: Path) -> None:
    """The next start migrates as if nothing had been; no lock has to be broken by hand."""
    migrate(path, folder=folder)
    before = dump(path)
    slow = folder / "0002_slow.sql"
    slow.write_text(
        "CREATE TABLE many (number INTEGER);\n"
        "INSERT INTO many WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n;\n"
    )  # without an end
    code = (
        "import sys; from pathlib import Path; from deployserver.storage.sqlite.migrator import migrate; "
        "migrate(Path(sys.argv[1]), folder=Path(sys.argv[2]))"
    )
    process = await Installation(folder.parent / "unused").python("-c", code, str(path), str(folder))
    log = Path(f"{path}-wal")
    try:
        await until(lambda: process.returncode is not None or (log.exists() and log.stat().st_size > 1_000_000))
        assert process.returncode is None
        other = sqlite3.connect(path, timeout=0, isolation_level=None)
        with contextlib.closing(other), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
    finally:
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    assert migration_state(path, folder) == MigrationState(("0001_first",), ("0002_slow",))
    assert dump(path) == before
    slow.write_text(TRIGGER)
    assert migrate(path, 0, folder) == ("0002_slow",)
    assert names(path) == ["first; and only", "none"]
