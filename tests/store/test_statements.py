"""The SQL files: migrations in their order, statements with their why, plans that stay flat."""

import re
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import pytest

from downloader.store.sqlite.connection import migrate, open_connection
from downloader.store.sqlite.statements import load_migrations, load_queries, split_statements

HOW_ATTEMPTS_ENDED = 9


def test_migrations_are_numbered_without_gaps() -> None:
    """Number n leads from version n - 1 to version n."""
    assert list(load_migrations()) == list(range(1, len(load_migrations()) + 1))


def test_an_older_store_gets_what_it_lacks() -> None:
    """From each version only the later migrations run, triggers whole."""
    scripts = {
        1: "CREATE TABLE a (x);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM a;\n  SELECT 1;\nEND;\n",
        2: "CREATE TABLE b (x);\n",
        3: "CREATE TABLE c (x);\nINSERT INTO c VALUES (1);\n",
    }
    for version in range(4):
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
            migrate(database, {number: script for number, script in scripts.items() if number <= version})
            migrate(database, scripts)
            migrate(database, scripts)
            assert database.execute("PRAGMA user_version").fetchone() == (3,)
            assert database.execute("SELECT count(*) FROM c").fetchone() == (1,)


def test_a_migration_that_fails_leaves_the_version_before() -> None:
    """All of one migration or nothing of it."""
    scripts = {1: "CREATE TABLE a (x);\n", 2: "CREATE TABLE b (x);\nCREATE TABLE a (x);\n"}
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        with pytest.raises(sqlite3.OperationalError):
            migrate(database, scripts)
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("a",)]


def test_each_statement_has_a_line_of_why() -> None:
    """Every block of queries.sql begins with a comment and holds one statement."""
    for name, block in load_queries().items():
        assert block.startswith("-- "), name
        assert len(list(split_statements(block))) == 1, name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "make_claimable",
            "archives_due",
            "next_in_archive_order",
            "next_smallest_first",
            "next_largest_first",
            "claim",
            "series",
        ),
        *(
            "first_claimable_now",
            "first_claimable_later",
            "extend",
            "complete",
            "set_back",
            "fail",
            "recover_claims",
            "close_claims",
        ),
        *(
            "retry",
            "reopen",
            "tally",
            "failures",
            "page_of_library",
            "page_in_state",
            "search_library",
            "search_state",
            "last_key",
            "note_proof",
            "stored_places",
            "page_of_weak_proof",
            "page_of_unknown_proof",
            "series_with_list",
        ),
    ],
)
def test_what_workers_ask_goes_through_no_table(tmp_path: Path, name: str) -> None:
    """By SQLite's own plan each starts from a key, so that it costs the same however many series there are."""
    steps = plan_of(name, tmp_path / "state.db")
    assert not [step for step in steps if re.match("SCAN (series|wanted|queue|tally|manifest)", step)]


@pytest.mark.parametrize("name", ["next_in_archive_order", "next_smallest_first", "next_largest_first"])
def test_the_next_series_is_found_without_sorting(tmp_path: Path, name: str) -> None:
    """It stands at one end of an index."""
    assert not [step for step in plan_of(name, tmp_path / "state.db") if "TEMP B-TREE" in step]


@pytest.mark.parametrize(
    "name", ["archives_due", "next_in_archive_order", "next_smallest_first", "next_largest_first", "first_claimable_now"]
)
def test_archives_left_out_are_not_stepped_over(tmp_path: Path, name: str) -> None:
    """Their series may be a million: the index begins with the archive."""
    steps = [step for step in plan_of(name, tmp_path / "state.db") if step.startswith("SEARCH queue")]
    assert steps
    assert all(re.search(r"INDEX queue_(in_archive_order|by_size) ", step) for step in steps)
    assert any("archive" in step.partition("(")[2] for step in steps)


@pytest.mark.parametrize(
    "name",
    [
        "keep_time_of_day",
        "mark_changed",
        "reopen_changed",
        "reopen_failed_and_withdrawn",
        "merge_incoming",
        "forget_former_wishes",
    ],
)
def test_a_batch_is_merged_from_its_own_end(tmp_path: Path, name: str) -> None:
    """The batch is gone through and the series are looked up, never the other way round."""
    steps = [step for step in plan_of(name, tmp_path / "state.db") if re.match("(SCAN|SEARCH) (series|incoming)", step)]
    assert steps == ["SCAN incoming", "SEARCH series USING INTEGER PRIMARY KEY (rowid=?)"]


def plan_of(name: str, path: Path) -> list[str]:
    open_connection(path).close()
    unbound: defaultdict[str, None] = defaultdict(lambda: None)
    queries = load_queries()
    with closing(sqlite3.connect(path)) as database:
        database.execute(queries["create_incoming"])
        return [str(row[3]) for row in database.execute(f"EXPLAIN QUERY PLAN {queries[name]}", unbound)]


def test_a_store_from_before_learns_how_its_attempts_ended() -> None:
    """An error was kept of each attempt that had ended with one; what has none died with its process."""
    scripts = load_migrations()
    rows = [
        ("1.1", "pending", 3, "CutTransferError", 0),
        ("1.2", "pending", 2, None, 2),
        ("1.3", "claimed", 2, "CutTransferError", 1),
        ("1.4", "claimed", 2, None, 2),
        ("1.5", "complete", 1, None, 0),
    ]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as database:
        migrate(database, {number: script for number, script in scripts.items() if number < HOW_ATTEMPTS_ENDED})
        for uid, state, attempts, error, _ in rows:
            database.execute(
                "INSERT INTO series (series_instance_uid, archive, state, attempts, error) VALUES (?, 'a', ?, ?, ?)",
                (uid, state, attempts, error),
            )
        migrate(database, scripts)
        told = database.execute("SELECT series_instance_uid, unended_attempts FROM series ORDER BY series_key").fetchall()
    assert told == [(uid, unended) for uid, _, _, _, unended in rows]
